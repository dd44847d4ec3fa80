"""What the readers of params files must give, for texts of every kind: a second, slow parser says.

It reads JSON, and JSON with comments, one character after the other, by the grammar alone. It
refuses to know how modeldir reads. Start at `TARGETS`.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import random
import re
import sys
import tempfile
from collections.abc import Callable
from typing import Any

from modeldir._system.reading import MAX_DEPTH
from modeldir.errors import ParamsError
from modeldir.params import params_files
from modeldir.params.json_values import to_json_values
from modeldir.params.strict_json import dumps, holds, loads, parse_value

# -- The second parser -----------------------------------------------------------------------------


class RefusedError(Exception):
    """The grammar, or one of our rules, does not allow it."""


class WrongError(Exception):
    """A reader refused what is good."""


_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


class Slow:
    """One text, read by RFC 8259; `comments` adds `//`, `/* */` and a comma after the last entry.

    Our rules on top: no name twice, no number beyond what Python holds, no half characters, no more
    than `MAX_DEPTH` brackets.
    """

    def __init__(self, text: str, *, comments: bool) -> None:
        self.text, self.comments, self.at = text, comments, 0

    def whole(self) -> Any:
        self.blank()
        value = self.value(0)
        self.blank()
        if self.at != len(self.text):
            raise RefusedError
        return value

    def blank(self) -> None:
        while True:
            while self.peek() in set(" \t\n\r"):
                self.at += 1
            if not self.comments or not self.text.startswith(("//", "/*"), self.at):
                return
            end = "\n" if self.text[self.at + 1] == "/" else "*/"
            found = self.text.find(end, self.at + 2)
            if found < 0 and end == "*/":
                raise RefusedError
            self.at = len(self.text) if found < 0 else found + len(end)

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def take(self, character: str) -> None:
        if self.peek() != character:
            raise RefusedError
        self.at += 1

    def value(self, depth: int) -> Any:
        first = self.peek()
        if first in {"{", "["}:
            if depth == MAX_DEPTH:
                raise RefusedError
            return self.inside(depth + 1, is_list=first == "[")
        if first == '"':
            return self.string()
        for word, value in (("true", True), ("false", False), ("null", None)):
            if self.text.startswith(word, self.at):
                self.at += len(word)
                return value
        return self.number()

    def inside(self, depth: int, *, is_list: bool) -> Any:
        names: list[str] = []
        values: list[Any] = []
        end = "]" if is_list else "}"
        self.at += 1
        self.blank()
        while self.peek() != end:
            if values:
                self.take(",")
                self.blank()
                if self.comments and self.peek() == end:
                    break
            if not is_list:
                names.append(self.string())
                self.blank()
                self.take(":")
                self.blank()
            values.append(self.value(depth))
            self.blank()
        self.at += 1
        if len(set(names)) != len(names):
            raise RefusedError
        return values if is_list else dict(zip(names, values, strict=True))

    def number(self) -> Any:
        match = _NUMBER.match(self.text, self.at)
        if match is None:
            raise RefusedError
        self.at = match.end()
        if match[1] is None and match[2] is None:
            try:
                return int(match[0])
            except ValueError:  # thousands of digits
                raise RefusedError from None
        if math.isinf(float(match[0])):
            raise RefusedError
        return float(match[0])

    def string(self) -> str:
        self.take('"')
        found = []
        while (character := self.peek()) != '"':
            self.at += 1
            if character < " ":  # the end of the text, too
                raise RefusedError
            found.append(self.escape() if character == "\\" else character)
        self.at += 1
        units = "".join(found).encode("utf-16", "surrogatepass")
        try:
            return units.decode("utf-16")  # pairs become one character
        except UnicodeDecodeError:
            raise RefusedError from None

    def escape(self) -> str:
        kind = self.peek()
        self.at += 1
        if kind in _ESCAPES:
            return _ESCAPES[kind]
        digits = self.text[self.at : self.at + 4]
        if kind != "u" or not re.fullmatch("[0-9a-fA-F]{4}", digits):
            raise RefusedError
        self.at += 4
        return chr(int(digits, 16))


def slowly(text: str, *, comments: bool) -> Any:
    """The value of a text; raises `RefusedError`."""
    return Slow(text, comments=comments).whole()


# -- Texts -----------------------------------------------------------------------------------------

NUMBERS = [
    "0", "-0", "1", "-1", "32", "0.1", "1e-3", "1E5", "1e05", "-0.0", "5e-324", "0.10", "1.0",
    "1e22", "9007199254740993", "123456789",
]  # fmt: skip
BAD_NUMBERS = [
    "1e400", "01", "1.", "+1", ".5", "NaN", "-Infinity", "Infinity", "1e", "--", "0x10", "\u0663",
    "1_000", "True", "None", "-",
]  # fmt: skip
NAMES = [
    "a", "b", "lr", "a.b", "", "ü😀", "\\u0061", "save", "\\ud83d\\ude00", "x" * 40, "\\/", "1",
]  # fmt: skip
TEXTS = [
    *NAMES, "//", "/* */", ",}", '\\"', "\\\\", "\\\\\\\\", "\x7f", "\u2028", "1e-3", "null", ": ",
]  # fmt: skip
BAD_TEXTS = ["\\ud83d", "\\udc00", "\t", "\n", "\\x", "\\u12", "\\", "\x00"]
BLANKS = ["", "", "", " ", "\n", "\t", "\r\n", "\n    "]
BAD_BLANKS = ["\xa0", "\x0c", "\ufeff", "\u2028", "\x1f"]
COMMENTS = ["// x\n", "/* x */", "/**/", "//\n", '/* " */', '// "\n', "/* } */", "/*/*/", "//,\r\n"]
BAD_COMMENTS = ["/*", "/", "# x\n", "*/", "//", "/ /"]
NOISE = [
    *'{}[]:,"/\\*0-e.', "\n", " ", ",}", ",]", '""', "null", "{}", "[]", '"a":1', "//", "/*", "*/",
    *BAD_NUMBERS, *BAD_BLANKS, *BAD_COMMENTS,
]  # fmt: skip


class Texts:
    """Texts that are nearly always JSON; then, half of the time, spoiled in a few places."""

    def __init__(self, rng: random.Random, *, comments: bool, bad: float = 0.004) -> None:
        self.rng, self.comments, self.bad = rng, comments, bad

    def whole(self) -> str:
        text = f"{self.blank()}{self.part(0)}{self.blank()}"
        return spoiled(text, self.rng) if self.rng.random() < 0.5 else text

    def one(self, good: list[str], bad: list[str]) -> str:
        return self.rng.choice(bad if self.rng.random() < self.bad else good)

    def blank(self) -> str:
        found = self.one(BLANKS, BAD_BLANKS)
        if self.comments and self.rng.random() < 0.2:
            found += self.one(COMMENTS, BAD_COMMENTS) + self.one(BLANKS, BAD_BLANKS)
        return found

    def value(self, depth: int) -> str:
        kind = self.rng.random()
        if kind < 0.25 and depth < 6:
            return self.part(depth)
        if kind < 0.4 and depth < 6:
            entries = [self.value(depth + 1) for _ in range(self.rng.randrange(4))]
            return self.joined("[", entries, "]")
        if kind < 0.42:
            deep = self.rng.choice([50, 98, 99, 100, 101, 3000])
            return "[" * deep + "]" * deep
        if kind < 0.43:
            return self.rng.choice("123") * self.rng.choice([400, 4299, 4300, 4301])
        if kind < 0.75:
            return self.one(NUMBERS, BAD_NUMBERS)
        if kind < 0.85:
            return self.rng.choice(["true", "false", "null"])
        if kind < 0.9:
            return repr(self.rng.uniform(-1, 1) * 10.0 ** self.rng.randint(-320, 300))
        return f'"{self.one(TEXTS, BAD_TEXTS)}{self.one(TEXTS, BAD_TEXTS)}"'

    def part(self, depth: int) -> str:
        names = self.rng.sample(NAMES, self.rng.randrange(5))
        if self.rng.random() < self.bad:
            names.append(self.rng.choice(NAMES))
        entries = [
            f'"{name}"{self.blank()}:{self.blank()}{self.value(depth + 1)}' for name in names
        ]
        return self.joined("{", entries, "}")

    def joined(self, first: str, entries: list[str], last: str) -> str:
        pieces = [f"{self.blank()}{entry}{self.blank()}" for entry in entries]
        comma = "," if self.comments and pieces and self.rng.random() < 0.2 else ""
        return f"{first}{','.join(pieces)}{comma}{self.blank()}{last}"


def spoiled(text: str, rng: random.Random) -> str:
    """A text with something left out, put in, doubled, or cut off."""
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        place, size = rng.randrange(len(text) + 1), rng.choice([1, 1, 2, 5, 20])
        kind = rng.randrange(5)
        if kind == 0:
            text = text[:place] + text[place + size :]
        elif kind == 1:
            text = text[:place] + rng.choice(NOISE) + text[place:]
        elif kind == 2:
            text = text[:place] + text[place : place + size] + text[place:]
        elif kind == 3:
            text = text[:place] + rng.choice(NOISE) + text[place + 1 :]
        else:
            text = text[:place] if rng.random() < 0.3 else text
    return text


def _json_text(rng: random.Random) -> str:
    return Texts(rng, comments=False).whole()


def _jsonc_text(rng: random.Random) -> str:
    return Texts(rng, comments=True).whole()


# -- What must hold --------------------------------------------------------------------------------


def _checked(text: str, *, comments: bool) -> str:
    """The same value as the slow parser's, or refused as there, with a place within the text."""
    try:
        want = slowly(text, comments=comments)
    except RefusedError:
        want = None
    try:
        values, forms = loads(text, "p", comments=comments)
    except ParamsError as error:
        _check_place(error, text)
        if isinstance(want, dict):
            raise WrongError(f"refused what is good: {error}") from None
        return "refused"
    assert isinstance(want, dict), f"took what is bad for {values!r}"
    assert repr(values) == repr(want), f"{values!r} is not {want!r}"
    again, their = loads(dumps(values, forms), "p")
    assert repr(again) == repr(want)
    assert dumps(again, their) == dumps(values, forms)
    assert holds(text, values, comments=comments)
    return "read"


