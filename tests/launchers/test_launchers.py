"""Launchers: workers get started and are found again, and every way a submission fails is told."""

from __future__ import annotations

import os
import select
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from modeldir import launchers
from modeldir._system import files, processes
from modeldir.errors import CommandError
from modeldir.launchers import (
    JobRef,
    JobState,
    Launcher,
    from_json,
    jobs_folder,
    new_tokens,
    output_of,
)
from modeldir.launchers.command import CommandLauncher, expanded, last_word
from modeldir.launchers.local import LocalLauncher
from modeldir.testing import FakeLauncher, LauncherContract

if TYPE_CHECKING:
    from syrupy.assertion import SnapshotAssertion

WORKER = [sys.executable, "-m", "modeldir", "worker", "/projects/my digits/search", "-j", "2"]

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

# Here a "job manager" is a shell that leaves the worker in the background.
BACKGROUND = {
    "submit": "sh -c 'nohup {worker} >{output} 2>&1 & echo $!'",
    "status": "ps -eo pid,args -ww",
    "cancel": "kill {job}",
}


class TestLocal(LauncherContract):
    """In the background of this machine."""

    def make(self, search: Path) -> Launcher:
        return LocalLauncher(search)


class TestCommand(LauncherContract):
    """By templates for commands."""

    def make(self, search: Path) -> Launcher:
        return CommandLauncher(search, BACKGROUND, pause=0.05)


class TestCommandThatOnlySubmits(LauncherContract):
    """By a template that submits, and no other."""

    tells = stops = False

    def make(self, search: Path) -> Launcher:
        return CommandLauncher(search, {"submit": BACKGROUND["submit"]})


class TestFake(LauncherContract):
    """By a queue in a folder."""

    def make(self, search: Path) -> Launcher:
        return FakeLauncher(search)

    def advance(self, launcher: Launcher) -> None:
        assert isinstance(launcher, FakeLauncher)
        launcher.run_next()


def test_a_job_survives_its_file() -> None:
    """A job reads back from JSON as what it was, and anything else reads as none. An id that a
    command could take for something else is not known.
    """
    ref = JobRef("command", "4711", "6f1e6f1e6f1e6f1e_0")
    assert from_json(ref.to_json()) == ref
    for odd in ("--user=me", "a b", "$(reboot)", "1;reboot", "`reboot`", "a\nb", "/etc"):
        assert from_json({**ref.to_json(), "job": odd}) == JobRef("command", "", ref.token)
    assert from_json({**ref.to_json(), "token": "../../x"}) is None
    assert from_json({"launcher": "command"}) is None
    assert from_json([ref.to_json()]) is None


def test_a_launcher_is_made_by_its_name(search: Path, snapshot: SnapshotAssertion) -> None:
    """`--on` knows the launchers by name, and helps with a name that is none."""
    assert launchers.make("local", search).name == "local"
    assert launchers.make("command", search, {"submit": "qsub {worker}"}).name == "command"
    with pytest.raises(CommandError) as refused:
        launchers.make("comand", search)
    assert str(refused.value) == snapshot


def test_a_package_offers_its_own_launcher(
    search: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, snapshot: SnapshotAssertion
) -> None:
    """By an entry point; one whose module is broken says so in one message."""
    installed = tmp_path / "site-packages"
    (installed / "mine-1.0.dist-info").mkdir(parents=True)
    (installed / "mine-1.0.dist-info/METADATA").write_text("Name: mine\nVersion: 1.0\n")
    (installed / "mine-1.0.dist-info/entry_points.txt").write_text(
        "[modeldir.launchers]\nmine = modeldir.testing:FakeLauncher\nbroken = no_such_module:X\n"
    )
    monkeypatch.syspath_prepend(str(installed))
    assert isinstance(launchers.make("mine", search, {"room": 3}), FakeLauncher)
    said = []
    for name in ("mien", "broken"):
        with pytest.raises(CommandError) as refused:
            launchers.make(name, search)
        said.append(str(refused.value))
    assert said == snapshot


def test_a_full_queue_refuses_what_does_not_fit(search: Path) -> None:
    """The fake has what real ones have: those before are started, and it passes by itself."""
    launcher = FakeLauncher(search, {"room": 2})
    starting = launcher.start(WORKER, new_tokens(3))
    started = [next(starting), next(starting)]
    with pytest.raises(launchers.LauncherBusy, match="full"):
        next(starting)
    assert [state.words for state in launcher.states(started).values()] == ["waits", "waits"]


