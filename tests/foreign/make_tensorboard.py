"""Made by tensorboardX 2.6.5 and tensorboard 2.21.0: python make_tensorboard.py."""

import shutil
from pathlib import Path

from tensorboard.compat.proto import event_pb2
from tensorboard.plugins.hparams import summary_v2 as hparams
from tensorboard.plugins.scalar import summary_v2 as scalar
from tensorboard.summary.writer.event_file_writer import EventFileWriter
from tensorboardX import SummaryWriter

here = Path(__file__).parent / "tensorboard"
shutil.rmtree(here, ignore_errors=True)

# As PyTorch's users write it: curves in the run, hyperparameters and results in a folder below.
for rate in 0.1, 0.01:
    with SummaryWriter(str(here / f"torch/lr_{rate}")) as writer:
        for step in range(3):
            writer.add_scalar("Loss/train", 1 / (step + 1), step)
            writer.add_scalar("Accuracy/val", 0.5 + step / 10 - rate, step)
        writer.add_text("note", "passed over", 0)
        writer.add_hparams({"lr": rate, "bsize": 32, "nesterov": True, "name": "a b"},
                           {"hparam/accuracy": 0.7 - rate}, name="hparams")

# As Keras' callback leaves it: two folders, scalars as tensors.
for split, sign in ("train", -1), ("validation", 1):
    writer = EventFileWriter(str(here / "keras/run one" / split))
    for step in range(3):
        value = 0.5 + step / 10 + sign / 100
        summary = scalar.scalar_pb("epoch_accuracy", value)
        writer.add_event(event_pb2.Event(wall_time=1.7e9 + step, step=step, summary=summary))
    if split == "train":
        start = hparams.hparams_pb({"units": 16, "dropout": 0.5}, start_time_secs=1.7e9)
        writer.add_event(event_pb2.Event(wall_time=1.7e9, summary=start))
    writer.flush()
    writer.close()