def _check_place(error: ParamsError, text: str) -> None:
    lines = text.split("\n")
    assert error.line is not None
    assert error.column is not None
    assert 1 <= error.line <= len(lines), error
    assert 1 <= error.column <= len(lines[error.line - 1]) + 1, error
    assert str(error).startswith("p"), error


def check_json(text: str) -> str:
    typed = parse_value(text)
    with contextlib.suppress(RefusedError):
        want = slowly(text, comments=False)
        assert repr(typed) == repr(want), f"typed, {text!r} is {typed!r}"
    return _checked(text, comments=False)


def check_jsonc(text: str) -> str:
    return _checked(text, comments=True)


# -- Files -----------------------------------------------------------------------------------------

_FOLDER = tempfile.TemporaryDirectory(prefix="fuzz-")


def _read(data: bytes, ending: str) -> dict[str, Any] | None:
    """What a file of these bytes says; None if it is refused."""
    path = os.path.join(_FOLDER.name, f"p{ending}")
    with open(path, "wb") as file:
        file.write(data)
    try:
        return params_files.read(path).values
    except ParamsError as error:
        if not str(error).startswith(path):
            raise
        return None


def _bytes(text: str) -> bytes:
    return text.encode("latin-1")


def _file(rng: random.Random) -> str:
    """A text's bytes in some encoding, with some of them changed."""
    text = Texts(rng, comments=rng.random() < 0.3).whole()
    encoding = rng.choice(["utf-8"] * 8 + ["utf-8-sig", "utf-16", "latin-1"])
    data = bytearray(text.encode(encoding, "replace"))
    for _ in range(rng.choice([0, 0, 1, 3])):
        if data:
            data[rng.randrange(len(data))] = rng.randrange(256)
    return data.decode("latin-1")


