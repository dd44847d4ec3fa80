"""Weights: what comes back is what was saved, and a file is never half of one."""

from __future__ import annotations

import os
import sys
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modeldir import load_checkpoint, save_checkpoint
from modeldir.errors import CheckpointError

if TYPE_CHECKING:
    from pathlib import Path

    from syrupy.assertion import SnapshotAssertion

LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=5)
    | st.lists(st.integers() | st.text(max_size=5), max_size=3)
)
KEYS = st.text(min_size=1, max_size=5)
STATES = st.dictionaries(
    KEYS,
    st.recursive(LEAVES, lambda parts: st.dictionaries(KEYS, parts, max_size=3), max_leaves=6),
)


def weights(value: float) -> dict[str, Any]:
    return {"epoch": 3, "weights": {"hidden": np.full((4, 2), value, np.float32)}}


# -- What comes back -------------------------------------------------------------------------------


def test_nested_state_comes_back(tmp_path: Path) -> None:
    """Arrays keep their values, shapes and types; numbers, strings and the nesting stay."""
    state = {
        "epoch": 3,
        "accuracy": 0.97,
        "file": "baseline",
        "done": True,
        "weights": {"hidden": {"w": np.arange(6.0).reshape(2, 3)}, "bias": np.zeros(3, np.float32)},
        "counts": np.asfortranarray(np.arange(6, dtype=np.uint8).reshape(2, 3)),
        "empty": np.zeros((0, 3), np.int16),
    }
    save_checkpoint(state, tmp_path)
    loaded = load_checkpoint(tmp_path, "last")
    np.testing.assert_equal(loaded, state)
    assert list(loaded) == list(state)
    for name in ("counts", "empty"):
        assert loaded[name].dtype == np.asarray(state[name]).dtype
    assert type(loaded["done"]) is bool


@settings(max_examples=50, deadline=None)
@given(state=STATES)
def test_any_plain_state_comes_back(state: dict[str, Any]) -> None:
    """Any nesting of None, booleans, integers, floats, strings and lists comes back as it was."""
    with TemporaryDirectory() as folder:
        save_checkpoint(state, folder)
        assert load_checkpoint(folder, "last") == state


def test_generator_state_comes_back(tmp_path: Path) -> None:
    """A random generator restored from a checkpoint continues with the same numbers."""
    generator = np.random.default_rng(230)
    generator.normal(size=5)
    save_checkpoint({"random": generator.bit_generator.state}, tmp_path)
    restored = np.random.default_rng(0)
    restored.bit_generator.state = load_checkpoint(tmp_path, "last")["random"]
    assert restored.normal() == generator.normal()


def test_numpy_reads_the_file(tmp_path: Path) -> None:
    """The file needs no modeldir: numpy.load reads it by the joined names."""
    path = save_checkpoint(weights(1.0), tmp_path)
    with np.load(path, allow_pickle=False) as arrays:
        assert sorted(arrays.files) == ["epoch", "weights/hidden"]
        assert arrays["epoch"] == 3
        assert arrays["weights/hidden"].dtype == np.float32


def test_archive_of_numpy_is_read(tmp_path: Path) -> None:
    """Weights that a script saved by numpy.savez are weights too."""
    np.savez(tmp_path / "best.npz", w=np.ones(3))
    np.testing.assert_array_equal(load_checkpoint(tmp_path)["w"], np.ones(3))


# -- Which file ------------------------------------------------------------------------------------


def test_best_is_written_only_when_it_is(tmp_path: Path) -> None:
    """`last` is always the latest state, `best` the latest that was called best."""
    assert save_checkpoint(weights(1.0), tmp_path, is_best=True) == tmp_path / "last.npz"
    save_checkpoint(weights(2.0), tmp_path)
    assert load_checkpoint(tmp_path, "last")["weights"]["hidden"][0, 0] == 2.0
    assert load_checkpoint(tmp_path)["weights"]["hidden"][0, 0] == 1.0
    assert sorted(os.listdir(tmp_path)) == ["best.npz", "last.npz"]


@pytest.mark.parametrize("name", ["best", "best.npz"])
def test_name_with_and_without_ending(tmp_path: Path, name: str) -> None:
    """The name may have its ending; a path to the file does as well."""
    save_checkpoint(weights(1.0), tmp_path, is_best=True)
    assert load_checkpoint(tmp_path, name)["epoch"] == 3
    assert load_checkpoint(tmp_path / "best.npz")["epoch"] == 3
    assert load_checkpoint("elsewhere", tmp_path / name)["epoch"] == 3


def test_newest_of_two_forms(tmp_path: Path) -> None:
    """If a name has files in two formats, the newest counts."""
    (tmp_path / "last.pth.tar").write_bytes(b"from an earlier version of the script")
    os.utime(tmp_path / "last.pth.tar", (1, 1))
    save_checkpoint(weights(1.0), tmp_path)
    assert load_checkpoint(tmp_path, "last")["epoch"] == 3


def test_mode_follows_the_umask(tmp_path: Path) -> None:
    """Weights are as readable as any file that the user makes."""
    (tmp_path / "other").touch()
    path = save_checkpoint(weights(1.0), tmp_path, is_best=True)
    mode = (tmp_path / "other").stat().st_mode
    assert path.stat().st_mode == mode
    assert (tmp_path / "best.npz").stat().st_mode == mode


