"""Save weights with `save_checkpoint`, and find and load them with `load_checkpoint`.

`.npz` holds a state of NumPy arrays, numbers and strings, `.pth.tar` (CS230's name) one with
PyTorch's tensors. The rule: loading a file never runs code from it, so nothing is unpickled that
could be code. Whether a training run resumes is decided in `run`.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from modeldir._system import files
from modeldir._system.shell import quoted
from modeldir.errors import CheckpointError

if TYPE_CHECKING:
    import numpy as np

NPZ = ".npz"
TORCH = ".pth.tar"
SUFFIXES = (NPZ, TORCH, ".pth", ".pt")
"""The endings that `load_checkpoint` looks for; it takes the newest file of a name."""

_UNQUOTED = " :[](){}+,=@#!"
"""Characters that a key keeps in the archive; `/` has a meaning there."""

_NOTHING = object()
"""Stands for the content of an empty mapping, which is kept as an array named `velocity/`."""


def save_checkpoint(
    state: Mapping[str, Any],
    model_dir: str | os.PathLike[str],
    is_best: bool = False,  # noqa: FBT001, FBT002 - as in CS230's helper, whose calls should still work
) -> Path:
    """Save a state as the last weights of an experiment and, if `is_best`, as its best.

    Both files are replaced in one step: a reader finds the old weights or the new ones. A state of
    NumPy arrays, numbers and strings becomes `last.npz`; None, lists of numbers and strings, and
    integers of any size are kept as well (a tuple becomes a list). Any other state becomes
    `last.pth.tar`, if PyTorch was imported.

    Returns:
        The path of the last weights.

    Raises:
        CheckpointError: when a part of the state cannot be stored, or the folder cannot be
            written; the earlier weights are then unchanged.
    """
    folder = Path(model_dir)
    arrays, problem = _as_arrays(state)
    if problem is None:
        last = folder / f"last{NPZ}"
        with _saving(last), files.replacing(last) as temporary:
            _write_npz(temporary, arrays)
    elif "torch" in sys.modules:
        last = folder / f"last{TORCH}"
        with _saving(last), files.replacing(last) as temporary, open(temporary, "wb") as file:
            sys.modules["torch"].save(_as_dicts(state), file)
    else:
        raise CheckpointError(
            f"{problem}\n"
            "  a state holds arrays, numbers, strings and mappings of them (or PyTorch's tensors)",
            state="Nothing was saved.",
        )
    if is_best:
        best = folder / last.name.replace("last", "best", 1)
        with _saving(best):
            files.same_content(last, best)
    return last


def load_checkpoint(
    model_dir: str | os.PathLike[str], name: str | os.PathLike[str] = "best"
) -> dict[str, Any]:
    """Return the state that `save_checkpoint` saved, nested as before.

    Args:
        model_dir: an experiment's folder, or the file itself.
        name: `best`, `last`, or a file's name or path, with or without its ending.

    Returns:
        The state. PyTorch's tensors are on the CPU; an array without dimensions becomes a number.

    Raises:
        CheckpointError: when there are no such weights (the message lists what there is), or they
            cannot be read.
    """
    path = _find(Path(model_dir), os.fspath(name))
    state = _read_npz(path) if path.suffix == NPZ else _read_torch(path)
    if not isinstance(state, dict):
        raise CheckpointError(f"{path} is not a saved state, but a {type(state).__name__}")
    return state


# -- Finding ---------------------------------------------------------------------------------------


def _find(place: Path, name: str) -> Path:
    if place.is_file():
        return place
    for base in (place / name, Path(name)):
        found = [path for path in _with_endings(base) if path.is_file()]
        if found:
            return max(found, key=lambda path: path.stat().st_mtime_ns)
    raise CheckpointError(_nothing_found(place, name))


def _with_endings(base: Path) -> list[Path]:
    if base.name.endswith(SUFFIXES):
        return [base]
    return [base.with_name(base.name + suffix) for suffix in SUFFIXES]


def _nothing_found(place: Path, name: str) -> str:
    if not place.is_dir():
        return f"{place}: no such folder, and no such file"
    names = sorted(
        entry.name
        for entry in place.iterdir()
        if entry.name.endswith(SUFFIXES) and not files.is_temporary(entry.name)
    )
    if not names:
        earlier = sorted(place.glob("attempts/*/*"), key=lambda path: path.stat().st_mtime_ns)
        kept = [path for path in earlier if path.name.endswith(SUFFIXES)]
        if kept:
            return (
                f"{place} holds no weights; those of an earlier attempt are in {kept[-1].parent}\n"
                f"  to load them: --restore_file {quoted(kept[-1])}"
            )
        return (
            f"{place} holds no weights yet\n"
            f"  to make them: python train.py --model_dir {quoted(place)}"
        )
    shown = sorted({_without_ending(found) for found in names})
    return (
        f"{place} holds no weights named {name!r}, but {', '.join(names)}\n"
        f"  to load them: --restore_file {shown[-1]}"
    )


def _without_ending(name: str) -> str:
    ending = max((suffix for suffix in SUFFIXES if name.endswith(suffix)), key=len)
    return name[: -len(ending)]


# -- NumPy's format --------------------------------------------------------------------------------


def _as_arrays(state: Mapping[str, Any]) -> tuple[dict[str, np.ndarray[Any, Any]], str | None]:
    """Return the state's leaves as arrays by joined names, or which part cannot be stored."""
    arrays = {}
    for keys, leaf in _leaves(state, ()):
        where = "".join(f"[{key!r}]" for key in keys)
        if not all(isinstance(key, str) and key for key in keys):
            return {}, f"state{where} cannot be saved: keys must be strings, and not empty"
        array = _array_of(None if leaf is _NOTHING else leaf)
        if array is None:
            return {}, f"state{where} cannot be saved: it is of type {type(leaf).__name__}"
        name = "/".join(quote(key, safe=_UNQUOTED) for key in keys)
        arrays[name + "/" if leaf is _NOTHING else name] = array
    return arrays, None


