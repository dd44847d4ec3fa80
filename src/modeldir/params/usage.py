"""Record which names a process reads from its params files, and report it to the run.

Start at `Reads`. On request, and at the end of the process, the names (`report`) and what happened
to the values (`summary`) become lines in the run's `events.jsonl`; `remarks` words them for the
log. The rule: nothing here may fail a training run. `usage_report` compares the values.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import weakref
from typing import TYPE_CHECKING, Any, NamedTuple

from modeldir._system import files, timestamps

# Imported here, because the garbage collector may delete a `Params` during a late import.
from modeldir.params import usage_report
from modeldir.params.nested import deep_copy, dotted

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from mmap import mmap
    from pathlib import Path

    from modeldir.params.nested import Plain

NOT_TRAINING = (
    "eval", "valid", "test", "predict", "infer", "sample", "generat", "plot", "visual", "analy",
    "inspect", "export", "convert", "synth", "search",
)  # fmt: skip
"""Scripts whose names begin like this read few names, and get no remarks about the others."""

SEARCHED_VARIABLE = "MODELDIR_SEARCHED"
"""Names, as a JSON list, that the first trial of a search reports as soon as it reads them."""

_MANY = 32
"""A process that opens more params files only inspects experiments, and gets no remarks."""


class _Names(set[str]):
    """The dotted names that were read from a file.

    A child of the process that opened the file (a DataLoader's worker) reports a new name
    immediately, since it exits without exit handlers. The parent learns of it through a page of
    shared memory.
    """

    def __init__(self) -> None:
        super().__init__()
        self.folder: str | None = None
        self._pid = os.getpid()
        self._asked: frozenset[str] = frozenset()
        self._places: dict[str, int] = {}  # each known name's byte in the shared page
        self._page: mmap | None = None

    def add(self, name: str) -> None:
        if name not in self:
            super().add(name)
            if os.getpid() != self._pid:
                self._report([name])
            elif name in self._asked:
                self._answer([name])

    def update(self, *several: Iterable[str]) -> None:
        if os.getpid() == self._pid:
            unread = self._asked.difference(self)
            super().update(*several)
            if answer := unread.intersection(self):
                self._answer(sorted(answer))
            return
        new = {name for names in several for name in names if name not in self}
        super().update(new)
        if new:
            self._report(sorted(new))

    def _report(self, names: list[str]) -> None:
        if self._page is not None:
            for name in names:
                if name in self._places:
                    self._page[self._places[name]] = 1
        if self.folder is not None:
            _write_event(self.folder, "params_read", names=names)

    def ask(self) -> None:
        """Report the names that a search asks for as soon as they are read.

        An empty report is useful too: it shows that something reads.
        """
        import json  # noqa: PLC0415 - rarely needed

        if asked := os.environ.get(SEARCHED_VARIABLE):
            self._asked = frozenset(json.loads(asked))
            self._answer(sorted(self._asked & self))

    def _answer(self, names: list[str]) -> None:
        if self.folder is not None:
            _write_event(self.folder, "reading", names=names)

    def share(self, names: Collection[str]) -> None:
        """Create the page, before a fork, in which children mark the names that they read."""
        if self._page is None and names and self._pid == os.getpid():
            from mmap import mmap  # noqa: PLC0415 - most scripts never fork

            self._places = {name: place for place, name in enumerate(names)}
            self._page = mmap(-1, len(names))

    def everywhere(self) -> frozenset[str]:
        """Return the names read here and in child processes."""
        page = self._page
        theirs = () if page is None else (name for name, at in self._places.items() if page[at])
        return frozenset((*self, *theirs))

    def __reduce__(self) -> tuple[type[set[str]], tuple[list[str]]]:
        return set, (list(self),)  # in another process it is only a set of names


class Reads:
    """The reads of a file, by everything that opened it, and the run's folder."""

    def __init__(self, *, watched: bool = False) -> None:
        self.folder: str | None = None
        self.watched = watched
        self.pid = os.getpid()
        self.reported = -1  # the number of names in the last report
        self.reported_values: Plain | None = None  # the values reported last
        self.said: set[str] = set()  # remarks already returned
        self.is_runs = False  # this process trains by itself, without a supervisor
        self.is_over = False  # that run has ended
        self.names = _Names()
        self.shown = ""  # the file, as the user named it
        self.file: list[str] = []  # the dotted names in it
        self.living: list[weakref.ref[Opened]] = []
        self.left: list[_Seen] = []  # of deleted ones
        self.own: set[str] = set()  # names that they have assigned

    def __reduce__(self) -> tuple[type[Reads], tuple[()]]:
        return Reads, ()  # reads in another process are not recorded

    def serve(self, folder: str) -> None:
        """Report to the run in a folder, from now on and at the end of the process."""
        self.folder = folder
        self.names.folder = folder
        self.names.ask()
        atexit.register(_report_at_exit, self)

    def seen(self) -> list[_Seen]:
        """Return what happened to the values in each `Params` of the file, oldest first."""
        alive = [opened for known in self.living if (opened := known()) is not None]
        return [*self.left, *(opened.seen() for opened in alive)]

    def leave(self, opened: Opened) -> None:
        """Keep what happened to the values in a `Params` that is deleted, if it may matter.

        The garbage collector may call this in the middle of anything, also of this function. So
        lists are only changed in place, in one step.
        """
        self.own.update(opened.assigned)
        if opened.is_touched() or not self.left:
            self.left.append(opened.seen())
            del self.left[:-_MANY]


class _Seen(NamedTuple):
    """The fate of the values in one `Params` of a file."""

    own: frozenset[str]  # names that the script has added or assigned
    record: Plain  # what was changed, and the values; see `usage_report`
    differs: bool

    def removed(self) -> list[str]:
        return [name for name, was in self.record["changed"].items() if "removed" in was]


class Opened:
    """One `Params` of a file: what the file holds, and what the script makes of it.

    `data`, `added`, `assigned` and `given` are live. `file` has the values of the file itself;
    `data` may have a schema's defaults too. `given` are values that replaced those of the file.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - one place makes it
        self,
        reads: Reads,
        shown: str,
        data: Plain,
        file: Plain,
        added: Collection[str],
        assigned: Collection[str],
        given: Mapping[str, Any],
        /,
    ) -> None:
        self.reads, self.data = reads, data
        self.added, self.assigned, self.given = added, assigned, given
        self.pid = os.getpid()
        if reads.watched:
            self.start = deep_copy(data)
            reads.shown, reads.file = shown, list(dotted(file))
            reads.living.append(weakref.ref(self, reads.living.remove))

    def is_touched(self) -> bool:
        try:  # 1 == true in Python, so the texts are compared too
            same = self.data == self.start and repr(self.data) == repr(self.start)
        except Exception:  # noqa: BLE001 - an array has no truth value
            return True
        return not same

    def seen(self) -> _Seen:
        written = frozenset(self.reads.file)
        record = usage_report.record(self.start, self.data, written, self.given)
        own = frozenset((*self.added, *self.assigned))
        return _Seen(own, record, bool(record["changed"] or self.added))

    def __del__(self) -> None:
        with contextlib.suppress(Exception):  # nothing could catch it
            if self.reads.watched and self.pid == os.getpid():
                self.reads.leave(self)


_WATCHED: dict[str, Reads] = {}
"""By file, for the whole process: it may open the file several times."""


def reads_of(path: str) -> Reads:
    """Return the place where reads of a file are recorded: one for everything that opens it."""
    reads, folder = _WATCHED.get(path), _run_folder(path)
    if reads is not None:
        if folder is not None and reads.folder is None:  # a loop opens a file before it runs it
            reads.serve(folder)
        return reads
    if folder is None and len(_WATCHED) > _MANY:
        return Reads()
    return _watch(path, folder)


def _watch(path: str, folder: str | None) -> Reads:
    if not _WATCHED and hasattr(os, "register_at_fork"):
        os.register_at_fork(before=_share)
    reads = _WATCHED[path] = Reads(watched=True)
    if folder is not None:
        reads.serve(folder)
    return reads


def _run_folder(path: str) -> str | None:
    _, _, folder = os.environ.get("MODELDIR_RUN", "").partition(":")
    return folder if folder and files.same_file(os.path.dirname(path), folder) else None


def _share() -> None:
    for reads in _WATCHED.values():
        reads.names.share(reads.file)


# -- What happened to the values -------------------------------------------------------------------


def summary(path: Path | None) -> Plain | None:
    """Return what this process did with a params file, as a run file records it, or None.

    `path` is absolute, as the file was opened. Under a supervisor, it is also reported to the run.
    """
    reads = _WATCHED.get(str(path))
    if reads is None:
        return None
    result = _summary(reads)
    reads.is_over = reads.folder is None
    _report_values(reads, result)
    return result


def begin(path: Path) -> None:
    """Watch a file that a run of this process will open, however many files were opened before.

    What an earlier run of the same process did with it (a notebook's cell, run again) is forgotten.
    """
    if not (known := _WATCHED.get(str(path))) or known.is_over:
        known = _watch(str(path), _run_folder(str(path)))
    known.is_runs = True


def _summary(reads: Reads, *, ended: bool = True) -> Plain | None:
    """Return what happened to the values; None if nothing is known.

    Names that were never read are listed only at the end, and only if anything was read at all. If
    nothing was, the file was only inspected, or is read by other means.
    """
    try:
        several = reads.seen()
    except Exception:  # noqa: BLE001 - a value's class may raise anything
        return None
    if not several:
        return None
    result: Plain = {}
    read = reads.names.everywhere()
    if read and ended:
        own = reads.own.union(*((*seen.own, *seen.removed()) for seen in several))
        result["never_read"] = usage_report.never_read(reads.file, read, own)
        near = usage_report.suggestions(result["never_read"], reads.file, read | own)
        result.update({"did_you_mean": near} if near else {})
    changed = {name: was for seen in several for name, was in seen.record["changed"].items()}
    differing = [seen for seen in several if seen.differs]
    return {**result, **(differing or several)[-1].record, "changed": changed}


def remarks(folder: Path | None = None) -> list[str]:
    """Return the lines about params files for the end of a log, each only once."""
    found = []
    for path, reads in list(_WATCHED.items()):
        if folder is not None and os.path.dirname(path) != str(folder):
            continue
        if _is_ours(reads) and (len(_WATCHED) <= _MANY or reads.folder or reads.is_runs):
            new = [line for line in _remarks(reads) if line not in reads.said]
            reads.said.update(new)
            found += new
    return found


def _remarks(reads: Reads) -> list[str]:
    if (result := _summary(reads)) is None:
        return []
    script = os.path.basename(sys.argv[0]) if getattr(sys, "argv", None) else ""  # a notebook
    all_unread = reads.is_runs or not script.startswith(NOT_TRAINING)
    return usage_report.lines(reads.shown, result, all_unread=all_unread)


def _is_ours(reads: Reads) -> bool:
    """Return whether this process has opened the file itself, and not only its parent."""
    opened = (known() for known in reads.living)
    return os.getpid() in {reads.pid, *(one.pid for one in opened if one is not None)}


# -- Reporting to the run --------------------------------------------------------------------------


def report(reads: Reads) -> None:
    """Add the names to the run's `events.jsonl`, if some are new and the process opened the file.

    The first report includes the values: if the process is killed, at least they are known.
    """
    if _report_names(reads) and reads.reported_values is None:
        _report_values(reads, _summary(reads, ended=False))


def _report_at_exit(reads: Reads) -> None:
    run = os.environ.get("MODELDIR_RUN", "").partition(":")[2]
    if reads.pid == os.getpid() and run == reads.folder:  # a loop's trial has ended already
        _report_names(reads)
        _report_values(reads, _summary(reads))


def _report_names(reads: Reads) -> bool:
    names = sorted(reads.names)
    if reads.folder is None or reads.pid != os.getpid() or reads.reported == len(names):
        return False
    reads.reported = len(names)
    _write_event(reads.folder, "params_read", names=names)
    return True


def _report_values(reads: Reads, result: Plain | None) -> None:
    """Report the values, once. One process of a training run speaks for all."""
    if reads.folder is None or result is None or result == reads.reported_values or _is_helper():
        return
    reads.reported_values = result
    _write_event(reads.folder, "params", **result)


def _is_helper() -> bool:
    """Return whether this is a worker of `multiprocessing`, or a rank other than 0."""
    from modeldir._system.distributed import rank  # noqa: PLC0415 - as above

    process = sys.modules.get("multiprocessing.process")
    return rank() > 0 or (process is not None and process.parent_process() is not None)


def _write_event(folder: str, event: str, **facts: Any) -> None:
    line = {
        "attempt": int(os.environ.get("MODELDIR_ATTEMPT") or 1),
        "token": os.environ.get("MODELDIR_RUN", "").partition(":")[0],
        "event": event,
        **facts,
        "time": timestamps.utc_now(),
    }
    with contextlib.suppress(OSError):  # a full disk must not end a training run
        files.append_line(os.path.join(folder, "events.jsonl"), line)
