"""One folder seen in two ways: through two mounts of one machine, and from two hosts with caches.

`two_mounts` and `two_hosts` are parts of the campaign. How a mount and a host are made: `hosts`.
"""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

from hostile import hosts
from hostile.journal import Findings
from hostile.searches import HostileSearch


def two_mounts(
    home: Path,
    kind: str,
    *,
    containers: bool = False,
    trials: int = 20,
    python: str = sys.executable,
) -> Findings:
    """Search one folder through two mounts of this machine at once.

    Args:
        home: an empty folder.
        kind: `bindfs` or `bind`.
        containers: whether each command sees only processes of its own, as in a container.
        trials: how many there are.
        python: the interpreter that has modeldir.
    """
    search = HostileSearch(home, trials, python=python)
    mount = hosts.bindfs if kind == "bindfs" else hosts.bind
    with mount(search.backing, home / "a") as a, mount(search.backing, home / "b") as b:
        left, right = (hosts.host("left", a), hosts.host("right", b)) if containers else ([], [])
        return search.complete([(a, left), (b, right)])


def two_hosts(
    home: Path, cache_seconds: float, *, trials: int = 15, python: str = sys.executable
) -> Findings:
    """Search one folder from two hosts at once, which cache the attributes of its files."""
    search = HostileSearch(home, trials, python=python)
    project = home / "project"  # both hosts know the folder by this path
    project.mkdir()
    with contextlib.ExitStack() as stack:
        places = []
        for name in ("alpha", "beta"):
            seen = stack.enter_context(hosts.bindfs(search.backing, home / name, cache_seconds))
            boot = hosts.new_boot(home / f"boot.{name}")
            words = hosts.host(name, project, shown=seen, boot_file=boot)
            places.append((home, words))
        return search.complete(places)
