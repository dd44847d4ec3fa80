"""Fuzzing of commands: folders with odd files, through every command that reads them.

    python tests/fuzz_folders.py --commands 10000 --seed 7

`Template` makes one real project, by a real search, and keeps its files in memory. `mutated` writes
it anew and damages it: truncation, flipped bits, values of other types, huge numbers, deep nesting,
pipes, devices, sparse files, loops of links, odd names, missing permissions, bombs of aliases.
`Runner` runs commands on it, most of them in forks of this process. A finding is a traceback of
ours, more than 10 s of computing, a minute of waiting, or more than 500 MB. The same seed makes the
same folders and commands.

Start at `fuzz`. `fuzz.py` calls it after the readers of params and logs.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import random
import resource
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SECONDS, MEGABYTES = 10, 500
PATIENCE = 60.0
"""Seconds after which a command hangs, if it does not compute; a busy machine takes its time."""
_MARK = "FUZZ: an exception of ours"
_PER_TREE = 12
"""Commands on one tree."""
_TOLD = 1000
"""Commands after which a long run says how far it is."""
_EVERY = 50
"""One command in so many is a process of its own; the others are forks."""

TRAIN = """\
import sys
import modeldir

with modeldir.start(sys.argv[sys.argv.index("--model_dir") + 1]) as run:
    rate, depth = run.params.learning_rate, run.params.model.depth
    print("training with", rate, depth)
    if rate == 3:
        raise ValueError("it diverged")
    for epoch in range(1, 6):
        run.log(epoch, {"val/accuracy": 1 - rate / epoch, "val/loss": rate, "train/loss": rate})
