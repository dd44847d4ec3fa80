"""The launcher of Slurm, and all that Slurm may answer: by small executables in its stead."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from laboratory import until_refused
from modeldir import launchers
from modeldir.errors import CommandError
from modeldir.launchers import JobRef, JobState, LauncherBusy, jobs_folder
from modeldir.launchers.slurm import SlurmLauncher
from modeldir.launchers.slurm_script import notice, read_options, script

if TYPE_CHECKING:
    from syrupy.assertion import SnapshotAssertion

BASE = "0123456789abcdef"
POLICY = (
    "Batch job submission failed: Job violates accounting/QOS policy (job submit limit, user's "
    "size and/or time limits)"
)
WORKER = ["/opt/python", "-m", "modeldir", "worker", "/home/ana/my digits/search", "-j", "2"]

COMMAND = """\
#!{python} -S
# One of Slurm's commands: notes what it was given, answers what the file beside it says.
import os, sys
with open(__file__ + ".asked", "a") as asked:
    print(sys.argv[1:], file=asked)
with open(__file__ + ".environment", "w") as told:
    print(*sorted(os.environ), file=told)
exec(open(__file__ + ".does").read())
"""
LIMIT_OF_FIVE = """
import re
taken = open(__file__ + ".taken", "a+")
taken.seek(0)
before = [int(line) for line in taken]
script = open(sys.argv[-1]).read()
first, last = re.search(r"--array=(\\d+)-(\\d+)", " ".join(sys.argv) + script).groups()
count = int(last) - int(first) + 1
if sum(before) + count > 5:
    sys.exit("sbatch: error: AssocMaxSubmitJobLimit")
