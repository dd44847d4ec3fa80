"""Chaos: searches of hundreds of trials, killed at random until they are through; then an audit.

    python tests/chaos.py --kills 1000 --seed 7

It knows how to find every process of a search (by a mark in the environment) and to kill it, how
to say the command again, and how to tell the result as one table. It refuses to know what is right
(chaos_audit.py does) and how files break (chaos_damage.py does). A seed repeats what is done, not
the microsecond of it. All is bounded: a search that does not come to its end is a failure.

Start at `chaos`.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import chaos_damage
import chaos_starts
from chaos_audit import Audit, Findings, Ledger, is_kept, point_key, trial_folders
from chaos_polls import WRONG_WHILE_IT_RAN, Poller
from hostile import campaign
from modeldir._system import files, reading
from modeldir.experiment import attempts, experiment

PROJECT = Path(__file__).with_name("projects") / "chaos"
KINDS = (
    "plain", "saver", "family", "loud", "ours", "deaf", "hopeless", "silent", "nan", "error",
)  # fmt: skip
NOTES = (
    "as usual",
    'it\'s "quoted" `twice` $HOME $(touch hit)',
    "two\nlines\tand a tab",
    "; rm -rf experiments; touch hit",
    "größer 模型 🙂 ../../up",
    "--model_dir=-x *",
)
RETRIES = 1
HEART = 2.0
"""Seconds between two heartbeats, so that a torn run file is watched for 16 s and not for 120."""
GPUS = 3
"""Of the machine that the searches share: less than the slots of two."""
KILLS_A_SEARCH = 125
SIDE_BY_SIDE = 2
_TOO_MANY = 20
"""Problems after which more kills say nothing new."""
_PATIENCE = 240.0
"""Seconds in which an undisturbed search is through, whatever else the machine does."""


# -- Processes -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Seen:
    """A process of ours: `words` is its command line, `session` whose session it is in."""

    pid: int
    parent: int
    session: int
    words: tuple[str, ...]


def marked(mark: str) -> dict[int, Seen]:
    """Every process whose environment bears the mark, but for this one."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            with contextlib.suppress(OSError, IndexError):
                if f"CHAOS_MARK={mark}".encode() in Path("/proc", name, "environ").read_bytes():
                    seen = _seen(int(name))
                    found[seen.pid] = seen
    return found


def _seen(pid: int) -> Seen:
    stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    return Seen(pid, int(stat[1]), int(stat[3]), tuple(words))


def role(process: Seen, all_of_them: dict[int, Seen]) -> str:
    """What a process is: a worker, its spawner, a supervisor, a trial, or none of the search's."""
    if any(word.endswith("train.py") for word in process.words[:3]):
        return "trial"
    if process.words[1:4] != ("-m", "modeldir", "search"):
        return "other"
    # Forks keep their worker's command line: who descends from whom tells them apart.
    parent = all_of_them.get(process.parent)
    if parent is not None and parent.words == process.words:
        above = all_of_them.get(parent.parent)
        deeper = above is not None and above.words == process.words
        if deeper and process.session != process.pid:
            return "trial"  # still behind its gate
        return "supervisor" if deeper or _has_trial(process, all_of_them) else "spawner"
    if _has_trial(process, all_of_them):
        return "supervisor"  # its spawner was killed
    return "spawner" if _has_forks(process, all_of_them) == "supervisor" else "worker"


def _has_trial(process: Seen, all_of_them: dict[int, Seen]) -> bool:
    return any(
        child.parent == process.pid and role(child, all_of_them) == "trial"
        for child in all_of_them.values()
        if child.words != process.words
    )


def _has_forks(process: Seen, all_of_them: dict[int, Seen]) -> str:
    """What the forks of a process without a parent of its own kind are."""
    for child in all_of_them.values():
        if child.parent == process.pid and child.words == process.words:
            return "supervisor" if _has_trial(child, all_of_them) else "spawner"
    return ""


# -- A search to disturb ---------------------------------------------------------------------------


