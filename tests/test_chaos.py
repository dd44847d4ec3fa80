"""The chaos suite, short: what `make chaos` does with a thousand kills, with a dozen.

And its audit, asked whether it sees what is wrong: an audit that finds nothing must have looked.
"""

from __future__ import annotations

import fcntl
import json
import os
import random
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import chaos
import chaos_damage
from chaos_audit import Audit, Findings, Ledger, trial_folders
from laboratory import PLAIN, Project, kill, read, supervisor_of, wait_until
from modeldir._system import files, processes
from modeldir.experiment import attempts

pytestmark = [
    pytest.mark.skipif(not processes.LINUX, reason="finds its processes in /proc"),
    pytest.mark.timeout(300),  # the machine may be busy; each part has an end of its own
]

METRICS = "metrics_eval_best_weights.json"
LONG_AGO = 0
WITH_A_DAEMON = PLAIN.replace(
    "import json, os, sys, time",
    "import json, os, subprocess, sys, time\n"
    "if not os.path.exists('hold.not'):\n"
    "    daemon = subprocess.Popen(['sleep', '60'], start_new_session=True)\n"
    "    open('daemon.txt', 'w').write(str(daemon.pid))",
)


@pytest.fixture
def arena(tmp_path: Path) -> Iterator[chaos.Arena]:
    arena = chaos.Arena(tmp_path / "arena", indices=1, kinds=("plain", "saver"))
    yield arena
    arena.kill_all()


def _torn_last(item: tuple[str, chaos_damage.Damage]) -> bool:
    """A torn run file names no process any more, that could be of another boot."""
    return "half" in item[0]


def audited(arena: chaos.Arena) -> Findings:
    audit = Audit(arena.search, arena.journal, arena.ledger, chaos.RETRIES)
    return audit.findings(arena.points)


# -- Kills -----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_search_killed_at_random_ends_as_it_should(tmp_path: Path) -> None:
    """Trainings of four tempers, every kind of kill: each ended as often as is recorded."""
    kinds = ("saver", "family", "ours", "silent")
    done = chaos.search_and_kill(tmp_path / "arena", "short", kills=12, indices=1, kinds=kinds)
    assert done.findings.problems == []
    assert done.findings.counts["trials"] == len(kinds) * len(chaos.NOTES)
    assert sum(done.kills.values()) > 0


def test_damage_of_every_kind_costs_no_trial(arena: chaos.Arena) -> None:
    """Killed all at once, found with half files, another boot, others' pids and other times."""
    chance = random.Random(4)
    while not arena.alive() and not chaos_damage.cut_off(arena.search):
        arena.say("--no-check")  # once more: what ran may just have ended when it was killed
        wait_until(lambda: {"running", "completed"} <= arena.states().keys(), "some that run")
        wait_until(lambda: len([*arena.search.glob("*/trial.json")]) > 3, "one for each damage")
        arena.kill_all()
    done = {
        name
        for name, damage in sorted(chaos_damage.ALL.items(), key=_torn_last)
        if any(damage(arena.search, arena.ledger, chance) for _ in range(20))
    }
    assert done == chaos_damage.ALL.keys() - {"half a line"}
    arena.finish()
    assert arena.audit().problems == []


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["grid", "random"])
def test_a_search_stopped_again_and_again_makes_the_same_trials(
    tmp_path: Path, sampler: str
) -> None:
    """By KILL, by `stop --now` and by Ctrl-C: the same numbers, names and hyperparameters."""
    findings = chaos.stopped_again_and_again(tmp_path, sampler, trials=60, stops=4)
    assert findings.problems == []


@pytest.mark.slow
def test_a_full_and_a_read_only_disk_cost_no_trial(tmp_path: Path) -> None:
    done = chaos.full_disk(tmp_path / "disk", "short", times=2)
    if done is None:
        pytest.skip("no disk may be mounted here")
    assert done.findings.problems == []
    assert done.findings.counts["completed"] == 24