print(count, file=taken)
print(len(before) + 1)
"""
"""An sbatch that takes five jobs in all."""


class Fake:
    """A folder with Slurm's commands, first on PATH."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.says("scontrol", "MaxArraySize            = 1001")
        self.says("sbatch", "4711")
        self.says("squeue")
        self.says("scancel")

    def does(self, command: str, code: str) -> None:
        """From now on a command does this."""
        path = self.folder / command
        path.write_text(COMMAND.format(python=sys.executable))
        path.chmod(0o755)
        Path(f"{path}.does").write_text(code)

    def says(self, command: str, out: str = "", err: str = "", code: int = 0) -> None:
        """From now on a command answers this."""
        self.does(command, f"print({out!r}); print({err!r}, file=sys.stderr); sys.exit({code})")

    def asked(self, command: str) -> list[str]:
        """The words it was given, each time."""
        path = self.folder / f"{command}.asked"
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    fake = Fake(tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{fake.folder}{os.pathsep}{os.environ['PATH']}")
    return fake


@pytest.fixture
def search(tmp_path: Path) -> Path:
    folder = tmp_path / "search"
    folder.mkdir()
    return folder


def tokens(count: int) -> list[str]:
    return [f"{BASE}_{index}" for index in range(count)]


def job(index: int = 0, number: str = "4711") -> JobRef:
    return JobRef("slurm", f"{number}_{index}" if number else "", f"{BASE}_{index}")


# -- The script ------------------------------------------------------------------------------------


def test_the_script(snapshot: SnapshotAssertion) -> None:
    """It has what was asked for and what a worker needs, in an order in which one reads."""
    wanted, problems = read_options(
        {
            "partition": "gpu",
            "account": "cs230",
            "setup": ["module load cuda", "source .venv/bin/activate"],
            "sbatch": "--gres=gpu:1 --time=2:00:00 --comment='with a # and a \"'",
        }
    )
    assert problems == []
    search = Path("/home/ana/my digits/search")
    assert (
        script(wanted, WORKER, search, BASE, folder="/home/ana/my digits", array="0-7") == snapshot
    )


def test_the_script_without_anything_asked_for(snapshot: SnapshotAssertion) -> None:
    """Nothing is asked for that nobody asked for; without a requeue there is no word of it."""
    wanted, problems = read_options({"sbatch": "--no-requeue"})
    assert problems == []
    assert (
        script(wanted, WORKER, Path("/data/100%"), BASE, folder="/data", array="0-0%1") == snapshot
    )


def test_a_folder_of_two_lines_is_refused(tmp_path: Path) -> None:
    """Its second line would be one of the script: the search's, and where the jobs run."""
    for search, folder in (tmp_path / "a\nb", None), (tmp_path / "a", "/home/ana\ntouch b"):
        with pytest.raises(CommandError, match=r"its name has a line break: rename it"):
            SlurmLauncher(search, folder=folder)


def test_the_comment_of_the_script_stays_one_line() -> None:
    """A comment ends with its line: what a folder's name has after that would be run."""
    options, _ = read_options({})
    text = script(options, WORKER, Path("/s/a\ntouch b"), BASE, folder="/s", array="0-0")
    assert "# Workers on $'/s/a\\x0atouch b'; " in text


def test_the_script_that_the_page_shows() -> None:
    """docs/how-to/slurm.md shows the script as it is made from the settings that the page has."""
    page = (Path(__file__).parents[2] / "docs/how-to/slurm.md").read_text()
    shown = re.search(r"^```bash\n(#!/bin/bash\n.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert shown
    wanted, problems = read_options(
        {
            "partition": "gpu",
            "gres": "gpu:1",
            "time": "2:00:00",
            "setup": ["module load cuda", "source .venv/bin/activate"],
        }
    )
    assert problems == []
    home, search = "/home/ana/digits", Path("/home/ana/digits/experiments/lr")
    worker = [f"{home}/.venv/bin/python", "-m", "modeldir", "worker", str(search), "-j", "1"]
    text = script(wanted, worker, search, "6f1e52a09c3b7d84", folder=home, array="0-7")
    assert text == shown[1]


def test_ways_to_say_an_option() -> None:
    """As sbatch takes them, and as TOML has them; the command line wins."""
    typed = "-p gpu -N1 --time 60 --exclusive --mem=4G -H --nice=-5"
    found, problems = read_options(
        {"sbatch": typed, "partition": "cpu", "cpus_per_task": 4, "nodelist": ["n1", "n2"],
         "hold": False, "overcommit": True, "setup": "one\ntwo"}
    )  # fmt: skip
    assert problems == []
    assert found.options == {
        "partition": "gpu", "cpus-per-task": "4", "nodelist": "n1,n2", "overcommit": None,
        "nodes": "1", "time": "60", "exclusive": None, "mem": "4G", "hold": None, "nice": "-5",
    }  # fmt: skip
    assert found.setup == ("one", "two")


def test_what_is_not_for_the_user_to_say(search: Path, snapshot: SnapshotAssertion) -> None:
    """Each option that would break what we need is refused with what to type instead, and all that
    is wrong is said at once.
    """
    options = {
        "sbatch": "-a 0-3 --outp=x -J mine --wrap 'python x' gpu -W",
        "setup": 3,
        "mem": {"a": 1},
        "comment": "two\nlines",
    }
    with pytest.raises(CommandError) as refused:
        SlurmLauncher(search, options)
    assert str(refused.value) == snapshot
    with pytest.raises(CommandError) as refused:
        launchers.make("slurm", search, {"sbatch": "--comment='open"})
    assert str(refused.value) == snapshot


def test_the_notice_before_the_time_limit() -> None:
    """A margin that fits the limit, and the user's own where one is said."""
    assert notice({"time": "1-0", "time-min": "10"}) == 60
    assert notice({"time": "UNLIMITED"}) == notice({"time": "?"}) == 120
    assert notice({"time": "0:30"}) == 10
    wanted, _ = read_options({"signal": "B:USR1@600"})
    text = script(wanted, WORKER, Path("/s"), BASE, folder="/", array="0-0")
    assert text.count("--signal") == 1
    assert "#SBATCH --signal=B:USR1@600\n" in text


# -- sbatch ----------------------------------------------------------------------------------------


def test_a_site_that_greets(slurm: Fake, search: Path) -> None:
    """A site's own sbatch may print more than the job's number, and name the cluster."""
    slurm.says("sbatch", "Welcome to 2 clusters\n\n4711;main\nHave a nice day", "a warning")
    assert list(SlurmLauncher(search).start(WORKER, tokens(2))) == [job(0), job(1)]
    slurm.says("sbatch", "it is in")
    assert list(SlurmLauncher(search).start(WORKER, tokens(1))) == [job(0, number="")]


def test_limits_of_a_site(slurm: Fake, search: Path) -> None:
    """An array that is too large for a limit is cut in half until it fits; what was taken is told
    one by one, and what was not is said to pass by itself.
    """
    slurm.does("sbatch", LIMIT_OF_FIVE)
    found, error = until_refused(SlurmLauncher(search).start(WORKER, tokens(8)))
    assert "AssocMaxSubmitJobLimit" in str(error)
    assert [each.job for each in found] == ["1_0", "1_1", "1_2", "1_3", "2_4"]
    assert [each.token for each in found] == tokens(5)
    assert "#SBATCH --array=0-3\n" in (jobs_folder(search) / f"{BASE}.sh").read_text()


@pytest.mark.parametrize(
    ("said", "busy"),
    [
        ("QOSMaxSubmitJobPerUserLimit\nsbatch: error: Job violates accounting/QOS policy", True),
        (POLICY, True),
        ("Slurm temporarily unable to accept job: Resource temporarily unavailable", True),
        (f"QOSMaxWallDurationPerJobLimit\nsbatch: error: {POLICY}", False),
        ("sbatch: error: Batch job submission failed: Invalid account", False),
        ("Batch job submission failed: Unable to contact slurm controller (connect failure)", True),
    ],
)  # fmt: skip
def test_what_passes_by_itself(slurm: Fake, search: Path, said: str, busy: bool) -> None:  # noqa: FBT001
    """A limit on the number of jobs passes, and so does a controller that is away; a job that is
    too large for the site stays too large. Slurm's own words are always there.
    """
    slurm.says("sbatch", err=said, code=1)
    with pytest.raises(CommandError) as refused:
        list(SlurmLauncher(search).start(WORKER, tokens(2)))
    assert isinstance(refused.value, LauncherBusy) is busy
    assert said.partition("\n")[0] in str(refused.value)


def test_sbatch_that_does_not_say_whether(
    slurm: Fake, search: Path, snapshot: SnapshotAssertion
) -> None:
    """When the answer was lost the queue tells whether the jobs are in; when that cannot be asked
    either, they count until it can.
    """
    slurm.says("sbatch", err="sbatch: error: Socket timed out on send/recv operation", code=1)
    found, error = until_refused(SlurmLauncher(search).start(WORKER, tokens(2)))
    assert str(error) == snapshot
    assert found == []
    for answer, number in ((f"9_0|PENDING||Priority|x-{BASE}\n9_1|PENDING||Priority|x-{BASE}", "9"),
                           (None, "")):  # fmt: skip
        slurm.says("squeue", answer or "", code=0 if answer else 1)
        found, _ = until_refused(SlurmLauncher(search).start(WORKER, tokens(2)))
        assert found == [job(0, number), job(1, number)]


def test_a_slow_sbatch_is_ended(slurm: Fake, search: Path) -> None:
    """It cannot hold us for ever, and what it did in that time is looked for."""
    slurm.does("sbatch", "import time; time.sleep(600)")
    slurm.says("squeue", f"9_0|RUNNING|n1|None|x-{BASE}")
    found, error = until_refused(SlurmLauncher(search, limit=1).start(WORKER, tokens(1)))
    assert "did not answer within 1 s" in str(error)
    assert found == [job(0, "9")]


def test_a_machine_without_slurm(
    search: Path, monkeypatch: pytest.MonkeyPatch, snapshot: SnapshotAssertion
) -> None:
    """What is missing is said, and where to type it."""
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(CommandError) as refused:
        list(SlurmLauncher(search).start(WORKER, tokens(1)))
    assert str(refused.value) == snapshot
    assert SlurmLauncher(search).states([job()])[job()].alive is None


# -- squeue ----------------------------------------------------------------------------------------


STUCK = ": with these options it never starts"


@pytest.mark.parametrize(
    ("line", "state"),
    [
        ("4711_0|RUNNING|n1|None|x-BASE", JobState(True, "RUNNING on n1", runs=True)),
        ("4711_0|COMPLETING|n1|None|x-BASE", JobState(True, "COMPLETING on n1", runs=True)),
        ("4711_0|PENDING||ReqNodeNotAvail, UnavailableNodes:n[1-2]|x-BASE",
         JobState(True, "PENDING (ReqNodeNotAvail, UnavailableNodes:n[1-2])", runs=False)),
        ("4711_0|PENDING||launch failed requeued held|x-BASE",
         JobState(True, "PENDING (launch failed requeued held)", runs=False)),
        ("4711_0|PENDING||PartitionTimeLimit|x-BASE",
         JobState(True, f"PENDING (PartitionTimeLimit){STUCK}", runs=False)),
        ("4711_0|PENDING||QOSMaxWallDurationPerJobLimit|x-BASE",
         JobState(True, f"PENDING (QOSMaxWallDurationPerJobLimit){STUCK}", runs=False)),
        ("4711_0|PENDING||BeginTime|x-BASE", JobState(True, "PENDING (BeginTime)", runs=False)),
        ("4711_0|PREEMPTED|n2|None|x-BASE", JobState(False, "PREEMPTED on n2")),
        ("4711_0|NODE_FAIL|n2|NodeDown|x-BASE", JobState(False, "NODE_FAIL on n2 (NodeDown)")),
        ("4711_0|CANCELLED by 0||None|x-BASE", JobState(False, "CANCELLED by 0")),
        ("4711_0|TIMEOUT|n1|TimeLimit|a|b|c-BASE", JobState(False, "TIMEOUT on n1 (TimeLimit)")),
        ("4711_0|HIBERNATING|n1|(null)|x-BASE", JobState(None, "HIBERNATING on n1")),
        ("4711_[0-3%2]|PENDING||Priority|x-BASE", JobState(True, "PENDING (Priority)", runs=False)),
        ("4711_0|FAILED|n1|None|x-BASE\n4711_0|RUNNING|n2|None|x-BASE",
         JobState(True, "RUNNING on n2", runs=True)),
    ],
)  # fmt: skip
def test_words_of_the_queue(slurm: Fake, search: Path, line: str, state: JobState) -> None:
    """Blanks in reasons, bars in names, members shown as one, a job shown twice, words that nobody
    knows yet: each is told as it is, and what is not known is not dead.
    """
    slurm.says("squeue", line.replace("BASE", BASE))
    assert SlurmLauncher(search).states([job()]) == {job(): state}


def test_a_number_that_is_another_jobs_by_now(slurm: Fake, search: Path) -> None:
    """A cluster that counts from 1 again gives old numbers to new jobs: those are not ours."""
    slurm.says("squeue", f"4711_0|RUNNING|n1|None|other-{BASE[::-1]}\n4711_1|RUNNING|n1|None|vim\n")
    found = SlurmLauncher(search).states([job(0), job(1)])
    assert [*found.values()] == [JobState(alive=False)] * 2
    slurm.says("squeue", "4711_[0-3]|PENDING||Priority|other")
    assert SlurmLauncher(search).states([job(0)])[job(0)] == JobState(alive=False)


def test_one_question_for_all_jobs(slurm: Fake, search: Path) -> None:
    """However many there are; other jobs of the user, and lines that are none, are passed over."""
    slurm.says(
        "squeue",
        f"CLUSTER: main\nslurm_load_jobs: a warning\n1|RUNNING|n1|None|my | job\n||\n"
        f"4711_0|RUNNING|n1|None|x-{BASE}\n800_1|PENDING||None|s-{BASE}\n900_1|RUNNING|n1|None|s-{BASE}+2\n",
    )
    jobs = [job(0), job(1, ""), job(2), JobRef("slurm", "", f"{BASE}_3")]
    found = SlurmLauncher(search).states(jobs)
    assert [found[each].runs for each in jobs] == [True, False, None, True]
    assert found[jobs[2]] == JobState(alive=False)
    [words] = slurm.asked("squeue")
    assert words == str(["-h", "-r", "-t", "all", "-u", f"{os.geteuid()}", "-o", "%i|%T|%N|%r|%j"])
    assert SlurmLauncher(search).states([]) == {}
    assert len(slurm.asked("squeue")) == 1


@pytest.mark.parametrize("answer", [{"code": 1, "err": "Invalid user"}, {"code": 139}])
def test_a_queue_that_does_not_answer(slurm: Fake, search: Path, answer: dict[str, object]) -> None:
    """Then nothing is known, whatever it printed before that."""
    slurm.says("squeue", "4711_0|COMPLETED|n1|None|x", **answer)  # type: ignore[arg-type]
    assert SlurmLauncher(search).states([job()])[job()].alive is None
    slurm.does("squeue", "import time; time.sleep(600)")
    assert SlurmLauncher(search, limit=0.5).states([job()])[job()].alive is None


def test_jobs_of_somebody_else(slurm: Fake, search: Path) -> None:
    """A site may hide others' jobs: that one is not shown says nothing, where another submitted."""
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    jobs_folder(search).mkdir(parents=True)
    path = jobs_folder(search) / f"{BASE}.sh"
    path.touch()
    os.chown(path, 12345, -1)
    assert SlurmLauncher(search).states([job()])[job()].alive is None
    assert "'-u', '12345'" in slurm.asked("squeue")[0]


# -- scancel ---------------------------------------------------------------------------------------


def test_all_are_canceled_by_one_command(slurm: Fake, search: Path) -> None:
    """Jobs that the queue has for our tokens are canceled; one that is not there is left alone,
    whatever number its record names.
    """
    there = (f"4711_0|PENDING||None|s-{BASE}", f"800_1|PENDING||None|s-{BASE}")
    slurm.says("squeue", "\n".join([*there, "99|RUNNING|n1|None|thesis"]))
    slurm.says("scancel", err="scancel: error: Kill job error on job id 4711_0: Invalid job id "
               "specified", code=1)  # fmt: skip
    SlurmLauncher(search).stop([job(0, "99"), job(1, ""), job(2, "99"), job(3, "--user=me")])
    assert slurm.asked("scancel") == ["['4711_0', '800_1']"]
    SlurmLauncher(search).stop([job(3, "99")])
    assert len(slurm.asked("scancel")) == 1
    slurm.says("scancel", err="scancel: error: Access/permission denied", code=1)
    with pytest.raises(CommandError, match="permission denied"):
        SlurmLauncher(search).stop([job(0)])
    slurm.says("squeue", code=1)
    with pytest.raises(LauncherBusy):
        SlurmLauncher(search).stop([job(1, "")])


def test_habits_of_the_user_hide_nothing(
    slurm: Fake, search: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Filters for the eyes of a person are not for us, and what finds the cluster is kept."""
    for name in ("SQUEUE_PARTITION", "SCANCEL_INTERACTIVE", "SLURM_JOB_ID", "SBATCH_WAIT"):
        monkeypatch.setenv(name, "1")
    for name in ("SLURM_CONF", "SBATCH_ACCOUNT", "SBATCH_TIMELIMIT", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.setenv(name, "2")
    launcher = SlurmLauncher(search, {"sbatch": "-t 60"})
    launcher.states(list(launcher.start(WORKER, tokens(1))))
    slurm.says("squeue", f"4711_0|PENDING||None|s-{BASE}")
    launcher.stop([job()])
    for command in ("sbatch", "squeue", "scancel"):
        told = (slurm.folder / f"{command}.environment").read_text().split()
        ours = ("SLURM", "SBATCH", "SQUEUE", "SCANCEL", "CUDA")
        assert [name for name in told if name.startswith(ours)] == ["SBATCH_ACCOUNT", "SLURM_CONF"]
