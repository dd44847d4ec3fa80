"""Checkpoints: the one that was saved last, wherever in a run's folder it lies."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest

from modeldir.experiment.saved_weights import newest_checkpoint


def save(folder: Path, *names: str) -> None:
    """Write files, each a second newer than the one before."""
    for second, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"weights")
        os.utime(path, (1000 + second, 1000 + second))


def found(folder: Path) -> str | None:
    path = newest_checkpoint(folder)
    return None if path is None else str(path.relative_to(folder))


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ((), None),
        (("params.json", "train.log", "metrics.jsonl"), None),
        (("last.npz",), "last.npz"),
        (("checkpoints/last.ckpt", "checkpoints/epoch=3-step=40.ckpt"), "checkpoints/last.ckpt"),
        (("ckpt/model_1.pt", "ckpt/model_2.pt"), "ckpt/model_2.pt"),
        (
            ("checkpoint-9/trainer_state.json", "checkpoint-10/trainer_state.json"),
            "checkpoint-10",
        ),
        (
            (
                "out/checkpoint-5/training_args.bin",
                "out/checkpoint-5/trainer_state.json",
                "out/checkpoint-10/training_args.bin",
            ),
            "out/checkpoint-5",
        ),
        (("checkpoint-5/training_args.bin", "checkpoint-5/model.safetensors"), None),
        (("tmp-checkpoint-5/model.safetensors", ".hidden/last.pt"), None),
        (("samples/epoch_3/image.png", "data/train.npz"), None),
        (("epoch_3/model.safetensors", "epoch_3/optimizer.bin"), "epoch_3"),
        (("attempts/1/last.pt", "a/b/c/d/latest.pth"), "a/b/c/d/latest.pth"),
        (("blast.pt", "a.pt"), "a.pt"),
    ],
)
def test_the_newest_is_found(tmp_path: Path, names: tuple[str, ...], expected: str | None) -> None:
    """As Lightning, Hugging Face, accelerate and scripts of one's own save."""
    save(tmp_path, *names)
    assert found(tmp_path) == expected


def test_one_that_was_not_written_to_its_end_is_none(tmp_path: Path) -> None:
    """A kill while PyTorch or NumPy saves leaves an archive without its end, or nothing."""
    with zipfile.ZipFile(tmp_path / "old.pt", "w") as archive:
        archive.writestr("data", "0" * 1000)
    os.utime(tmp_path / "old.pt", (1000, 1000))
    (tmp_path / "new.pt").write_bytes((tmp_path / "old.pt").read_bytes()[:500])
    (tmp_path / "newest.pt").touch()
    assert found(tmp_path) == "old.pt"
    (tmp_path / "new.pt").write_bytes((tmp_path / "old.pt").read_bytes())
    assert found(tmp_path) == "new.pt"


def test_a_folder_that_is_gone_has_none(tmp_path: Path) -> None:
    """Nor has a broken link, nor a pipe with such a name."""
    (tmp_path / "last.pt").symlink_to("nowhere")
    os.mkfifo(tmp_path / "best.pt")
    assert found(tmp_path) is None
    assert found(tmp_path / "none") is None