# -- In the background of this machine -------------------------------------------------------------


def test_a_local_worker_is_away_from_the_terminal(search: Path, told: Path) -> None:
    """It leads a session of its own, its words arrive as they are, and its job names it."""
    words = [sys.executable, "-c", SAYS, str(told), "a 'b\" $HOME"]
    [ref] = LocalLauncher(search).start(words, new_tokens(1))
    pid, session, terminal, arguments = told.read_text().split(" ", 3)
    assert (ref.launcher, ref.job) == ("local", pid)
    assert session == pid
    assert session != str(os.getsid(0))
    assert terminal == "False"
    assert arguments == str(["a 'b\" $HOME", "--job", ref.token])


def test_what_a_local_worker_prints_is_kept(search: Path, told: Path) -> None:
    """Both of its streams go to a file beside its record."""
    script = "import sys; print('out'); print('err', file=sys.stderr); open(sys.argv[1], 'w')"
    words = [sys.executable, "-c", script, str(told)]
    [ref] = LocalLauncher(search).start(words, new_tokens(1))
    told.read_text()
    wait_for_end(int(ref.job))
    assert sorted(output_of(search, ref.token).read_text().split()) == ["err", "out"]


def test_a_pid_that_somebody_else_got_is_not_stopped(search: Path) -> None:
    """A worker is known by more than its pid: this test would not survive otherwise."""
    me = processes.process()
    assert me is not None
    ref = noted(search, {"process": replace(me, started=me.started - 1).to_json()})
    launcher = LocalLauncher(search)
    launcher.stop([ref])
    assert launcher.states([ref])[ref].alive is False


def test_a_worker_of_another_machine_is_not_taken_for_dead(search: Path) -> None:
    """What cannot be seen from here is unknown, also where only its starter is known."""
    me = processes.process()
    assert me is not None
    there = replace(me, host="elsewhere", machine="x", boot="y").to_json()
    for who in ("process", "by"):
        ref = noted(search, {who: there})
        state = LocalLauncher(search).states([ref])[ref]
        assert state.alive is None
        assert "elsewhere" in state.words


def test_a_local_worker_whose_start_was_cut_short_is_found(search: Path, told: Path) -> None:
    """By its token among the processes; and where there is none nothing was started."""
    [ref] = LocalLauncher(search).start(
        [sys.executable, "-c", "import sys; open(sys.argv[1]).read()", str(told)], new_tokens(1)
    )
    me = processes.process()
    assert me is not None
    gone = replace(me, started=me.started - 1).to_json()
    nameless = noted(search, {"by": gone}, ref.token)
    never = noted(search, {"by": gone})
    launcher = LocalLauncher(search)
    states = launcher.states([nameless, never])
    assert (states[nameless].alive, states[never].alive) == (True, False)
    launcher.stop([nameless])
    wait_for_end(int(ref.job))
    assert launcher.states([nameless])[nameless].alive is False


def noted(search: Path, facts: dict[str, object], token: str | None = None) -> JobRef:
    """A job without an id, of which the local launcher wrote down these facts."""
    jobs_folder(search).mkdir(parents=True, exist_ok=True)
    ref = JobRef("local", "", token or new_tokens(1)[0])
    files.write_json(jobs_folder(search) / f"{ref.token}.process.json", facts)
    return ref


def test_a_local_worker_that_cannot_start_says_so(
    search: Path, snapshot: SnapshotAssertion
) -> None:
    """The reason is the system's own."""
    with pytest.raises(CommandError) as refused:
        list(LocalLauncher(search).start(["/no/such/python", "-m", "modeldir"], new_tokens(1)))
    assert str(refused.value) == snapshot


def test_a_local_launcher_has_no_options(search: Path, snapshot: SnapshotAssertion) -> None:
    """What it cannot do is not passed over."""
    with pytest.raises(CommandError) as refused:
        launchers.make("local", search, {"queue": "gpu"})
    assert str(refused.value) == snapshot


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
    launcher = submitting(search, f'job-manager-submit sh -c "{script}"')
    worker = [sys.executable, "-c", SAYS, str(told), "a 'b\" $HOME *"]
    [job] = launcher.start(worker, new_tokens(1))
    assert told.read_text().endswith(str(["a 'b\" $HOME *", "--job", job.token]))


def submitting(search: Path, submit: str, **options: str) -> CommandLauncher:
    """A launcher by this template, quick to ask again."""
    return CommandLauncher(search, {"submit": submit, **options}, pause=0.01)


