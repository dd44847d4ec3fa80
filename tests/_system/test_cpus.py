"""How many cores are ours: by affinity, and by the quotas of made-up cgroups."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from modeldir._system import cpus

MANY = frozenset(range(64))


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with 64 cores and no cgroups yet."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: MANY, raising=False)
    return tmp_path


def write(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_what_it_is_bound_to_counts(root: Path) -> None:
    assert cpus.usable(str(root)) == 64


def test_here_there_is_at_least_one() -> None:
    assert 1 <= cpus.usable() <= (os.cpu_count() or 1)


@pytest.mark.parametrize(
    ("text", "count"),
    [("200000 100000", 2), ("150000 100000", 1), ("5000 100000", 1), ("max 100000", 64), ("", 64)],
)
def test_a_quota_of_version_2_counts(root: Path, text: str, count: int) -> None:
    write(root, "proc/self/cgroup", "0::/user.slice/mine\n")
    write(root, "sys/fs/cgroup/user.slice/mine/cpu.max", text)
    assert cpus.usable(str(root)) == count


def test_the_smallest_of_those_above_counts(root: Path) -> None:
    write(root, "proc/self/cgroup", "0::/a/b/c\n")
    write(root, "sys/fs/cgroup/a/b/c/cpu.max", "max 100000")
    write(root, "sys/fs/cgroup/a/b/cpu.max", "800000 100000")
    write(root, "sys/fs/cgroup/a/cpu.max", "300000 100000")
    assert cpus.usable(str(root)) == 3


def test_in_a_container_the_top_is_its_own(root: Path) -> None:
    write(root, "proc/self/cgroup", "0::/\n")
    write(root, "sys/fs/cgroup/cpu.max", "400000 100000")
    assert cpus.usable(str(root)) == 4


@pytest.mark.parametrize(("quota", "count"), [("600000", 6), ("-1", 64)])
def test_a_quota_of_version_1_counts(root: Path, quota: str, count: int) -> None:
    write(root, "proc/self/cgroup", "5:memory:/mine\n4:cpu,cpuacct:/mine\n0::/\n")
    write(root, "sys/fs/cgroup/cpu,cpuacct/mine/cpu.cfs_quota_us", quota)
    write(root, "sys/fs/cgroup/cpu,cpuacct/mine/cpu.cfs_period_us", "100000")
    assert cpus.usable(str(root)) == count


@pytest.mark.parametrize("text", ["", "nonsense", "0::", "0::/../..", "\x00\n::\n0::relative/path"])
def test_what_makes_no_sense_limits_nothing(root: Path, text: str) -> None:
    write(root, "proc/self/cgroup", text)
    assert cpus.usable(str(root)) == 64
