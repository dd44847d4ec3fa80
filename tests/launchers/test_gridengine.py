"""`--on command` by managers that nobody had in mind: a real GridEngine, tmux, and ssh.

The lines are those of docs/how-to/other-job-managers.md. Where one is not installed its tests are
skipped with a visible line; where `MODELDIR_ENGINES` names it, as in `.ci/run`, that is a failure.
"""

from __future__ import annotations

import getpass
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import engines
from laboratory import Project, wait_until
from modeldir._system import reading
from modeldir.launchers import Launcher, launched_jobs
from modeldir.launchers.command import CommandLauncher
from modeldir.testing import LauncherContract
from test_docs import recipe

pytestmark = pytest.mark.slow

SIX = "learning_rate=0.1,0.2,0.3,0.4,0.5,0.6"


@pytest.fixture(scope="session")
def whole_gridengine() -> Iterator[dict[str, str]]:
    """A real GridEngine; yields the variables by which its commands are found."""
    engines.need("gridengine", "sge_qmaster", "sge_execd", "qsub", "nsenter", "unshare", "ip")
    if subprocess.run(["unshare", "--net", "--uts", "true"], check=False).returncode != 0:
        pytest.skip("GridEngine needs a network of its own, and unshare may not make one")
    folder = Path(tempfile.mkdtemp(prefix="gridengine-", dir="/tmp"))
    variables = {**os.environ, "GRIDENGINE_DIR": str(folder), "WIPE": "1"}
    down = shlex.quote(str(engines.SCRIPTS / "gridengine_down.sh"))
    # Not ours to forget: it is taken down when our end of the pipe closes, however we end.
    keeper = subprocess.Popen(
        ["sh", "-c", f"cat >/dev/null; exec bash {down} >/dev/null 2>&1"],
        env=variables,
        stdin=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        script = engines.SCRIPTS / "gridengine_up.sh"
        subprocess.run(["bash", script], env=variables, check=True, stdout=subprocess.DEVNULL)
        yield {"PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    finally:
        assert keeper.stdin is not None
        keeper.stdin.close()
        keeper.wait()


@pytest.fixture
def gridengine(
    whole_gridengine: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[dict[str, str]]:
    """It, without jobs, for this process too."""
    for name, value in whole_gridengine.items():
        monkeypatch.setenv(name, value)
    yield whole_gridengine
    subprocess.run(["qdel", "-u", "*"], check=False, capture_output=True)


@pytest.fixture
def project(tmp_path: Path, gridengine: dict[str, str]) -> Project:
    """A project with an odd name, in which GridEngine's commands are found."""
    folder = tmp_path / 'it\'s "mine" 100%'
    folder.mkdir()
    found = Project(folder)
    found.environment["PATH"] = gridengine["PATH"].replace(
        os.environ["PATH"], found.environment["PATH"]
    )
    return found


def on_gridengine(project: Project, *words: str) -> str:
    options = recipe("GridEngine")
    typed = [word for name, line in options.items() for word in (f"--{name}", line)]
    said = project.searches(SIX, "--on", "command", *typed, *words, limit=60)
    assert said.code == 0, said.err
    return said.out


@pytest.mark.usefixtures("gridengine")
class TestGridEngine(LauncherContract):
    """By the line of docs/how-to/other-job-managers.md."""

    def make(self, search: Path) -> Launcher:
        return CommandLauncher(search, recipe("GridEngine"))


def test_a_search_runs_on_gridengine(project: Project) -> None:
    """In folders with spaces, quotes and per cent signs: each trial once, its job's id recorded."""
    on_gridengine(project, "--workers", "2", "--wait")
    assert set(project.trials().values()) == {"completed"}
    assert len(project.started) == 6
    jobs = {each.ref.job for each in launched_jobs.read_jobs(project.search)}
    recorded = {
        reading.read_object(path)["job"]["id"] for path in project.search.glob("*/run.json")
    }
    assert recorded <= jobs


def test_what_gridengine_kills_is_taken_up_again(project: Project) -> None:
    """`qdel` of a worker's job kills it at once: the next command starts one for it, and the trial
    that it ran is run again.
    """
    project.hold()
    on_gridengine(project, "--workers", "2", "--no-check")
    project.wait_for_starts(2)
    first = launched_jobs.read_jobs(project.search)[0]
    subprocess.run(["qdel", first.ref.job], check=True, capture_output=True)
    wait_until(
        lambda: launched_jobs.read_jobs(project.search, ask=True)[0].state.alive is False,
        "its end",
        60,
    )
    assert "1 worker runs" in on_gridengine(project, "--workers", "2", "--no-check")
    project.release()
    wait_until(lambda: sorted(project.trials().values()) == ["completed"] * 6, "six trials", 90)
    assert len(project.ended) == 6


def test_jobs_that_wait_in_gridengine_are_canceled(project: Project) -> None:
    """A queue that is held: they wait, watch says so, and `stop` takes them out."""
    subprocess.run(["qmod", "-d", "all.q"], check=True, capture_output=True)
    try:
        on_gridengine(project, "--workers", "2")
        with project.started_as("watch", "experiments/search") as watch:
            assert watch.stdout is not None
            lines = [watch.stdout.readline() for _ in range(2)]
        assert lines[1].startswith("2 workers wait: ")
        said = project.modeldir("stop", "experiments/search")
        assert said.lines[0].startswith("canceled: job ")
        wait_until(lambda: subprocess.check_output(["qstat"]) == b"", "an empty queue", 60)
    finally:
        subprocess.run(["qmod", "-e", "all.q"], check=True, capture_output=True)


# -- tmux ------------------------------------------------------------------------------------------


class TestTmux(LauncherContract):
    """Each worker in a session of its own, named by its token."""

    @pytest.fixture(autouse=True)
    def _tmux(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        engines.need("tmux", "tmux")
        with tempfile.TemporaryDirectory(prefix="tmux-", dir="/tmp") as folder:
            monkeypatch.setenv("TMUX_TMPDIR", folder)
            monkeypatch.delenv("TMUX", raising=False)
            yield
            subprocess.run(["tmux", "kill-server"], check=False, capture_output=True)

    def make(self, search: Path) -> Launcher:
        return CommandLauncher(search, recipe("tmux"), pause=0.1)


# -- ssh -------------------------------------------------------------------------------------------


class TestSsh(LauncherContract):
    """A worker on another host, which is this one: a daemon of ours, on a port of its own."""

    @pytest.fixture(autouse=True)
    def _host(self, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
        engines.need("ssh", "ssh", "sshd", "ssh-keygen")
        folder = tmp_path_factory.mktemp("ssh")
        folder.chmod(0o700)
        port = engines.free_ports(1)
        for name in ("host", "user"):
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True
            )
        shutil.copy(folder / "user.pub", folder / "authorized")
        settings = f"""\
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host
AuthorizedKeysFile {folder}/authorized
PidFile none
StrictModes no
PermitRootLogin prohibit-password
PasswordAuthentication no
UsePAM no
"""
        (folder / "sshd_config").write_text(settings)
        if os.geteuid() == 0:
            os.makedirs("/run/sshd", exist_ok=True)
        program = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
        assert program is not None
        daemon = subprocess.Popen(
            [program, "-D", "-e", "-f", folder / "sshd_config"], stderr=subprocess.DEVNULL
        )
        self.ssh = (
            f"ssh -p {port} -i {folder}/user -o BatchMode=yes -o StrictHostKeyChecking=no "
            f"-o UserKnownHostsFile=/dev/null -o LogLevel=ERROR {getpass.getuser()}@127.0.0.1"
        )
        try:
            answers = [*shlex.split(self.ssh), "true"]
            wait_until(
                lambda: subprocess.run(answers, check=False, capture_output=True).returncode == 0,
                "the ssh daemon",
            )
            yield
        finally:
            daemon.terminate()
            daemon.wait()

    def make(self, search: Path) -> Launcher:
        lines = {
            name: line.replace("ssh node1", self.ssh, 1) for name, line in recipe("ssh").items()
        }
        return CommandLauncher(search, lines, pause=0.1)
