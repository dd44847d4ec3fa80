"""Params files: from bytes to plain values, and back.

It knows the notations (JSON, JSON with comments, YAML 1.2, TOML) and what a file can hold. It
refuses to know what a hyperparameter means, or who reads it. YAML and TOML are held to what JSON
has, so that any params file can be saved as any other; only dates, which JSON lacks, become their
text.

Start at `read` and `write`; `held` says what can be saved.
"""

from __future__ import annotations

import os
import re
import sys
import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

from modeldir._system import files
from modeldir.errors import ParamsError, did_you_mean
from modeldir.params import strict_json
from modeldir.params.json_errors import TOO_DEEP, broken, broken_at, not_an_object
from modeldir.params.json_values import JsonValues, to_json_values
from modeldir.params.nested import Plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


class Loaded(NamedTuple):
    """A file's values, and how it wrote them."""

    values: Plain
    forms: Mapping[str, str] = {}  # {"0.001": "1e-3"}: the numbers that Python writes otherwise
    text: str = ""  # all of it


def read(path: str | os.PathLike[str]) -> Loaded:
    """The content of a params file. An ending other than .jsonc, .yaml, .yml and .toml is JSON.

    Raises:
        ParamsError: with path, line and column (as far as they are known) and what was expected.
    """
    shown = os.fsdecode(path)
    whole = _decoded(_bytes(shown), shown)
    text = whole.replace("\r\n", "\n")
    if notation(shown) != "json":
        return Loaded(_from_other(text, shown), text=whole)
    comments = _ending(shown) == ".jsonc"
    return Loaded(*strict_json.loads(text, shown, comments=comments), whole)


def load_file(path: str | os.PathLike[str]) -> Plain:
    """The values of a .json, .jsonc, .yaml, .yml or .toml file as a plain dict.

    Raises:
        ParamsError: with path, line and column (as far as they are known) and what was expected.
    """
    return read(path).values


def notation(shown: str) -> str:
    """How a file is written by its name: json (with comments or without), yaml or toml."""
    return {".yaml": "yaml", ".yml": "yaml", ".toml": "toml"}.get(_ending(shown), "json")


def _ending(shown: str) -> str:
    return os.path.splitext(shown)[1].lower()


# -- Bytes to text ---------------------------------------------------------------------------------


def _bytes(shown: str) -> bytes:
    try:
        with open(shown, "rb") as file:
            return file.read()
    except FileNotFoundError:
        raise broken(shown, "no such file", _what_is_there(shown)) from None
    except IsADirectoryError:
        inside = os.path.join(shown, "params.json")
        hint = f"did you mean {inside!r}?" if os.path.isfile(inside) else None
        raise broken(shown, "expected a file, found a folder", hint) from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = getattr(error, "strerror", None) or error
        raise broken(shown, f"cannot be read: {reason}") from None


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


# -- YAML and TOML ---------------------------------------------------------------------------------


def _from_other(text: str, shown: str) -> Plain:
    if notation(shown) == "toml":
        return _as_json_has_it(_from_toml(text, shown), shown, dict)
    return _as_json_has_it(_from_yaml(text, shown), shown, lambda: _yaml_places(text))


def _from_yaml(text: str, shown: str) -> object:
    from ruamel.yaml.error import MarkedYAMLError, YAMLError  # noqa: PLC0415 - slow to import

    if separator := re.search(f"[{_SEPARATORS}]", text):
        problem = f"found U+{ord(separator[0]):04X}, which some readers take for the end of a line"
        hint = f'write "\\u{ord(separator[0]):04x}", in double quotes, or leave it out'
        raise broken_at(text, separator.start(), shown, problem, hint)
    try:
        return _quietly(_yaml().load, text)
    except MarkedYAMLError as error:
        mark = error.problem_mark
        place = (mark.line + 1, mark.column + 1) if mark else ()
        raise broken(shown, *_yaml_problem(error.context, error.problem), *place) from None
    except RecursionError:
        raise broken(shown, TOO_DEEP) from None
    except YAMLError as error:
        raise broken(shown, str(error).splitlines()[0]) from None
    except ValueError as error:  # the date 2024-13-45, a number of 5,000 digits
        raise broken(shown, f"a value that cannot be: {error}") from None
    except TypeError:  # a list of parts in the place of a name
        raise broken(shown, "expected strings as the keys") from None
    except AssertionError:  # how the library has it
        raise broken(shown, "expected a version of YAML that there is", "write %YAML 1.2") from None


