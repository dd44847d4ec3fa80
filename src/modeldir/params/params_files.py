"""Params files: from bytes to plain values, and back.

Start at `read` and `write`. The notations are JSON (`strict_json`), JSON with comments, YAML 1.2
and TOML. All hold only what JSON can, so that each file can be saved in each notation; dates become
strings. The rule: `write` never replaces a file by something that loses a comment.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any, NamedTuple

from modeldir._system import files, reading
from modeldir.errors import ParamsError, did_you_mean
from modeldir.params import strict_json
from modeldir.params.json_errors import (
    TOO_DEEP,
    Mistake,
    all_broken,
    broken,
    broken_at,
    not_an_object,
)
from modeldir.params.json_values import JsonValues, to_json_values
from modeldir.params.nested import Plain


class Loaded(NamedTuple):
    """A file's values, and how the file writes them."""

    values: Plain
    forms: Mapping[str, str] = {}  # {"0.001": "1e-3"}: numbers that Python writes differently
    text: str = ""  # all of it


def read(path: str | os.PathLike[str]) -> Loaded:
    """Read a params file. Any ending except .jsonc, .yaml, .yml and .toml means JSON."""
    shown = os.fsdecode(path)
    whole = _decoded(_bytes(shown), shown)
    text = whole.replace("\r\n", "\n")
    if notation(shown) != "json":
        return Loaded(_from_other(text, shown), text=whole)
    comments = _ending(shown) == ".jsonc"
    return Loaded(*strict_json.loads(text, shown, comments=comments), whole)


def load_file(path: str | os.PathLike[str]) -> Plain:
    """Return the values of a .json, .jsonc, .yaml, .yml or .toml file as a plain dict."""
    return read(path).values


def notation(shown: str) -> str:
    """Return the notation of a file by its name: json (with or without comments), yaml or toml."""
    return {".yaml": "yaml", ".yml": "yaml", ".toml": "toml"}.get(_ending(shown), "json")


def _ending(shown: str) -> str:
    return os.path.splitext(shown)[1].lower()


def _bytes(shown: str) -> bytes:
    try:
        return reading.read(shown, _kind(shown))
    except FileNotFoundError:
        raise broken(shown, "no such file", _what_is_there(shown)) from None
    except IsADirectoryError:
        inside = os.path.join(shown, "params.json")
        hint = f"did you mean {inside!r}?" if os.path.isfile(inside) else None
        raise broken(shown, "expected a file, found a folder", hint) from None
    except OSError as error:
        raise broken(shown, f"cannot be read: {error.strerror}") from None


def _kind(shown: str) -> reading.Kind:
    return _KINDS[notation(shown)]


_KINDS = {"json": reading.PARAMS, "yaml": reading.YAML, "toml": reading.TOML}


def _what_is_there(shown: str) -> str | None:
    folder, name = os.path.split(shown)
    try:
        names = os.listdir(folder or ".")
    except OSError:
        return f"there is no folder {folder!r}"
    return did_you_mean(name, [other for other in names if not files.is_temporary(other)])


def _decoded(data: bytes, shown: str) -> str:
    save_again = "save it again with the encoding UTF-8"
    if data[:2] in {b"\xff\xfe", b"\xfe\xff"} or b"\0" in data[:4]:
        raise broken(shown, "expected UTF-8, found UTF-16 or UTF-32", save_again, 1, 1)
    data = data.removeprefix(b"\xef\xbb\xbf")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        before = data[: error.start].decode().replace("\r\n", "\n")
        problem = f"expected UTF-8, found the byte 0x{data[error.start]:02x}"
        raise broken_at(before, len(before), shown, problem, save_again) from None


def _language(shown: str) -> ModuleType:
    if notation(shown) == "toml":
        from modeldir.params import toml_format  # noqa: PLC0415 - few files are TOML

        return toml_format
    from modeldir.params import yaml_format  # noqa: PLC0415 - few files are YAML

    return yaml_format


def _from_other(text: str, shown: str) -> Plain:
    language = _language(shown)
    values = language.parse(text, shown)
    if not isinstance(values, dict):
        raise not_an_object(values, shown)
    try:
        kept = to_json_values(_dates_as_text(values))
    except RecursionError:  # YAML can make a list that contains itself
        raise broken(shown, TOO_DEEP) from None
    if kept.problems:
        places = language.places(text)
        found = [
            Mistake(places.get(key, ()), key, f"{key}: {problem}", hint)
            for key, problem, hint in kept.problems
        ]
        raise all_broken(shown, found)
    return kept.values


