"""Which names a process has read of its params files, and what it made of them, told to the run.

A search must never vary a hyperparameter that nobody reads, and a typo in a params file must not
pass for a setting: this is how they learn of it. It knows the variables `MODELDIR_RUN` and
`MODELDIR_ATTEMPT`, and that processes fork. It refuses to know what a hyperparameter is.

A `Params` made from a file has an `Opened`. At the end of the process, and when asked, the names
(`report`) and what became of the values (`account`) go as lines into the run's `events.jsonl`;
`remarks` puts it in words for the log. Where there is no run nothing is written.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import weakref
from typing import TYPE_CHECKING, Any, NamedTuple

from modeldir._system import files, timestamps

# Not where it is needed: the garbage collector may end a `Params` in the middle of that import.
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
"""How the name of a script begins that reads the few names it needs, and is not to be told so."""

SEARCHED_VARIABLE = "MODELDIR_SEARCHED"
"""Names, as a JSON list, of which the first trial of a search has to tell at once."""

_MANY = 32
"""Who opens more params files than this looks at experiments: no word on what it did not read."""


class _Names(set[str]):
    """The dotted names that were read of a file.

    In a child of the process that opened the file (a DataLoader's worker) a new name is told at
    once: such children leave without an end at which they could tell. Their parent sees it by a
    page of memory that they share.
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
                self._tell([name])
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
            self._tell(sorted(new))

    def _tell(self, names: list[str]) -> None:
        if self._page is not None:
            for name in names:
                if name in self._places:
                    self._page[self._places[name]] = 1
        if self.folder is not None:
            _tell(self.folder, "params_read", names=names)

    def ask(self) -> None:
        """Tell from now on, as soon as they are read, of the names that a search asks for; at once
        of those that were read, and be it none: then it is known that somebody reads.
        """
        import json  # noqa: PLC0415 - only who is asked

        if asked := os.environ.get(SEARCHED_VARIABLE):
            self._asked = frozenset(json.loads(asked))
            self._answer(sorted(self._asked & self))

    def _answer(self, names: list[str]) -> None:
        if self.folder is not None:
            _tell(self.folder, "reading", names=names)

    def share(self, names: Collection[str]) -> None:
        """Before a fork: a page in which children note what they read of these names."""
        if self._page is None and names and self._pid == os.getpid():
            from mmap import mmap  # noqa: PLC0415 - most scripts never fork

            self._places = {name: place for place, name in enumerate(names)}
            self._page = mmap(-1, len(names))

    def everywhere(self) -> frozenset[str]:
        """With what children have read."""
        page = self._page
        theirs = () if page is None else (name for name, at in self._places.items() if page[at])
        return frozenset((*self, *theirs))

    def __reduce__(self) -> tuple[type[set[str]], tuple[list[str]]]:
        return set, (list(self),)  # elsewhere it is a set of names and no more


class Reads:
    """What was read of a file, by all who opened it, and the folder of the run that wants to know.

    `watched` is false where nobody will ask what became of the values.
    """

    def __init__(self, *, watched: bool = False) -> None:
        self.folder: str | None = None
        self.watched = watched
        self.pid = os.getpid()
        self.reported = -1  # how many names the last report had
        self.told: Plain | None = None  # the account that was told last
        self.said: set[str] = set()  # remarks
        self.is_runs = False  # the file of a run of this process, without a supervisor
        self.is_over = False  # and that run has ended
        self.names: set[str] = _Names()
        self.shown = ""  # the file, as the user named it
        self.file: list[str] = []  # the dotted names in it
        self.living: list[weakref.ref[Opened]] = []
        self.left: list[_Seen] = []  # of those that live no more
        self.own: set[str] = set()  # names that these have assigned

    def __reduce__(self) -> tuple[type[Reads], tuple[()]]:
        return Reads, ()  # what is read elsewhere is read where nobody sees

    def serve(self, folder: str) -> None:
        """Tell the run in a folder, from now on and at the end of the process."""
        self.folder = folder
        if isinstance(self.names, _Names):
            self.names.folder = folder
            self.names.ask()
        atexit.register(_tell_at_the_end, self)

    def everywhere(self) -> frozenset[str]:
        """The names read here and in forked children."""
        return self.names.everywhere() if isinstance(self.names, _Names) else frozenset(self.names)

    def seen(self) -> list[_Seen]:
        """What became of the values in each `Params` of the file, oldest first."""
        alive = [opened for known in self.living if (opened := known()) is not None]
        return [*self.left, *(opened.seen() for opened in alive)]

    def leave(self, opened: Opened) -> None:
        """Keep what became of the values in a `Params` that ends, as far as it may matter.

        The garbage collector may call this in the middle of anything, also of itself: lists are
        only changed in place, in one step.
        """
        self.own.update(opened.assigned)
        if opened.is_touched() or not self.left:
            self.left.append(opened.seen())
            del self.left[:-_MANY]


class _Seen(NamedTuple):
    """What became of the values in one `Params` of a file."""

    own: frozenset[str]  # names that the script has added or assigned
    record: Plain  # what was changed, the values; see `accounts`
    differs: bool

    def removed(self) -> list[str]:
        return [name for name, was in self.record["changed"].items() if "removed" in was]


class Opened:
    """One `Params` of a file: what the file said, and what the script makes of it while it lives.

    Args:
        reads: where its reads are noted.
        shown: the file, as the user named it.
        data: the values, live.
        file: what the file itself has; `data` may have a schema's defaults too.
        added: the names that the script has added, live.
        assigned: the file's names that it has assigned, live: to read one afterwards reads no file.
        given: values that came in the place of the file's (from a command line, another file),
            live.
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
        """Whether anything may be another than in the file."""
        try:  # 1 and true are equal, but not written alike
            same = self.data == self.start and repr(self.data) == repr(self.start)
        except Exception:  # noqa: BLE001 - an array in place of a number has no truth
            return True
        return not same

    def seen(self) -> _Seen:
        written = frozenset(self.reads.file)
        record = usage_report.record(self.start, self.data, written, self.given)
        own = frozenset((*self.added, *self.assigned))
        return _Seen(own, record, bool(record["changed"] or self.added))

    def __del__(self) -> None:
        with contextlib.suppress(Exception):  # nobody could catch it
            if self.reads.watched and self.pid == os.getpid():
                self.reads.leave(self)


_WATCHED: dict[str, Reads] = {}
"""By file. What a process has read is a fact of the process: it may open the file several times."""


def reads_of(path: str) -> Reads:
    """Where to note what is read of a file: one place for all who open it."""
    reads, folder = _WATCHED.get(path), _run_folder(path)
    if reads is not None:
        if folder is not None and reads.folder is None:  # a loop opens a trial before it runs it
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
        if isinstance(reads.names, _Names):
            reads.names.share(reads.file)


# -- What became of the values ---------------------------------------------------------------------


def account(path: Path | None) -> Plain | None:
    """What this process made of a params file, as a run file records it; see docs/files.md.

    `path` is absolute, as the file was opened. None if this process has not opened it. Under a
    supervisor it is told to the run, too.
    """
    reads = _WATCHED.get(str(path))
    if reads is None:
        return None
    told = _account(reads)
    reads.is_over = reads.folder is None
    _tell_account(reads, told)
    return told


def begin(path: Path) -> None:
    """Watch a file, which a run of this process is about to open, whatever else it has opened.

    What an earlier run of the same process made of it (a notebook's cell, run again) is forgotten.
    """
    if not (known := _WATCHED.get(str(path))) or known.is_over:
        known = _watch(str(path), _run_folder(str(path)))
    known.is_runs = True


def _account(reads: Reads, *, ended: bool = True) -> Plain | None:
    """Only at the end can it be said what was never read; nor if nothing was read at all: then the
    file was opened to look, or is read by other means.
    """
    try:
        several = reads.seen()
    except Exception:  # noqa: BLE001 - a value's own code may raise what it likes
        return None
    if not several:
        return None
    told: Plain = {}
    read = reads.everywhere()
    if read and ended:
        own = reads.own.union(*((*seen.own, *seen.removed()) for seen in several))
        told["never_read"] = usage_report.never_read(reads.file, read, own)
        near = usage_report.meant(told["never_read"], reads.file, read | own)
        told.update({"did_you_mean": near} if near else {})
    changed = {name: was for seen in several for name, was in seen.record["changed"].items()}
    differing = [seen for seen in several if seen.differs]
    return {**told, **(differing or several)[-1].record, "changed": changed}


def remarks(folder: Path | None = None) -> list[str]:
    """What a user should hear at the end of a log, of the params file in `folder`, or of all that
    this process opened: names that were never read, names that were changed. One short line each,
    and each only once.

    Of a script that is no training (`evaluate.py`) only the names that it asked for otherwise.
    """
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
    told = _account(reads)
    if told is None:
        return []
    return usage_report.lines(reads.shown, told, all_unread=reads.is_runs or _is_training())


def _is_training() -> bool:
    """By the name of the script; a notebook or an interactive session is one."""
    script = os.path.basename(sys.argv[0]) if getattr(sys, "argv", None) else ""
    return not script.startswith(NOT_TRAINING)


def _is_ours(reads: Reads) -> bool:
    """Whether this process has opened the file itself, and not only its parent."""
    opened = (known() for known in reads.living)
    return os.getpid() in {reads.pid, *(one.pid for one in opened if one is not None)}


# -- Telling the run -------------------------------------------------------------------------------


def report(reads: Reads) -> None:
    """Add the names to the run's `events.jsonl`, if there are new ones and the process is ours.

    The first time also the values: who is killed has told at least them.
    """
    if _report_names(reads) and reads.told is None:
        _tell_account(reads, _account(reads, ended=False))


def _tell_at_the_end(reads: Reads) -> None:
    run = os.environ.get("MODELDIR_RUN", "").partition(":")[2]
    if reads.pid == os.getpid() and run == reads.folder:  # a loop's trial has ended before
        _report_names(reads)
        _tell_account(reads, _account(reads))


def _report_names(reads: Reads) -> bool:
    names = sorted(reads.names)
    if reads.folder is None or reads.pid != os.getpid() or reads.reported == len(names):
        return False
    reads.reported = len(names)
    _tell(reads.folder, "params_read", names=names)
    return True


def _tell_account(reads: Reads, told: Plain | None) -> None:
    """One process of a training speaks for all; the names that others have read are told apart."""
    if reads.folder is None or told is None or told == reads.told or _is_helper():
        return
    reads.told = told
    _tell(reads.folder, "params", **told)


def _is_helper() -> bool:
    """Whether this is a worker of `multiprocessing`, or a rank other than 0."""
    from modeldir._system.distributed import rank  # noqa: PLC0415 - as above

    process = sys.modules.get("multiprocessing.process")
    return rank() > 0 or (process is not None and process.parent_process() is not None)


def _tell(folder: str, event: str, **facts: Any) -> None:
    line = {
        "attempt": int(os.environ.get("MODELDIR_ATTEMPT") or 1),
        "token": os.environ.get("MODELDIR_RUN", "").partition(":")[0],
        "event": event,
        **facts,
        "time": timestamps.utc_now(),
    }
    with contextlib.suppress(OSError):  # a full disk must not end a training
        files.append_line(os.path.join(folder, "events.jsonl"), line)