def test_workers_are_submitted_and_run(search: Path, told: Path, job_manager: Path) -> None:
    """The command is run once a worker; each job has its id, and what was printed is kept."""
    launcher = submitting(search, "job-manager-submit {worker}")
    refs = list(launcher.start([sys.executable, "-c", SAYS, str(told)], new_tokens(1)))
    refs += launcher.start([sys.executable, "-c", SAYS, os.devnull], new_tokens(2))
    assert told.read_text().split()[0] == refs[0].job
    for ref in refs:
        printed = (jobs_folder(search) / f"{ref.token}.submit.out").read_text()
        assert printed == f"Submitted batch job {ref.job}\n"
        wait_for_end(int(ref.job))


def test_token_and_output_may_stand_in_the_line(search: Path, job_manager: Path) -> None:
    """As they are in a word, as a shell's word in a line for a shell."""
    executable(job_manager, '#!/bin/sh\nfor word; do echo "$word"; done\n')
    line = "job-manager-submit -N t{token} -o {output} 'exec >{output} {token}' {worker}"
    launcher = submitting(search, line, job_id="t([0-9a-f_]+)")
    [job] = launcher.start(["work"], new_tokens(1))
    printed = (jobs_folder(search) / f"{job.token}.submit.out").read_text().splitlines()
    output = str(output_of(search, job.token))
    shell = f"exec >{shlex.quote(output)} {job.token}"
    assert printed == ["-N", f"t{job.token}", "-o", output, shell, "work", "--job", job.token]
    assert job.job == job.token


def test_a_submitting_command_gets_no_input(search: Path, job_manager: Path) -> None:
    """One that asks a question meets the end of its input, and does not hang."""
    executable(job_manager, "#!/bin/sh\nread answer || echo job end-of-input-1\n")
    [ref] = submitting(search, "job-manager-submit {worker}").start(WORKER, new_tokens(1))
    assert ref.job == "end-of-input-1"


def test_what_it_leaves_in_the_background_is_not_waited_for(
    search: Path, told: Path, job_manager: Path
) -> None:
    """A worker that still holds the command's own output keeps nobody waiting."""
    executable(job_manager, '#!/bin/sh\necho job $$\n"$@" &\n')
    worker = [sys.executable, "-c", "import sys; open(sys.argv[1]).read()", str(told)]
    [ref] = submitting(search, "job-manager-submit {worker}").start(worker, new_tokens(1))
    assert ref.job.isdecimal()
    told.write_text("only now may it end")


@pytest.mark.parametrize(
    ("printed", "pattern", "job"),
    [
        ("Submitted batch job 4711", None, "4711"),
        ("\n  8812.head-node\nmore words\n", None, "8812.head-node"),
        ("", None, ""),
        ("thank you", None, ""),
        ("Job <77> is submitted to queue <normal>.", None, ""),
        ("Job <77> is submitted to queue <normal>.", r"<(\d+)>", "77"),
        ('Your job 5 ("train") has been submitted', r"\d+", "5"),
        ("no number here", r"\d+", ""),
        ("job-b", r"job-(a)|job-(b)", "b"),
        ("\x00\xff\x1b[31m garbage", None, ""),
    ],
)
@pytest.mark.parametrize("stream", ["", " >&2"], ids=["stdout", "stderr"])
def test_a_job_is_named_by_what_was_printed(  # noqa: PLR0913, PLR0917 - what was printed, and where
    search: Path, job_manager: Path, printed: str, pattern: str | None, job: str, stream: str
) -> None:
    """The first line's last word with a digit, or what a pattern finds, on either stream; a job
    without one still counts.
    """
    (job_manager / "printed").write_text(printed)
    executable(job_manager, f'#!/bin/sh\ncat "$JOBS/printed"{stream}\n')
    options = {} if pattern is None else {"job_id": pattern}
    launcher = submitting(search, "job-manager-submit {worker}", **options)
    [ref] = launcher.start(WORKER, new_tokens(1))
    assert ref.job == job


