"""Launchers: workers get started, are recorded, and every way a submission fails is told."""

from __future__ import annotations

import os
import select
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from modeldir import Experiment, Search, launchers, processes
from modeldir.errors import CommandError
from modeldir.launchers import JobRef, from_json, jobs_folder, record, recorded
from modeldir.launchers.command import CommandLauncher, expanded, last_word
from modeldir.launchers.local import LocalLauncher

if TYPE_CHECKING:
    from syrupy.assertion import SnapshotAssertion

WORKER = [sys.executable, "-m", "modeldir", "work", "/projects/my digits/search", "-j", "2"]

JOB_MANAGER = """\
#!/bin/sh
# Runs its arguments in the background, as a job manager would, and prints the job's number.
nohup "$@" >> "$JOBS/output" 2>&1 < /dev/null &
echo "Submitted batch job $!"
"""
SAYS = """\
import os, sys
with open(sys.argv[1], "w") as told:
    told.write(f"{os.getpid()} {os.getsid(0)} {os.isatty(0)} {sys.argv[2:]}")
"""
WAITS = """\
import sys
open(sys.argv[1], "w").close()
open(sys.argv[2]).read()
"""


@pytest.fixture
def search(tmp_path: Path) -> Path:
    """An empty search folder, with a space in its name."""
    folder = tmp_path / "my search"
    folder.mkdir()
    return folder


@pytest.fixture
def told(tmp_path: Path) -> Path:
    """A named pipe: reading it waits until a worker has written, so that no test sleeps."""
    pipe = tmp_path / "told"
    os.mkfifo(pipe)
    return pipe


def executable(folder: Path, text: str, name: str = "job-manager-submit") -> None:
    """Put a small program into a folder."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    (folder / name).chmod(0o755)


@pytest.fixture
def job_manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `job-manager-submit`, first on PATH, that runs what it is given; returns its folder."""
    folder = tmp_path / "bin"
    executable(folder, JOB_MANAGER)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("JOBS", str(folder))
    return folder


