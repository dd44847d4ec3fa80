"""A CSV file of points: what spreadsheets write is read, what is wrong is told by its line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldir.errors import SpaceError
from modeldir.space.configurations_csv import exact_plan, read_points

if TYPE_CHECKING:
    from syrupy.assertion import SnapshotAssertion

BASE: dict[str, Any] = {"learning_rate": 0.1, "batch_size": 32, "note": "x", "model.width": 64}


def points(text: str | bytes, folder: Path) -> list[dict[str, Any]]:
    path = folder / "points.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_points(path, BASE)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("learning_rate,batch_size\n0.1,16\n1e-2,32\n", [(0.1, 16), (0.01, 32)]),
        ("\ufefflearning_rate,batch_size\r\n0.1,16\r\n", [(0.1, 16)]),
        ('"learning_rate", batch_size \n"0.1"," 16"\n', [(0.1, 16)]),
        ("learning_rate,batch_size\n\n0.1,16\n , \n\n", [(0.1, 16)]),
        ("note,learning_rate\ntrue,null\nNone,.5\n", [(True, None), (None, 0.5)]),
        ('note\n"a, b"\n"say ""no"""\n"two\nlines"\n', [("a, b",), ('say "no"',), ("two\nlines",)]),
        ('note\n"[64, 32]"\n', [([64, 32],)]),
        ("model.width\n128", [(128,)]),
    ],
)
def test_what_a_spreadsheet_writes_is_read(
    text: str, found: list[tuple[Any, ...]], tmp_path: Path
) -> None:
    """Quotes, a byte order mark, blank lines, either end of line; values as they are typed."""
    assert [tuple(point.values()) for point in points(text, tmp_path)] == found


def test_a_blank_cell_is_not_given(tmp_path: Path) -> None:
    """Then it is sampled, or the base's value where the rows are the whole space."""
    found = points("learning_rate,batch_size\n0.1,\n,16\n0.1,32\n", tmp_path)
    assert found == [{"learning_rate": 0.1}, {"batch_size": 16},
                     {"learning_rate": 0.1, "batch_size": 32}]  # fmt: skip
    assert exact_plan(found, BASE) == {
        "space": {"learning_rate": [0.1, 0.1], "batch_size": [32, 16]},
        "zip": [["learning_rate", "batch_size"]],
    }


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n",
        "learning_rate,batch_size\n",
        "learning_rate;batch_size\n0.1;16\n",
        "learning_rate\tbatch_size\n0.1\t16\n",
        "learning_rat,batch_size\n0.1,16\n",
        "learning_rate,,batch_size,batch_size\n1,2,3,4\n",
        "learning_rate,batch_size\n0.1\n0.1,16,3\n0.1,16\n",
        '\n\nlearning_rate,batch_size\n0.1,"16\n',
        'learning_rate,batch_size\n0.1,"16"2\n',
        b"learning_rate\n\xff\xfe\n",
        "learning_rate\n0.1\n".encode("utf-16"),
    ],
    ids=lambda text: ascii(text)[:40],
)
def test_what_is_no_file_of_points(
    text: str | bytes, tmp_path: Path, snapshot: SnapshotAssertion
) -> None:
    """Each problem by its line, all at once."""
    with pytest.raises(SpaceError) as refused:
        points(text, tmp_path)
    assert str(refused.value).replace(str(tmp_path), "FOLDER") == snapshot


def test_a_file_that_is_not_there(tmp_path: Path, snapshot: SnapshotAssertion) -> None:
    """The nearest name is suggested; a folder is no file."""
    (tmp_path / "points.csv").touch()
    messages = []
    for name in ("point.csv", "."):
        with pytest.raises(SpaceError) as refused:
            read_points(tmp_path / name, BASE)
        messages.append(str(refused.value).replace(str(tmp_path), "FOLDER"))
    assert messages == snapshot


@given(st.text() | st.binary())
def test_whatever_lies_there_it_is_points_or_a_message(
    tmp_path_factory: pytest.TempPathFactory, text: str | bytes
) -> None:
    """Never a traceback."""
    raw = text if isinstance(text, bytes) else text.encode(errors="surrogatepass")
    try:
        points(b"note,batch_size\n" + raw, tmp_path_factory.getbasetemp())
    except SpaceError as error:
        assert str(error).endswith("Nothing was started.")  # noqa: PT017 - either is right
