"""Reading: any content of any file, and whatever else may lie where a file is expected."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from modeldir._system import reading


@pytest.mark.parametrize(
    "data",
    [b"", b" ", b'{"a": 1', b'{"a": 1}}', b"\x00\x00\x00", b"\xff\xfe{", b"[" * 100_000],
    ids=["empty", "blank", "torn", "twice closed", "zeros", "no text", "deep"],
)
def test_what_is_no_json_reads_as_none(tmp_path: Path, data: bytes) -> None:
    """A torn, empty or foreign file is no value, and never an exception."""
    path = tmp_path / "run.json"
    path.write_bytes(data)
    assert reading.read_json(path) is None
    assert reading.read_object(path) == {}


@pytest.mark.parametrize("text", ["[1]", "3", "null", '"running"', "NaN"])
def test_json_that_is_no_object_reads_as_an_empty_one(tmp_path: Path, text: str) -> None:
    """Whoever asks for an object can index what comes back."""
    (tmp_path / "run.json").write_text(text)
    assert reading.read_object(tmp_path / "run.json") == {}


def test_what_cannot_be_read_reads_as_nothing(tmp_path: Path) -> None:
    """A missing file, a folder in its place, a path through a file."""
    (tmp_path / "file").write_text("{}")
    for path in (tmp_path / "none", tmp_path, tmp_path / "file" / "below"):
        assert reading.read_bytes(path) is None
        assert reading.read_json(path) is None
        assert reading.read_lines(path) == []
        assert reading.tail(path) == b""


@pytest.mark.parametrize("size", [1, 4, 5, 100])
def test_an_output_is_read_in_pieces_that_end_where_a_line_does(tmp_path: Path, size: int) -> None:
    """None is lost; a line is cut only where it is longer than a piece."""
    path = tmp_path / "console.log"
    data = b"one\ntwo\r\nbar\rbar!\r\n\nlast"
    path.write_bytes(data)
    pieces = list(reading.printed_pieces(path, size))
    assert b"".join(pieces) == data
    if size >= 4:
        assert all(piece.endswith((b"\n", b"\r")) for piece in pieces[:-1])
    assert max(map(len, pieces)) <= 2 * size
    assert list(reading.printed_pieces(tmp_path / "none", size)) == []


def test_a_tail_is_the_end_of_a_file_however_short(tmp_path: Path) -> None:
    """Of a long file the last bytes, of a short one all, of none of them nothing."""
    path = tmp_path / "console.log"
    path.write_bytes(b"0123456789")
    assert reading.tail(path, 4) == b"6789"
    assert reading.tail(path, 400) == b"0123456789"
    assert reading.tail(path, 0) == b""


# -- What is no regular file -----------------------------------------------------------------------


def test_a_pipe_a_device_a_socket_and_a_folder_are_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody writes to the pipe and /dev/zero never ends; each is an error that says what it is."""
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    Path("zero").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        for name, what in {
            "pipe": "it is a pipe, not a regular file",
            "zero": "it is a device, not a regular file",
            "socket": "it is a socket, not a regular file",
            ".": "it is a folder, not a file",
            "a\0b": "embedded null byte",
            "\ud800": "a character in the path is not valid Unicode",
        }.items():
            with pytest.raises(OSError) as told:  # noqa: PT011 - the text is compared below
                reading.read(name)
            assert told.value.strerror == what
            assert reading.read_bytes(name) is None
            assert reading.read_object(name) == {}
            assert list(reading.lines(name)) == []
            assert list(reading.printed_pieces(name)) == []
            assert reading.tail(name) == b""


def test_a_link_to_a_file_is_followed(tmp_path: Path) -> None:
    """Users keep their data elsewhere and link to it."""
    (tmp_path / "there.json").write_text('{"a": 1}')
    (tmp_path / "here.json").symlink_to("there.json")
    assert reading.read_object(tmp_path / "here.json") == {"a": 1}


def test_files_without_a_size_are_read_to_their_end() -> None:
    """Those in /proc say that they are empty."""
    assert b"Name:" in reading.read("/proc/self/status")
    assert reading.read("/proc/self/maps").endswith(b"\n")


# -- Limits ----------------------------------------------------------------------------------------