"""


# -- A real project --------------------------------------------------------------------------------


class Template:
    """The files of a project with a finished search and a few experiments, by their paths."""

    def __init__(self) -> None:
        with tempfile.TemporaryDirectory(prefix="modeldir-fuzz-") as scratch:
            top = Path(scratch)
            _make_project(top)
            self.files = {
                path.relative_to(top).as_posix(): path.read_bytes()
                for path in sorted(top.rglob("*"))
                if path.is_file() and not path.is_symlink()
            }

    def write(self, top: Path) -> None:
        for name, data in self.files.items():
            path = top / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        for path in [
            *top.rglob("run*.json"),
            *top.rglob("workers/*.json"),
            *top.rglob("jobs/t*.json"),
        ]:
            if "foreign" not in path.parts:  # else they would count as copied
                _move_here(path)


def _move_here(path: Path) -> None:
    record = json.loads(path.read_bytes())
    folder = path.parents[2] if ".modeldir" in path.parts else path.parent
    status = folder.stat()
    _json(path, {**record, "folder": {"device": status.st_dev, "inode": status.st_ino}})


def _make_project(top: Path) -> None:
    (top / "train.py").write_text(TRAIN)
    (top / "modeldir.toml").write_text('maximize = "accuracy"\nignore = ["num_workers"]\n')
    search = top / "experiments" / "search"
    search.mkdir(parents=True)
    base = {"learning_rate": 0.1, "seed": 1, "model": {"depth": 2, "widths": [8, 16]}, "lr": "a"}
    (search / "params.json").write_text(json.dumps(base))
    words = ["search", str(search), "learning_rate=0.1,0.5,3", "model.depth=1,2", "-j", "2"]
    done = subprocess.run(
        [sys.executable, "-m", "modeldir", *words, "--", sys.executable, "train.py"],
        cwd=top, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    if not (search / ".modeldir" / "trials" / "000006.json").exists():
        raise RuntimeError(done.stdout + done.stderr)
    plan = json.loads((search / "search.json").read_text())
    _json(search / "search.json", {**plan, "try": "@points.csv", "pruner": "asha"})
    (search / "points.csv").write_text("learning_rate,seed\n0.1,1\n0.5,2\n")
    _make_workers(search / ".modeldir")
    for name, text in {
        "plain/params.json": '{"learning_rate": 0.2}',
        "yaml/params.yaml": "# ours\nlearning_rate: 1e-3\nmodel: &m {depth: 2}\nother: *m\n",
        "toml/params.toml": "learning_rate = 0.001\n[model]\ndepth = 2\nmade = 2026-01-01\n",
        "jsonc/params.jsonc": '{"learning_rate": 0.3 /* high */}',
    }.items():
        folder = top / "experiments" / Path(name).parent
        folder.mkdir()
        (top / "experiments" / name).write_text(text)
        _json(folder / "metrics_eval_best_weights.json", {"accuracy": 0.5, "loss": 0.1})
        _json(folder / "metrics_test_best.json", {"accuracy": 0.5})
        _json(
            folder / "origin.json", {"from": "../plain", "changes": {"a": [1, 2]}, "message": "x"}
        )
        _json(folder / "environment.json", {"packages": {"numpy": "1.0"}})
        (folder / "console.log").write_text("one\ntwo\r\x1b[31mthree\x1b[0m\n")
    trial = next(search.glob("*/run.json"))
    shutil.copy(trial, trial.with_name("evaluate.run.json"))
    running = {**json.loads(trial.read_text()), "status": None, "ended": None}
    _json(top / "experiments" / "plain" / "run.json", running)
    _json(top / "experiments" / "yaml" / "run.json", {**running, "supervisor": None})
    away = {**(running["supervisor"] or {}), "host": "elsewhere", "boot": "b", "machine": "m"}
    _json(top / "experiments" / "toml" / "run.json", {**running, "supervisor": away})
    shutil.copytree(
        HERE / "foreign", top / "foreign", ignore=shutil.ignore_patterns("*.py", "*.sh")
    )


def _make_workers(home: Path) -> None:
    """Leave a worker, a job and a request to stop, as others would have made them."""
    here = {"host": "elsewhere", "pid": 4711, "started": 1234, "boot": "b", "pid_namespace": "n"}
    _json(home / "workers" / "a.json", {
        "process": {**here, "machine": "m"}, "host": "elsewhere", "pid": 4711, "jobs": 2,
        "heartbeat": 15.0, "job": "t1_0", "token": "w1", "started": "2026-01-01T00:00:00.000+00:00",
    })  # fmt: skip
    _json(home / "last_worker.json", {"options": "-j 2"})
    _json(home / "stops" / "a.json", {
        "workers": ["w1"], "jobs": [], "now": False, "by": "somebody", "asked": "2026-01-01",
    })  # fmt: skip
    _json(home / "jobs" / "t1_0.json", {
        "launcher": "slurm", "options": {}, "job": {"id": "17"}, "worker": "modeldir worker .",
        "round": 1, "asked": "2026-01-01T00:00:00.000+00:00", "by": "a", "started": "2026-01-01",
    })  # fmt: skip
    _json(home / "jobs" / "round.1.json", {"base": "t1", "by": "a"})
    _json(home / "jobs" / "states.json", {
        "every": 20.0, "answers": {"t1_0": {"alive": True, "words": "runs", "runs": True}},
    })  # fmt: skip
    (home / "jobs" / "t1_0.out").write_text("a job\n")


def _json(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


# -- Damage ----------------------------------------------------------------------------------------

_DEEP = "[" * 95 + "]" * 95
ODD_VALUES = (
    "1" + "0" * 400, "-1" + "0" * 400, "1e308", "-1e308", "1e999", "-1e999", "1e300", "1e-320",
    "NaN", "Infinity", "-1", "0", "-0.0", "true", "false", "null", '""', '"text"', "[]", "{}",
    '"\\ud800"', '"\\udce9"', '"\\u0000"', '"\\u202e\\u001b[2Jx"', '"../../x"', '"/dev/zero"',
    '"@"',
    '"@/dev/zero"', '"a\\u0000b"', '"' + "x" * 100_000 + '"', "[1, 2]", '{"a": 1}', '[["a", 1]]',
    "9223372036854775808", "2147483648", "4294967296", "1.5", _DEEP, "[" * 200 + "]" * 200,
    '{"a":' * 98 + "1" + "}" * 98, "1" * 4400, '"9" ', '"9999-99-99T99:99:99"', '"nan"', '"1e999"',
    '"0001-01-01T00:00:00+23:59"', '"9999-12-31T23:59:59-23:59"', '{"": {"": 1}}', "[null]",
    '{"host": 3}', '["\\ud800"]', '{"\\ud800": 1}', '"% s {} {0} %(a)s"', '"=cmd()"',
    "[" + "1," * 9999 + "1]",
)  # fmt: skip
"""As they would stand in a file of ours, instead of another value."""


def _bomb(first: str, next_one: str) -> str:
    """Return YAML of a few lines that stands for 9 ** 20 values."""
    others = (f"a{n}: &a{n} {next_one.format(', '.join([f'*a{n - 1}'] * 9))}" for n in range(1, 21))
    return "\n".join([f"a0: &a0 {first}", *others]) + "\n"


BOMB = _bomb("x", "[{}]")
MERGE_BOMB = _bomb("{x: 1}", "{{<<: [{}]}}")
_TEXTS = (
    b"", b"\n", b"\0" * 100, b"{", b"[]", b"null", b"3", b'"x"', b"{}", b"{}{}", b"\xff\xfe{\0}\0",
    b"\xef\xbb\xbf{}", b"[" * 100_000, b'{"a":' * 50_000, b"a: " * 3000, b"\xe9", b"- " * 20_000,
    BOMB.encode(), MERGE_BOMB.encode(), b"a: &a [*a]\n", b"a.b" * 5000 + b" = 1",
    b"[" * 95 + b"]" * 95,
    b"[a." + b"b." * 3000 + b"c]\nx = 1", b"? [1]\n: 2\n", b"%YAML 9.9\n---\na: 1\n", b"&a " * 1000,
    b"\x1f\x8b\x08\0" * 50, b"SQLite format 3\0" + b"\xff" * 4096, b"x" * 5_000_000, b"{\n" * 3000,
    b'{"step": 1, "time": 1e999}\n' * 50, b'{"step": "\\ud800"}\n', b"1,2,3\n" * 10_000, b'"',
    b'{"accuracy": ' + b"9" * 4000 + b"}", b'{"accuracy": ' + b"9" * 5000 + b"}",
    b"!!python/none x",
    b'{"op_code": 0, "worker_id": "x"}\n', b"a = [" + b"[" * 3000,
    b"a = 1e999\nb = nan\nc = -inf\n",
    b"=" * 3000, b"!!int x", b"a: !!timestamp 2026-99-99", b"\r" * 5000,
    b"1: 2\ntrue: 3\nnull: 4\n",
    b'{"a": ' + b"[" * 90 + b"1" + b"]" * 90 + b', "accuracy": 1e308, '
    b'"learning_rate": 1' + b"0" * 400 + b"}",
)  # fmt: skip
_NAMES = (
    b"\xff\xfe", b"a\nb", b"-x", b"--help", b"\x1b[31mred", "\u202etxt".encode(), b" ", b"a b'\"$`",
    b"x" * 240, b"{learning_rate}", b"a,b=c", b"~", b"*", b"%s", b"\xf0\x9f\x98\x80", b"con:1",
    b"</script>",
)  # fmt: skip


def mutated(rng: random.Random, template: Template, top: Path) -> list[str]:
    """Write the project and damage it; return what was done."""
    template.write(top)
    names = sorted(template.files)
    likely: dict[str, list[str]] = {}  # by their last part: each kind of file as often
    for name in names:
        if not name.startswith("foreign/"):
            likely.setdefault(name.rpartition("/")[2].lstrip("0123456789"), []).append(name)
    done = []
    for _ in range(rng.choice((1, 1, 2, 3, 5, 8))):
        kind = rng.choice([*likely.values()])
        name = rng.choice(kind if rng.random() < 0.8 else names)
        damage = rng.choice(DAMAGES)
        try:
            done.append(f"{damage.__name__.strip('_')} {name}: {damage(rng, top / name, top)}")
        except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
            done.append(f"{damage.__name__.strip('_')} {name}: not done ({error!r:.60})")
    return done


def _content(path: Path) -> bytes:
    """Return what an earlier damage has left of a file, if it is a small one."""
    if not path.is_file() or path.stat().st_size > 10 << 20:
        raise ValueError("damaged before")
    return path.read_bytes()


def _truncate(rng: random.Random, path: Path, _: Path) -> str:
    data = _content(path)
    size = rng.randrange(len(data) + 1)
    path.write_bytes(data[:size])
    return f"{size} bytes"


def _flip(rng: random.Random, path: Path, _: Path) -> str:
    data = bytearray(_content(path))
    for _bit in range(rng.choice((1, 1, 3, 20))):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    path.write_bytes(data)
    return "bits"


def _swap_value(rng: random.Random, path: Path, _: Path) -> str:
    """Replace a value anywhere in a JSON file, or in a line of one, by an odd one."""
    data = _content(path).decode()
    lines = data.splitlines(keepends=True) if path.suffix == ".jsonl" else [data]
    at = rng.randrange(len(lines))
    value = json.loads(lines[at])
    place = rng.choice([*_places(value)])
    odd = rng.choice(ODD_VALUES)
    holder = value
    for key in place[:-1]:
        holder = holder[key]
    if rng.random() < 0.1:
        holder["\ud800" if rng.random() < 0.5 else "x" * 300] = holder.pop(place[-1])
        lines[at] = json.dumps(value) + "\n"
    else:
        holder[place[-1]] = "@ODD@"
        lines[at] = json.dumps(value).replace('"@ODD@"', odd) + "\n"
    path.write_text("".join(lines), "utf-8")
    return f"{'.'.join(map(str, place))} = {odd[:40]}"


def _places(value: Any, before: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    for key, part in (
        value.items() if isinstance(value, dict) else enumerate(value)
        if isinstance(value, list) else ()
    ):  # fmt: skip
        yield (*before, key)
        yield from _places(part, (*before, key))


def _drop_key(rng: random.Random, path: Path, _: Path) -> str:
    value = json.loads(_content(path))
    key = rng.choice([*value])
    del value[key]
    path.write_text(json.dumps(value))
    return str(key)


def _other_text(rng: random.Random, path: Path, _: Path) -> str:
    text = rng.choice(_TEXTS)
    path.write_bytes(text)
    return repr(text[:30])


def _binary(rng: random.Random, path: Path, _: Path) -> str:
    path.write_bytes(rng.randbytes(rng.choice((10, 1000, 100_000))))
    return "binary"


def _encode(rng: random.Random, path: Path, _: Path) -> str:
    encoding = rng.choice(("utf-16", "utf-32", "utf-8-sig", "utf-7", "cp500"))
    path.write_bytes((_content(path).decode() + "é").encode(encoding))
    return encoding


def _special(rng: random.Random, path: Path, top: Path) -> str:
    """Put something that is no regular file there."""
    path.unlink()
    kind = rng.choice(
        ("pipe", "socket", "folder", "zero", "full", "dangling", "loop", "up", "other")
    )
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        here = os.getcwd()
        os.chdir(path.parent)  # a socket's path may be at most 107 characters
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path.name)
        os.chdir(here)
    elif kind == "folder":
        path.mkdir()
    else:
        to = {"zero": "/dev/zero", "full": "/dev/full", "dangling": "none", "loop": path.name,
              "up": "..", "other": str(top / "train.py")}[kind]  # fmt: skip
        path.symlink_to(to)
    return kind


def _sparse(rng: random.Random, path: Path, _: Path) -> str:
    sizes = (20 << 20,) if path.suffix == ".log" else (1 << 40, 3 << 30, 100 << 20, 20 << 20)
    size = rng.choice(sizes)  # `log` prints all of a log, however much
    with path.open("r+b") as file:
        file.truncate(size)
    return f"{size >> 20} MB"


def _forbid(rng: random.Random, path: Path, _: Path) -> str:
    target = path if rng.random() < 0.5 else path.parent
    target.chmod(rng.choice((0, 0o444, 0o111)))
    return "mode"


def _rename(rng: random.Random, path: Path, top: Path) -> str:
    """Give a folder or a file an odd name, or another file's."""
    folder = rng.random() < 0.6 and path.parent != top
    target = os.fsencode(path.parent if folder else path)
    others = [entry.name.encode() for entry in path.parent.iterdir()]
    name = rng.choice([*_NAMES, *others[:3]])
    os.rename(target, os.path.join(os.path.dirname(target), name))
    return repr(name[:30])


