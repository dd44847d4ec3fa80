"""Fuzzing: params files beside a second parser, the log beside a terminal, commands on odd folders.

    python tests/fuzz.py --minutes 6 --commands 10000 --seed 7

It knows how to make inputs for as long as it is given, how to make one smaller that went wrong, and
how to tell what was tried. It refuses to know what is right: that is fuzz_params.py and
fuzz_log.py. The same seed tries the same inputs in the same order. What commands do with damaged
folders is in fuzz_folders.py.

Start at `fuzz`.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import fuzz_folders
import fuzz_log
import fuzz_params

Check = Callable[[str], str]

TARGETS: dict[str, tuple[Callable[[random.Random], str], Check]] = {
    **fuzz_params.TARGETS,
    **fuzz_log.TARGETS,
}
"""By name: what makes an input, and what raises if something is wrong with it, else says what it
was. An input is a text; where bytes are read, one of characters below 256.
"""
_TURN = 200
"""Inputs of one target before the next has its turn."""
_SLOW = {"terminal": 20, "redrawn": 20, "transcript": 50, "yaml": 100, "toml": 100}
"""The same, of those whose inputs take long to check."""
_ENOUGH = 5
"""Findings of one target after which it is left alone."""


@dataclass
class Found:
    """What was tried, and every input that went wrong, by target."""

    tried: Counter[tuple[str, str]] = field(default_factory=Counter)
    wrong: list[tuple[str, str, BaseException]] = field(default_factory=list)

    def leave_alone(self, name: str) -> bool:
        return sum(name == other for other, _, _ in self.wrong) >= _ENOUGH


def fuzz(seed: int, names: list[str], go_on: Callable[[Found], bool]) -> Found:
    """Try inputs of each target in turn for as long as `go_on` says so."""
    found, turn = Found(), 0
    while go_on(found):
        for name in names:
            if not found.leave_alone(name):
                _take_turn(found, name, random.Random(f"{seed} {turn} {name}"))
        turn += 1
    return found


def _take_turn(found: Found, name: str, rng: random.Random) -> None:
    make, check = TARGETS[name]
    for _ in range(_SLOW.get(name, _TURN)):
        text = make(rng)
        try:
            found.tried[name, check(text)] += 1
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a finding
            found.wrong.append((name, smaller(text, check, type(error)), error))
            return


def smaller(text: str, check: Check, kind: type[BaseException]) -> str:
    """An input that goes wrong in the same way, with as much left out as can be in a while."""
    deadline, size = time.monotonic() + 5.0, len(text) // 2
    while size and time.monotonic() < deadline:
        for shorter in _without(text, size):
            try:
                check(shorter)
            except kind:
                text = shorter
                break
            except Exception:  # noqa: BLE001 - another mistake
                continue
        else:
            size //= 2
        size = min(size, len(text) // 2 or len(text))
    return text


def _without(text: str, size: int) -> Iterator[str]:
    for start in range(0, len(text), size):
        yield text[:start] + text[start + size :]


def table(found: Found) -> str:
    """How many inputs of each target were tried, by what they were."""
    lines = []
    for name in TARGETS:
        kinds = {kind: count for (other, kind), count in found.tried.items() if other == name}
        if kinds:
            told = ", ".join(f"{count:,} {kind}" for kind, count in sorted(kinds.items()))
            lines.append(f"{name:12} {sum(kinds.values()):>10,}   {told}")
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    """Fuzz, print what was tried and what went wrong; exit code 1 if anything did."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=6.0)
    parser.add_argument("--commands", type=int, default=10_000, help="on damaged folders")
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(2), "big"))
    parser.add_argument("--only", choices=list(TARGETS), action="append")
    arguments = parser.parse_args(argv)
    print(f"seed {arguments.seed}, {arguments.minutes:g} minutes", flush=True)
    deadline = time.monotonic() + 60 * arguments.minutes
    names = arguments.only or list(TARGETS)
    found = fuzz(arguments.seed, names, lambda _: time.monotonic() < deadline)
    print(table(found))
    for name, text, error in found.wrong:
        print(f"\nWRONG {name}: {text!r}")
        print("".join(traceback.format_exception(error)[-3:]))
    failed = bool(found.wrong)
    if arguments.commands and not arguments.only:
        words = ["--commands", str(arguments.commands), "--seed", str(arguments.seed)]
        failed = bool(fuzz_folders.main(words)) or failed
    if failed:
        print(f"to repeat: make fuzz ARGS='--seed {arguments.seed}'")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