_SEPARATORS = "\x85\u2028\u2029"
"""Ends of lines in YAML 1.1, and in the library; in 1.2 characters like others."""


def _yaml() -> Any:
    """YAML 1.2, with what the library lacks: `.5e3` is a number, and no character is lost."""
    from ruamel.yaml import YAML  # noqa: PLC0415 - slow to import, and few files are YAML
    from ruamel.yaml.representer import SafeRepresenter  # noqa: PLC0415 - as above

    class Representer(SafeRepresenter):
        pass

    def quoted(representer: Any, text: str) -> Any:
        style = '"' if re.search(f"[{_SEPARATORS}]", text) else None  # there they are escaped
        return representer.represent_scalar("tag:yaml.org,2002:str", text, style=style)

    Representer.add_representer(str, quoted)
    yaml: Any = YAML(typ="safe", pure=True)
    yaml.Representer = Representer
    yaml.resolver.versioned_resolver  # noqa: B018 - to ask for it fills it
    yaml.resolver.add_version_implicit_resolver(
        (1, 2), "tag:yaml.org,2002:float", re.compile(r"[-+]?\.[0-9]+[eE][0-9]+$"), list("-+.")
    )
    return yaml


def _quietly(reader: Callable[[str], Any], text: str) -> Any:
    """Without a warning of an anchor used again, which YAML allows."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return reader(text)


def _yaml_problem(context: str | None, problem: str | None) -> tuple[str, str | None]:
    """What to say about a YAML error, and the hint."""
    said = ", ".join(part for part in (context, problem) if part)
    if twice := re.match(r'found duplicate key "(.*?)" with value', problem or ""):
        return f"{twice[1]!r} is given twice", "keep one of them"
    return said, "YAML is indented with spaces" if r"'\t'" in said else None


def _from_toml(text: str, shown: str) -> object:
    if sys.version_info >= (3, 11):
        import tomllib  # noqa: PLC0415 - few files are TOML

        try:
            return tomllib.loads(text)
        except RecursionError:
            raise broken(shown, TOO_DEEP) from None
        except ValueError as error:
            raise _toml_error(str(error), text, shown) from None
    return _from_toml_by_tomlkit(text, shown)


def _toml_error(said: str, text: str, shown: str) -> ParamsError:
    said = said.replace("Cannot overwrite a value", "a name is given twice")
    place = re.search(r" \(at line (\d+), column (\d+)\)$", said)
    if place is None:
        said = said.replace("at end of document", "the file ends here")
        return broken_at(text, len(text.rstrip()), shown, said)
    return broken(shown, said[: place.start()], None, int(place[1]), int(place[2]))


def _from_toml_by_tomlkit(text: str, shown: str) -> object:
    """For Python 3.10, whose library cannot read TOML."""
    import tomlkit  # noqa: PLC0415 - few files are TOML
    from tomlkit.exceptions import ParseError  # noqa: PLC0415

    try:
        return tomlkit.parse(text).unwrap()
    except ParseError as error:
        said = re.sub(r"\.? at line \d+ col \d+$", "", str(error))
        raise broken(shown, said, None, error.line, error.col + 1) from None
    except ValueError as error:
        raise broken(shown, str(error)) from None
    except RecursionError:
        raise broken(shown, TOO_DEEP) from None


_Places = dict[str, tuple[int, int]]  # by dotted name: line and column


def _yaml_places(text: str) -> _Places:
    """Where each value stands. The library for TOML tells of none."""
    found: _Places = {}
    walk = [("", _quietly(_yaml().compose, text))]
    for key, node in walk:
        mark = node.start_mark
        found.setdefault(key, (mark.line + 1, mark.column + 1))
        if node.id == "mapping":
            prefix = f"{key}." if key else ""
            walk += [(f"{prefix}{name.value}", one) for name, one in node.value]
        elif node.id == "sequence":
            walk += [(f"{key}[{place}]", one) for place, one in enumerate(node.value)]
    return found


def _as_json_has_it(values: object, shown: str, find: Callable[[], _Places]) -> Plain:
    if not isinstance(values, dict):
        raise not_an_object(values, shown)
    try:
        kept = to_json_values(_dates_as_text(values))
    except RecursionError:  # YAML can make a list that contains itself
        raise broken(shown, TOO_DEEP) from None
    if kept.problems:
        places = find()
        key, problem, hint = kept.problems[0]
        error = broken(shown, f"{key}: {problem}", hint, *places.get(key, ()))
        if len(kept.problems) > 1:
            listing = [(_placed(places, *each[:2]), each[2]) for each in kept.problems]
            error = ParamsError(
                f"{shown} cannot be read:",
                listing,
                state="",
                path=shown,
                line=error.line,
                column=error.column,
            )
        error.key = key
        raise error
    return kept.values


def _placed(places: _Places, key: str, problem: str) -> str:
    where = "line {}, column {}: ".format(*places[key]) if key in places else ""
    return f"{where}{key}: {problem}"


def _dates_as_text(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _dates_as_text(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_dates_as_text(part) for part in value]
    return value.isoformat() if hasattr(value, "isoformat") else value


# -- Values to bytes -------------------------------------------------------------------------------


def write(
    path: str | os.PathLike[str], kept: JsonValues, forms: Mapping[str, str], text: str = ""
) -> None:
    """Replace a params file as a whole, in the notation of its ending; its folder is made.

    Args:
        path: the file.
        kept: the values.
        forms: how numbers are written.
        text: the text that the values came from, in this notation: as long as it says what they
            are, it is what is written, spaces and comments included.

    Raises:
        ParamsError: if something has no form (the file is then untouched), if comments would be
            lost, or on a full or protected disk.
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
    if text and _says(text, values, shown):
        return text
    if notation(shown) != "json" or _ending(shown) == ".jsonc":
        _refuse_to_lose_comments(shown)
    if notation(shown) == "yaml":
        return _to_yaml(values)
    if notation(shown) == "toml":
        import tomlkit  # noqa: PLC0415 - few files are TOML

        return tomlkit.dumps(values)
    return strict_json.dumps(values, forms) + "\n"