# -- Saying no -------------------------------------------------------------------------------------


def message(call: Any, *args: Any) -> str:
    with pytest.raises(CheckpointError) as caught:
        call(*args)
    return str(caught.value)


def test_no_such_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, snapshot: SnapshotAssertion
) -> None:
    """The message says what is there, and what to type."""
    monkeypatch.chdir(tmp_path)
    texts = [message(load_checkpoint, "experiments/base_model")]
    model_dir = tmp_path / "experiments/base_model"
    model_dir.mkdir(parents=True)
    texts.append(message(load_checkpoint, "experiments/base_model"))
    save_checkpoint(weights(1.0), model_dir)
    texts.append(message(load_checkpoint, "experiments/base_model", "best"))
    assert "\n\n".join(texts) == snapshot


def test_broken_weights(tmp_path: Path) -> None:
    """A file that is cut off, or no weights at all, is named together with the reason."""
    path = save_checkpoint(weights(1.0), tmp_path)
    whole = path.read_bytes()
    for broken in (whole[: len(whole) // 2], b"", b"hello", whole.replace(b"NUMPY", b"LUMPY")):
        path.write_bytes(broken)
        assert "last.npz cannot be read as weights: " in message(load_checkpoint, tmp_path, "last")


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    """An archive with Python objects in it is refused: reading it could run code."""
    np.savez(tmp_path / "last.npz", evil=np.array([object()], dtype=object))
    assert "cannot be read as weights" in message(load_checkpoint, tmp_path, "last")


@pytest.mark.parametrize(
    ("state", "part"),
    [
        ({"weights": {"hidden": object()}}, "state['weights']['hidden'] cannot be saved: it is of"),
        ({"weights": [np.ones(2)]}, "state['weights'] cannot be saved: it is of type list"),
        ({"objects": np.array([None])}, "state['objects'] cannot be saved"),
        ({"bytes": b"raw"}, "state['bytes'] cannot be saved: it is of type bytes"),
        ({1: 2.0}, "state[1] cannot be saved: keys must be strings"),
        ({"": 2.0}, "state[''] cannot be saved: keys must be strings, and not empty"),
    ],
)
def test_state_without_a_form(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: dict[Any, Any], part: str
) -> None:
    """A state that cannot be saved is refused by the part's name, and nothing is written."""
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    assert part in message(save_checkpoint, state, tmp_path)
    assert os.listdir(tmp_path) == []


def test_failed_write_leaves_the_earlier_weights(tmp_path: Path) -> None:
    """When the new weights cannot take their place, the old ones are as they were."""
    save_checkpoint(weights(1.0), tmp_path)
    (tmp_path / "best.npz").mkdir()  # a folder cannot be replaced by a file
    assert "The earlier weights are untouched." in message(
        save_checkpoint, weights(2.0), tmp_path, True
    )
    assert load_checkpoint(tmp_path, "last")["weights"]["hidden"][0, 0] == 2.0
    assert sorted(os.listdir(tmp_path)) == ["best.npz", "last.npz"]


def test_missing_folder(tmp_path: Path) -> None:
    """Weights are not saved into a folder that nobody made."""
    assert "cannot be written" in message(save_checkpoint, weights(1.0), tmp_path / "missing")


# -- PyTorch ---------------------------------------------------------------------------------------


def test_torch_state_comes_back(tmp_path: Path) -> None:
    """A model and its optimizer continue exactly; NumPy's numbers beside them are restored too."""
    torch = pytest.importorskip("torch", reason="PyTorch is no dependency; the vision demo has it")
    model = torch.nn.Linear(3, 2)
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    state = {
        "epoch": 3,
        "accuracy": np.float64(0.97),
        "mean": np.arange(3.0),
        "params": MappingProxyType({"model": {"width": 3}}),
        "state_dict": model.state_dict(),
        "optim_dict": optimizer.state_dict(),
    }
    path = save_checkpoint(state, tmp_path, is_best=True)
    assert path == tmp_path / "last.pth.tar"
    loaded = load_checkpoint(tmp_path)
    assert loaded["params"] == {"model": {"width": 3}}
    assert loaded["accuracy"] == 0.97
    np.testing.assert_array_equal(loaded["mean"], np.arange(3.0))
    other = torch.nn.Linear(3, 2)
    other.load_state_dict(loaded["state_dict"])
    assert torch.equal(other.weight, model.weight)
    torch.optim.Adam(other.parameters()).load_state_dict(loaded["optim_dict"])


def test_torch_objects_are_refused(tmp_path: Path) -> None:
    """A whole model in a file is not loaded: it is named, with the way to save it instead."""
    torch = pytest.importorskip("torch", reason="PyTorch is no dependency; the vision demo has it")
    torch.save({"model": torch.nn.Linear(3, 2)}, tmp_path / "best.pth.tar")
    assert "holds more than weights" in message(load_checkpoint, tmp_path)
    (tmp_path / "best.pth.tar").write_bytes(b"hello")
    assert "best.pth.tar" in message(load_checkpoint, tmp_path)
