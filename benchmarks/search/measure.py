"""Make the runs that have no result yet, in one process with one thread; `bench.py` starts it.

    python measure.py RESULTS QUESTION [METHOD ...]

Each run is one line, appended when it is done, so you may kill this at any moment and run it again.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.metadata
import io
import json
import math
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

for name in ("OMP", "OPENBLAS", "MKL"):
    os.environ[f"{name}_NUM_THREADS"] = "1"

sys.path.insert(0, str(Path(__file__).parent))
import contenders  # noqa: E402 - after the threads are set
import protocol  # noqa: E402 - after the threads are set
import result_files  # noqa: E402 - after the threads are set
import simulate  # noqa: E402 - after the threads are set
import tasks  # noqa: E402 - after the threads are set


def main() -> None:
    place, question, *methods = sys.argv[1:]
    with contextlib.suppress(ImportError):
        import torch

        torch.set_num_threads(1)
    there = result_files.read(Path(place))
    wanted = [run for run in protocol.runs(question, tuple(methods) or None) if run not in there]
    began = time.perf_counter()
    for done, run in enumerate(wanted):
        _note(f"{done}/{len(wanted)} {run.method} {run.task} seed {run.seed}", began)
        line = made(run, there)
        with open(place, "a", encoding="utf-8") as file:
            file.write(json.dumps(line, separators=(",", ":")) + "\n")
        there[run] = result_files.of(line)
    _note(f"{len(wanted)} runs", began)
    print(file=sys.stderr)


def _note(text: str, began: float) -> None:
    seconds = time.perf_counter() - began
    print(f"\r\x1b[K{seconds:4.0f} s  {text}", end="", file=sys.stderr, flush=True)


def made(run: protocol.Run, there: Mapping[protocol.Run, result_files.Result]) -> dict[str, Any]:
    """Return the run's line: the run, what it found, and by which version.

    `auto` is another sampler from the first trial to the last, with the same seed: if that
    sampler's run exists, it is this run.
    """
    task = tasks.make(run.task)
    if run.question != "stopping" and task.epochs > 1:
        task = tasks.Last(task)
    said = io.StringIO()  # some peers print
    with contextlib.redirect_stdout(said):
        contender = contenders.make(
            run.method,
            task.space,
            run.seed,
            trials=run.budget // task.epochs,
            epochs=task.epochs,
            asha=run.asha,
        )
        chosen = getattr(contender, "chosen", run.method)
        same = there.get(dataclasses.replace(run, method=chosen))
        found = (
            same.found
            if same
            else simulate.run(task, contender, run.seed, budget=run.budget, workers=run.workers)
        )
    package = contenders.PACKAGES.get(run.method, "modeldir")
    return {
        **dataclasses.asdict(run),
        "version": f"{package} {importlib.metadata.version(package)}",
        **({"chosen": chosen} if chosen != run.method else {}),
        **dataclasses.asdict(found),
        "scale": [None if math.isnan(x) else float(f"{x:.6g}") for x in task.scale()],
    }


if __name__ == "__main__":
    main()
