"""Mounts of one folder, and emulated hosts that see it through them.

A host is a set of namespaces: it has processes, a name and, unless it is a container, a boot of its
own. A mount is made by FUSE or by `mount --bind`. All need root. `why_not` says what is missing.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

BOOT_ID = "/proc/sys/kernel/random/boot_id"


def missing_programs() -> str | None:
    """Return which programs are not installed; None if all are."""
    missing = [name for name in ("bindfs", "unshare", "mount") if shutil.which(name) is None]
    return f"{' and '.join(missing)} not installed: make engines" if missing else None


def why_not() -> str | None:
    """Return why neither hosts nor mounts can be made here; None if they can."""
    if not os.path.exists("/dev/fuse"):
        return "this machine has no FUSE (/dev/fuse)"
    if missing := missing_programs():
        return missing
    probe = [*host("probe", Path("/"), boot_file=Path("/proc/uptime")), "true"]
    if subprocess.run(probe, capture_output=True, check=False).returncode:
        return "this user may make no namespaces and no mounts (root may)"
    return None


def host(
    name: str, folder: Path, *, shown: Path | None = None, boot_file: Path | None = None
) -> list[str]:
    """Return the words before a command that run it on another host, in a folder there.

    All its processes are killed when the first one is.

    Args:
        name: the host's name.
        folder: where the command runs.
        shown: the folder that this host has at `folder`, if it is another one.
        boot_file: a file with the id of the host's boot; None for a container of this machine.
    """
    steps = ['hostname "$1"']
    if boot_file is not None:
        steps.append(f'mount --bind "$2" {BOOT_ID}')
    if shown is not None:
        steps.append('mount --bind "$3" "$4"')
    script = " && ".join([*steps, 'cd "$4"', "shift 4", 'exec "$@"'])
    spaces = ("--mount", "--pid", "--uts", "--fork", "--kill-child", "--mount-proc")
    places = (str(boot_file), str(shown), str(folder))
    return ["unshare", *spaces, "sh", "-c", script, "sh", name, *places]


def new_boot(path: Path) -> Path:
    """Write a file with the id of a boot that no host has had."""
    path.write_text(f"{uuid.uuid4()}\n")
    return path


@contextlib.contextmanager
def bindfs(source: Path, where: Path, cache_seconds: float = 0) -> Iterator[Path]:
    """Show a folder at another path by FUSE; the kernel caches its attributes for some seconds.

    Through such a mount, writes by another one are seen only when the cache expires, as with NFS.
    """
    caches = [f"{name}_timeout={cache_seconds:g}" for name in ("attr", "entry", "negative")]
    with _mounted(["bindfs", "-o", ",".join(caches)], source, where):
        yield where


@contextlib.contextmanager
def bind(source: Path, where: Path) -> Iterator[Path]:
    """Show a folder at another path by a bind mount."""
    with _mounted(["mount", "--bind"], source, where):
        yield where


@contextlib.contextmanager
def _mounted(words: list[str], source: Path, where: Path) -> Iterator[None]:
    where.mkdir(parents=True)
    subprocess.run([*words, source, where], check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", where], check=True)
