"""YAML 1.2 for `params_files`: parse a params file, and write one without losing its comments.

ruamel.yaml does the work; what it reads differently from YAML 1.2 is corrected here (`.5e3` is a
number, U+2028 ends no line).
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from io import StringIO
from typing import Any

from modeldir._system.reading import MAX_DEPTH
from modeldir.params.json_errors import TOO_DEEP, broken, broken_at
from modeldir.params.nested import Plain


def parse(text: str, shown: str) -> object:
    """Return the values of a YAML text, or raise an error with line and column."""
    from ruamel.yaml.error import MarkedYAMLError, YAMLError  # noqa: PLC0415 - slow to import

    if separator := re.search(f"[{_SEPARATORS}]", text):
        problem = f"found U+{ord(separator[0]):04X}, which some readers treat as a line break"
        hint = f'write "\\u{ord(separator[0]):04x}", in double quotes, or leave it out'
        raise broken_at(text, separator.start(), shown, problem, hint)
    try:
        return _quietly(_yaml().load, text)
    except _TooMuchError as error:
        raise broken(shown, str(error)) from None
    except MarkedYAMLError as error:
        mark = error.problem_mark
        place = (mark.line + 1, mark.column + 1) if mark else ()
        raise broken(shown, *_problem(error.context, error.problem), *place) from None
    except RecursionError:
        raise broken(shown, TOO_DEEP) from None
    except YAMLError as error:
        raise broken(shown, str(error).splitlines()[0]) from None
    except ValueError as error:  # the date 2024-13-45, a number of 5,000 digits
        hint = "if you mean a string, put it in quotes"
        raise broken(shown, f"a date or number is not valid: {error}", hint) from None
    except TypeError:  # a list or a mapping as a key
        raise broken(shown, "expected strings as the keys") from None
    except AssertionError:  # what ruamel raises
        raise broken(shown, "unknown version of YAML", "write %YAML 1.2") from None


_SEPARATORS = "\x85\u2028\u2029"
"""These end a line in YAML 1.1 and in ruamel. In YAML 1.2 they are ordinary characters."""


_MOST_VALUES = 200_000


class _TooMuchError(Exception):
    """A text stands for more values than memory and time allow."""


def _measure(node: Any, known: dict[int, tuple[int, int]]) -> tuple[int, int]:
    """Return how many values a node stands for, each alias written out, and how deep it is.

    Four hundred bytes can stand for 9 ** 20 values, so nothing may go through them before this.
    """
    if node.id == "scalar":
        return 1, 0
    if id(node) not in known:
        known[id(node)] = 0, MAX_DEPTH  # until it is known: it contains itself
        pairs = node.value if node.id == "mapping" else [(part,) for part in node.value]
        parts = [_measure(part, known) for pair in pairs for part in pair]
        count, depth = 1 + sum(n for n, _ in parts), 1 + max((d for _, d in parts), default=0)
        if depth > MAX_DEPTH:
            raise _TooMuchError(TOO_DEEP)
        if count > _MOST_VALUES:
            raise _TooMuchError(f"its aliases expand to more than {_MOST_VALUES:,} values")
        known[id(node)] = count, depth
    return known[id(node)]


def _yaml() -> Any:
    """Return a YAML 1.2 parser that also reads `.5e3` as a number, and loses no character."""
    from ruamel.yaml import YAML  # noqa: PLC0415 - slow to import, and few files are YAML
    from ruamel.yaml.composer import Composer  # noqa: PLC0415 - as above
    from ruamel.yaml.representer import SafeRepresenter  # noqa: PLC0415 - as above

    class Representer(SafeRepresenter):
        pass

    class BoundedComposer(Composer):
        level = 0

        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.level > MAX_DEPTH:
                raise _TooMuchError(TOO_DEEP)
            self.level += 1
            node = super().compose_node(parent, index)
            self.level -= 1
            return node

        def compose_document(self) -> Any:
            node = super().compose_document()
            _measure(node, {})
            return node

    def quoted(representer: Any, text: str) -> Any:
        style = '"' if re.search(f"[{_SEPARATORS}]", text) else None  # there they are escaped
        return representer.represent_scalar("tag:yaml.org,2002:str", text, style=style)

    Representer.add_representer(str, quoted)
    yaml: Any = YAML(typ="safe", pure=True)
    yaml.Representer, yaml.Composer = Representer, BoundedComposer
    yaml.resolver.versioned_resolver  # noqa: B018 - to ask for it fills it
    yaml.resolver.add_version_implicit_resolver(
        (1, 2), "tag:yaml.org,2002:float", re.compile(r"[-+]?\.[0-9]+[eE][0-9]+$"), list("-+.")
    )
    return yaml


def _quietly(reader: Callable[[str], Any], text: str) -> Any:
    """Call a reader without the warning of an anchor that is used again: YAML allows it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return reader(text)


def _problem(context: str | None, problem: str | None) -> tuple[str, str | None]:
    said = ", ".join(part for part in (context, problem) if part)
    if twice := re.match(r'found duplicate key "(.*?)" with value', problem or ""):
        return f"{twice[1]!r} is given twice", "keep one of them"
    return said, "YAML is indented with spaces" if r"'\t'" in said else None


def places(text: str) -> dict[str, tuple[int, int]]:
    """Return the line and column of each value, by its dotted name."""
    found: dict[str, tuple[int, int]] = {}
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


_WIDE = 1 << 20  # no line is folded


def dumped(values: Plain) -> str:
    yaml = _yaml()
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False
    yaml.width = _WIDE
    stream = StringIO()
    yaml.dump(values, stream)
    return stream.getvalue()


class Document:
    """A YAML text. Its `values` can be changed in place; `text` keeps the comments."""

    def __init__(self, text: str) -> None:
        from ruamel.yaml import YAML  # noqa: PLC0415 - slow to import, and few files are YAML

        self._yaml: Any = YAML(typ="rt", pure=True)
        self._yaml.preserve_quotes = True
        self._yaml.width = _WIDE
        section, item = re.search(r"(?m)^( +)[^\s#-]", text), re.search(r"(?m)^( +)- ", text)
        offset = len(item[1]) if item else 0
        indent = len(section[1]) if section else 2
        self._yaml.indent(mapping=indent, sequence=offset + 2, offset=offset)
        self.values: Any = _quietly(self._yaml.load, text)

    def text(self) -> str:
        stream = StringIO()
        self._yaml.dump(self.values, stream)
        return stream.getvalue()