def wait_for_end(pid: int) -> None:
    """Return when a process, not a child of ours, has ended."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        select.select([descriptor], [], [], 30)
    finally:
        os.close(descriptor)


# -- A launcher of any kind ------------------------------------------------------------------------


def test_a_job_survives_its_file() -> None:
    """A job reads back from JSON as what it was, and anything else reads as none."""
    ref = JobRef("command", "4711", "a1b2")
    assert from_json(ref.to_json()) == ref
    assert from_json({"launcher": "command"}) is None
    assert from_json([ref.to_json()]) is None


def test_recorded_jobs_come_in_the_order_of_their_start(search: Path) -> None:
    """Each job has a file of its own, and a broken one hides no other."""
    jobs_folder(search).mkdir(parents=True)
    late = record(search, JobRef("local", "1", "a"), {"started": "2026-01-02"})
    early = record(search, JobRef("local", "2", "b"), {"started": "2026-01-01"})
    (jobs_folder(search) / "c.json").write_text("{half")
    assert recorded(search) == [early, late]
    assert recorded(search / "nowhere") == []


def test_a_launcher_is_made_by_its_name(search: Path, snapshot: SnapshotAssertion) -> None:
    """`--on` knows the launchers by name, and helps with a name that is none."""
    assert launchers.make("local", search).name == "local"
    assert launchers.make("command", search, submit="qsub {worker}").name == "command"
    with pytest.raises(CommandError) as refused:
        launchers.make("comand", search)
    assert str(refused.value) == snapshot


# -- In the background of this machine -------------------------------------------------------------


def test_a_local_worker_is_away_from_the_terminal(search: Path, told: Path) -> None:
    """It leads a session of its own, its words arrive as they are, and its record names it."""
    words = [sys.executable, "-c", SAYS, str(told), "a 'b\" $HOME"]
    launcher = LocalLauncher(search)
    [ref] = launcher.start(words, 1)
    pid, session, terminal, arguments = told.read_text().split(" ", 3)
    assert (ref.launcher, ref.job) == ("local", pid)
    assert session == pid
    assert session != str(os.getsid(0))
    assert terminal == "False"
    assert arguments == str(["a 'b\" $HOME"])
    assert recorded(search) == [ref]
    wait_for_end(int(pid))
    assert launcher.alive([ref]) == {ref: False}


def test_what_a_local_worker_prints_is_kept(search: Path, told: Path) -> None:
    """Both of its streams go to a file beside its record."""
    script = "import sys; print('out'); print('err', file=sys.stderr); open(sys.argv[1], 'w')"
    [ref] = LocalLauncher(search).start([sys.executable, "-c", script, str(told)], 1)
    told.read_text()
    wait_for_end(int(ref.job))
    assert sorted((jobs_folder(search) / f"{ref.token}.out").read_text().split()) == ["err", "out"]


def test_local_workers_are_asked_and_stopped(search: Path, told: Path, tmp_path: Path) -> None:
    """Those that live are seen by any later launcher, and stopping them twice is harmless."""
    never = tmp_path / "never"
    os.mkfifo(never)
    words = [sys.executable, "-c", WAITS, str(told), str(never)]
    refs = LocalLauncher(search).start(words, 2)
    with open(told, "rb"):
        pass
    later = LocalLauncher(search)
    assert later.alive(recorded(search)) == dict.fromkeys(refs, True)
    later.stop(refs)
    for ref in refs:
        wait_for_end(int(ref.job))
    later.stop(refs)
    assert later.alive(refs) == dict.fromkeys(refs, False)


def test_a_pid_that_somebody_else_got_is_not_stopped(search: Path) -> None:
    """A worker is known by more than its pid: this test would not survive otherwise."""
    jobs_folder(search).mkdir(parents=True)
    me = processes.process()
    assert me is not None
    earlier = replace(me, started=me.started - 1).to_json()
    ref = record(search, JobRef("local", str(os.getpid()), "old"), {"process": earlier})
    launcher = LocalLauncher(search)
    launcher.stop([ref])
    assert launcher.alive([ref]) == {ref: False}


def test_a_worker_of_another_machine_is_not_taken_for_dead(search: Path) -> None:
    """What cannot be seen from here is unknown."""
    jobs_folder(search).mkdir(parents=True)
    me = processes.process()
    assert me is not None
    there = replace(me, host="elsewhere", machine="x", boot="y").to_json()
    ref = record(search, JobRef("local", "1", "far"), {"process": there})
    assert LocalLauncher(search).alive([ref]) == {ref: None}


def test_a_local_worker_that_cannot_start_says_so(
    search: Path, snapshot: SnapshotAssertion
) -> None:
    """The reason is the system's own, and nothing is recorded."""
    with pytest.raises(CommandError) as refused:
        LocalLauncher(search).start(["/no/such/python", "-m", "modeldir"], 1)
    assert str(refused.value) == snapshot
    assert recorded(search) == []


# -- By a job manager's own command ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("submit {worker}", ["submit", *WORKER]),
        ("submit -n 1 {worker} --end", ["submit", "-n", "1", *WORKER, "--end"]),
        ("submit --wrap '{worker}'", ["submit", "--wrap", shlex.join(WORKER)]),
        ('submit --wrap "{worker}" x', ["submit", "--wrap", shlex.join(WORKER), "x"]),
        ("submit --wrap={worker}", ["submit", f"--wrap={shlex.join(WORKER)}"]),
        ('submit --wrap="{worker}"', ["submit", f"--wrap={shlex.join(WORKER)}"]),
        ("sh -c 'exec {worker}'", ["sh", "-c", f"exec {shlex.join(WORKER)}"]),
        (
            """sh -c "submit '{worker}' -x" """,
            ["sh", "-c", f"submit {shlex.quote(shlex.join(WORKER))} -x"],
        ),
        (
            """sh -c "echo '{worker}'|submit" """,
            ["sh", "-c", f"echo {shlex.quote(shlex.join(WORKER))}|submit"],
        ),
    ],
)
def test_a_template_becomes_a_command_line(template: str, words: list[str]) -> None:
    """`{worker}` is words where words are wanted, and a line for a shell where a line is."""
    assert expanded(template, WORKER) == words


@pytest.mark.parametrize("script", ["exec {worker}", "sh -c '{worker}'"])
def test_a_shell_reads_the_line_as_the_same_words(
    search: Path, told: Path, script: str, job_manager: Path
) -> None:
    """Spaces, quotes and dollars come through one shell, and through a shell in a shell."""
    template = f'job-manager-submit sh -c "{script}"'
    worker = [sys.executable, "-c", SAYS, str(told), "a 'b\" $HOME *"]
    CommandLauncher(template, search).start(worker, 1)
    assert told.read_text().endswith(str(["a 'b\" $HOME *"]))


