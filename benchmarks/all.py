"""Run every benchmark in its quick form and write the output to one file.

    python benchmarks/all.py [--only metrics,next_trial] [--rounds 3] [--peers] [--full]
                             [--output FILE]

A benchmark is a folder here with a `bench.py` that prints Markdown; `--quick` is its quick form. A
folder without a quick form is named and skipped. `--rounds` and `--peers` are passed on to the
benchmarks that have them; `--peers` compares with other tools (installing them takes minutes).
`--full` runs the long form of the benchmarks that `--only` names.

The file begins with facts about the machine, and each benchmark has the load before and after it.
If a benchmark fails, its output ends with its last lines, the others run, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import ast
import os
import subprocess
import sys
import time
from datetime import datetime, timezone
from pathlib import Path

from side_by_side import facts

HERE = Path(__file__).parent

FIRST = ("orchestration", "preload", "synthesize", "startup", "metrics", "next_trial", "logging")
"""The order of docs/contributing/performance.md; all others come behind."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", help="names of folders, with commas between them")
    parser.add_argument("--rounds", type=int, help="in place of what each quick form has")
    parser.add_argument("--peers", action="store_true", help="compare with others, installed first")
    parser.add_argument("--full", action="store_true", help="the long form, of what --only names")
    parser.add_argument("--output", type=Path, help="default: benchmarks/results/DATE.md")
    arguments = parser.parse_args()
    if arguments.full and not arguments.only:
        parser.error("--full takes hours for everything: name some by --only")
    names = arguments.only.split(",") if arguments.only else found()
    now = datetime.now(timezone.utc)
    output = arguments.output or HERE / "results" / f"{now:%Y-%m-%d}.md"
    output.parent.mkdir(parents=True, exist_ok=True)
    broken = []
    with output.open("w") as file:
        told(file, f"# Benchmarks of {now:%Y-%m-%d %H:%M} UTC\n\n{facts()}\n")
        for name in names:
            script = HERE / name / "bench.py"
            if not arguments.full and '"--quick"' not in script.read_text():
                told(file, f"\n## {name}\n\nNo quick form: see its first lines.\n")
            elif not passed(script, arguments, file):
                broken.append(name)
    print(f"\nwritten to {output}" + (f"; broken: {', '.join(broken)}" if broken else ""))
    raise SystemExit(1 if broken else 0)


def found() -> list[str]:
    there = sorted(path.parent.name for path in HERE.glob("*/bench.py"))
    return sorted(there, key=lambda name: FIRST.index(name) if name in FIRST else len(FIRST))


def passed(script: Path, arguments: argparse.Namespace, file) -> bool:
    """Run one benchmark, copy its output to the terminal and the file, return whether it worked."""
    text = script.read_text()
    command = [sys.executable, "-u", str(script), *([] if arguments.full else ["--quick"])]
    if arguments.rounds and '"--rounds"' in text:
        command += ["--rounds", str(arguments.rounds)]
    if arguments.peers and '"--peers"' in text:
        command.append("--peers")
    title = (ast.get_docstring(ast.parse(text)) or script.parent.name).splitlines()[0]
    shown = " ".join(["python", os.path.relpath(script, HERE.parent), *command[3:]])
    told(file, f"\n## {script.parent.name}\n\n{title}\n\n`{shown}`, load {load()}\n")
    began = time.monotonic()
    child = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    )
    for line in child.stdout:
        told(file, line.rstrip("\n"))
    code = child.wait()
    ended = "" if code == 0 else f"**Broken: exit code {code}.** "
    told(file, f"\n{ended}{time.monotonic() - began:.0f} s, load {load()}")
    return code == 0


def told(file, text: str) -> None:
    print(text, flush=True)
    file.write(text + "\n")
    file.flush()


def load() -> str:
    return f"{os.getloadavg()[0]:.1f}"


if __name__ == "__main__":
    main()