@pytest.mark.parametrize("disk", ["full", "read-only"])
def test_a_trial_that_cannot_be_recorded_waits_for_a_disk_that_can(
    tmp_path: Path, disk: str
) -> None:
    """It is not tried for ever, the search says why not, and nothing is left that hides it."""
    where = tmp_path / "disk"
    with chaos.small_disk(where, "8m") as mounted:
        if not mounted:
            pytest.skip("no disk may be mounted here")
        project = Project(where)
        project.searches("learning_rate=0.1")
        folder = project.search / "learning_rate_0.1"
        for path in [*folder.glob("run*"), *folder.glob("metrics*"), folder / "console.log"]:
            path.unlink()
        if disk == "full":
            chaos.fill(where, 0)
        else:
            chaos.remount(where, "ro")
        done = project.searches("learning_rate=0.1")
        if disk == "full":
            (where / "filler").unlink()
        else:
            chaos.remount(where, "rw")
        assert done.code != 0
        assert project.trials() == {folder.name: "pending"}
        assert project.searches("learning_rate=0.1").code == 0
        assert project.trials() == {folder.name: "completed"}


def test_where_no_trial_can_be_made_the_running_ones_are_waited_for(tmp_path: Path) -> None:
    """The worker says what is full, and starts no more; said again, the search goes on."""
    project = Project(tmp_path, PLAIN.replace('exists("hold")', 'exists("hold." + name)'))
    for value in ("0.1", "0.2"):
        project.write(f"hold.learning_rate_{value}", "")
    claims = project.search / ".modeldir" / "trials"
    words = ("learning_rate=0.1,0.2,0.3,0.4", "--no-check", "-j", "2")
    typed = ("search", "experiments/search", *words, "--", "python", "train.py")
    with chaos.small_disk(claims, "64k") as mounted, project.started_as(*typed) as worker:
        if not mounted:
            pytest.skip("no disk may be mounted here")
        project.wait_for_starts(2)
        chaos.fill(claims, 0)
        (tmp_path / "hold.learning_rate_0.1").unlink()
        log = project.search / "search.log"
        wait_until(lambda: "completed 1  learning_rate_0.1" in log.read_text(), "the first")
        assert worker.poll() is None
        (tmp_path / "hold.learning_rate_0.2").unlink()
        assert worker.wait(30) == 2
        assert worker.stdout is not None
        told = worker.stdout.read()
        assert "2 completed" in told
        assert "No space left on device: no more trials can be made" in told
        (claims / "filler").unlink()
        assert project.searches(*words).code == 0
    assert len(project.ended) == 4


def test_a_trial_that_cannot_run_again_is_not_tried_for_ever(tmp_path: Path) -> None:
    """It had ended, and was wished for again where nothing can be written any more."""
    where = tmp_path / "disk"
    with chaos.small_disk(where, "8m") as mounted:
        if not mounted:
            pytest.skip("no disk may be mounted here")
        project = Project(where)
        project.searches("learning_rate=0.1")
        project.modeldir("retry", "experiments/search/learning_rate_0.1")
        chaos.remount(where, "ro")
        done = project.modeldir("search", "experiments/search")
        chaos.remount(where, "rw")
        assert done.code == 2
        assert "the search cannot be recorded: its disk is read-only" in done.err
        assert project.modeldir("search", "experiments/search").code == 0
        assert len(project.ended) == 2


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


@pytest.mark.parametrize("spawner_too", [False, True])
def test_a_daemon_of_a_trial_ends_though_its_supervisor_was_killed(
    tmp_path: Path,
    spawner_too: bool,  # noqa: FBT001
) -> None:
    """It has left the session. The spawner inherits it and ends it; if that was killed as well, it
    is known by the attempt's token, and ended before the trial runs again.
    """
    project = Project(tmp_path, WITH_A_DAEMON)
    project.hold()
    words = ("search", "experiments/search", "learning_rate=0.1", "--no-check", "--", "python")
    with project.started_as(*words, "train.py") as worker:
        project.wait_for_starts(1)
        daemon = processes.process(int((tmp_path / "daemon.txt").read_text()))
        assert daemon is not None
        folder = project.search / "learning_rate_0.1"
        supervisor = supervisor_of(folder)
        spawner = parent_of(supervisor)
        kill(worker.pid)
        if spawner_too:
            kill(spawner)
        kill(supervisor)
        wait_until(lambda: project.trials() == {folder.name: "interrupted"}, "its end")
    if spawner_too:
        assert processes.alive(daemon)
    else:
        wait_until(lambda: not processes.alive(daemon), "the daemon's end")
    project.write("hold.not", "")
    project.release()
    assert project.searches().code == 0
    assert not processes.alive(daemon)


# -- What a power cut leaves of a trial ------------------------------------------------------------


