"""Explore the model of the protocol, and print what was found: `make chaos` runs this.

    python tests/model/check_model.py            # old and new protocol, within some minutes
    python tests/model/check_model.py --quick    # what the tests explore

The old protocol must be found wrong, with the shortest trace, and the new one must not.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator

import model_claims
from model_explorer import NEVER_ENDS, Explored, explore
from model_machine import model_of
from model_world import NEW, NOT_FOUND, OLD, OVERLAP, RUN_AGAIN, UNTOLD, Rules, Setting

ONE_HOST = Setting(hosts=(0, 0), mounts=(0, 0))
TWO_HOSTS = Setting(hosts=(0, 1), harms=0)
CACHED = TWO_HOSTS._replace(caches=True)
TWO_MOUNTS = Setting(hosts=(0, 0), mounts=(0, 1), caches=True, harms=0)

DEFECTS = {
    "A1: two attempts, forked": (Setting(harms=2), OVERLAP),
    "A1: an orphan that nobody finds": (Setting(harms=2), NOT_FOUND),
    "A1: an orphan that nobody ends": (Setting(harms=2), NEVER_ENDS),
    "A1: an orphan that counts as interrupted": (Setting(harms=2, forked=False), UNTOLD),
    "A3: a torn read, two attempts": (CACHED, OVERLAP),
    "A3: a torn read, run again": (CACHED, RUN_AGAIN),
    "A4: no hard links, two attempts": (ONE_HOST._replace(creates=True, harms=0), OVERLAP),
}
"""What the old protocol must be found to do, and in which setting."""

QUICK = {
    "one worker, forked, two kills": Setting(harms=2),
    "one worker, without preload, two kills": Setting(harms=2, forked=False),
    "two workers": ONE_HOST._replace(harms=0),
    "two mounts with caches": TWO_MOUNTS,
}
LARGE = {
    **QUICK,
    "one worker, forked, three kills": Setting(harms=3, most=4),
    "one worker, without preload, three kills": Setting(harms=3, most=4, forked=False),
    "two workers, forked, one kill": ONE_HOST,
    "two workers, without preload, one kill": ONE_HOST._replace(forked=False),
    "two hosts": TWO_HOSTS,
    "two hosts with caches": CACHED,
    "two hosts, a supervisor killed": TWO_HOSTS._replace(harms=1, kills=("supervisor",)),
    "two hosts, the network lost": TWO_HOSTS._replace(harms=1, kills=("network",)),
}
"""Where the new protocol must be found right."""

NEEDED = {
    "in_session": Setting(harms=2, forked=False),
    "looks_before_start": TWO_HOSTS,
    "doubts_torn": CACHED,
    "doubts_mounts": TWO_MOUNTS,
    "reads_again": ONE_HOST._replace(harms=0),
    "always_waits": CACHED,
}
"""Each rule of the new protocol, and a setting in which it is found wrong without it."""


CLAIMS = {
    "old, claims behind caches": (model_claims.OLD, True, model_claims.TWICE),
    "old, claims without hard links": (model_claims.OLD_WITHOUT_LINKS, False, model_claims.TWICE),
    "new, claims": (model_claims.NEW, False, ""),
    "new, claims behind caches": (model_claims.NEW, True, ""),
}
"""The protocols of claims, whether caches show them late, and what must be found."""

Look = Callable[[], Explored]


def explorations(*, quick: bool) -> Iterator[tuple[str, Look, str | None]]:
    """Yield what to explore: a name, how, and the violation that must be found (None: any)."""
    for name, (claims, caches, problem) in CLAIMS.items():
        workers = 2 if quick else 3
        model = model_claims.model_of(claims, caches=caches, workers=workers, harms=workers)
        yield name, lambda model=model: explore(model), problem  # type: ignore[misc]
    attempts: list[tuple[str, Rules, Setting, str | None]]
    attempts = [(f"old, {name}", OLD, *each) for name, each in DEFECTS.items()]
    attempts += [
        (f"new without {name}", NEW._replace(**{name: False}), setting, None)
        for name, setting in NEEDED.items()
    ]
    settings = QUICK if quick else LARGE
    attempts += [(f"new, {name}", NEW, setting, "") for name, setting in settings.items()]
    for name, rules, setting, wanted in attempts:
        world = model_of(rules, setting, wanted or None)
        yield name, lambda world=world: explore(world), wanted  # type: ignore[misc]


def main() -> int:
    """Explore it all and print it as a table; exit code 1 if anything was not as it must be."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    began, states, wrong, traces = time.monotonic(), 0, 0, []
    print(f"| {'the protocol':<52} | {'states':>9} | found", flush=True)
    print(f"|{'-' * 54}|{'-' * 10}:|{'-' * 30}")
    for name, look, wanted in explorations(quick=quick):
        found = look()
        is_right = bool(found.violation) if wanted is None else found.violation == wanted
        states, wrong = states + found.states, wrong + (not is_right)
        sign = "" if is_right else "WRONG: "
        print(
            f"| {name:<52} | {found.states:>9,} | {sign}{found.violation or 'nothing'}", flush=True
        )
        if found.violation and (name.startswith("old") or not is_right):
            traces.append(f"{name}: {found}")
    print(f"{states:,} states in {(time.monotonic() - began) / 60:.1f} minutes, {wrong} wrong\n")
    print("\n\n".join(traces))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
