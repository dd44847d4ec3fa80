"""What all tests share."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

import engines

if TYPE_CHECKING:
    from xdist.scheduler import LoadGroupScheduling

# The machines that run this are shared: how long an example takes says nothing about the code.
# What lands is decided by the same examples each time; new ones are looked for at the desk.
settings.register_profile(
    "modeldir",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=os.environ.get("CI") == "true",
)
settings.load_profile("modeldir")

# Started with `&` or nohup the tests ignore Ctrl-C, and so would every script that they start.
with contextlib.suppress(ValueError):  # not the main thread
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadGroupScheduling | None:
    """One process of pytest has all tests of Ray, or each would start a cluster of its own. The
    mark `xdist_group` alone does not do it: xdist 3.8 writes to what pytest 9.2 does not read.
    """
    from xdist.scheduler import LoadGroupScheduling

    class Scheduling(LoadGroupScheduling):  # type: ignore[misc]  # it comes without types
        def _split_scope(self, nodeid: str) -> str:
            return "ray" if "test_ray.py::" in nodeid else str(super()._split_scope(nodeid))

    return Scheduling(config, log) if config.getoption("dist") == "loadgroup" else None


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Name what fails at once: a run of twenty minutes may be cut off before its summary."""
    if report.failed and "PYTEST_XDIST_WORKER" not in os.environ:
        said = [line for line in report.longreprtext.splitlines() if line.startswith("E ")]
        print(f"\n{report.nodeid} ({report.when})", *said, sep="\n", file=sys.__stderr__)


@pytest.fixture(autouse=True)
def _no_log_is_left_open() -> Iterator[None]:
    """No test leaves a log, a level or a handler to the next one."""
    yield
    logs = sys.modules.get("modeldir.logs.logger")
    if logs is not None and logs.Log.current is not None:
        logs.Log.current.close()


@pytest.fixture(scope="session", autouse=True)
def _user_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cache and a state folder of the tests' own: the user's are left alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(scope="session")
def slurms() -> Iterator[engines.Made]:
    """Makes real Slurm clusters with settings of their own, which are taken down at the end."""
    with engines.slurms() as made:
        yield made


@pytest.fixture(scope="session")
def whole_slurm(slurms: engines.Made) -> engines.Slurm:
    """The cluster that the tests of one worker of pytest share."""
    return slurms()


@pytest.fixture
def slurm(whole_slurm: engines.Slurm, monkeypatch: pytest.MonkeyPatch) -> Iterator[engines.Slurm]:
    """A real Slurm of two nodes without jobs, as this process and what it starts see it."""
    for name, value in whole_slurm.environment.items():
        monkeypatch.setenv(name, value)
    yield whole_slurm
    whole_slurm.up()
    whole_slurm.clear()