def test_half_a_claim_is_written_again_from_the_trial_s_folder(tmp_path: Path) -> None:
    """The trial keeps its number and is not run a second time under another name."""
    project = Project(tmp_path)
    project.searches("learning_rate=0.1,0.01")
    claim = project.search / ".modeldir" / "trials" / "000001.json"
    before = read(claim)
    for broken in (b"", claim.read_bytes()[:40]):
        claim.write_bytes(broken)
        assert project.searches().code == 0
        after = read(claim)
        assert {**after, "token": ""} == {**before, "token": ""}
    assert len(project.trials()) == len(project.started) == 2


@pytest.mark.parametrize("name", ["params.json", "trial.json"])
def test_half_a_file_of_a_trial_is_written_again(tmp_path: Path, name: str) -> None:
    """Empty, half, or zeros; before the trial runs once more, and also where it does not.

    Of the `params.json` of a trial that has ended only the size is looked at, so zeros stay.
    """
    project = Project(tmp_path)
    project.searches("learning_rate=0.1")
    folder = project.search / "learning_rate_0.1"
    path, run = folder / name, folder / "run.json"
    whole = path.read_bytes()
    zeros = [] if name == "params.json" else [bytes(len(whole))]
    for broken in (b"", whole[:9], *zeros):
        path.write_bytes(broken)
        assert project.searches().code == 0
        assert path.read_bytes() == whole
    assert len(project.started) == 1
    for broken in (b"", whole[:9], bytes(len(whole))):
        for each in folder.glob("run*.json"):
            each.unlink()
        run.write_text("")
        os.utime(run, (LONG_AGO, LONG_AGO))
        (folder / METRICS).unlink()
        path.write_bytes(broken)
        assert project.searches().code == 0
        assert path.read_bytes() == whole
    assert len(project.started) == 4


def test_what_somebody_wrote_into_params_json_is_left_as_it_is(tmp_path: Path) -> None:
    """Though it is no JSON, and the trial fails by it."""
    project = Project(tmp_path)
    project.searches("learning_rate=0.1")
    folder = project.search / "learning_rate_0.1"
    run = folder / "run.json"
    run.write_text("")
    os.utime(run, (LONG_AGO, LONG_AGO))
    (folder / METRICS).unlink()
    (folder / "params.json").write_text('{"learning_rate": 0.1, mine}')
    assert project.searches().code == 1
    assert (folder / "params.json").read_text() == '{"learning_rate": 0.1, mine}'


# -- The audit sees --------------------------------------------------------------------------------


def test_the_audit_sees_what_is_wrong(arena: chaos.Arena) -> None:
    """Each lie that a folder could tell, told; each is found."""
    arena.finish()
    assert audited(arena).problems == []
    folder = trial_folders(arena.search)[0]
    run = attempts.read(folder, 1)
    token = str(run.record["token"])
    one, two, three = run.path, folder / "run.2.json", folder / "run.3.json"
    text, log = one.read_text(), folder / "console.log"

    def is_found(*words: str) -> None:
        found = audited(arena).problems
        assert all(any(problem.startswith(word) for problem in found) for word in words), found

    files.append_line(arena.journal, {"what": "end", "token": token, "kind": "plain", "number": 1})
    is_found("attempts run twice", "completed without one end")
    files.append_line(arena.journal, {"what": "start", "token": "of nobody", "kind": "plain"})
    is_found("started without a record")
    two.write_text(text)
    is_found("completed and run again")
    two.rename(three)
    is_found("gaps in attempts")
    three.unlink()
    one.write_text(text[:50])
    is_found("torn files", "wrong statuses")
    one.write_text(text.replace('"completed"', '"failed"'))
    is_found("wrong statuses")
    one.write_text(text.replace('"completed"', '"interrupted"'))
    is_found("lost though nobody harmed it")
    one.write_text(text.replace('"completed"', "null"))
    is_found("lost though nobody harmed it")
    arena.ledger.harm(os.getpid())
    keeper = processes.process()
    assert keeper is not None
    harmed = {**run.record, "status": None, "supervisor": keeper.to_json()}
    one.write_text(json.dumps(harmed))
    assert not any("nobody harmed" in problem for problem in audited(arena).problems)
    one.write_text(text)
    two.write_text(text.replace('"resumes": false', '"resumes": true'))
    is_found("resumed wrongly")
    two.unlink()
    log.write_bytes(log.read_bytes().replace(b"end", b"and"))
    is_found("output lost or mixed")
    (folder / "metrics_eval_best_weights.json").write_text('{"accuracy": 0.5, "hears": 1}')
    is_found("wrong metrics")
    folder.rename(arena.search / "elsewhere")
    is_found("claims without a folder", "names or numbers wrong")
    arena.points.pop()
    is_found("points wrong")