def _link_folder(rng: random.Random, path: Path, _: Path) -> str:
    """Add a link to a folder above, beside or far away."""
    to = rng.choice(("..", ".", "../..", "/", "/proc", "/dev", "loop"))
    (path.parent / "loop").symlink_to(to)
    return to


def _exchange(rng: random.Random, path: Path, top: Path) -> str:
    """Give a file the content of another one."""
    other = rng.choice([each for each in sorted(top.rglob("*.json")) if each.is_file()])
    path.write_bytes(_content(other))
    return other.name


def _as_yaml(rng: random.Random, path: Path, _: Path) -> str:
    """Put params of another notation into the folder of a file."""
    for name in ("params.json", "params.jsonc"):
        (path.parent / name).unlink(missing_ok=True)
    name = rng.choice(("params.yaml", "params.toml", "params.yml"))
    text = rng.choice(_TEXTS)
    (path.parent / name).write_bytes(text)
    return f"{name} {text[:30]!r}"


def _odd_claim(rng: random.Random, _: Path, top: Path) -> str:
    """Add a claim, perhaps with a number or a name that cannot be."""
    claim = json.loads(_content(top / "experiments/search/.modeldir/trials/000001.json"))
    claim["name"] = rng.choice(
        ("../../x", "/tmp/x", "a/b/c", "", ".", "..", 3, None, ["a"], "a\0b", "\ud800")
    )
    claim["configuration"] = rng.choice(
        ("text", None, [], 3, {"learning_rate": "\ud800"}, {"a": {}})
    )
    number = rng.choice(("000007", "9" * 30, "000000", "-00001", "x", "000008"))
    _json(top / f"experiments/search/.modeldir/trials/{number}.json", claim)
    return f"{number} {claim['name']!r}"