class Arena:
    """A project with one search, its workers, and the journal that its trainings write."""

    def __init__(
        self,
        path: Path,
        *,
        indices: int,
        kinds: tuple[str, ...] = KINDS,
        home: Path | None = None,
        machine: Path | None = None,
    ) -> None:
        """`home` is where the journal lies, `machine` what several searches share: its GPUs."""
        home = home or path
        self.path, self.journal = path, home / "journal.jsonl"
        self.search = path / "project" / "experiments" / "search"
        self.mark = os.urandom(8).hex()
        self.workers: list[subprocess.Popen[bytes]] = []
        self.ledger = Ledger()
        self.poller = Poller(self.search, self.journal, self.ledger)
        (home / "running").mkdir(parents=True)
        self.search.mkdir(parents=True)
        for name in ("train.py", "rule.py"):
            shutil.copy(PROJECT / name, path / "project" / name)
        space = {"kind": list(kinds), "note": list(NOTES), "index": list(range(indices))}
        self.points = {
            point_key({"kind": kind, "note": note, "index": index})
            for kind, note, index in itertools.product(kinds, NOTES, range(indices))
        }
        files.write_json(self.search / "params.json", {"kind": "", "note": "", "index": 0})
        plan = {
            "space": space,
            "sampler": "grid",
            "maximize": "accuracy",
            "pruner": "rule:BelowZero",
            "max_retries": RETRIES,
            "resume": "--restore_file last",
            "command": "python train.py --model_dir {model_dir} --note={note}",
            "cwd": "../..",
        }
        files.write_json(self.search / "search.json", plan)
        loud = len(NOTES) * indices * kinds.index("loud") + 1 if "loud" in kinds else 0
        self.environment = _environment(
            CHAOS_MARK=self.mark,
            CHAOS_HOME=str(home),
            CHAOS_LOUD=str(loud),
            MODELDIR_HEARTBEAT=f"{HEART:g}",
        )
        if machine is not None:
            self._use(machine)

    def _use(self, machine: Path) -> None:
        """Take part in a machine with GPUs, as `nvidia-smi` there lists them."""
        smi = machine / "bin" / "nvidia-smi"
        smi.parent.mkdir(parents=True, exist_ok=True)
        lines = [f"echo 'GPU {number}: Fake (UUID: GPU-{number})'" for number in range(GPUS)]
        written = smi.with_name(self.mark)
        written.write_text("\n".join(["#!/bin/sh", *lines, ""]))
        written.chmod(0o755)
        written.replace(smi)  # another search may be executing it
        self.environment = {
            **{key: value for key, value in self.environment.items() if "VISIBLE_DEV" not in key},
            "PATH": f"{smi.parent}{os.pathsep}{self.environment['PATH']}",
            "MODELDIR_RUNTIME_DIR": str(machine / "leases"),
            "CHAOS_SHARED": str(machine),
        }

    def type(self, *words: str) -> subprocess.Popen[bytes]:
        """Start `modeldir WORDS` in the project; what it prints is kept."""
        with open(self.path / "printed.txt", "ab") as printed:
            return subprocess.Popen(
                [sys.executable, "-m", "modeldir", *words],
                cwd=self.path / "project",
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def say(self, *words: str) -> subprocess.Popen[bytes]:
        """Say the search's command (again), in the background."""
        worker = self.type("search", "experiments/search", "-j", "2", *words)
        self.workers.append(worker)
        return worker

    def alive(self) -> list[subprocess.Popen[bytes]]:
        """The workers that still work."""
        self.workers = [worker for worker in self.workers if worker.poll() is None]
        return self.workers

    def processes(self) -> dict[int, Seen]:
        return marked(self.mark)

    def is_through(self) -> bool:
        """Whether every trial has come to an end."""
        folders = trial_folders(self.search)
        return len(folders) >= len(self.points) and all(map(self._is_over, folders))

    def _is_over(self, folder: Path) -> bool:
        """Whether a trial has come to an end; or to metrics whose record was destroyed."""
        status = experiment.status(folder)
        return status.state in attempts.FINAL or is_kept(folder, status, self.ledger)

    def harm(self, pid: int, number: int) -> bool:
        """Signal a process, and note whom it hits: nobody else may have lost anything."""
        self.ledger.harm(pid)
        return _signal(pid, number)

    def kill_all(self) -> int:
        """KILL everything at once; what was forked meanwhile as well. Returns how many there were.

        Raises:
            AssertionError: when some do not die.
        """
        count = 0
        deadline = time.monotonic() + 20
        while found := self.processes():
            count = max(count, len(found))
            for pid in found:
                self.harm(pid, signal.SIGKILL)
            self.alive()
            assert time.monotonic() < deadline, f"not to be killed: {found}"
            time.sleep(0.01)
        for worker in self.workers:
            worker.wait(20)
        return count

    def finish(self) -> None:
        """Say the command undisturbed until the search is through; at least once, since a worker
        that was asked to stop owes what had failed its next attempt.

        Raises:
            AssertionError: when it does not get there in time.
        """
        deadline, refused = time.monotonic() + _PATIENCE, 0
        while True:
            disturbed = next(iter(self.alive()), None)
            worker = disturbed or self.say()
            with contextlib.suppress(subprocess.TimeoutExpired):
                worker.wait(max(0.0, deadline - time.monotonic()))
            if disturbed is None and not self.alive() and self.is_through():
                return
            refused = refused + 1 if worker.returncode == 2 else 0
            # Once it may be: the last kill was of a spawner that this worker had.
            assert refused < 3, f"refused again: {self.printed()[-2000:]}"
            assert time.monotonic() < deadline, (
                f"not through after {_PATIENCE:g} s: {self.states()}"
            )

    def printed(self) -> str:
        """What all commands printed."""
        return (self.path / "printed.txt").read_text(errors="replace")

    def states(self) -> dict[str, int]:
        return dict(Counter(experiment.status(f).state for f in trial_folders(self.search)))

    def left_over(self) -> dict[int, Seen]:
        """The processes that are still there after a moment in which the last may leave."""
        deadline = time.monotonic() + 10
        while (found := self.processes()) and time.monotonic() < deadline:
            time.sleep(0.05)
        return found

    def audit(self) -> Findings:
        """Everything that must hold now, with what only this side knows."""
        left = self.left_over()
        findings = Audit(self.search, self.journal, self.ledger, RETRIES).findings(self.points)
        findings.add(self.poller.found)
        findings.counts["processes left over"] += len(left)
        findings.problems += [f"processes left over: {seen}" for seen in left.values()]
        self.kill_all()
        self._say_once_more(findings)
        if (self.path / "project" / "hit").exists():
            findings.problems.append("a name was run by a shell")
        for text in tracebacks(self.printed()):
            if text.splitlines()[-1].startswith("KeyboardInterrupt") and "in run\n" not in text:
                findings.counts["Ctrl-C while Python was starting"] += 1
                continue
            findings.counts["tracebacks from modeldir"] += 1
            findings.problems.append(text)
        return findings

    def _say_once_more(self, findings: Findings) -> None:
        """What is through starts nothing, and is one table."""
        before = self.journal.read_bytes()
        for words in (("search", "experiments/search"), ("synthesize", "experiments/search")):
            code = self.type(*words).wait(_PATIENCE)
            if code not in (0, 1):
                findings.problems.append(f"modeldir {words[0]}: exit code {code}")
        if self.journal.read_bytes() != before:
            findings.problems.append("said again when it was through, it ran something")


def tracebacks(text: str) -> Iterator[str]:
    """Python's tracebacks in what was printed, each with its last line."""
    for piece in text.split("Traceback (most recent call last):\n")[1:]:
        frames = list(itertools.takewhile(lambda line: line[:1] in (" ", ""), piece.splitlines()))
        yield "\n".join(piece.splitlines()[: len(frames) + 1])


def _environment(**variables: str) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("MODELDIR")}
    path = f"{os.path.dirname(sys.executable)}{os.pathsep}{kept.get('PATH', '')}"
    return {**kept, "PATH": path, "TERM": "dumb", "PYTHONIOENCODING": "utf-8", **variables}