def test_the_audit_sees_processes_that_are_left_and_shells_that_were_run(
    arena: chaos.Arena,
) -> None:
    arena.finish()
    assert arena.audit().problems == []
    left = subprocess.Popen(["sleep", "60"], env=arena.environment)
    (arena.path / "project" / "hit").touch()
    try:
        assert set(chaos.marked(arena.mark)) == {left.pid}
        assert chaos.role(chaos.marked(arena.mark)[left.pid], {}) == "other"
    finally:
        left.send_signal(signal.SIGKILL)
        left.wait()
    assert "a name was run by a shell" in arena.audit().problems


def test_every_process_of_a_search_is_found_and_known_by_its_role(arena: chaos.Arena) -> None:
    """What is not found is not killed, and a chaos that misses proves nothing."""
    seen: set[str] = set()
    worker = arena.say("--no-check")

    def look() -> bool:
        found = arena.processes()
        seen.update(chaos.role(process, found) for process in found.values())
        return {"worker", "spawner", "supervisor", "trial"} <= seen

    wait_until(look, "all roles")
    assert chaos.role(arena.processes()[worker.pid], arena.processes()) == "worker"


def test_the_audit_sees_weights_that_were_not_gone_on_from(arena: chaos.Arena) -> None:
    """And the output of an earlier attempt that is nowhere any more."""
    arena.finish()
    saver = next(f for f in trial_folders(arena.search) if "saver" in f.name)
    text = (saver / "run.json").read_text()
    (saver / "run.2.json").write_text(text)
    (saver / "run.json").write_text(text.replace('"completed"', '"interrupted"'))
    assert any(p.startswith("resumed wrongly") for p in audited(arena).problems)
    (saver / "console.log").rename(saver / "gone")
    assert any("its last line is there 0 times" in p for p in audited(arena).problems)


def test_searches_of_one_machine_never_have_one_gpu_at_once(tmp_path: Path) -> None:
    """Each training locks its GPU, and complains where another one has it: so it is heard."""
    machine = tmp_path / "machine"
    arenas = [
        chaos.Arena(tmp_path / name, indices=1, kinds=("plain",), machine=machine)
        for name in ("one", "two")
    ]
    try:
        for arena in arenas:
            arena.say("--no-check")
        for arena in arenas:
            arena.finish()
            assert arena.audit().problems == []
    finally:
        for arena in arenas:
            arena.kill_all()
    used = {path.name for path in machine.glob("gpu.*")}  # the third, where all had work at once
    assert {"gpu.0", "gpu.1"} <= used <= {"gpu.0", "gpu.1", "gpu.2"}
    with open(machine / "gpu.0") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        third = chaos.Arena(tmp_path / "three", indices=1, kinds=("plain",), machine=machine)
        third.finish()
    assert any(p.startswith("runs that complained") for p in third.audit().problems)


def test_a_ledger_excuses_only_what_was_torn(tmp_path: Path) -> None:
    """By inode and size: it may have been moved, and others may have its name or its inode."""
    ledger = Ledger()
    path = tmp_path / "a.json"
    path.write_text("{}")
    ledger.tear(path, 1)
    moved = path.rename(tmp_path / "b.json")
    path.write_text("{")
    assert ledger.excuses(moved)
    assert not ledger.excuses(path)
    moved.write_text('{"a": 1')
    assert not ledger.excuses(moved)


def test_the_table_tells_kills_counts_and_what_must_be_none() -> None:
    done = chaos.Round(Counter({"a worker, KILL": 1200}), Counter(), Findings())
    done.findings.counts.update({"trials": 7, "torn files": 2})
    rows = [
        [cell.strip() for cell in line.split("|")[1:3]] for line in chaos.table(done).splitlines()
    ]
    assert ["**kills**", "1,200"] in rows
    assert ["trials", "7"] in rows
    assert ["**must be none**", "2"] in rows
    assert rows.index(["**must be none**", "2"]) < rows.index(["torn files", "2"])