def _add_lines(rng: random.Random, path: Path, _: Path) -> str:
    lines = (
        b'{"a":' * 300, b"x" * 3_000_000, b'{"step": 1' + b"0" * 400 + b', "accuracy": 1e308}',
        b'{"step": NaN, "val/accuracy": -1e308}', b'{"val/accuracy": 1' + b"0" * 4200 + b"}",
        b"\xff\xfe\n\0", b'{"event": "params", "values": 3, "attempt": "x"}',
        b"\x1b]0;x\x07" * 2000,
    )  # fmt: skip
    line = rng.choice(lines)
    target = path.parent / rng.choice(("metrics.jsonl", "events.jsonl", "train.log", "console.log"))
    with target.open("ab") as file:
        file.write(line + b"\n")
    return f"{target.name} {line[:30]!r}"


Damage = Callable[[random.Random, Path, Path], str]
DAMAGES: tuple[Damage, ...] = (
    *[_swap_value] * 10, _truncate, _flip, _flip, _drop_key, _other_text, _other_text, _binary,
    _encode, _special, _special, _sparse, _forbid, _rename, _link_folder, _exchange, _as_yaml,
    _odd_claim, _add_lines, _add_lines,
)  # fmt: skip


# -- Commands --------------------------------------------------------------------------------------