def _signal(pid: int, number: int) -> bool:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


# -- Who disturbs it -------------------------------------------------------------------------------


class Monkey:
    """Does one harmful thing after another, by chance; counts what hit."""

    def __init__(self, arena: Arena, chance: random.Random) -> None:
        self.arena, self.chance = arena, chance
        self.kills: Counter[str] = Counter()
        self.others: Counter[str] = Counter()
        self._acts: list[tuple[Callable[[], bool], int]] = [
            (self._worker, 3),
            (self._supervisor, 6),
            (self._trial, 6),
            (self._spawner, 3),
            (self._everything, 1),
            (self._ctrl_c, 2),
            (self._stop, 1),
        ]

    def disturb(self, kills: int) -> None:
        """Go on until so many kills hit, or the search is through in spite of it."""
        deadline = time.monotonic() + 2 * kills + 60
        acts, weights = zip(*self._acts, strict=True)
        while sum(self.kills.values()) < kills and time.monotonic() < deadline:
            ended = len(self.arena.workers) - len(self.arena.alive())
            if ended and self.arena.is_through():
                return
            self._keep_working()
            time.sleep(self.chance.random() ** 2 * 0.5)
            self.chance.choices(acts, weights)[0]()

    def _keep_working(self) -> None:
        """A worker is there, now and then two."""
        working = len(self.arena.alive())
        if not working or (working == 1 and self.chance.random() < 0.1):
            self.arena.say(*self.chance.choice([(), ("--no-check",)]))
            self.others["two workers at once"] += working
            time.sleep(self.chance.random() * 0.8)  # a third dies before it has started a trial

    def _hit(self, name: str, wanted: str, number: int) -> bool:
        found = self.arena.processes()
        pids = sorted(pid for pid, seen in found.items() if role(seen, found) == wanted)
        if not pids or not self.arena.harm(self.chance.choice(pids), number):
            return False
        self.kills[name] += 1
        return True

    def _worker(self) -> bool:
        return self._hit("a worker, KILL", "worker", signal.SIGKILL)

    def _supervisor(self) -> bool:
        if self.chance.random() < 0.25:
            return self._hit("a supervisor, TERM", "supervisor", signal.SIGTERM)
        return self._hit("a supervisor, KILL", "supervisor", signal.SIGKILL)

    def _trial(self) -> bool:
        if self.chance.random() < 0.4:
            return self._hit("a trial, TERM", "trial", signal.SIGTERM)
        return self._hit("a trial, KILL", "trial", signal.SIGKILL)

    def _spawner(self) -> bool:
        return self._hit("a spawner, KILL", "spawner", signal.SIGKILL)

    def _everything(self) -> bool:
        """All at once, as a power cut does; then the files may be found damaged."""
        if not self.arena.kill_all():
            return False
        self.kills["everything, KILL"] += 1
        with self.arena.poller.quiet:
            while self.chance.random() < 0.6:
                name = self.chance.choice(sorted(chaos_damage.ALL))
                damage = chaos_damage.ALL[name]
                self.others[name] += damage(self.arena.search, self.arena.ledger, self.chance)
        return True

    def _ctrl_c(self) -> bool:
        """Ctrl-C, once to three times; or TERM."""
        working = self.arena.alive()
        if not working:
            return False
        worker = self.chance.choice(working)
        self.arena.ledger.asked.append(time.time())
        if self.chance.random() < 0.3:
            self.kills["a worker, TERM"] += _signal(worker.pid, signal.SIGTERM)
            return True
        times = self.chance.randint(1, 3)
        for _ in range(times):
            worker.send_signal(signal.SIGINT)
            time.sleep(self.chance.random() * 0.1)
        name = ("Ctrl-C", "Ctrl-C twice", "Ctrl-C three times")[times - 1]
        (self.others if times == 1 else self.kills)[name] += 1
        return True

    def _stop(self) -> bool:
        words = self.chance.choice([(), ("--now",)])
        self.arena.ledger.asked.append(time.time())
        self.arena.type("stop", "experiments/search", *words).wait(60)
        self.others[" ".join(["modeldir stop", *words])] += 1
        return True


