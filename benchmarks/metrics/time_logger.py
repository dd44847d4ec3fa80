"""Time one logger: `time_logger.py NAME COUNT FOLDER` prints seconds and bytes as JSON.

Each way is a function that gets a folder and returns what records one point and what ends it. The
clock runs from the first point until all are where that way keeps them; start-up is not counted.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
import process_tree

Way = Callable[[Path], "tuple[Callable[[int, float], object], Callable[[], object]]"]


def write_alone(folder: Path):
    descriptor = os.open(folder / "points", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    line = (
        b'{"step": 12345, "time": "2026-11-25T21:00:00.000+00:00", "train/loss": 0.1234567890123}\n'
    )
    return lambda *_: os.write(descriptor, line), lambda: os.close(descriptor)


def json_lines(folder: Path):
    file = (folder / "points.jsonl").open("w", buffering=1)

    def record(step: int, value: float) -> None:
        file.write(json.dumps({"step": step, "train/loss": value}) + "\n")

    return record, file.close


def json_reopened(folder: Path):
    def record(step: int, value: float) -> None:
        with (folder / "points.jsonl").open("a") as file:
            file.write(json.dumps({"step": step, "train/loss": value}) + "\n")

    return record, lambda: None


def orjson_write(folder: Path):
    import orjson

    descriptor = os.open(folder / "points.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def record(step: int, value: float) -> None:
        os.write(descriptor, orjson.dumps({"step": step, "train/loss": value}) + b"\n")

    return record, lambda: os.close(descriptor)


def run_in(folder: Path):
    """Start a run of modeldir without its log, which is measured elsewhere."""
    import modeldir

    (folder / "params.json").write_text("{}")
    run = modeldir.start(folder)
    assert run._log is not None  # noqa: SLF001
    run._log.close()  # noqa: SLF001
    return run, lambda: run.__exit__(None, None, None)


def modeldir_train(folder: Path):
    run, end = run_in(folder)
    return lambda step, value: run.log(step, {"train/loss": value}), end


def modeldir_three(folder: Path):
    run, end = run_in(folder)
    return (
        lambda step, value: run.log(
            step, {"train/loss": value, "train/accuracy": value, "train/rate": value}
        ),
        end,
    )


def modeldir_development(folder: Path):
    run, end = run_in(folder)
    return lambda step, value: run.log(step, loss=value), end


def torch_writer(folder: Path):
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(str(folder))
    return lambda step, value: writer.add_scalar("train/loss", value, step), writer.close


def tensorboardx(folder: Path):
    from tensorboardX import SummaryWriter

    writer = SummaryWriter(str(folder))
    return lambda step, value: writer.add_scalar("train/loss", value, step), writer.close


def mlflow(folder: Path):
    import mlflow

    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    mlflow.start_run()
    return lambda step, value: mlflow.log_metric("train/loss", value, step), mlflow.end_run


def trackio(folder: Path):
    os.environ["TRACKIO_DIR"] = str(folder)
    import trackio

    trackio.init(project="points", embed=False)
    return lambda step, value: trackio.log({"train/loss": value}, step=step), trackio.finish


def wandb(folder: Path):
    import wandb

    run = wandb.init(
        mode="offline", dir=str(folder), settings=wandb.Settings(console="off", silent=True)
    )
    return lambda step, value: run.log({"train/loss": value}, step=step), run.finish


def aim(folder: Path):
    from aim import Run

    run = Run(repo=str(folder), system_tracking_interval=None, log_system_params=False)
    return lambda step, value: run.track(value, name="train/loss", step=step), run.close


WAYS: dict[str, Way] = {
    "json": json_lines,
    "write": write_alone,
    "reopened": json_reopened,
    "orjson": orjson_write,
    "modeldir": modeldir_train,
    "modeldir3": modeldir_three,
    "development": modeldir_development,
    "torch": torch_writer,
    "tensorboardX": tensorboardx,
    "trackio": trackio,
    "aim": aim,
    "wandb": wandb,
    "mlflow": mlflow,
}


def used() -> float:
    """Return the CPU seconds of this process and all that it started, such as services."""
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    ended = sum(each.ru_utime + each.ru_stime for each in both)
    return ended + sum(map(process_tree.cpu_of, process_tree.members()))


def main() -> None:
    name, count, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    process_tree.adopt_orphans()
    record, end = WAYS[name](folder)
    record(0, 0.5)
    began, before = time.perf_counter(), used()
    for step in range(1, count + 1):
        record(step, step / 7)
    end()
    wall, cpu = time.perf_counter() - began, used() - before
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    print(json.dumps({"wall": wall, "cpu": cpu, "bytes": size}))


if __name__ == "__main__":
    main()