def commands(rng: random.Random, top: Path) -> Iterator[list[str]]:
    """Yield command lines about a project, for ever; `top` is the working directory."""
    folders = [
        os.fsdecode(path)
        for path in ("experiments", "experiments/search", "experiments/plain",
        "experiments/yaml", "experiments/toml")
    ]  # fmt: skip
    trials = sorted(
        str(entry.relative_to(top))
        for entry in _listed(top / "experiments/search")
        if entry.is_dir()
    )
    foreign = [
        f"foreign/{tool}"
        for tool in ("hydra", "ray", "guild/runs", "mlflow/mlruns", "sacred", "tensorboard")
    ]
    foreign += ["foreign/optuna/journal.log", "foreign/optuna/study.db", "foreign/mlflow/mlflow.db"]
    number = 0
    while True:
        number += 1
        any_folder = rng.choice([*folders, *trials] if trials else folders)
        tree = rng.choice(folders[:2])
        where = rng.choice(
            ("learning_rate > 1e400", "accuracy > 0.1", "learning_rate == nan", "model.depth < 2",
             "status == 'completed'", "learning_rate > -1" + "0" * 400)
        )  # fmt: skip
        kind = rng.choice(("curves", "slice", "pair", "parallel", "importance", "history"))
        to, out = rng.choice((("csv", "out.csv"), ("tensorboard", "tb"), ("optuna", "study.log")))
        yield rng.choice((
            ["show", any_folder], ["show", any_folder, rng.choice(folders)], ["watch", any_folder],
            ["synthesize", tree], ["synthesize", tree, "--all-columns", "--format", "json"],
            ["synthesize", tree, "--where", where], ["synthesize", tree, "--html",
            f"r{number}.html"],
            ["synthesize", tree, "--group", "seed", "--columns",
            "experiment,accuracy@best,loss@last"],
            ["synthesize", tree, "--format", rng.choice(("latex", "csv", "markdown", "html"))],
            ["best", any_folder], ["best", tree, "--minimize", "loss"],
            ["diff", any_folder], ["diff", any_folder, rng.choice(folders)],
            ["log", any_folder], ["log", any_folder, "--tail", "3"], ["log", any_folder, "--raw",
            "--tail", "2"],
            ["plot", tree, "--kind", kind, "-o", f"f{number}.svg"],
            ["export", tree, "--to", to, "-o", f"{number}{out}"],
            ["import", rng.choice(foreign), "-o", f"imported{number}"],
            ["stop", any_folder], ["retry", tree], ["retry", any_folder, "--pruned"],
            ["search", folders[1], "--dry-run"], ["search", folders[1], "--dry-run",
            "learning_rate=0.1,7"],
        ))  # fmt: skip