def _says(text: str, values: Plain, shown: str) -> bool:
    """Whether a text, in the notation of a file, holds just these values."""
    if notation(shown) == "json":
        return strict_json.says(text, values, comments=_ending(shown) == ".jsonc")
    return strict_json.alike(_from_other(text.replace("\r\n", "\n"), shown), values)


def _refuse_to_lose_comments(shown: str) -> None:
    """Who wrote comments wrote them for somebody: to replace them by values alone is a loss."""
    there = (files.read_bytes(shown) or b"").decode(errors="replace")
    if _has_comments(there, notation(shown)):
        problem = "cannot be saved: the comments in it would be lost; nothing was written"
        raise broken(shown, problem, "save it under another name, or change it in an editor")


_TOML_TEXT = r'(?s)"""(?:\\.|[^\\])*?"""|\'\'\'.*?\'\'\'|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'|(#)'


def _has_comments(text: str, written: str) -> bool:
    if written == "json":
        return strict_json.has_comments(text)
    if written == "toml":
        return any(match[1] for match in re.finditer(_TOML_TEXT, text))
    from ruamel.yaml import YAML  # noqa: PLC0415 - slow to import, and few files are YAML
    from ruamel.yaml.error import YAMLError  # noqa: PLC0415 - as above

    try:
        tokens = list(YAML(typ="rt", pure=True).scan(text))
    except (YAMLError, ValueError):
        return "#" in text
    return any("#" in repr(getattr(token, "_comment", None)) for token in tokens)


def _to_yaml(values: Plain) -> str:
    from io import StringIO  # noqa: PLC0415 - few files are YAML

    yaml = _yaml()
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False
    yaml.width = 1 << 20  # no text is folded
    stream = StringIO()
    yaml.dump(values, stream)
    return stream.getvalue()


def _nulls(value: Any, key: str = "") -> Iterator[tuple[str, str, str | None]]:
    if value is None:
        yield key, "TOML has no null", "save it as .json or .yaml"
    elif isinstance(value, dict):
        for name, part in value.items():
            yield from _nulls(part, f"{key}.{name}" if key else name)
    elif isinstance(value, list):
        for place, part in enumerate(value):
            yield from _nulls(part, f"{key}[{place}]")