def test_the_id_is_the_last_word_of_the_first_line_that_has_one() -> None:
    """Blank lines and what follows the first line have no say."""
    assert last_word("\n \nSubmitted batch job 4711\nthank you") == "4711"


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"submit": ""},
        {"submit": "qsub job.sh"},
        {"submit": "qsub '{worker}"},
        {"submit": "echo {worker} | qsub"},
        {"submit": "qsub {worker} &"},
        {"submit": "qsub {worker} {job}", "job_id": "(", "status": "qstat |", "cancel": "qdel"},
        {"submit": 3, "queue": "gpu"},
        {"submit": "qsub {worker}", "status": " ", "cancel": "qdel '{job}"},
    ],
    ids=["missing", "empty", "no-place", "open", "pipe", "background", "all", "kinds", "others"],
)
def test_templates_that_cannot_work_are_refused(
    search: Path, options: dict[str, object], snapshot: SnapshotAssertion
) -> None:
    """All that is wrong is said before anything was started, and what to write instead."""
    with pytest.raises(CommandError) as refused:
        CommandLauncher(search, options)
    assert str(refused.value) == snapshot
    assert list(search.iterdir()) == []


def test_a_refused_job_is_told_in_the_managers_words(
    search: Path, job_manager: Path, snapshot: SnapshotAssertion
) -> None:
    """Exit code, its own last lines, and where the rest is."""
    refusing = "#!/bin/sh\necho ignored\necho 'qsub: no queue named gpu' >&2\nexit 3\n"
    executable(job_manager, refusing)
    with pytest.raises(CommandError) as refused:
        list(submitting(search, "job-manager-submit {worker}").start(WORKER, new_tokens(2)))
    assert without_names(str(refused.value), search) == snapshot
    [kept] = jobs_folder(search).glob("*.err")
    assert kept.read_text() == "qsub: no queue named gpu\n"


def test_one_that_fails_the_third_time_has_started_two(search: Path, job_manager: Path) -> None:
    """Those before it are yielded before it is asked, and after it nothing is."""
    limited = """#!/bin/sh
echo once >> "$JOBS/asked"
count=$(wc -l < "$JOBS/asked")
[ "$count" = 3 ] && { echo 'at most 2 jobs'; exit 1; }
echo "job-$count"
"""
    executable(job_manager, limited)
    starting = submitting(search, "job-manager-submit {worker}").start(WORKER, new_tokens(5))
    assert [next(starting).job, next(starting).job] == ["job-1", "job-2"]
    with pytest.raises(CommandError, match="at most 2 jobs"):
        next(starting)
    assert len((job_manager / "asked").read_text().splitlines()) == 3


def test_one_that_hangs_is_killed_and_may_have_submitted(
    search: Path, job_manager: Path, snapshot: SnapshotAssertion
) -> None:
    """Its job is yielded without an id, since it may be there; the next is not asked for."""
    executable(job_manager, '#!/bin/sh\nsleep 1000 & echo $! > "$JOBS/pid"; wait\n')
    launcher = CommandLauncher(search, {"submit": "job-manager-submit {worker}"}, limit=0.5)
    started = launcher.start(WORKER, new_tokens(2))
    assert next(started).job == ""
    with pytest.raises(CommandError) as refused:
        next(started)
    assert str(refused.value) == snapshot
    wait_for_end(int((job_manager / "pid").read_text()))


def test_a_job_manager_that_is_not_there_is_told(search: Path, snapshot: SnapshotAssertion) -> None:
    """The program's name and the system's reason."""
    with pytest.raises(CommandError) as refused:
        list(submitting(search, "no-such-manager {worker}").start(WORKER, new_tokens(1)))
    assert str(refused.value) == snapshot


# -- Asking after jobs, and ending them ------------------------------------------------------------

JOBS = [JobRef("command", "17", "0" * 16 + "_0"), JobRef("command", "", "0" * 16 + "_1")]


def asking(search: Path, status: str, **options: str) -> CommandLauncher:
    return submitting(search, "job-manager-submit {worker}", status=status, **options)


def test_jobs_of_a_command_that_only_submits_are_unknown(
    search: Path, snapshot: SnapshotAssertion
) -> None:
    """It can say nothing of a job, so neither do we."""
    launcher = submitting(search, "qsub -q gpu {worker}")
    assert launcher.states(JOBS) == dict.fromkeys(JOBS, JobState(None))
    launcher.stop([])
    with pytest.raises(CommandError) as refused:
        launcher.stop(JOBS)
    assert str(refused.value) == snapshot