# -- Rounds ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Round:
    """What one search went through."""

    kills: Counter[str]
    others: Counter[str]
    findings: Findings
    starts: Counter[str] = field(default_factory=Counter)

    def add(self, other: Round) -> None:
        self.kills.update(other.kills)
        self.starts.update(other.starts)
        self.others.update(other.others)
        self.findings.add(other.findings)


def search_and_kill(  # noqa: PLR0913 - what a search is
    path: Path,
    seed: str,
    kills: int,
    *,
    indices: int,
    kinds: tuple[str, ...] = KINDS,
    machine: Path | None = None,
) -> Round:
    """One search, disturbed, said again until it is through, audited. Clean ones are removed."""
    arena = Arena(path, indices=indices, kinds=kinds, machine=machine)
    monkey = Monkey(arena, random.Random(seed))
    try:
        with arena.poller.looking():
            monkey.disturb(kills)
            arena.finish()
        findings = arena.audit()
    except (AssertionError, OSError) as error:
        findings = Findings(problems=[f"it did not come to its end: {error}"])
    finally:
        arena.kill_all()
    if not findings.problems:
        shutil.rmtree(path)
    return Round(monkey.kills, monkey.others, findings)


def chaos(where: Path, seed: int, kills: int, indices: int, tell: Callable[[str], None]) -> Round:
    """Search after search, two side by side, until so many kills have hit."""
    total = Round(Counter(), Counter(), Findings())

    def one(number: int) -> None:
        quota = min(KILLS_A_SEARCH, kills - sum(total.kills.values()))
        if quota <= 0:
            return
        path = where / f"search_{number}"
        machine = where / "machine"
        done = search_and_kill(path, f"{seed}.{number}", quota, indices=indices, machine=machine)
        total.add(done)
        total.findings.counts["searches"] += 1
        words = "as it should be" if not done.findings.problems else f"WRONG, see {path}"
        tell(f"search {number}: {sum(done.kills.values())} kills, {words}")
        for problem in done.findings.problems:
            tell(f"  {problem}")

    numbers = itertools.count(1)
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        while sum(total.kills.values()) < kills and len(total.findings.problems) < _TOO_MANY:
            list(pool.map(one, itertools.islice(numbers, SIDE_BY_SIDE)))
    return total