def test_a_file_above_its_limit_is_refused_with_its_size(tmp_path: Path) -> None:
    """A sparse file of a terabyte takes no memory and no time; the error names the limit."""
    path = tmp_path / "run.json"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(
        OSError, match=r"1,048,576\.0 MB, but a file of modeldir may have at most 32 MB"
    ):
        reading.read(path)
    assert reading.read_lines(path) == []
    assert reading.problem(path) == (
        f"{path}: cannot be read: "
        "it has 1,048,576.0 MB, but a file of modeldir may have at most 32 MB"
    )
    assert len(reading.tail(path, 100)) == 100


def test_a_file_of_exactly_its_limit_is_read(tmp_path: Path) -> None:
    """One byte more is too much."""
    path, kind = tmp_path / "a", reading.Kind("a test", 100_000)
    path.write_bytes(b"x" * 100_000)
    assert reading.read(path, kind) == b"x" * 100_000
    path.write_bytes(b"x" * 100_001)
    assert reading.read_bytes(path, kind) is None


@pytest.mark.parametrize("size", [0, 1, 4095, 4096, 4097])
def test_a_short_file_is_read_whole_or_left_to_the_full_reader(tmp_path: Path, size: int) -> None:
    """What the quick way returns is the whole file."""
    path = tmp_path / "a"
    path.write_bytes(b"x" * size)
    assert reading.read_short(path) == (b"x" * size if size < 4096 else None)
    assert reading.read(path) == b"x" * size


def test_long_lines_are_skipped_and_the_others_are_read(tmp_path: Path) -> None:
    """A line of three megabytes is nobody's metrics."""
    path = tmp_path / "metrics.jsonl"
    long = b'{"step": 2, "x": "' + b"y" * (3 << 20) + b'"}'
    path.write_bytes(b'{"step": 1}\n' + long + b'\n{"step": 3}\n')
    assert list(reading.lines(path)) == [{"step": 1}, {"step": 3}]


def test_new_lines_are_read_a_piece_at_a_time(tmp_path: Path) -> None:
    """Whoever watches a file goes on where the last look ended, however much was written since."""
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"step": 1, "text": "%s"}\n' % (b"x" * 1000) * 20_000)
    found, offset = reading.lines_from(path, 0)
    more, end = reading.lines_from(path, offset)
    assert len(found) + len(more) == 20_000
    assert found
    assert more
    assert end == path.stat().st_size
    path.write_bytes(b"x" * (20 << 20))
    _, offset = reading.lines_from(path, 0)
    assert offset > 0  # one endless line does not stop everything behind it


# -- JSON ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("opening", ["[", '{"a":', '[{"a":'])
def test_nesting_is_bounded(opening: str) -> None:
    """A hundred brackets inside each other are read, one more is not, nor a hundred thousand."""
    closing = {"[": "]", '{"a":': "}", '[{"a":': "}]"}[opening]
    most = reading.MAX_DEPTH // len(closing)
    reading.loads(opening * most + "1" + closing * most)
    for depth in (most + 1, 100_000):
        with pytest.raises(ValueError, match="more than 100 brackets inside each other"):
            reading.loads(opening * depth + "1" + closing * depth)


def test_many_brackets_beside_each_other_are_no_nesting() -> None:
    """A list of a thousand lists is two deep; a million lists are too many for memory."""
    assert reading.loads("[" + "[1]," * 1000 + "[1]]") == [[1]] * 1001
    with pytest.raises(ValueError, match="more than 500,000 brackets"):
        reading.loads("[" + "[]," * 1_000_000 + "[]]")


def test_half_of_a_character_becomes_one_that_can_be_printed() -> None:
    """Pairs and the bytes of a path that is no UTF-8 stay."""
    text = r'{"\ud800": ["\ud83d\ude00", "\udce9", "x\udfff"]}'
    assert reading.loads(text) == {"\ufffd": ["\U0001f600", "\udce9", "x\ufffd"]}


def test_a_problem_says_what_is_wrong_with_a_file(tmp_path: Path) -> None:
    """The path comes first; a missing file is none."""
    path = tmp_path / "run.json"
    assert reading.problem(path) is None
    for text, said in {
        "{}": None,
        "[]": "expected an object",
        "": "is not JSON: Expecting value: line 1 column 1 (char 0)",
        '{"a": ': "is not JSON: Expecting value: line 1 column 7 (char 6)",
        "[" * 101 + "]" * 101: "is not JSON: more than 100 brackets inside each other",
    }.items():
        path.write_text(text)
        assert reading.problem(path) == (said and f"{path}: {said}")
