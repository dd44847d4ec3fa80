"""Find the checkpoint that a training run saved last, wherever in its folder it lies.

`search/resuming.py` asks when an interrupted trial runs again: Lightning saves in `checkpoints/`,
Hugging Face in folders `checkpoint-20/`. The rule: a checkpoint that was not written to its end
does not count. To save and load weights: `checkpoints.py`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from modeldir._system import files, reading
from modeldir.experiment import attempts, discovery

_DEEP = 5
"""Levels of folders below an experiment's that are looked at."""
_MOST = 5000
"""Entries that are looked at; a run that keeps its data in its folder may have millions."""
_FOLDER = r"(?:checkpoint|ckpt|step|epoch|global_step)[-_]?(\d+)"
_SURE = ("checkpoint", "ckpt")
"""Folders of other names are checkpoints only with weights in them: `epoch_3` may hold pictures."""
_ELSEWHERE = discovery.SKIPPED | {"data"}
_STATE = "trainer_state.json"
_ARGUMENTS = "training_args.bin"
"""Hugging Face writes the second file early into each checkpoint, and the first one last."""
_LAST = r"(?:^|[^a-z])(?:last|latest)(?:[^a-z]|$)"
_ZIP, _ZIP_END, _ZIP_TAIL = b"PK", b"PK\x05\x06", 65557


def newest_checkpoint(folder: Path) -> Path | None:
    """Return the file or folder to resume from: one named `last` or `latest`, else the newest."""
    return newest_of(_checkpoints(folder))


def newest_of(paths: Iterable[Path]) -> Path | None:
    """Return the newest of some files and folders, of which those that are half-written are none.

    With one named `last`, older names do not count: `last.pt` and `best.pt` may be equally new.
    """
    found = [(path, key) for path in paths if (key := _key(path)) is not None]
    stated = [each for each in found if (each[0] / _STATE).is_file()]
    numbered = [each for each in found if each[0].is_dir()]
    if stated:  # others of these folders were not written to their end
        found = [each for each in found if each not in numbered or each in stated]
    last = [each for each in found if re.search(_LAST, each[0].name.lower())]
    return max(last or found, key=lambda each: each[1], default=(None, None))[0]


def _checkpoints(folder: Path) -> Iterator[Path]:
    left = [_MOST]
    yield from _below(str(folder), _DEEP, left)


def _below(folder: str, levels: int, left: list[int]) -> Iterator[Path]:
    try:
        with os.scandir(folder) as entries:
            listed = sorted(entries, key=lambda entry: entry.name)
    except OSError:
        return
    for entry in listed:
        left[0] -= 1
        if left[0] < 0:
            return
        name = entry.name
        if name.startswith((".", "tmp")) or files.is_temporary(name) or name in _ELSEWHERE:
            continue
        if not entry.is_dir():
            if name.endswith(attempts.WEIGHTS):
                yield Path(entry.path)
        elif re.fullmatch(_FOLDER, name):
            yield Path(entry.path)
        elif levels and not entry.is_symlink():
            yield from _below(entry.path, levels - 1, left)


def _key(path: Path) -> tuple[int, int] | None:
    """Return by what the newest one is found, or None for one that is not complete."""
    try:
        if path.is_dir():
            times = {entry.name: entry.stat().st_mtime_ns for entry in os.scandir(path)}
            match = re.fullmatch(_FOLDER, path.name)
            number = int(match[1]) if match else 0
            return (max(times.values()), number) if _is_whole(path.name, times) else None
        info = path.stat()
    except OSError:
        return None
    return (info.st_mtime_ns, 0) if info.st_size and not _is_torn(path, info.st_size) else None


def _is_whole(folder: str, names: Collection[str]) -> bool:
    if _ARGUMENTS in names and _STATE not in names:
        return False
    return bool(names) if folder.startswith(_SURE) else any(map(_is_weights, names))


def _is_weights(name: str) -> bool:
    return name.endswith((*attempts.WEIGHTS, ".bin"))


def _is_torn(path: Path, size: int) -> bool:
    """Whether a file begins as an archive (PyTorch, NumPy, Keras) and lacks the end of one."""
    try:
        with reading.open_stream(path) as file:
            if file.read(len(_ZIP)) != _ZIP:
                return False
            file.seek(max(0, size - _ZIP_TAIL))
            return _ZIP_END not in file.read(_ZIP_TAIL)
    except OSError:
        return True