def test_workers_are_submitted_and_run(search: Path, told: Path, job_manager: Path) -> None:
    """The command is run once a worker; each job has its id, its record and what was printed."""
    launcher = CommandLauncher("job-manager-submit {worker}", search)
    refs = launcher.start([sys.executable, "-c", SAYS, str(told)], 1)
    refs += launcher.start([sys.executable, "-c", SAYS, os.devnull], 2)
    assert told.read_text().split()[0] == refs[0].job
    assert recorded(search) == refs
    assert len({ref.token for ref in refs}) == len(refs) == 3
    for ref in refs:
        printed = (jobs_folder(search) / f"{ref.token}.out").read_text()
        assert printed == f"Submitted batch job {ref.job}\n"
        wait_for_end(int(ref.job))


def test_a_submitting_command_gets_no_input(search: Path, job_manager: Path) -> None:
    """One that asks a question meets the end of its input, and does not hang."""
    executable(job_manager, "#!/bin/sh\nread answer || echo job end-of-input\n")
    [ref] = CommandLauncher("job-manager-submit {worker}", search).start(WORKER, 1)
    assert ref.job == "end-of-input"


def test_what_it_leaves_in_the_background_is_not_waited_for(
    search: Path, told: Path, job_manager: Path
) -> None:
    """A worker that still holds the command's own output keeps nobody waiting."""
    executable(job_manager, '#!/bin/sh\necho job $$\n"$@" &\n')
    worker = [sys.executable, "-c", "import sys; open(sys.argv[1]).read()", str(told)]
    [ref] = CommandLauncher("job-manager-submit {worker}", search).start(worker, 1)
    assert ref.job.isdecimal()
    told.write_text("only now may it end")


@pytest.mark.parametrize(
    ("printed", "pattern", "job"),
    [
        ("Submitted batch job 4711", None, "4711"),
        ("\n  8812.head-node\nmore words\n", None, "8812.head-node"),
        ("", None, ""),
        ("Job <77> is submitted to queue <normal>.", r"<(\d+)>", "77"),
        ('Your job 5 ("train") has been submitted', r"\d+", "5"),
        ("no number here", r"\d+", ""),
        ("job-b", r"job-(a)|job-(b)", "b"),
    ],
)
def test_a_job_is_named_by_what_was_printed(
    search: Path, job_manager: Path, printed: str, pattern: str | None, job: str
) -> None:
    """The first line's last word, or what a pattern finds; a job without one still counts."""
    executable(job_manager, f"#!/bin/sh\nprintf %s {shlex.quote(printed)}\n")
    launcher = CommandLauncher("job-manager-submit {worker}", search, pattern)
    [ref] = launcher.start(WORKER, 1)
    assert ref.job == job
    assert recorded(search) == [ref]


def test_the_id_is_the_last_word_of_the_first_line_that_has_one() -> None:
    """Blank lines and what follows the first line have no say."""
    assert last_word("\n \nSubmitted batch job 4711\nthank you") == "4711"


@pytest.mark.parametrize(
    "template",
    [None, "", "qsub job.sh", "qsub '{worker}", "echo {worker} | qsub", "qsub {worker} &"],
    ids=["missing", "empty", "no-place", "open-quotation", "pipe", "background"],
)
def test_a_template_that_cannot_work_is_refused(
    search: Path, template: str | None, snapshot: SnapshotAssertion
) -> None:
    """It is said before anything was started, and what to write instead."""
    with pytest.raises(CommandError) as refused:
        CommandLauncher(template, search)
    assert str(refused.value) == snapshot
    assert list(search.iterdir()) == []


def test_a_pattern_that_is_none_is_refused(search: Path, snapshot: SnapshotAssertion) -> None:
    """A broken regular expression is told before anything is submitted."""
    with pytest.raises(CommandError) as refused:
        CommandLauncher("qsub {worker}", search, "(")
    assert str(refused.value) == snapshot