def _listed(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


@dataclass(frozen=True)
class Ended:
    """How a command ended: exit code or signal, what it printed on stderr, what it took."""

    code: int
    said: str
    seconds: float
    megabytes: float

    @property
    def fault(self) -> str | None:
        """What a command must never do; None if all is well."""
        if self.seconds > PATIENCE or -self.code in {signal.SIGXCPU, signal.SIGKILL}:
            return f"took {self.seconds:.0f} s"
        if _MARK in self.said or "Traceback (most recent call last)" in self.said:
            return "traceback"
        if self.megabytes > MEGABYTES:
            return f"{self.megabytes:.0f} MB"
        return None if self.code in {0, 1, 2, 130} else f"exit code {self.code}"


class Runner:
    """Runs commands, in forks of this process or as processes of their own."""

    def __init__(self) -> None:
        import matplotlib.pyplot  # noqa: F401, ICN001 - each fork would import it again
        import numpy as np  # noqa: F401

        import modeldir.commands
        import modeldir.samplers.quiet_optuna
        from modeldir.exchange import exporting, importing  # noqa: F401
        from modeldir.results import plots, synthesize  # noqa: F401

        self._main = modeldir.commands.main
        for _, group in modeldir.commands.GROUPS:
            for name, _ in group:
                __import__(f"modeldir.commands.{modeldir.commands.module(name)}")

    def run(self, words: list[str], top: Path, *, forked: bool, obeys_modes: bool) -> Ended:
        """Run a command line in a folder."""
        errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed below
        began = time.monotonic()
        if forked:
            pid = os.fork()
            if not pid:
                self._become(words, top, errors.fileno(), obeys_modes=obeys_modes)
        else:
            pid = subprocess.Popen(
                [sys.executable, "-m", "modeldir", *words],
                cwd=top, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors,
                preexec_fn=_limit,  # noqa: PLW1509 - this process has no threads
            ).pid  # fmt: skip
        status, usage = _waited(pid, began + PATIENCE + 1)
        took = time.monotonic() - began
        errors.seek(0)
        said = errors.read(1 << 20).decode("utf-8", "replace")
        errors.close()
        return Ended(os.waitstatus_to_exitcode(status), said, took, usage / 1024)

    def _become(self, words: list[str], top: Path, errors: int, *, obeys_modes: bool) -> None:
        """Be the command, in a fork: never returns."""
        code = 70
        try:
            _limit()
            nowhere = os.open(os.devnull, os.O_RDWR)
            for descriptor, source in ((0, nowhere), (1, nowhere), (2, errors)):
                os.dup2(source, descriptor)
            sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
            sys.stderr = open(  # noqa: SIM115
                2, "w", encoding="utf-8", errors="backslashreplace", closefd=False
            )
            os.chdir(top)
            if obeys_modes:
                _obey_modes()
            _look_once()
            code = self._main(words)
            sys.stdout.flush()
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else 1
        except BaseException:  # noqa: BLE001 - whatever it is, it is a finding
            os.write(2, f"{_MARK}\n{traceback.format_exc()}".encode("utf-8", "replace"))
        finally:
            os._exit(code)


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 5))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _obey_modes() -> None:
    """Let root obey the modes of files as other users do: give up CAP_DAC_OVERRIDE and its kin."""
    libc = ctypes.CDLL(None)
    header, data = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    if libc.capget(header, data) == 0:
        data[0] &= ~0b111
        libc.capset(header, data)


