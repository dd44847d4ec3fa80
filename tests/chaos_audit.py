"""What must be true of a search after chaos, asked of its files and of the trainings' journal.

It knows what each training said of itself (one line a start, one a regular end, by the attempt's
token) and what modeldir's folders say; it refuses to know how the chaos was made. What the chaos
itself broke is in the `Ledger`, and is excused there and nowhere else.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from modeldir._system import files, processes, reading
from modeldir.experiment import attempts, experiment
from modeldir.search import worker_registry

GOOD = ("plain", "saver", "deaf", "family", "loud", "ours")
"""Trainings that end well when nobody disturbs them."""
PRUNED = ("hopeless",)
"""Those that have to be stopped early, and no others."""
FAILURES = {"silent": "missing-metric", "nan": "nan", "error": "error"}
"""The class of failure of each of the others."""


Identity = tuple[int, int]
"""A process: its pid, and when it started in clock ticks since boot."""
PATIENCE = 30.0
"""Seconds within which a busy machine does what was asked."""


@dataclass
class Ledger:
    """What was broken on purpose: files by inode and size (they may be moved, and another may get
    the inode of one that was replaced), attempts by folder, number.

    `may_repeat` are trials whose record was destroyed. Beside metrics they become `untracked`, and
    the others run again.
    `metrics` and `identities` are trials whose metrics, or one of the files that say what they are,
    were torn. `harmed` are the processes that were signaled, by pid and start; `bereaved` are the
    parents of such; `strangers` are attempts whose record names other processes by now; `asked` are
    the moments (seconds since 1970) at which a worker was asked to stop.
    """

    torn: set[tuple[int, int]] = field(default_factory=set)
    attempts: set[tuple[str, int]] = field(default_factory=set)
    may_repeat: set[str] = field(default_factory=set)
    metrics: set[str] = field(default_factory=set)
    identities: set[str] = field(default_factory=set)
    harmed: set[Identity] = field(default_factory=set)
    bereaved: set[Identity] = field(default_factory=set)
    strangers: set[tuple[str, int]] = field(default_factory=set)
    asked: list[float] = field(default_factory=list)

    def harm(self, pid: int) -> None:
        """Note that a process is about to be signaled."""
        self.harmed |= _identities(pid)
        with contextlib.suppress(OSError, ValueError, IndexError):
            stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            self.bereaved |= _identities(int(stat[1]))

    def tear(self, path: Path, size: int) -> None:
        """Cut a file in place, as a power cut may leave it."""
        os.truncate(path, size)
        self.torn.add((path.stat().st_ino, size))

    def excuses(self, path: Path) -> bool:
        """Whether this very file was torn, and is as it was then."""
        status = path.stat()
        return (status.st_ino, status.st_size) in self.torn


def _identities(pid: int) -> set[Identity]:
    known = processes.process(pid)
    return set() if known is None else {(known.pid, known.started)}


@dataclass
class Findings:
    """What an audit counted, and each thing that is not as it should be, in words."""

    counts: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    def add(self, other: Findings) -> None:
        self.counts.update(other.counts)
        self.problems += other.problems


class Audit:
    """One search's folder, after all has ended: call `findings`."""

    def __init__(self, search: Path, journal: Path, ledger: Ledger, retries: int) -> None:
        self.search, self.journal = search, journal
        self.ledger, self.retries = ledger, retries
        self.found = Findings()
        self.told = reading.read_lines(journal)
        self.starts = self._tokens("start")
        self.ends = self._tokens("end")
        self.saved = self._tokens("saved")
        self.known: set[str] = set()
        self.completed: set[str] = set()
        claims = sorted((search / ".modeldir" / "trials").glob("*.json"))
        self.claims = {path.name: reading.read_object(path) for path in claims}
        self.params = {
            str(claim.get("name")): claim["hyperparameters"]
            for claim in self.claims.values()
            if isinstance(claim.get("hyperparameters"), dict)
        }

    def findings(self, points: set[str]) -> Findings:
        """Everything, for a search that should have exactly these points (as `point_key`s)."""
        for folder in trial_folders(self.search):
            self._trial(folder)
        self._journal()
        self._claims(points)
        self._files()
        self._workers()
        return self.found

    def _tokens(self, what: str) -> Counter[str]:
        return Counter(str(line["token"]) for line in self.told if line["what"] == what)

    def _count(self, what: str, number: int = 1) -> None:
        self.found.counts[what] += number

    def _wrong(self, what: str, problem: str) -> None:
        self.found.counts[what] += 1
        self.found.problems.append(f"{what}: {problem}")

    # -- A trial -----------------------------------------------------------------------------------

    def _trial(self, folder: Path) -> None:
        self._count("trials")
        numbers = attempts.numbers(os.listdir(folder))
        if numbers != list(range(1, len(numbers) + 1)):
            self._wrong("gaps in attempts", f"{folder.name}: {numbers}")
        runs = [attempts.read(folder, number) for number in numbers]
        kind = str(self.params.get(folder.name, {}).get("kind"))
        for run in runs:
            self._attempt(run, is_last=run.number == numbers[-1])
            self._cause(run, kind)
        self._resuming(runs)
        self._outputs(folder, runs)
        self._status(folder, kind, runs)

    def _attempt(self, run: attempts.Attempt, *, is_last: bool) -> None:
        self._count("attempts")
        name, token = run.folder.name, run.record.get("token")
        self._count(f"attempts {run.end or 'cut off'}")
        if (name, run.number) in self.ledger.attempts:
            return
        if not isinstance(token, str):
            self._wrong("torn files", f"{name}: {run.path.name}")
            return
        self.known.add(token)
        if run.end != attempts.COMPLETED:
            return
        self.completed.add(token)
        if self.ends[token] != 1 or self.starts[token] != 1:
            times = f"{self.starts[token]} starts, {self.ends[token]} ends"
            self._wrong("completed without one end", f"{name}, attempt {run.number}: {times}")
        if not is_last and name not in self.ledger.may_repeat:
            self._wrong("completed and run again", f"{name}, attempt {run.number}")

    def _cause(self, run: attempts.Attempt, kind: str) -> None:
        """What did not come to its regular end was harmed: itself, its supervisor, or on purpose.
        That a worker or a spawner was killed costs no trial.
        """
        record, failure = run.record, run.record.get("failure")
        regular = run.end == attempts.COMPLETED
        regular |= run.end == attempts.FAILED and failure == FAILURES.get(kind)
        regular |= run.end == attempts.PRUNED and kind in PRUNED
        if regular or not record or (run.folder.name, run.number) in self._excused():
            return
        keeper, process = (_known(record.get(key)) for key in ("supervisor", "process"))
        if run.end is None:
            is_caused = keeper in self.ledger.harmed
        elif run.end == attempts.INTERRUPTED and record.get("intent"):
            at = datetime.fromisoformat(record["intent"]["at"]).timestamp()
            asked = any(-1 < at - moment < PATIENCE for moment in self.ledger.asked)
            asked &= str(record["intent"].get("reason")).startswith("asked to stop")
            is_caused = keeper in self.ledger.harmed or asked
        elif process is None:  # killed before its supervisor had written down who it is
            is_caused = keeper in self.ledger.bereaved
        else:
            is_caused = process in self.ledger.harmed
        if not is_caused:
            how = f"{run.end} {failure or ''} {record.get('reason')}"
            self._wrong(
                "lost though nobody harmed it", f"{run.path.parent.name}/{run.path.name}: {how}"
            )

    def _excused(self) -> set[tuple[str, int]]:
        return self.ledger.attempts | self.ledger.strangers

    def _resuming(self, runs: list[attempts.Attempt]) -> None:
        """An attempt goes on from what an interrupted one saved, and from that of no other."""
        before: attempts.Attempt | None = None
        for run in runs:
            if (run.folder.name, run.number) in self.ledger.attempts:
                return  # what came before the next one is not known
            cut_off = before is not None and before.end in (None, attempts.INTERRUPTED)
            saved = before is not None and bool(self.saved[str(before.record.get("token"))])
            wrong = "it went on" if run.record.get("resumes") and not cut_off else ""
            wrong = "it did not go on" if cut_off and saved and not run.record["resumes"] else wrong
            if wrong:
                self._wrong("resumed wrongly", f"{run.folder.name}/{run.path.name}: {wrong}")
            before = run if run.record.get("process") is not None else before

    def _outputs(self, folder: Path, runs: list[attempts.Attempt]) -> None:
        """What an attempt printed is kept, also after others have run."""
        printed: Counter[str] = Counter()
        for log in (folder / "console.log", *folder.glob("attempts/*/console.log*")):
            with contextlib.suppress(FileNotFoundError), log.open("rb") as lines:
                ends = (line.split()[1] for line in lines if line.startswith(b"end "))
                printed.update(token.decode(errors="replace") for token in ends)
        for run in runs:
            token = str(run.record.get("token"))
            if self.ends[token] and printed[token] != 1:
                times = f"its last line is there {printed[token]} times"
                self._wrong("output lost or mixed", f"{folder.name}/{run.path.name}: {times}")

    def _status(self, folder: Path, kind: str, runs: list[attempts.Attempt]) -> None:
        status = experiment.status(folder)
        self._count(status.state)
        recorded = runs[-1].end if runs else None
        if is_kept(folder, status, self.ledger):
            self._count("kept beside a destroyed record")
            return
        final = (attempts.COMPLETED, attempts.FAILED, attempts.PRUNED)
        right = status.state == recorded and recorded in final
        right = right and (recorded == attempts.PRUNED) <= (kind in PRUNED)
        if right and recorded == attempts.COMPLETED:
            right = kind in GOOD
            self._completed(folder, kind, runs[-1])
        failed = [run for run in runs if run.end == attempts.FAILED]
        right = right and len(failed) <= self.retries + 1
        for run in failed:
            expected = ("killed", FAILURES.get(kind, "killed"))
            right = right and run.record.get("failure") in expected
        if recorded == attempts.FAILED and folder.name not in self.ledger.may_repeat:
            right = right and len(failed) == self.retries + 1  # the others were its right
        if not right:
            ends = [(run.end, run.record.get("failure")) for run in runs]
            self._wrong("wrong statuses", f"{folder.name} ({kind}): {status} of {ends}")

    def _completed(self, folder: Path, kind: str, run: attempts.Attempt) -> None:
        """What a completed attempt left is its own, and all of it."""
        token = str(run.record.get("token"))
        printed: list[bytes] = []
        with contextlib.suppress(FileNotFoundError):
            printed = (folder / "console.log").read_bytes().splitlines()
        lines = [line.decode() for line in printed if line.startswith((b"start ", b"end "))]
        whole = lines[-1:] == [f"end {token}"]
        if not run.record.get("resumes"):
            whole = whole and lines == [f"start {token}", f"end {token}"]
        if kind == "loud":
            size = sum(len(line) + 1 for line in printed if line.startswith(b"x"))
            whole = whole and size in (1 << 18, 100 << 20)
        if not whole:
            self._wrong("output lost or mixed", f"{folder.name}: {lines[-4:]}")
        if folder.name in self.ledger.metrics:
            return
        params = self.params.get(folder.name)
        if params is None:
            return  # no claim is its: said elsewhere
        accuracy = round(1 / (1 + params["index"] + len(kind)), 6)
        found = experiment.scores(folder).validation
        if (found.get("accuracy"), found.get("hears")) != (accuracy, len(params["note"])):
            self._wrong("wrong metrics", f"{folder.name}: {dict(found)}")

    # -- The journal -------------------------------------------------------------------------------

    def _journal(self) -> None:
        excused = bool(self.ledger.attempts)
        unknown = [token for token in self.starts if token not in self.known]
        if len(unknown) > len(self.ledger.attempts) or (unknown and not excused):
            self._wrong("started without a record", f"{unknown}")
        for token, times in (self.starts + self.ends).items():
            if self.starts[token] != 1 or self.ends[token] > 1:
                self._wrong("attempts run twice", f"{token}: {times}")
        for line in self.told:
            if line["what"] in ("overlap", "shared", "mangled", "leavings", "mixed", "spared"):
                self._wrong("runs that complained", json.dumps(line))
        self._count("starts", sum(self.starts.values()))
        self._count("regular ends", sum(self.ends.values()))
        well = [line for line in self.told if line["what"] == "end" and line["kind"] in GOOD]
        late = [line for line in well if line["token"] not in self.completed]
        self._count("ended well in the moment of a kill", len(late))
        self._count("resumed", sum(line["what"] == "resumed" for line in self.told))

    # -- Claims ------------------------------------------------------------------------------------

    def _claims(self, points: set[str]) -> None:
        names: Counter[str] = Counter()
        numbers: Counter[int] = Counter()
        seen: Counter[str] = Counter()
        for file, claim in self.claims.items():
            folder = self.search / str(claim.get("name"))
            told = reading.read_object(folder / "trial.json")
            if not claim or not folder.is_dir():
                self._wrong("claims without a folder", file)
            elif told.get("number") != claim["number"]:
                self._wrong("claims without a folder", f"{file}: {told.get('number')}")
            names[str(claim.get("name"))] += 1
            numbers[int(claim.get("number", 0))] += 1
            seen[point_key(claim.get("configuration", {}))] += 1
        self._count("claims", sum(names.values()))
        folders = {folder.name for folder in trial_folders(self.search)}
        twice = [key for key, count in [*names.items(), *numbers.items()] if count > 1]
        if twice or folders != set(names):
            self._wrong("names or numbers wrong", f"{twice} {sorted(folders ^ set(names))[:4]}")
        if set(seen) != points or max(seen.values(), default=1) > 1:
            more = [key for key, count in seen.items() if count > 1]
            self._wrong("points wrong", f"{len(seen)} of {len(points)}, repeated: {more[:4]}")

    # -- Files -------------------------------------------------------------------------------------

    def _files(self) -> None:
        self._count("torn files", 0)
        for path in every_file(self.search):
            if any(map(files.is_temporary, path.relative_to(self.search).parts)):
                self._count("temporary files left")
            elif path.suffix in {".json", ".jsonl"} and not self.ledger.excuses(path):
                self._whole(path)
            elif path.name == "console.log" and b"the supervisor failed" in reading.tail(path):
                self._wrong("supervisors that failed", str(path.relative_to(self.search)))

    def _whole(self, path: Path) -> None:
        """A JSON file is whole; of a file of lines one may be torn where its writer was killed."""
        data = path.read_bytes()
        pieces = [data] if path.suffix == ".json" else data.splitlines()
        torn = 0
        for piece in pieces:
            try:
                json.loads(piece)
            except ValueError:
                torn += 1
        if path.suffix == ".jsonl":
            self._count("torn lines", torn)
        elif torn:
            self._wrong("torn files", str(path.relative_to(self.search)))

    def _workers(self) -> None:
        entries = self.search / ".modeldir" / "workers"
        self._count("entries of dead workers", len(list(entries.glob("*.json"))))
        for member in worker_registry.workers(self.search):
            self._wrong("workers that seem alive", str(member))


def _known(recorded: object) -> Identity | None:
    known = processes.from_json(recorded)
    return None if known is None else (known.pid, known.started)


def is_kept(folder: Path, status: experiment.Status, ledger: Ledger) -> bool:
    """Whether a trial's record was destroyed beside metrics: they stay, and it runs no more. A
    process that has not watched the torn run file for long enough calls it running, in doubt.
    """
    is_so = status.state == attempts.UNTRACKED or status.in_doubt
    return is_so and folder.name in ledger.may_repeat and experiment.has_metrics(folder)


def trial_folders(search: Path) -> list[Path]:
    """The folders of a search's trials."""
    return [
        path for path in sorted(search.iterdir()) if path.name[0] != "." and path.is_dir()
    ]  # fmt: skip


def every_file(folder: Path) -> Iterator[Path]:
    """All files below a folder."""
    for above, _, names in os.walk(folder):
        for name in names:
            yield Path(above, name)


def point_key(point: Mapping[str, Any]) -> str:
    """A point as text, to compare sets of them."""
    return json.dumps(point, sort_keys=True)