def check_file(text: str) -> str:
    """A `.json` file is what its text is, a `.jsonc` file likewise."""
    data, kinds = _bytes(text), []
    for ending in (".json", ".jsonc"):
        found, want = _read(data, ending), None
        with contextlib.suppress(UnicodeDecodeError, RefusedError):
            decoded = data.removeprefix(b"\xef\xbb\xbf").decode().replace("\r\n", "\n")
            want = slowly(decoded, comments=ending == ".jsonc")
        expected = want if isinstance(want, dict) else None
        assert repr(found) == repr(expected), f"{ending}: {found!r} is not {expected!r}"
        kinds.append("refused" if found is None else "read")
    return kinds[1]


YAML = [
    "a: 1", "b: 1e-3", "c: .5e3", "d: [1, 2]", "e:\n  f: 1", "  g: x", "h: 'it''s'",
    'i: "\\u00fc\\n"', "- 1", "j: |\n  text\n  more", "k: >-\n  folded\n  text", "l: &x {m: 1}",
    "n: *x", "<<: *x", "# no", "o: ~", "p: yes", "q: 010", "r: 0o17", "s: 2024-01-02", "t: .inf",
    "u: -.5", "v: 1_000", "? w\n: 1", "--- ", "...", "x: !!str 1", "y: {z: [1, {a: b}]}", "\tz: 1",
    "1: 2", "true: 1", "a: 2", ": 1", "%YAML 1.1", "aa: 12:30", "bb: 0x1F", "cc: +1", "dd: 1.",
    "ee: 0b1", "ff: 'a\n\n  b'", "gg: a # b", "hh: -0.0", "ii: ''", 'jj: "\\L"', "kk: x\x85y",
]  # fmt: skip
TOML = [
    "a = 1", "b = 1e-3", "c = [1, 2]", "[d]", "e = 'x'", "[d.f]", "g.h = 1", "i = {j = 1}", "[[k]]",
    "l = true", 'm = """\nx\n"""', "n = 1979-05-27T07:32:00Z", "o = 07:32:00", "p = inf", "q = nan",
    "r = 0xFF", "# no", '"s.t" = 1', '"" = 1', "u = 1_000", "a = 2", 'v = "\\u00fc"', "w = -0.0",
    "x = [{y = 1}, {y = 2}]", "= 1",
]  # fmt: skip