def _dates_as_text(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _dates_as_text(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_dates_as_text(part) for part in value]
    return value.isoformat() if hasattr(value, "isoformat") else value


def write(
    path: str | os.PathLike[str], kept: JsonValues, forms: Mapping[str, str], text: str = ""
) -> None:
    """Replace a params file as a whole, in the notation of its ending. Its folder is created.

    `text` is what the values came from. If they are unchanged, it is written as it is.
    """
    shown = os.fsdecode(path)
    problems = [*kept.problems, *(_nulls(kept.values) if _ending(shown) == ".toml" else ())]
    if problems:
        listing = [(f"{key}: {problem}", hint) for key, problem, hint in problems]
        raise ParamsError(
            f"{shown} cannot be saved:",
            listing,
            "Nothing was written.",
            path=shown,
            key=problems[0][0],
        )
    data = _text(shown, kept.values, forms, text).encode()
    try:
        os.makedirs(os.path.dirname(shown) or ".", exist_ok=True)
        files.write_bytes(shown, data, durable=True)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = getattr(error, "strerror", None) or error
        raise broken(shown, f"cannot be written: {reason}") from error


def _text(shown: str, values: Plain, forms: Mapping[str, str], text: str) -> str:
    if text and _holds(text, values, shown):
        return text
    if notation(shown) == "json":
        if _ending(shown) == ".jsonc" and strict_json.has_comments(_current(shown)):
            raise _comments_lost(shown)
        return strict_json.dumps(values, forms) + "\n"
    current = _current(shown)
    has_comments = "#" in current
    edited = _edited(current if has_comments else text.replace("\r\n", "\n"), values, shown)
    if edited is not None:
        return edited
    if has_comments:
        raise _comments_lost(shown)
    return str(_language(shown).dumped(values))


def _current(shown: str) -> str:
    data = reading.read_bytes(shown, _kind(shown)) or b""
    return data.decode(errors="replace").replace("\r\n", "\n")


def _comments_lost(shown: str) -> ParamsError:
    problem = "cannot be saved: the comments in it would be lost; nothing was written"
    return broken(shown, problem, "save it under another name, or change it in an editor")


def _holds(text: str, values: Plain, shown: str) -> bool:
    if notation(shown) == "json":
        return strict_json.holds(text, values, comments=_ending(shown) == ".jsonc")
    return strict_json.is_written_alike(_from_other(text.replace("\r\n", "\n"), shown), values)


def _edited(text: str, values: Plain, shown: str) -> str | None:
    """Return a YAML or TOML text with other values, and its comments; None if that fails.

    It fails if a value has an alias, or if a comment line would be lost: ruamel attaches such a
    comment to the key above it.
    """
    try:
        old = _from_other(text, shown)  # first: this bounds what the text stands for
        document = _language(shown).Document(text)
        _update(document.values, old, values)
        result = document.text()
        is_right = _sorted(_from_other(result, shown)) == _sorted(values)
    except Exception:  # noqa: BLE001 - whatever the libraries raise, the values can be written anew
        return None
    return result if is_right and not _comment_lines(text) - _comment_lines(result) else None


def _update(document: Any, old: Any, new: Any) -> None:
    for key in [key for key in old if key not in new] if isinstance(old, dict) else ():
        del document[key]
    for key, value in new.items() if isinstance(new, dict) else enumerate(new):
        is_new = isinstance(old, dict) and key not in old
        if is_new or not _have_same_shape(old[key], value):
            if is_new or not strict_json.is_written_alike(old[key], value):
                document[key] = value
        else:
            _update(document[key], old[key], value)


def _have_same_shape(left: Any, right: Any) -> bool:
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right)
    return isinstance(left, dict) and isinstance(right, dict)


def _sorted(values: Plain) -> str:
    return json.dumps(values, sort_keys=True)


def _comment_lines(text: str) -> Counter[str]:
    lines = map(str.strip, text.splitlines())
    return Counter(line for line in lines if line.startswith("#"))


def _nulls(value: Any, key: str = "") -> Iterator[tuple[str, str, str | None]]:
    if value is None:
        yield key, "TOML has no null", "save it as .json or .yaml"
    elif isinstance(value, dict):
        for name, part in value.items():
            yield from _nulls(part, f"{key}.{name}" if key else name)
    elif isinstance(value, list):
        for place, part in enumerate(value):
            yield from _nulls(part, f"{key}[{place}]")