@pytest.mark.parametrize(
    ("printed", "state"),
    [
        ("job-ID  state\n-----\n   17  train  r", JobState(True, "train r")),
        ("17.head-node  R", JobState(True, ".head-node R")),
        ("17[1]  PEND", JobState(True, "[1] PEND")),
        ("170 r\n1 17 17", JobState(False)),
        ("", JobState(False)),
    ],
)
def test_a_list_of_jobs_is_read_by_how_its_lines_begin(
    search: Path, job_manager: Path, printed: str, state: JobState
) -> None:
    """One question for all; numbers elsewhere in a line are none, and longer ones are others."""
    (job_manager / "list").write_text(printed)
    executable(job_manager, '#!/bin/sh\necho asked >> "$JOBS/asked"; cat "$JOBS/list"\n', "jobs")
    states = asking(search, "jobs --mine").states(JOBS)
    assert states[JOBS[0]] == state
    assert states[JOBS[1]].alive is None  # no list names what has no id
    times = 1 if state.alive else 2
    assert (job_manager / "asked").read_text().count("asked") == times


def test_a_job_without_an_id_is_found_by_its_token(search: Path, job_manager: Path) -> None:
    """Where the list tells jobs' names, and these are our tokens."""
    token = JOBS[1].token
    executable(job_manager, f"#!/bin/sh\necho '99 r {token} me'\n", "jobs")
    state = asking(search, "jobs").states(JOBS[1:])[JOBS[1]]
    assert state == JobState(True, f"99 r {token} me")


@pytest.mark.parametrize(
    ("code", "alive"), [(0, True), (1, False), (255, None), (127, None), (126, None)]
)
def test_a_question_for_one_job_is_answered_by_its_exit_code(
    search: Path, job_manager: Path, code: int, alive: object
) -> None:
    """0: it is there; but that nobody could be asked, as ssh says by 255, is no answer."""
    executable(job_manager, f'#!/bin/sh\n[ "$1" = 17 ] || exit 9\nexit {code}\n', "is-there")
    states = asking(search, "is-there {job}").states(JOBS)
    assert states[JOBS[0]].alive is alive
    assert states[JOBS[1]].alive is None


@pytest.mark.parametrize("status", ["status", "status {job}"])
def test_a_status_that_lies_for_a_moment_is_asked_again(
    search: Path, job_manager: Path, status: str
) -> None:
    """A queue may forget a job while it moves it: only what is said twice is believed."""
    lies = '#!/bin/sh\n[ -e "$JOBS/asked" ] || { touch "$JOBS/asked"; exit $LIE; }\necho 17\n'
    executable(job_manager, lies.replace("$LIE", "1" if "{job}" in status else "0"), "status")
    assert asking(search, status).states(JOBS[:1])[JOBS[0]].alive is True


@pytest.mark.parametrize(
    "script", ["echo 'cannot connect' >&2; exit 1", "sleep 1000", "kill -9 $$", "exit 3"]
)
def test_an_engine_that_does_not_answer_knows_nothing(
    search: Path, job_manager: Path, script: str, snapshot: SnapshotAssertion
) -> None:
    """It fails, hangs, dies: no job is dead for that; what it said is passed on."""
    executable(job_manager, f"#!/bin/sh\n{script}\n", "jobs")
    options = {"submit": "qsub {worker}", "status": "jobs"}
    launcher = CommandLauncher(search, options, limit=0.5 if "sleep" in script else 60)
    states = launcher.states(JOBS)
    assert {state.alive for state in states.values()} == {None}
    assert states[JOBS[0]].words == snapshot
    nowhere = asking(search, "no-such-command").states(JOBS)
    assert {state.alive for state in nowhere.values()} == {None}


def test_jobs_are_canceled_one_by_one(
    search: Path, job_manager: Path, snapshot: SnapshotAssertion
) -> None:
    """What has ended meanwhile is no mistake; what cannot be ended is told, after the others."""
    executable(job_manager, '#!/bin/sh\ncat "$JOBS/list"\n', "jobs")
    cancels = """#!/bin/sh
[ "$1" = 18 ] && { echo 'cancel: not your job' >&2; exit 1; }
sed -i "/^$1$/d" "$JOBS/list"
"""
    executable(job_manager, cancels, "cancel")
    (job_manager / "list").write_text("17\n18\n19\n")
    refs = [JobRef("command", job, f"{'0' * 16}_{job}") for job in ("17", "18", "19", "20", "")]
    launcher = asking(search, "jobs", cancel="cancel {job}")
    with pytest.raises(CommandError) as refused:
        launcher.stop(refs)
    assert str(refused.value) == snapshot
    assert (job_manager / "list").read_text() == "18\n"
    launcher.stop([refs[0], refs[2]])


def without_names(text: str, search: Path) -> str:
    """A message without what differs from run to run: the folder's place and the tokens."""
    for path in jobs_folder(search).iterdir():
        text = text.replace(path.name.partition(".")[0], "TOKEN")
    return text.replace(str(search), "SEARCH")
