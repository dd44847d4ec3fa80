"""What was learned of a script's imports, kept for its next search."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from modeldir.worker.preload import import_cache
from modeldir.worker.preload.import_cache import SavedImports, Script
from modeldir.worker.preload.imports import ImportList, ListedModule

SCRIPT = Script(("python", "train.py"), "/project", "c0de")


def learned(*names: str) -> ImportList:
    modules = tuple(ListedModule(name, f"/site/{name}.py") for name in names)
    now = os.stat("/").st_mtime_ns
    return ImportList(modules, (), "/", "3", "", "/", (), (), {"/": now}, has_ended=True)


KEPT = SavedImports(SCRIPT.words, SCRIPT.state, learned("numpy"), (1.5, 2.0))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where lists lie that were learned by other searches."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "modeldir" / "imports"


def search(tmp_path: Path, name: str = "search") -> Path:
    (tmp_path / name / ".modeldir").mkdir(parents=True)
    return tmp_path / name


def test_what_is_kept_is_read_again(tmp_path: Path, cache: Path) -> None:
    """And anything else that lies there is as if nothing did."""
    folder = search(tmp_path)
    kept = SavedImports(SCRIPT.words, SCRIPT.state, learned("numpy"), (1.5, 2.0), "why")
    import_cache.save(folder, SCRIPT, kept)
    assert import_cache.read(folder) == kept
    file = folder / ".modeldir" / import_cache.FILE
    text = json.dumps(json.loads(file.read_text()))
    odd = ["numpy", "/site/numpy.py"], [1, 2], ["numpy", "/site/numpy.py", {"A": 1}]
    broken_names = [text.replace(json.dumps(odd[0]), json.dumps(each)) for each in odd[1:]]
    assert text not in broken_names
    for broken in (
        "",
        "[]",
        '{"format": 1}',
        '{"format": 1, "learned": {}}',
        *broken_names,
        text.replace('"why"', '"\\u001b[2J"'),
        text.replace('"why"', "1"),
    ):
        file.write_text(broken)
        assert import_cache.read(folder) is None


def test_another_search_of_the_same_script_finds_it(tmp_path: Path, cache: Path) -> None:
    """In the user's cache folder, which nobody else may look into."""
    import_cache.save(search(tmp_path), SCRIPT, KEPT)
    assert import_cache.find(search(tmp_path, "other"), SCRIPT) == KEPT
    assert cache.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    "other",
    [
        Script(("python", "other.py"), "/project", "c0de"),
        Script(("python", "-O", "train.py"), "/project", "c0de"),
        Script(("python", "train.py"), "/elsewhere", "c0de"),
        Script(("python", "train.py"), "/project", "changed"),
        Script(("python", "train.py"), "/project", None),
    ],
)
def test_another_script_does_not(tmp_path: Path, cache: Path, other: Script) -> None:
    """Nor the same one, once its code has changed, or where nobody can tell whether it has."""
    import_cache.save(search(tmp_path), SCRIPT, KEPT)
    assert import_cache.find(search(tmp_path, "other"), other) is None


def test_a_script_that_is_no_part_of_the_project_counts_too(tmp_path: Path, cache: Path) -> None:
    """The hash of the project's code does not tell that it has changed."""
    (tmp_path / "train.py").write_text("import numpy\n")
    (tmp_path / "project").mkdir()
    script = Script(("python", "../train.py"), str(tmp_path / "project"), "c0de")
    kept = SavedImports(script.words, script.state, learned("numpy"), (1.5, 2.0))
    import_cache.save(search(tmp_path), script, kept)
    assert import_cache.find(tmp_path / "search", script) == kept
    (tmp_path / "train.py").write_text("import pandas\n")
    assert import_cache.find(tmp_path / "search", script) is None
    assert import_cache.find(search(tmp_path, "other"), script) is None


def test_why_it_runs_without_preload_is_kept_with_the_search_alone(
    tmp_path: Path, cache: Path
) -> None:
    """It may lie in arguments that another search does not give."""
    kept = SavedImports(SCRIPT.words, SCRIPT.state, learned("numpy"), (1.5, 2.0), "why")
    import_cache.save(search(tmp_path), SCRIPT, kept)
    assert import_cache.find(tmp_path / "search", SCRIPT) == kept
    assert import_cache.find(search(tmp_path, "other"), SCRIPT) is None


def test_code_that_nobody_knows_is_kept_with_the_search_alone(tmp_path: Path, cache: Path) -> None:
    """A tree of too many files has no hash."""
    script = Script(SCRIPT.words, SCRIPT.cwd, None)
    kept = SavedImports(script.words, script.state, learned("numpy"), (1.5, 2.0))
    import_cache.save(search(tmp_path), script, kept)
    assert import_cache.find(tmp_path / "search", script) == kept
    assert not cache.exists()


def test_another_environment_does_not(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`python` is what PATH says."""
    import_cache.save(search(tmp_path), SCRIPT, KEPT)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").touch(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    assert import_cache.find(search(tmp_path, "other"), SCRIPT) is None


def _make_a_pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda file: file.write_bytes(b""),
        lambda file: file.write_bytes(file.read_bytes()[:-9]),
        lambda file: file.write_bytes(b"[1]"),
        lambda file: file.write_bytes(b"[" * 100_000),
        lambda file: file.write_bytes(b"\xff"),
        lambda file: file.write_bytes(file.read_bytes().replace(b"/project", b"/elsewhere")),
        lambda file: file.chmod(0o666),
        lambda file: file.parent.chmod(0o777),
        lambda file: (file.unlink(), file.mkdir()),
        _make_a_pipe,
    ],
)
def test_what_is_broken_or_not_only_ours_counts_as_nothing(
    tmp_path: Path, cache: Path, spoil: Callable[[Path], object]
) -> None:
    """It is learned again, and written anew where that is possible."""
    import_cache.save(search(tmp_path), SCRIPT, KEPT)
    (file,) = cache.iterdir()
    spoil(file)
    other = search(tmp_path, "other")
    assert import_cache.find(other, SCRIPT) is None
    import_cache.save(other, SCRIPT, KEPT)
    assert import_cache.find(other, SCRIPT) == KEPT


def test_without_a_place_it_is_kept_with_the_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `XDG_CACHE_HOME=/dev/null` says."""
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
    import_cache.save(search(tmp_path), SCRIPT, KEPT)
    assert import_cache.find(tmp_path / "search", SCRIPT) == KEPT


def test_lists_of_the_scripts_used_last_are_kept(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder does not grow for ever."""
    monkeypatch.setattr(import_cache, "SCRIPTS", 2)
    folder = search(tmp_path)
    scripts = [Script(("python", f"{name}.py"), "/project", "c0de") for name in "abc"]
    for script in (*scripts[:2], scripts[0], scripts[2]):
        kept = SavedImports(script.words, script.state, learned("numpy"), (1.5, 2.0))
        import_cache.save(folder, script, kept)
        time.sleep(0.02)  # longer than a tick of the clock that stamps files
    (folder / ".modeldir" / import_cache.FILE).unlink()
    found = [import_cache.find(folder, script) is not None for script in scripts]
    assert found == [True, False, True]