def _leaves(value: Any, keys: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], Any]]:
    if not isinstance(value, Mapping):
        yield keys, value
        return
    if not value and keys:
        yield keys, _NOTHING
    for key, part in value.items():
        yield from _leaves(part, (*keys, key))


def _array_of(leaf: Any) -> np.ndarray[Any, Any] | None:
    """Return a leaf as an array that needs no pickle; None if that is impossible."""
    import numpy as np  # noqa: PLC0415 - heavy

    if isinstance(leaf, bytes):
        return None
    if isinstance(leaf, np.ndarray | np.generic | bool | float | complex) or _is_plain(leaf):
        array = np.asarray(leaf)
        return array if _is_portable(array) else None
    try:
        # NumPy has no type for None, a list or the long integers of a random generator's state.
        # They are kept as JSON in bytes, which no other leaf uses.
        return np.asarray(json.dumps(leaf).encode())
    except (TypeError, ValueError, RecursionError):
        return None


def _is_portable(array: np.ndarray[Any, Any]) -> bool:
    """Return whether the file also holds the array's type, and the type is no Python object.

    Kind V without fields is what NumPy makes of types it does not know (bfloat16): the meaning
    would be lost.
    """
    kind = array.dtype.kind
    known = array.dtype.names is not None or kind in "biufcUMm" or (kind == "S" and array.ndim > 0)
    return known and not array.dtype.hasobject


def _is_plain(leaf: Any) -> bool:
    """Return whether NumPy keeps this integer or string; it drops zeros at a string's end."""
    if isinstance(leaf, int):
        return -(2**63) <= leaf < 2**63
    return isinstance(leaf, str) and "\0" not in leaf


def _write_npz(path: str, arrays: Mapping[str, np.ndarray[Any, Any]]) -> None:
    from zipfile import ZipFile  # noqa: PLC0415 - only with weights

    import numpy as np  # noqa: PLC0415 - heavy

    with ZipFile(path, "w", allowZip64=True) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def _read_npz(path: Path) -> dict[str, Any]:
    from zipfile import BadZipFile, ZipFile  # noqa: PLC0415 - only with weights

    import numpy as np  # noqa: PLC0415 - heavy

    state: dict[str, Any] = {}
    try:
        with ZipFile(path) as archive:
            for name in archive.namelist():
                with archive.open(name) as member:
                    array = np.lib.format.read_array(member, allow_pickle=False)
                _put(state, name.removesuffix(".npy").split("/"), array)
    except (OSError, EOFError, ValueError, AttributeError, BadZipFile) as error:
        raise _unreadable(path, error) from error
    return state


def _put(state: dict[str, Any], names: list[str], array: np.ndarray[Any, Any]) -> None:
    for name in names[:-1]:
        state = state.setdefault(unquote(name), {})
    if names[-1]:
        state[unquote(names[-1])] = _leaf_of(array)


def _leaf_of(array: np.ndarray[Any, Any]) -> Any:
    if array.ndim:
        return array
    return json.loads(array.item()) if array.dtype.kind == "S" else array.item()


# -- PyTorch's format ------------------------------------------------------------------------------


def _as_dicts(value: Any) -> Any:
    """Return the state with other mappings (e.g. `Params`) as dicts, so the file names no class."""
    if not isinstance(value, Mapping):
        return value
    parts = {key: _as_dicts(part) for key, part in value.items()}
    same = all(parts[key] is part for key, part in value.items())
    # A state_dict() stays as it is, because it has version numbers beside its items.
    return value if isinstance(value, dict) and same else parts


def _read_torch(path: Path) -> Any:
    from pickle import UnpicklingError  # noqa: PLC0415 - PyTorch raises it

    try:
        import torch  # noqa: PLC0415 - heavy
    except ImportError as error:
        raise CheckpointError(f"{path} needs PyTorch: pip install torch") from error
    try:
        with torch.serialization.safe_globals(_numpy_types()):
            return torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        raise CheckpointError(
            f"{path} holds more than weights, and loading it could run code.\n"
            "  if you trust it: torch.load(path, weights_only=False), then save the state_dict()\n"
            "  of the model and of the optimizer"
        ) from error
    except (OSError, EOFError, RuntimeError, ValueError, KeyError) as error:
        raise _unreadable(path, error) from error


def _numpy_types() -> list[Any]:
    """Return what rebuilds NumPy's arrays and numbers, which often lie beside the tensors."""
    numpy = sys.modules.get("numpy")
    if numpy is None:
        return []
    core = getattr(numpy, "_core", None) or numpy.core
    types = [getattr(numpy.dtypes, name) for name in numpy.dtypes.__all__]
    return [
        core.multiarray._reconstruct,  # noqa: SLF001 - a pickled array names it
        core.multiarray.scalar,
        numpy.ndarray,
        numpy.dtype,
        *types,
    ]


# -- Files -----------------------------------------------------------------------------------------


def _unreadable(path: Path, error: BaseException) -> CheckpointError:
    reason = str(error).partition("\n")[0] or type(error).__name__
    return CheckpointError(f"{path} cannot be read as weights: {reason}")


@contextlib.contextmanager
def _saving(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, RuntimeError) as error:  # PyTorch raises RuntimeError when the disk is full
        raise CheckpointError(
            f"{path} cannot be written: {error}\nThe earlier weights are untouched."
        ) from error