SHOULD_BE_NONE = (
    "completed and run again", "completed without one end", "attempts run twice",
    "started without a record", "lost though nobody harmed it", "resumed wrongly",
    "runs that complained", "wrong statuses",
    "output lost or mixed", "wrong metrics", "torn files", "gaps in attempts",
    "claims without a folder", "names or numbers wrong", "points wrong",
    "supervisors that failed", "workers that seem alive", "tracebacks from modeldir",
    "processes left over", WRONG_WHILE_IT_RAN,
    *(f"{name}, at a start" for name in chaos_starts.MUST_BE_NONE),
)  # fmt: skip


def table(done: Round) -> str:
    """All that was done and counted, as Markdown."""
    counts = done.findings.counts
    rows = [("**kills**", sum(done.kills.values())), *sorted(done.kills.items())]
    rows += [("**kills at a start**", sum(done.starts.values())), *sorted(done.starts.items())]
    rows += [("**besides**", sum(done.others.values())), *sorted(done.others.items())]
    rows += [("**counted afterwards**", counts["searches"])]
    rows += sorted((key, value) for key, value in counts.items() if key not in SHOULD_BE_NONE)
    rows += [("**must be none**", sum(counts[key] for key in SHOULD_BE_NONE))]
    rows += [(key, counts[key]) for key in SHOULD_BE_NONE]
    width = max(len(key) for key, _ in rows)
    lines = [f"| {key:<{width}} | {value:>7,} |" for key, value in rows]
    return "\n".join([f"| {'':<{width}} |         |", f"|{'-' * (width + 2)}|--------:|", *lines])


# -- At the start of a trial -----------------------------------------------------------------------


