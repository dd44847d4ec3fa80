"""Params files: what each notation reads and holds, and how a file is replaced."""

from __future__ import annotations

import datetime as dt
import enum
import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from laboratory import without_rights
from modeldir.errors import ParamsError
from modeldir.params.json_values import JsonValues, to_json_values
from modeldir.params.params_files import load_file, read, write

if TYPE_CHECKING:
    from collections.abc import Callable

    from syrupy.assertion import SnapshotAssertion

# What YAML and TOML cannot carry unharmed as text (control characters) is not tried here.
NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1)
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Zl", "Zp"]))
NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
SCALARS = (
    st.booleans() | NUMBERS | TEXTS | st.sampled_from(["1e-3", "yes", "null", "~", "2024-01-02"])
)
PARTS = st.recursive(
    st.dictionaries(NAMES, SCALARS | st.lists(SCALARS, max_size=3), max_size=4),
    lambda part: st.dictionaries(NAMES, part | SCALARS, max_size=3),
    max_leaves=6,
)


class Optimizer(enum.Enum):
    ADAM = "adam"


class Level(enum.IntEnum):
    HIGH = 3


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Relative paths keep the messages the same on every machine."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def message(call: Callable[[], object]) -> str:
    with pytest.raises(ParamsError) as caught:
        call()
    return str(caught.value)


def saved(values: dict[str, Any], path: str) -> dict[str, Any]:
    Path(path).unlink(missing_ok=True)  # else what it has may be kept, as comments are
    write(path, to_json_values(values), {})
    return load_file(path)


# -- Reading ---------------------------------------------------------------------------------------


def test_three_notations_read_alike() -> None:
    """The same hyperparameters, whichever way they are written; 1e-3 is a number in all."""
    Path("p.json").write_text('{"lr": 1e-3, "bn": true, "model": {"widths": [8, 16]}}')
    Path("p.yaml").write_text("lr: 1e-3  # fine\nbn: true\nmodel:\n  widths: [8, 16]\n")
    Path("p.yml").write_text("{lr: 0.001, bn: true, model: {widths: [8, 16]}}")
    Path("p.toml").write_text("lr = 1e-3\nbn = true\n[model]\nwidths = [8, 16]\n")
    Path("P.TOML").write_text("lr = 1e-3\nbn = true\nmodel.widths = [8, 16]\n")
    expected = {"lr": 0.001, "bn": True, "model": {"widths": [8, 16]}}
    for path in ("p.json", "p.yaml", "p.yml", "p.toml", "P.TOML"):
        assert load_file(path) == expected


def test_an_unknown_ending_is_read_as_json() -> None:
    """CS230's Params never looked at the name, and /dev/stdin has no ending."""
    Path("params.txt").write_text('{"lr": 0.1}')
    assert load_file("params.txt") == {"lr": 0.1}


def test_yaml_is_that_of_1_2() -> None:
    """`on`, `yes` and 12:30 are texts; dates, which JSON lacks, become theirs."""
    text = "a: on\nb: yes\nc: 12:30\nd: 2024-01-02\ne: 0o17\nf: .5\ng: ~\nh: .5e3\ni: '.5e3'\n"
    Path("p.yaml").write_text(text)
    expected = {
        "a": "on",
        "b": "yes",
        "c": "12:30",
        "d": "2024-01-02",
        "e": 15,
        "f": 0.5,
        "g": None,
        "h": 500.0,
        "i": ".5e3",
    }
    assert load_file("p.yaml") == expected
    assert saved(expected, "again.yaml") == expected


@pytest.mark.parametrize("character", ["\x85", "\u2028", "\u2029"])
def test_a_yaml_file_with_another_end_of_line_is_an_error(character: str) -> None:
    """A reader of YAML 1.1 ends a line there and one of 1.2 does not: a blank or more is lost."""
    Path("p.yaml").write_text(f"a: 1\nb: 'x {character}y'\n", encoding="utf-8")
    name = f"{ord(character):04x}"
    expected = f"p.yaml, line 2, column 7: found U+{name.upper()}, which some readers treat as a"
    assert message(lambda: read("p.yaml")).startswith(expected)
    Path("p.yaml").write_text(f'a: 1\nb: "x \\u{name}y"\n')
    assert load_file("p.yaml") == {"a": 1, "b": f"x {character}y"}
    values = {f" {character} ": {"a": [f"x {character}", character]}}
    assert saved(values, "p.yaml") == values


