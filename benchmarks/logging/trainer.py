"""What the benchmark times: a "training" that prints and logs, with the one log or the other.

    python trainer.py NAME FILE JOB LINES [DESCRIPTOR]

Each log is a generator of three steps: import what it needs, start, and, when the job is done,
finish. The jobs are at the end. On DESCRIPTOR the trainer tells the benchmark where it is, and
waits there while it is being looked at. Nothing is imported up here that a script which logs would
not have imported: it would be missing from the time that a log takes to start.
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
    """A log that is open: its file, what comes into it, and what stands for `logging.info`."""

    def __init__(
        self, file: str, holds: str = "print info", info: Info | None = logging.info
    ) -> None:
        self.file, self.holds, self.info = file, holds.split(), info


# -- The logs -------------------------------------------------------------------------------------


def plain(path: str) -> Steps:
    """The unit: `print` to a line-buffered file, and nothing on the terminal."""
    yield None
    sys.stdout = open(path, "a", buffering=1)  # noqa: SIM115 - until the end
    yield Started(path, "print", None)


def bare(path: str) -> Steps:
    """The floor: line by line to the pipe or terminal, and no file."""
    yield None
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    to_stderr()
    yield Started(path, holds="")


def cs230(path: str) -> Steps:
    """CS230's way, anew: the root logger with one handler for the file, one for the terminal."""
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
    """Its capture of the console as it is when nothing is asked for; offline."""
    yield from _wandb(path, "auto")


def wandb_redirect(path: str) -> Steps:
    """Its capture below Python: a pty of its own, read by a thread."""
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
    """Its capture of descriptors by itself, without an experiment and its observers."""
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
    """Without `close`: that looks through all packages and repositories, for minutes here."""
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
    """What a script has that logs, and leaves the file to whoever captures what it prints."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")


LOGS = {
    log.__name__: log
    for log in (plain, bare, cs230, loguru, wandb, wandb_redirect, sacred, clearml, modeldir)
}


# -- The jobs -------------------------------------------------------------------------------------


class Benchmark:
    """The other end: hears where we are, and lets us go on."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def tell(self, event: str, **facts: object) -> None:
        text = f"{ {'event': event, **facts}!r}\n"
        os.write(self._descriptor, text.encode("ascii"))

    def stop_at(self, event: str, **facts: object) -> None:
        self.tell(event, **facts)
        os.read(self._descriptor, 1)


def lines(started: Started, count: int, benchmark: Benchmark) -> None:
    """`count` prints, then as many records: the time of each loop, the CPU until all is written."""
    says: dict[str, Info] = {"print": print}
    if started.info:
        says["info"] = started.info
    for kind, say in says.items():
        said = [said_in(kind, number) for number in range(count)]
        for number in range(200):
            say(f"warming up {number}")
        sys.stdout.flush()
        benchmark.stop_at("begin")
        before, began = own_cpu(), time.perf_counter()
        for line in said:
            say(line)
        sys.stdout.flush()
        wall = time.perf_counter() - began
        benchmark.stop_at("written", last=said[-1] if kind in started.holds else "")
        benchmark.tell("timed", kind=kind, wall=wall, cpu=own_cpu() - before)


def killed(_: Started, count: int, benchmark: Benchmark) -> None:
    """Prints whose last is followed at once by a SIGKILL, as from the kernel short of memory."""
    for number in range(count):
        print(said_in("print", number))
    benchmark.tell("killed")
    os.kill(os.getpid(), signal.SIGKILL)


def progress(*_: object) -> None:
    """Three epochs of 300 steps, each step drawn twice, by tqdm."""
    from tqdm import tqdm

    for epoch in range(3):
        steps = tqdm(range(300), desc=f"epoch {epoch + 1}/3", mininterval=0, ncols=98, ascii=True)
        for step in steps:
            steps.set_postfix(loss=f"{1 / (step + 1 + 300 * epoch):.4f}")


def trivial(*_: object) -> None:
    """The shortest script that has a log."""
    print("done")


JOBS = {job.__name__: job for job in (lines, killed, progress, trivial)}


def said_in(kind: str, number: int) -> str:
    return f"{kind} line {number:05}: epoch 3 loss 0.693147 accuracy 0.8125"


def own_cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    name, path, job, count, *rest = sys.argv[1:]
    # Unheard of, as in a script that nobody looks at: what is told goes nowhere.
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
