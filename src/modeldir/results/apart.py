"""Folders side by side, read by several readers at once where one would have to wait for each.

It knows of which folders there is no more to say than a sheet does, and reads these alone. It
refuses all others: folders with folders or links in them, folders with mistakes. Who walks the tree
comes to those, in its order, and says what is wrong.

Start at `read`.
"""

from __future__ import annotations

import os
from _thread import allocate_lock  # what `threading` has, without what it imports
from collections.abc import Sequence

from modeldir._system.readers import in_parts
from modeldir.experiment import discovery
from modeldir.results import batches
from modeldir.results.discovery import Folder, look
from modeldir.results.folders import Contents, bytes_in
from modeldir.results.sheets import Gathering, Sheet

_OTHERS = frozenset({"search.json", "pyvenv.cfg", discovery.CONFIRM})
"""What makes a folder more than an experiment, or less."""
SLOW = 0.0005
"""Seconds to read a folder; in memory it takes a tenth of that, also on a busy machine."""


def read(top: str, names: Sequence[str], *, watch: bool) -> tuple[list[Sheet], bool]:
    """What the folders of these names hold, and whether one has to wait for each: else it is told
    of the first few alone. `watch`: with the stamps by which they are known again.
    """
    known: dict[tuple[str, ...], Contents] = {}
    found: list[Sheet] = []
    lock = allocate_lock()

    def work(start: int, end: int) -> None:
        alike: dict[tuple[str, ...], list[batches.Read]] = {}
        for name in names[start:end]:
            folder = _leaf(top, name, watch=watch)
            if folder is None:
                continue
            files = folder.names
            contents = known.get(files) or known.setdefault(files, Contents.of(files))
            stamps: list[int] | None = [] if watch else None
            is_plain = contents.is_ordinary and (contents.params or contents.is_development)
            data = bytes_in(folder.path, contents, stamps) if is_plain else None
            if data is not None:
                alike.setdefault(files, []).append(batches.Read(folder, data, stamps or ()))
        gathering = Gathering()
        with lock:  # one parser for all
            for files, several in alike.items():
                batches.gather(known[files], several, gathering)
        found.extend(gathering.sheets())

    done = in_parts(work, len(names), slow=SLOW)
    return [*found], done == len(names)


def _leaf(top: str, name: str, *, watch: bool) -> Folder | None:
    """A folder in which no other is to be looked for."""
    try:
        looked = look(os.path.join(top, name), name, None, watch=watch)
    except OSError:
        return None
    folder = looked[0] if looked else None
    is_leaf = folder and folder.is_leaf and _OTHERS.isdisjoint(folder.names)
    return folder if is_leaf else None
