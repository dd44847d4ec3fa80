"""Real job managers for the tests, each brought up on this machine by a script in `engines/`.

It knows how to start one, to make a node or a daemon die, and to take all down, even if the tests
are killed. It refuses to know what is tested. Where an engine is not installed its tests are
skipped, unless `MODELDIR_ENGINES` names it: then that is a failure.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

import pytest

from laboratory import wait_until

SLURM = ("munged", "slurmctld", "slurmd", "sbatch")
"""The programs of a Slurm."""

SCRIPTS = Path(__file__).parent / "engines"


def need(engine: str, *programs: str) -> None:
    """Skip the test where an engine is not installed; fail where it was said to be."""
    path = os.environ["PATH"] + os.pathsep + "/usr/sbin"
    missing = [program for program in programs if shutil.which(program, path=path) is None]
    if missing:
        lacks(engine, f"{engine} is not installed ({', '.join(missing)}): make engines")


def need_framework(*names: str) -> None:
    """As `need`, for the training frameworks; all of them together are `frameworks`."""
    missing = [name for name in names if find_spec(name) is None]
    if missing:
        lacks("frameworks", f"{missing[0]} is not installed: make test-frameworks")


def need_package(name: str) -> None:
    """As `need`, for what another tool is imported by; all those tools together are `exchange`."""
    if find_spec(name) is None:
        lacks("exchange", f"{name} is not installed: make test-exchange")


def lacks(engine: str, why: str) -> NoReturn:
    """Skip the test, or fail it where `MODELDIR_ENGINES` names the engine."""
    if engine in os.environ.get("MODELDIR_ENGINES", "").split():
        pytest.fail(why)
    pytest.skip(why)


def free_ports(count: int) -> int:
    """The first of so many ports in a row that nobody listens on, below those that the kernel
    hands out; another worker of pytest begins to look elsewhere.
    """
    first = 20000 + os.getpid() * 37 % 12000
    places = [*range(first, 32000, count), *range(20000, first, count)]
    found: int = next(place for place in places if _are_free(place, count))
    return found


def _are_free(first: int, count: int) -> bool:
    with contextlib.ExitStack() as stack:
        for port in range(first, first + count):
            listener = stack.enter_context(socket.socket())
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                return False
    return True


class Slurm:
    """A cluster below a folder: a controller and the nodes n1 and n2."""

    def __init__(self, folder: Path, nodes: int = 2, extra: str = "", **settings: str) -> None:
        self.folder = folder
        self._variables = {
            **os.environ,
            "SLURM_DIR": str(folder),
            "BASE_PORT": str(free_ports(nodes + 1)),
            "NODES": str(nodes),
            "EXTRA_CONF": extra,
            **settings,
        }
        self.environment = {
            "SLURM_CONF": str(folder / "etc" / "slurm.conf"),
            "PATH": os.environ["PATH"] + os.pathsep + "/usr/sbin",
        }

    def environment_for(self, variables: Mapping[str, str]) -> dict[str, str]:
        """What has to be set so that commands with these variables find this cluster."""
        path = f"{variables['PATH']}{os.pathsep}/usr/sbin"
        return {**self.environment, "PATH": path}

    def up(self) -> None:
        """Start whatever of it does not run."""
        done = self._script("slurm_up.sh")
        assert done.returncode == 0, done.stderr

    def down(self) -> None:
        """End all of it, jobs included."""
        self._script("slurm_down.sh")

    def keep(self) -> subprocess.Popen[bytes]:
        """A process that takes it down once our end of its standard input closes: also when we are
        killed.
        """
        words = ["bash", "-c", 'cat; exec "$0"', str(SCRIPTS / "slurm_down.sh")]
        return subprocess.Popen(
            words, env=self._variables, stdin=subprocess.PIPE, start_new_session=True
        )

    def _script(self, name: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [SCRIPTS / name], env=self._variables, capture_output=True, text=True, check=False
        )

    # -- What an operator types --------------------------------------------------------------------

    def run(self, *words: str, **variables: str) -> str:
        """What a command of Slurm's prints."""
        done = subprocess.run(
            words,
            env={**os.environ, **self.environment, **variables},
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def queue(self) -> dict[str, str]:
        """The word for each job, by its number."""
        lines = self.run("squeue", "-h", "-r", "-t", "all", "-o", "%i %T").splitlines()
        return dict(line.split(maxsplit=1) for line in lines)

    def live(self) -> list[str]:
        """The jobs that wait or run, by their numbers."""
        return self.run("squeue", "-h", "-r", "-o", "%i").splitlines()

    def wait_for(self, word: str, count: int = 1, limit: float = 60) -> list[str]:
        """Wait until so many jobs are in a state; returns their numbers."""
        found: list[str] = []

        def are_there() -> bool:
            with contextlib.suppress(AssertionError):  # the controller may be away
                found[:] = [job for job, state in self.queue().items() if state == word]
            return len(found) >= count

        wait_until(are_there, f"{count} {word}", limit)
        return found

    def node_of(self, job: str) -> str:
        """Where a job runs."""
        return self.run("squeue", "-h", "-r", "-j", job, "-o", "%N")

    def clear(self) -> None:
        """Cancel every job, and wait until none is left on a node."""
        self.run("scancel", "--user", str(os.geteuid()))
        wait_until(lambda: not self.live(), "an empty queue", 60)

    def wait_until_saved(self, job: str) -> None:
        """Wait until the controller has written down that a job runs: killed before, it knows
        nothing of it when it comes back.
        """
        self.wait_for("RUNNING")
        saved, since = self.folder / "state" / "job_state", time.time()
        self.run("scontrol", "update", f"jobid={job}", "comment=saved")  # there is news to save

        def is_saved() -> bool:
            try:
                return saved.stat().st_mtime > since
            except FileNotFoundError:  # it is replaced, by two steps
                return False

        wait_until(is_saved, "a saved state")

    # -- What befalls a cluster --------------------------------------------------------------------

    @property
    def nodes_are_hosts(self) -> bool:
        """Whether each node has processes and a host name of its own."""
        return "NAMESPACES=yes" in (self.folder / "etc" / "settings").read_text()

    def kill(self, daemon: str) -> None:
        """SIGKILL for `slurmctld.pid`, for `n1.slurmd` (Slurm loses sight of the node, its
        processes live on) or for `n1.node` (all that runs there dies).
        """
        pid = int((self.folder / "run" / daemon).read_text())
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: is_gone(pid), f"the end of {daemon}")


def is_gone(pid: int) -> bool:
    """Whether a process has ended, as far as it can do anything."""
    try:
        return "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return True


Made = Callable[..., Slurm]


@contextlib.contextmanager
def slurms() -> Iterator[Made]:
    """Makes clusters, all of which end with the block. `policy` is a site's own, in Lua: what it
    refuses, its controller refuses.
    """
    need("slurm", *SLURM)
    with contextlib.ExitStack() as stack:

        def made(extra: str = "", nodes: int = 2, policy: str = "", **settings: str) -> Slurm:
            folder = Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp"))  # short: it has a socket
            if policy:
                extra += "\nJobSubmitPlugins=lua"
                (folder / "etc").mkdir()
                (folder / "etc" / "job_submit.lua").write_text(policy)
            cluster = Slurm(folder, nodes, extra, **settings)
            keeper = cluster.keep()
            stack.callback(_end, keeper)
            cluster.up()
            return cluster

        yield made


def _end(keeper: subprocess.Popen[bytes]) -> None:
    assert keeper.stdin is not None
    keeper.stdin.close()
    keeper.wait()