def test_a_refused_job_is_told_in_the_managers_words(
    search: Path, job_manager: Path, snapshot: SnapshotAssertion
) -> None:
    """Exit code, its own last lines, where the rest is, and that nothing runs."""
    refusing = "#!/bin/sh\necho ignored\necho 'qsub: no queue named gpu' >&2\nexit 3\n"
    executable(job_manager, refusing)
    with pytest.raises(CommandError) as refused:
        CommandLauncher("job-manager-submit {worker}", search).start(WORKER, 2)
    assert without_names(str(refused.value), search) == snapshot
    assert recorded(search) == []
    [kept] = jobs_folder(search).glob("*.err")
    assert kept.read_text() == "qsub: no queue named gpu\n"


def test_jobs_started_before_a_refusal_are_named(
    search: Path, job_manager: Path, snapshot: SnapshotAssertion
) -> None:
    """What was submitted stays recorded, and the message says so."""
    limited = """#!/bin/sh
[ "$(ls "$JOBS" | wc -l)" -ge 3 ] && { echo 'at most 2 jobs'; exit 1; }
name=$(ls "$JOBS" | wc -l); touch "$JOBS/$name"; echo "job-$name"
"""
    executable(job_manager, limited)
    with pytest.raises(CommandError) as refused:
        CommandLauncher("job-manager-submit {worker}", search).start(WORKER, 5)
    assert without_names(str(refused.value), search) == snapshot
    assert [ref.job for ref in recorded(search)] == ["job-1", "job-2"]


def test_a_job_manager_that_is_not_there_is_told(search: Path, snapshot: SnapshotAssertion) -> None:
    """The program's name and the system's reason."""
    with pytest.raises(CommandError) as refused:
        CommandLauncher("no-such-manager {worker}", search).start(WORKER, 1)
    assert str(refused.value) == snapshot


def test_submitted_jobs_are_unknown_and_stopped_elsewhere(
    search: Path, snapshot: SnapshotAssertion
) -> None:
    """A command that only submits can say nothing of a job, so neither do we."""
    launcher = CommandLauncher("qsub -q gpu {worker}", search)
    refs = [JobRef("command", "17", "a"), JobRef("command", "", "b")]
    assert launcher.alive(refs) == dict.fromkeys(refs)
    launcher.stop([])
    with pytest.raises(CommandError) as refused:
        launcher.stop(refs)
    assert str(refused.value) == snapshot


def test_a_search_is_run_by_submitted_workers(
    tmp_path: Path, search: Path, job_manager: Path
) -> None:
    """`--on command` leaves nothing to wait for here: the jobs share the trials, each run once."""
    (search / "params.json").write_text('{"learning_rate": 0.1}')
    train = """import json, sys
from pathlib import Path
from modeldir import Params
folder = Path(sys.argv[sys.argv.index("--model_dir") + 1])
accuracy = 1 - Params(folder / "params.json").learning_rate
(folder / "metrics_eval_best_weights.json").write_text(json.dumps({"accuracy": accuracy}))
"""
    (tmp_path / "train.py").write_text(train)
    words = ["search", str(search), "learning_rate=0.1,0.2,0.3,0.4", "-j", "2"]
    words += ["--on", "command", "--submit", "job-manager-submit {worker}", "--workers", "2"]
    done = subprocess.run(
        [sys.executable, "-m", "modeldir", *words, "--", sys.executable, "train.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    jobs = recorded(search)
    said = [line.partition(", ")[0] for line in done.stdout.splitlines()[:2]]
    assert said == [f"worker {n} of 2 submitted: job {ref.job}" for n, ref in enumerate(jobs, 1)]
    for ref in jobs:
        wait_for_end(int(ref.job))
    best = Search(search).best()
    assert best is not None, (job_manager / "output").read_text()
    assert (best.path.name, best.value) == ("learning_rate_0.1", 0.9)
    trials = [path.parent for path in search.glob("learning_rate_*/run.json")]
    assert {Experiment(trial).status().state for trial in trials} == {"completed"}
    assert len(trials) == 4
    assert not list(search.glob("*/run.2.json"))


def without_names(text: str, search: Path) -> str:
    """A message without what differs from run to run: the folder's place and the tokens."""
    for path in jobs_folder(search).iterdir():
        text = text.replace(path.stem, "TOKEN")
    return text.replace(str(search), "SEARCH")
