"""Measure what a metric costs: points per second by `run.log`, beside other loggers.

    python benchmarks/metrics/bench.py [--rounds 7] [--quick] [--peers] [--only json,modeldir]

A point is one call with a step and one number; the row with three numbers says so. It counts when
the kernel has it, so that killing the process loses nothing. Rows marked "buffered" lose what they
hold. Each row is a process of its own in each round, timed from the first point until everything is
closed, without start-up. The unit is `json.dumps` to a line-buffered file, as people write by hand.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
import peers
from side_by_side import machine

PLACE = peers.HOME / "peers-metrics"


@dataclass
class Row:
    """A function of `time_logger.py`, and its name in the table."""

    name: str
    title: str
    points: int = 100_000
    package: str | None = None
    runs: list[dict[str, float]] = field(default_factory=list)


def rows() -> list[Row]:
    return [
        Row("json", "`json.dumps`, line by line (the unit)"),
        Row("write", "one `write` of a line that is there already (the floor)"),
        Row("reopened", "`json.dumps`, the file opened for each", 20_000),
        Row("modeldir", '**`run.log(step, {"train/loss": x})`**'),
        Row("modeldir3", "**the same with three numbers**"),
        Row("development", "**`run.log(step, loss=x)`**, with the files of the last and the best"),
        Row("orjson", "orjson and one `write`", 100_000, "orjson"),
        Row("torch", "PyTorch's `SummaryWriter`, buffered", 20_000, "tensorboard"),
        Row("tensorboardX", "tensorboardX, buffered", 20_000, "tensorboardX"),
        Row("trackio", "Trackio, buffered", 20_000, "trackio"),
        Row("aim", "Aim", 5_000, "aim"),
        Row("wandb", "wandb, offline, buffered", 5_000, "wandb"),
        Row("mlflow", "MLflow, SQLite", 200, "mlflow"),
    ]


NEEDED = {"torch": ("torch", "tensorboard")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--quick", action="store_true", help="few rounds")
    parser.add_argument("--peers", action="store_true", help="install and time the others, too")
    parser.add_argument("--only", help="names of rows, with commas between them")
    arguments = parser.parse_args()
    rounds = arguments.rounds or (3 if arguments.quick else 7)
    wanted = [row for row in rows() if not arguments.only or row.name in arguments.only.split(",")]
    print(f"{rounds} rounds; {machine()}")
    wanted = [*ours(wanted), *(others(wanted) if arguments.peers else [])]
    for number in range(rounds):
        turn = number % len(wanted)
        for row in [*wanted[turn:], *wanted[:turn]]:
            timed(row)
    print(f"\n{table([row for row in wanted if row.runs])}")


def ours(wanted: list[Row]) -> list[Row]:
    return [row for row in wanted if row.package is None]


def others(wanted: list[Row]) -> list[Row]:
    """Return the rows of the peers that can be installed."""
    packages = {row.name: NEEDED.get(row.name, (row.package,)) for row in wanted if row.package}
    flat = dict.fromkeys(name for several in packages.values() for name in several)
    versions, left_out = peers.installed([*flat], PLACE, ours=False)
    print(peers.told(versions, left_out))
    return [row for row in wanted if row.package and not left_out.keys() & set(packages[row.name])]


def timed(row: Row) -> None:
    """Time one round of a row. A peer that fails is reported once and has no more rounds."""
    if row.points == 0:
        return
    python = PLACE / "bin" / "python" if row.package else sys.executable
    script = str(Path(__file__).with_name("time_logger.py"))
    with tempfile.TemporaryDirectory() as folder:
        try:
            done = subprocess.run(
                [python, script, row.name, str(row.points), folder],
                capture_output=True, text=True, cwd=folder, timeout=300, check=False,
            )  # fmt: skip
            answer = [line for line in done.stdout.splitlines() if line.startswith("{")]
            problem = "" if answer else (done.stderr.splitlines() or ["it said nothing"])[-1]
        except subprocess.TimeoutExpired:
            problem = "five minutes were not enough"
    if problem:
        print(f"Left out: {row.title}: {problem}")
        row.points, row.runs = 0, []
        return
    row.runs.append(json.loads(answer[-1]))


def table(shown: list[Row]) -> str:
    lines = [
        "| | points / s | µs CPU | x CPU | bytes / point |",
        "|---|---:|---:|---:|---:|",
    ]
    unit = next((row for row in shown if row.name == "json"), None)
    for row in shown:
        wall = statistics.median(run["wall"] / row.points for run in row.runs)
        cpu = [run["cpu"] / row.points for run in row.runs]
        ratio = "-"
        if unit:
            pairs = zip(cpu, unit.runs, strict=False)
            ratios = [ours / (theirs["cpu"] / unit.points) for ours, theirs in pairs]
            ratio = f"{statistics.median(ratios):.2f}"
        size = row.runs[0]["bytes"] / row.points
        middle = 1e6 * statistics.median(cpu)
        lines.append(f"| {row.title} | {1 / wall:,.0f} | {middle:.2f} | {ratio} | {size:,.0f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
