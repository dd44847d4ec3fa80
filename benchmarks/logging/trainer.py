"""The script that the logging benchmark times: it prints and logs with one kind of log.

    python trainer.py NAME FILE JOB LINES [DESCRIPTOR]

Each log is a generator of three steps: import, start, and finish when the job is done. The jobs are
at the end. On DESCRIPTOR the trainer reports its progress and waits while it is being measured.
Nothing is imported at the top that a script with this log would not import, because it would be
missing from the log's start-up time.
"""

from __future__ import annotations

import logging
import os
import resource
import signal
import sys
import time

TYPE_CHECKING = False  # as typing's

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Info = Callable[[str], object]
    Steps = Iterator["Started | None"]


class Started:
    """An open log: its file, what it has received, and its substitute for `logging.info`."""

    def __init__(
        self, file: str, holds: str = "print info", info: Info | None = logging.info
    ) -> None:
        self.file, self.holds, self.info = file, holds.split(), info


# -- The logs -------------------------------------------------------------------------------------


def plain(path: str) -> Steps:
    """Print to a line-buffered file, and nothing to the terminal. This is the unit."""
    yield None
    sys.stdout = open(path, "a", buffering=1)  # noqa: SIM115 - until the end
    yield Started(path, "print", None)


def bare(path: str) -> Steps:
    """Print to the pipe or terminal only, without a file. This is the floor."""
    yield None
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    to_stderr()
    yield Started(path, holds="")


def cs230(path: str) -> Steps:
    """Use CS230's way: the root logger with one handler for the file and one for the terminal."""
    yield None
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    if not root.handlers:
        file = logging.FileHandler(path)
        file.setFormatter(logging.Formatter("%(asctime)s:%(levelname)s: %(message)s"))
        terminal = logging.StreamHandler()
        terminal.setFormatter(logging.Formatter("%(message)s"))
        for handler in (file, terminal):
            root.addHandler(handler)
    yield Started(path, holds="info")


def loguru(path: str) -> Steps:
    from loguru import logger

    yield None
    logger.remove()
    logger.add(sys.stderr)
    logger.add(path)
    yield Started(path, "info", logger.info)


def wandb(path: str) -> Steps:
    """Use wandb's default capture of the console, offline."""
    yield from _wandb(path, "auto")


def wandb_redirect(path: str) -> Steps:
    """Use wandb's capture below Python: a pty that a thread reads."""
    yield from _wandb(path, "redirect")


def _wandb(path: str, console: str) -> Steps:
    import wandb as package

    yield None
    to_stderr()
    folder = os.path.dirname(path)
    settings = package.Settings(console=console)
    run = package.init(mode="offline", dir=folder, project="benchmark", settings=settings)
    yield Started(os.path.join(run.dir, "output.log"))
    run.finish()


def sacred(path: str) -> Steps:
    """Use Sacred's capture of descriptors, without an experiment and observers."""
    from sacred.stdout_capturing import get_stdcapturer

    yield None
    to_stderr()
    _, capture = get_stdcapturer("fd")
    with capture() as out:
        yield Started(out.buffer.name)
        import shutil

        sys.stdout.flush()
        shutil.copy(out.buffer.name, path)  # the original goes with the capture


def clearml(path: str) -> Steps:
    """Use ClearML without `close`, which looks through all packages for minutes."""
    from clearml import Task

    yield None
    to_stderr()
    Task.set_offline(offline_mode=True)
    task = Task.init(project_name="benchmark", task_name=os.path.basename(path))
    yield Started(os.path.join(task.get_offline_mode_folder(), "log.jsonl"))
    task.flush()


def modeldir(path: str) -> Steps:
    from modeldir import set_logger

    yield None
    set_logger(path)
    yield Started(path)


def to_stderr() -> None:
    """Log to stderr, for tools that capture everything that is printed."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")


LOGS = {
    log.__name__: log
    for log in (plain, bare, cs230, loguru, wandb, wandb_redirect, sacred, clearml, modeldir)
}


# -- The jobs -------------------------------------------------------------------------------------


class Benchmark:
    """The connection to the benchmark: it learns the progress and lets the trainer continue."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def tell(self, event: str, **facts: object) -> None:
        text = f"{ {'event': event, **facts}!r}\n"
        os.write(self._descriptor, text.encode("ascii"))

    def target(self, event: str, **facts: object) -> None:
        self.tell(event, **facts)
        os.read(self._descriptor, 1)


def lines(started: Started, count: int, benchmark: Benchmark) -> None:
    """Print `count` lines, then log as many records. Time both loops, until all is written."""
    says: dict[str, Info] = {"print": print}
    if started.info:
        says["info"] = started.info
    for kind, say in says.items():
        said = [said_in(kind, number) for number in range(count)]
        for number in range(200):
            say(f"warming up {number}")
        sys.stdout.flush()
        benchmark.target("begin")
        before, began = own_cpu(), time.perf_counter()
        for line in said:
            say(line)
        sys.stdout.flush()
        wall = time.perf_counter() - began
        benchmark.target("written", last=said[-1] if kind in started.holds else "")
        benchmark.tell("timed", kind=kind, wall=wall, cpu=own_cpu() - before)


def killed(_: Started, count: int, benchmark: Benchmark) -> None:
    """Print lines and kill the process right after the last one, as a lack of memory does."""
    for number in range(count):
        print(said_in("print", number))
    benchmark.tell("killed")
    os.kill(os.getpid(), signal.SIGKILL)


def progress(*_: object) -> None:
    """Draw three epochs of 300 steps with tqdm, each step twice."""
    from tqdm import tqdm

    for epoch in range(3):
        steps = tqdm(range(300), desc=f"epoch {epoch + 1}/3", mininterval=0, ncols=98, ascii=True)
        for step in steps:
            steps.set_postfix(loss=f"{1 / (step + 1 + 300 * epoch):.4f}")


def trivial(*_: object) -> None:
    """Run the shortest script that has a log."""
    print("done")


JOBS = {job.__name__: job for job in (lines, killed, progress, trivial)}


def said_in(kind: str, number: int) -> str:
    return f"{kind} line {number:05}: epoch 3 loss 0.693147 accuracy 0.8125"


def own_cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    name, path, job, count, *rest = sys.argv[1:]
    # Without a benchmark, as in a user's script, the reports go nowhere.
    benchmark = Benchmark(int(rest[0]) if rest else os.open(os.devnull, os.O_RDWR))
    began = time.perf_counter()
    steps = LOGS[name](path)
    next(steps)
    imported = time.perf_counter()
    started = next(steps)
    ready = time.perf_counter()
    assert started is not None
    times = {"imported": imported - began, "start": ready - imported}
    benchmark.tell("started", pid=os.getpid(), file=started.file, count=int(count), **times)
    JOBS[job](started, int(count), benchmark)
    next(steps, None)
    benchmark.tell("finished")


if __name__ == "__main__":
    main()