@pytest.mark.parametrize("reader", ["library", "tomlkit"])
def test_toml_dates_become_their_text(reader: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reader for Python 3.10 and the standard library's give the same."""
    if reader == "tomlkit":
        monkeypatch.setattr(sys, "version_info", (3, 10, 0))
    Path("p.toml").write_text("a = 2024-01-02\nb = [07:30:00]\nc = 1_000\n")
    values = load_file("p.toml")
    assert values == {"a": "2024-01-02", "b": ["07:30:00"], "c": 1000}
    assert type(values["c"]) is int


def test_windows_line_ends_and_a_byte_order_mark_are_no_matter() -> None:
    """Notepad writes them; the line of a mistake is still right."""
    Path("p.json").write_bytes(b'\xef\xbb\xbf{\r\n"a": 1\r\n}\r\n')
    assert load_file("p.json") == {"a": 1}
    Path("p.json").write_bytes(b'\xef\xbb\xbf{\r\n"a": x\r\n}\r\n')
    assert message(lambda: read("p.json")).startswith("p.json, line 2, column 6:")


BROKEN = {
    "twice.yaml": "lr: 0.1\nmodel:\n  depth: 1\n  depth: 2\n",
    "colon.yaml": "lr: 0.1: 0.2\n",
    "tab.yaml": "model:\n\tdepth: 1\n",
    "nan.yaml": "clip: [1, .nan]\n",
    "several.yaml": "lr: .inf\nmodel:\n  clip: [1, .nan]\n  1: x\nwords: &w {1: a}\nagain: *w\n",
    "number_name.yaml": "schedule: {10: 0.1}\n",
    "set.yaml": "names: !!set {a, b}\n",
    "tag.yaml": "model: !!python/object:os.system {}\n",
    "itself.yaml": "a: &a [*a]\n",
    "two.yaml": "a: 1\n---\na: 2\n",
    "list_name.yaml": "[1, 2]: 3\n",
    "parts_name.yaml": "[{a: 1}]: 2\n",
    "version.yaml": "%YAML 1.11\n---\na: 1\n",
    "bell.yaml": "a: \x07\n",
    "empty.yaml": "",
    "list.yml": "- 1\n- 2\n",
    "deep.yaml": "a: " + "[" * 5000,
    "twice.toml": "lr = 0.1\nlr = 0.2\nseed = 1\n",
    "missing.toml": "lr =\nseed = 1\n",
    "cut.toml": "lr = 0.1\nname = 'ad",
    "inf.toml": "clip = inf\n",
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_yaml_and_toml_are_explained(name: str, snapshot: SnapshotAssertion) -> None:
    """The file, the line, what is wrong; never another library's error."""
    Path(name).write_text(BROKEN[name])
    if name.endswith(".toml") and sys.version_info < (3, 11):  # another reader, other words
        assert message(lambda: load_file(name)).startswith(name)
    else:
        assert message(lambda: load_file(name)) == snapshot


@pytest.mark.parametrize("value", ["2024-13-45", "9" * 5000], ids=["date", "digits"])
def test_a_yaml_value_that_cannot_be_is_an_error(value: str) -> None:
    """YAML takes a text for a date or a number before it knows that there is no such one."""
    Path("p.yaml").write_text(f"a: {value}\n")
    assert message(lambda: read("p.yaml")).startswith("p.yaml: a date or number is not valid: ")


@pytest.mark.parametrize("name", [name for name in BROKEN if name.endswith(".toml")])
def test_broken_toml_is_an_error_on_python_3_10_too(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There the other library reads it; its own words differ."""
    monkeypatch.setattr(sys, "version_info", (3, 10, 0))
    Path(name).write_text(BROKEN[name])
    assert message(lambda: load_file(name)).startswith(name)


def test_the_place_of_a_yaml_value_is_told_in_attributes() -> None:
    """Line and column, as for JSON."""
    Path("p.yaml").write_text("a: &x 1\nmodel: {clip: [&x 1, .nan]}\n")
    with pytest.raises(ParamsError) as caught:
        load_file("p.yaml")
    assert (caught.value.key, caught.value.line, caught.value.column) == ("model.clip[1]", 2, 22)


def test_the_key_is_told_in_an_attribute() -> None:
    """For a value that JSON has no form for, the dotted name is known."""
    Path("p.toml").write_text("[model]\nclip = nan\n")
    with pytest.raises(ParamsError) as caught:
        load_file("p.toml")
    assert caught.value.key == "model.clip"


def test_what_cannot_be_opened_is_explained(snapshot: SnapshotAssertion) -> None:
    """A missing file names the nearest one; a folder names the file in it."""
    Path("base").mkdir()
    Path("base/params.json").write_text("{}")
    Path("loop.json").symlink_to("loop.json")
    paths = ["base/parms.json", "base/zzz", "bse/params.json", "base", "loop.json/x", "a\0b"]
    assert "\n".join(message(partial(read, path)) for path in paths) == snapshot


def test_a_file_that_may_not_be_read_is_explained() -> None:
    """By its mode; and one that may not be replaced, since its folder may not be written."""
    Path("params.json").write_text("{}")
    Path("params.json").chmod(0)
    Path("locked").mkdir(mode=0o555)
    script = (
        "from modeldir import Params\n"
        "def save(): Params({}).save('locked/params.json')\n"
        "for what in (lambda: Params('params.json'), save):\n"
        "    try: what()\n"
        "    except Exception as error: print(type(error).__name__, error)\n"
    )
    done = subprocess.run(
        [*without_rights(may_read=False), sys.executable, "-c", script],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.splitlines() == [
        "ParamsError params.json: cannot be read: Permission denied",
        "ParamsError locked/params.json: cannot be written: Permission denied",
    ]


@pytest.mark.parametrize(
    "data",
    ['{"a": 1}'.encode("utf-16"), '{"a": 1}'.encode("utf-16-le"), '{"a": 1}'.encode("utf-32")],
    ids=["utf-16", "utf-16-le", "utf-32"],
)
def test_another_encoding_is_named(data: bytes) -> None:
    """Not a mistake in column 1 of something unreadable."""
    Path("p.json").write_bytes(data)
    assert "expected UTF-8, found UTF-16 or UTF-32" in message(lambda: read("p.json"))


def test_a_byte_that_is_not_utf8_is_placed() -> None:
    """Latin-1 from an old editor: columns are counted in characters."""
    Path("p.json").write_bytes('{\n "ü": "'.encode() + b"\xfc" + b'"}')
    expected = "p.json, line 2, column 8: expected UTF-8, found the byte 0xfc"
    assert message(lambda: read("p.json")).startswith(expected)


# -- What a file can hold --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (np.float64(0.1), 0.1),
        (np.float32(0.5), 0.5),
        (np.int64(3), 3),
        (np.bool_(True), True),
        (np.array(0.25), 0.25),
        (np.str_("adam"), "adam"),
        (Path("data/train"), os.path.join("data", "train")),
        (PurePosixPath("/data"), "/data"),
        (Optimizer.ADAM, "adam"),
        (Level.HIGH, 3),
        ((0.9, (np.int8(1), None)), [0.9, [1, None]]),
        ([{"a": (1,)}], [{"a": [1]}]),
    ],
    ids=repr,
)
def test_values_are_converted_to_what_json_has(value: object, kept: object) -> None:
    """The plain type itself, not a subclass whose text would be another."""
    found = to_json_values({"x": value})
    assert json.dumps(found.values) == json.dumps({"x": kept})
    assert type(found.values["x"]) is type(kept)
    assert found.problems == []


def test_torch_scalars_are_converted() -> None:
    """A loss is one, and its own type is no JSON."""
    torch = pytest.importorskip("torch")
    assert to_json_values({"x": torch.tensor(0.5)}).values == {"x": 0.5}


def test_all_that_has_no_form_is_found(snapshot: SnapshotAssertion) -> None:
    """Each with its dotted name, so that one look is enough."""
    endless: list[Any] = []
    endless.append(endless)
    values = {
        "clip": float("nan"),
        "model": {"limits": [0, {"high": float("inf")}], "depth": 3},
        "weights": np.zeros(3),
        "names": {"a"},
        "start": dt.date(2024, 1, 2),
        "words": {0: "the"},
        "raw": b"x",
        "net": object(),
        "half": "\ud800",
        "big": 10**5000,
        "endless": endless,
    }
    found = to_json_values(values)
    assert found.values == {"model": {"depth": 3}}
    assert found.problems == snapshot


def test_a_scalar_with_more_digits_than_a_float_has_no_form() -> None:
    """NumPy's longdouble is not cut short; the message names it."""
    (problem,) = to_json_values({"x": np.longdouble("0.1")}).problems
    assert problem == ("x", "JSON cannot store numpy.longdouble", "save float(value)")


def test_what_may_be_skipped_is_skipped_with_all_it_contains() -> None:
    """And only where there is no form for it."""
    values = {"net": object(), "cuda": True, "model": {"a": object(), "b": object(), "c": 1}}
    found = to_json_values(values, "", frozenset({"net", "cuda", "model.a"}))
    assert found.values == {"cuda": True, "model": {"c": 1}}
    assert found.skipped == ["net", "model.a"]
    assert [problem[0] for problem in found.problems] == ["model.b"]
    assert to_json_values(values, "", frozenset({"net", "model"})).problems == []
    assert to_json_values({"model_b": object()}, "", frozenset({"model"})).skipped == []


# -- Writing ---------------------------------------------------------------------------------------


@settings(deadline=None)  # a busy machine is no mistake
@given(PARTS)
@pytest.mark.parametrize("path", ["p.json", "p.yaml", "p.toml"])
def test_what_is_written_is_read_again(path: str, values: dict[str, Any]) -> None:
    """Same values, same types; in JSON and YAML the same order."""
    again = saved(values, path)
    assert again == values
    assert typed(again) == typed(values)
    if path != "p.toml":
        assert repr(again) == repr(values)


@pytest.mark.parametrize("path", ["p.yaml", "p.toml"])
def test_a_key_that_looks_like_a_comment_can_be_removed(path: str) -> None:
    """A file whose only `#` is in a key is written without that key, also if nothing is left."""
    assert saved({"#": False}, path) == {"#": False}
    write(path, to_json_values({}), {})
    assert load_file(path) == {}


def typed(value: object) -> object:
    """The types, which `==` does not tell apart (1, 1.0 and True)."""
    if isinstance(value, dict):
        return {name: typed(part) for name, part in value.items()}
    return [typed(part) for part in value] if isinstance(value, list) else type(value)


def test_files_are_written_for_people(snapshot: SnapshotAssertion) -> None:
    """Four spaces in JSON, blocks in YAML, tables in TOML, in the order of the names."""
    values = {"seed": 1, "lr": 1e-05, "name": "a: é", "model": {"widths": [8, 16], "bn": True}}
    texts = []
    for path in ("p.json", "p.yaml", "p.toml"):
        saved(values, path)
        texts.append(Path(path).read_text(encoding="utf-8"))
    assert "\n".join(texts) == snapshot


def test_a_problem_leaves_the_old_file(snapshot: SnapshotAssertion) -> None:
    """All problems at once, and not a byte is touched."""
    Path("p.json").write_text("old")
    kept = to_json_values({"lr": 0.1, "clip": float("nan"), "model": {"w": np.zeros(2)}})
    assert message(lambda: write("p.json", kept, {})) == snapshot
    assert Path("p.json").read_text() == "old"
    assert os.listdir() == ["p.json"]


def test_toml_has_no_null() -> None:
    """It is said which names, lists included, before the file is touched."""
    kept = to_json_values({"a": 1, "model": {"b": None, "c": [1, None], "d": "null"}})
    text = message(lambda: write("p.toml", kept, {}))
    assert "model.b: TOML has no null" in text
    assert "model.c[1]: TOML has no null" in text
    assert "model.d" not in text
    assert os.listdir() == []


def test_the_folder_is_made(tmp_path: Path) -> None:
    """An experiment is a folder with params.json; saving one makes it."""
    write(tmp_path / "experiments" / "new" / "params.json", to_json_values({"lr": 0.1}), {})
    assert load_file("experiments/new/params.json") == {"lr": 0.1}


def test_what_cannot_be_written_is_explained() -> None:
    """A file in the place of the folder, a folder in the place of the file."""
    Path("file").write_text("")
    Path("folder").mkdir()
    kept = JsonValues({"lr": 0.1}, [], [])
    assert message(lambda: write("file/params.json", kept, {})).startswith(
        "file/params.json: cannot be"
    )
    assert message(lambda: write("folder", kept, {})).startswith("folder: cannot be written")
    assert "cannot be written: " in message(lambda: write("a\0b", kept, {}))
    assert sorted(os.listdir()) == ["file", "folder"]


def test_reading_needs_no_library_for_json() -> None:
    """A training that has only JSON never pays for YAML or TOML."""
    Path("p.json").write_text("{}")
    script = (
        "import sys; there = {*sys.modules}\n"
        "from modeldir.params.params import Params; Params('p.json')\n"
        "heavy = {'ruamel', 'tomlkit', 'tomllib', 'numpy', 'pathlib', 'pydantic', 'socket'}\n"
        "print(sorted(heavy & {*sys.modules} - there))"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert result.stdout == "[]\n"


@pytest.mark.parametrize("name", ["nowhere/params.json", ".", "a\0b"])
def test_a_file_that_cannot_be_opened_is_one_traceback(name: str, tmp_path: Path) -> None:
    """The script's own, with our message; not the system's before it."""
    code = f"import modeldir\nmodeldir.Params({name!r})\n"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stderr.count("Traceback (most recent call last)") == 1
    assert "modeldir.errors.ParamsError: " in done.stderr