def _other_file(lines: list[str]) -> Callable[[random.Random], str]:
    def make(rng: random.Random) -> str:
        text = "".join(f"{line}\n" for line in rng.sample(lines, rng.randrange(1, 8)))
        text = spoiled(text, rng) if rng.random() < 0.5 else text
        return text.encode("utf-8", "replace").decode("latin-1")

    return make


def _check_other(ending: str) -> Callable[[str], str]:
    def check(text: str) -> str:
        """Refused by our error, or values that every notation can hold and gives back."""
        values = _read(_bytes(text), ending)
        if values is None:
            return "refused"
        kept = to_json_values(values)
        assert not kept.problems, kept.problems
        for other in (".json", ".yaml", ".toml"):
            path = os.path.join(_FOLDER.name, f"again{other}")
            if os.path.exists(path):  # else what it has may be kept, as comments are
                os.remove(path)
            try:
                params_files.write(path, kept, {})
            except ParamsError as error:
                if "TOML has no null" not in str(error):
                    raise
                continue
            again = params_files.read(path).values
            assert again == values, f"{other}: {again!r} is not {values!r}"
            assert other == ".toml" or repr(again) == repr(values), f"{other}: {again!r}"
        return "read"

    return check


def check_toml(text: str) -> str:
    """Besides, what the standard library reads, but for what JSON has no form for."""
    if sys.version_info >= (3, 11):
        import tomllib

        with contextlib.suppress(ValueError, RecursionError):  # what is no UTF-8, too
            want = tomllib.loads(_bytes(text).decode().replace("\r\n", "\n"))
            found = _read(_bytes(text), ".toml")
            if found is not None:
                plain = json.dumps(want, default=lambda date: date.isoformat())
                assert json.dumps(found) == plain
    return _check_other(".toml")(text)


def _json_for_yaml(rng: random.Random) -> str:
    """A good file as `json.dumps` lays it out."""
    while True:
        texts = Texts(rng, comments=False, bad=0.0)
        with contextlib.suppress(RefusedError):
            indent, plain = rng.choice([None, 2, 4]), rng.random() < 0.5
            values = slowly(texts.part(0), comments=False)
            return json.dumps(values, indent=indent, ensure_ascii=plain)


def check_json_as_yaml(text: str) -> str:
    """YAML 1.2 reads JSON as JSON: the same values, or it is refused (DEL, escaped pairs)."""
    found, want = _read(text.encode(), ".yaml"), json.loads(text)
    if found is None:
        return "refused"
    assert repr(found) == repr(want), f"{found!r} is not {want!r}"
    return "read"


TARGETS: dict[str, tuple[Callable[[random.Random], str], Callable[[str], str]]] = {
    "json": (_json_text, check_json),
    "jsonc": (_jsonc_text, check_jsonc),
    "file": (_file, check_file),
    "yaml": (_other_file(YAML), _check_other(".yaml")),
    "toml": (_other_file(TOML), check_toml),
    "json as yaml": (_json_for_yaml, check_json_as_yaml),
}