def _look_once() -> None:
    """Let `watch` end at its first wait, as by Ctrl-C."""
    from modeldir.commands import watch

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    vars(watch)["wait_for_more"] = interrupt


def _waited(pid: int, deadline: float) -> tuple[int, int]:
    """Wait for a child; kill it when its time is up. Return its status and memory in KiB."""
    descriptor = os.pidfd_open(pid)
    try:
        if not select.select([descriptor], [], [], deadline - time.monotonic())[0]:
            os.kill(pid, signal.SIGKILL)
    finally:
        os.close(descriptor)
    _, status, usage = os.wait4(pid, 0)
    return status, usage.ru_maxrss


# -- All of it -------------------------------------------------------------------------------------


@dataclass
class Found:
    """What was run, and each command that went wrong."""

    ran: Counter[str] = field(default_factory=Counter)
    codes: Counter[int] = field(default_factory=Counter)
    wrong: list[tuple[str, list[str], list[str], Ended]] = field(default_factory=list)
    slowest: float = 0.0
    largest: float = 0.0

    @property
    def kinds(self) -> Counter[str]:
        """Return how often each fault was found, by its kind and last line."""
        return Counter(_cause(ended) for _, _, _, ended in self.wrong)


def _cause(ended: Ended) -> str:
    lines = ended.said.strip().splitlines()
    places = [line.strip() for line in lines if "src/modeldir/" in line]
    last = next((line for line in reversed(lines) if line.strip()), "")
    return f"{ended.fault}: {places[-1][-70:] if places else ''} {last[:90]}"


def fuzz(seed: int, count: int, *, report: Callable[[str], object] = print) -> Found:
    """Run so many commands on damaged projects."""
    template, runner, found = Template(), Runner(), Found()
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    turn = 0
    while found.ran.total() < count:
        rng = random.Random(f"{seed} {turn}")
        with tempfile.TemporaryDirectory(
            prefix="fuzz-", dir=place, ignore_cleanup_errors=True
        ) as at:
            top = Path(at)
            damage = mutated(rng, template, top)
            obeys_modes = any("mode" in each for each in damage)
            lines = commands(rng, top)
            for _ in range(min(_PER_TREE, count - found.ran.total())):
                words = next(lines)
                forked = obeys_modes or rng.randrange(_EVERY) > 0 or words[0] == "watch"
                ended = runner.run(words, top, forked=forked, obeys_modes=obeys_modes)
                found.ran[words[0]] += 1
                found.codes[ended.code] += 1
                found.slowest = max(found.slowest, ended.seconds)
                found.largest = max(found.largest, ended.megabytes)
                if ended.fault:
                    found.wrong.append((f"{seed} {turn}", damage, words, ended))
                    report(f"turn {turn}: {' '.join(words)!r}: {_cause(ended)}")
            if obeys_modes:
                subprocess.run(["chmod", "-R", "u+rwX", at], check=False, stderr=subprocess.DEVNULL)
        turn += 1
        if found.ran.total() // _TOLD > (found.ran.total() - _PER_TREE) // _TOLD:
            report(f"{found.ran.total():,} commands, {len(found.wrong)} went wrong")
    return found


def table(found: Found) -> str:
    """Return what was run, as lines."""
    lines = [f"{name:12} {count:>10,}" for name, count in sorted(found.ran.items())]
    codes = ", ".join(f"{count:,} with {code}" for code, count in sorted(found.codes.items()))
    lines.append(f"{found.ran.total():,} commands: {codes}")
    lines.append(f"slowest {found.slowest:.1f} s, largest {found.largest:.0f} MB")
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    """Fuzz, print what was run and what went wrong; exit code 1 if anything did."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--commands", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(2), "big"))
    arguments = parser.parse_args(argv)
    print(f"seed {arguments.seed}, {arguments.commands:,} commands", flush=True)
    found = fuzz(arguments.seed, arguments.commands, report=lambda line: print(line, flush=True))
    print(table(found))
    for kind, count in found.kinds.most_common():
        turn, damage, words, ended = next(each for each in found.wrong if _cause(each[3]) == kind)
        print(f"\nWRONG {count} times, e.g. turn {turn}: modeldir {' '.join(words)}\n  {kind}")
        print("".join(f"  {each}\n" for each in damage), ended.said[-1500:], sep="")
    return 1 if found.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