def kill_starts(where: Path, seed: str, kills: int) -> Round:
    """Kill at the start of trials, without preload and forked, each combination of processes
    equally often.
    """
    done = Round(Counter(), Counter(), Findings())
    for kind in chaos_starts.KINDS:
        found = chaos_starts.kill_starts(where / kind, kind, kills // len(chaos_starts.KINDS), seed)
        done.starts.update({f"{kind}: {name}": count for name, count in found.kills.items()})
        done.findings.problems += found.problems
        done.findings.counts["trainings begun, at a start"] += found.counts["begin"]
        done.findings.counts["trainings ended, at a start"] += found.counts["end"]
        for name in chaos_starts.MUST_BE_NONE:
            done.findings.counts[f"{name}, at a start"] += found.counts[name]
    return done


# -- Stopped ten times -----------------------------------------------------------------------------


def made_by(search: Path) -> dict[int, tuple[str, str]]:
    """The trials of a search: number, name and hyperparameters."""
    found = {}
    for folder in trial_folders(search):
        number = int(reading.read_object(folder / "trial.json")["number"])
        values = reading.read_object(folder / "params.json")
        found[number] = (folder.name, point_key(values))
    return found


def stopped_again_and_again(where: Path, sampler: str, trials: int, stops: int) -> Findings:
    """A search stopped so often must end with the trials of one that was left alone."""
    findings = Findings(Counter({f"trials, {sampler}": trials}))
    alone, stopped = (
        _quick(where / "alone", sampler, trials),
        _quick(where / sampler, sampler, trials),
    )
    try:
        alone.finish_quick(trials)
        for number in range(stops):
            stopped.until((number + 1) * trials // (stops + 1))
            stopped.interrupt(number)
        stopped.finish_quick(trials)
    except AssertionError as error:
        findings.problems.append(f"{sampler}: it did not come to its end: {error}")
    finally:
        alone.arena.kill_all()
        stopped.arena.kill_all()
    left, right = made_by(alone.arena.search), made_by(stopped.arena.search)
    if left != right or len(left) != trials:
        different = sorted(number for number in left if left[number] != right.get(number))
        findings.problems.append(f"{sampler}: {len(left)} and {len(right)}; {different[:9]}")
    return findings


@dataclass
class _Quick:
    arena: Arena

    def until(self, count: int) -> None:
        """Work until so many trials are there."""
        if not self.arena.alive():
            self.arena.say("--no-check")
        deadline = time.monotonic() + _PATIENCE
        while len(trial_folders(self.arena.search)) < count:
            assert time.monotonic() < deadline, self.arena.states()
            if not self.arena.alive():
                self.arena.say("--no-check")
            time.sleep(0.01)

    def interrupt(self, number: int) -> None:
        """Each time in another way."""
        worker = self.arena.alive()
        if number % 4 == 0:
            self.arena.kill_all()
        elif number % 4 == 1:
            self.arena.type("stop", "experiments/search", "--now").wait(60)
        for process in worker:
            process.send_signal(signal.SIGINT if number % 4 == 2 else signal.SIGKILL)
            process.wait(60)

    def finish_quick(self, count: int) -> None:
        deadline = time.monotonic() + _PATIENCE
        while self.arena.states() != {"completed": count}:
            assert time.monotonic() < deadline, self.arena.states()
            self.until(count)
            for worker in self.arena.alive():
                worker.wait(_PATIENCE)


def _quick(path: Path, sampler: str, trials: int) -> _Quick:
    """A search of trials that do nothing."""
    arena = Arena(path, indices=1, kinds=("plain",))
    values = (
        {"index": {"int": [1, 10**6]}} if sampler == "random" else {"index": list(range(trials))}
    )
    plan = {
        "space": values,
        "sampler": sampler,
        "trials": trials,
        "seed": 3,
        "command": "true {index}",
    }
    files.write_json(arena.search / "search.json", plan)
    return _Quick(arena)


# -- Disks -----------------------------------------------------------------------------------------


@contextlib.contextmanager
def small_disk(where: Path, size: str) -> Iterator[bool]:
    """A disk of its own on a folder; False where none may be mounted."""
    where.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "chaos", str(where)]
    try:
        mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(where)], check=False)


def remount(where: Path, how: str) -> None:
    """Make a mounted disk read-only (`ro`) or writable again (`rw`)."""
    subprocess.run(["mount", "-o", f"remount,{how}", str(where)], check=True)


def full_disk(where: Path, seed: str, times: int = 4) -> Round | None:
    """A search on a disk that is read-only, then full again and again; None without a disk."""
    chance = random.Random(seed)
    others: Counter[str] = Counter()
    with small_disk(where, "24m") as mounted:
        if not mounted:
            return None
        # The journal lies elsewhere: what the trainings tell is whole, whatever the disk is.
        home = where.with_name(f"{where.name}_journal")
        kinds = ("plain", "saver", "ours", "loud")
        arena = Arena(where / "arena", indices=1, kinds=kinds, home=home)
        arena.environment["CHAOS_LOUD"] = ""
        try:
            arena.say()
            _wait_for_trials(arena, 6)
            arena.kill_all()
            remount(where, "ro")
            others["a read-only disk"] += 1
            code = _said_in_vain(arena)
            remount(where, "rw")
            if code == 0:
                raise AssertionError("a search on a read-only disk said that all is well")
            for _ in range(times):
                arena.alive() or arena.say()
                time.sleep(0.3 + 0.5 * chance.random())
                fill(where, chance.randrange(1 << 13))
                others["a full disk"] += 1
                time.sleep(2.0)
                (where / "filler").unlink()
            arena.finish()
            findings = _forgiving(arena)
        except (AssertionError, OSError, subprocess.TimeoutExpired) as error:
            findings = Findings(problems=[f"a full or read-only disk: {error}"])
        finally:
            arena.kill_all()
    return Round(Counter(), others, findings)


def _wait_for_trials(arena: Arena, count: int) -> None:
    deadline = time.monotonic() + _PATIENCE
    while len(trial_folders(arena.search)) < count:
        assert time.monotonic() < deadline, arena.states()
        time.sleep(0.01)


def fill(where: Path, spare: int) -> None:
    """Write a disk full with one file, `filler`, but for some bytes."""
    with contextlib.suppress(OSError), open(where / "filler", "wb", buffering=0) as file:
        while True:
            file.write(bytes(1 << 16))
    with contextlib.suppress(OSError), open(where / "filler", "r+b") as file:
        file.truncate(max(0, file.seek(0, 2) - spare))


def _said_in_vain(arena: Arena) -> int:
    """The exit code of the search where nothing can be written; it must not hang."""
    done = subprocess.run(
        [sys.executable, "-m", "modeldir", "search", "experiments/search"],
        cwd=arena.path / "project",
        env=arena.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert b"Traceback" not in done.stderr, done.stderr.decode()
    return done.returncode


def _forgiving(arena: Arena) -> Findings:
    """The audit without what a full disk does to trainings, to their output and their records."""
    findings = arena.audit()
    excused = (
        "output lost", "wrong statuses", "supervisors that failed", "lost though nobody",
    )  # fmt: skip
    findings.problems = [p for p in findings.problems if not p.startswith(excused)]
    for key in [key for key in findings.counts if key.startswith(excused)]:
        del findings.counts[key]
    return findings


# -- The program -----------------------------------------------------------------------------------


def main() -> int:
    """Run it all, print the table; exit code 1 if anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(2), "big"))
    parser.add_argument("--starts", type=int, default=504, help="kills at the start of a trial")
    parser.add_argument("--indices", type=int, default=4, help="a search has 60 trials for each")
    parser.add_argument("--hostile", type=int, default=2, help="runs of hostile.campaign's parts")
    arguments = parser.parse_args()
    where = Path(tempfile.mkdtemp(prefix="chaos-"))
    began = time.monotonic()
    print(f"seed {arguments.seed}, in {where}", flush=True)
    total = chaos(where, arguments.seed, arguments.kills, arguments.indices, _print)
    disk = full_disk(where / "disk", f"{arguments.seed}.disk")
    _print("a full disk: " + ("skipped, no disk may be mounted" if disk is None else "done"))
    if disk is not None:
        total.add(disk)
    starts = kill_starts(where / "starts", f"{arguments.seed}.starts", arguments.starts)
    total.add(starts)
    _print(f"{sum(starts.starts.values())} kills at the start of a trial: done")
    for sampler in ("grid", "random"):
        total.findings.add(stopped_again_and_again(where / "ten", sampler, 500, 10))
        shutil.rmtree(where / "ten", ignore_errors=True)
        _print(f"500 trials, {sampler}, stopped ten times: done")
    hostile = campaign.campaign(where, str(arguments.seed), arguments.hostile, _print)
    print(table(total), campaign.table(hostile), sep="\n\n")
    total.findings.problems += [text for one in hostile.values() for text in one.problems]
    print(f"{(time.monotonic() - began) / 60:.1f} minutes, seed {arguments.seed}")
    for problem in total.findings.problems:
        print(f"WRONG {problem}")
    if total.findings.problems:
        print(f"to repeat: make chaos ARGS='--seed {arguments.seed}'; what is left: {where}")
        return 1
    shutil.rmtree(where)
    return 0


def _print(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
