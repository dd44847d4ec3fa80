"""The walk through a tree of experiments, and that everything that walks one sees the same."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path

import pytest

from modeldir.commands.watch import Watch
from modeldir.experiment.discovery import THREADS, TIMED, list_folder, threaded_map, walk
from modeldir.results.synthesize import synthesize
from modeldir.search import finished_experiments


def plant(folder: Path) -> Path:
    """A finished experiment."""
    folder.mkdir(parents=True)
    (folder / "params.json").write_text('{"learning_rate": 0.1}')
    (folder / "metrics_eval_best_weights.json").write_text('{"accuracy": 0.5}')
    return folder


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """A tree with a linked trial, an environment, circles of links and other folders to skip."""
    top = tmp_path / "tree"
    plant(tmp_path / "elsewhere" / "A")
    top.mkdir()
    (top / "A").symlink_to(tmp_path / "elsewhere" / "A")
    plant(top / "B")
    for skipped in ("venv/x", "conda/x", ".hidden", "node_modules/x", "__pycache__/x",
                    "lib/site-packages/x", "B/attempts/1", "chosen/x"):  # fmt: skip
        plant(top / skipped)
    (top / "venv" / "pyvenv.cfg").touch()
    (top / "conda" / "conda-meta").mkdir()
    (top / "chosen" / "confirm.json").touch()
    (top / "up").symlink_to(top)
    (top / "B" / "again").symlink_to(top / "B")
    (top / "B2").symlink_to(top / "B")
    (top / "self").symlink_to(top / "self")
    return top


def names(top: Path) -> list[str]:
    return [os.path.relpath(folder.path, top) for folder in walk(top)]


def test_each_folder_is_visited_once_and_links_come_last(top: Path) -> None:
    """Linked folders are visited, circles end, and environments and the like are skipped."""
    assert names(top) == [".", "B", "lib", "A"]


def test_tables_samplers_and_watch_see_the_same_experiments(top: Path, tmp_path: Path) -> None:
    """`synthesize`, `--warm-start-from` and `watch` agree on what a tree contains."""
    expected = ["A", "B"]
    table = synthesize(top, write=False).table
    assert sorted(map(str, table.column("experiment"))) == expected
    rows = finished_experiments.read(top, tmp_path / "search")
    assert [row.path.name for row in rows] == expected
    assert sorted(each.folder.name for each in Watch(top).update()) == expected


def test_a_search_does_not_learn_from_a_link_to_its_own_trial(tmp_path: Path) -> None:
    """It knows that trial already and would count it twice."""
    plant(tmp_path / "search" / "trial")
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "mine").symlink_to(tmp_path / "search" / "trial")
    assert finished_experiments.read(tmp_path / "tree", tmp_path / "search") == []


def test_watch_shows_a_linked_search_once_at_each_look(tmp_path: Path) -> None:
    """A link to a search that is watched already adds nothing later."""
    plant(tmp_path / "search" / "trial")
    (tmp_path / "search" / "search.json").write_text(json.dumps({"space": {}}))
    (tmp_path / "link").symlink_to(tmp_path / "search")
    now = 0.0
    watch = Watch(tmp_path, clock=lambda: now)
    assert len(watch.update()) == 1
    now = 1000.0
    assert len(watch.update()) == 1


def test_a_caller_may_keep_the_walk_out_of_a_folder(top: Path) -> None:
    """Names that the caller removes are not entered."""
    visited = []
    for folder in walk(top):
        visited.append(folder.path)
        folder.folders.clear()
        folder.links.clear()
    assert visited == [str(top)]


def test_the_top_itself_is_never_skipped(top: Path) -> None:
    """Whoever names an environment or a hidden folder means it."""
    assert names(top / "venv") == [".", "x"]
    assert names(top / ".hidden") == ["."]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may list every folder")
def test_a_folder_that_cannot_be_listed_is_reported(top: Path) -> None:
    """The walk goes on with the others."""
    (top / "B").chmod(0)
    problems: list[str] = []
    assert len([*walk(top, lambda path, _: problems.append(path))]) == 3
    (top / "B").chmod(0o755)
    assert problems == [str(top / "B")]


def test_what_is_gone_is_reported(tmp_path: Path) -> None:
    """A folder may be removed while the walk is on its way."""
    problems: list[tuple[str, OSError]] = []
    assert [*walk(tmp_path / "gone", lambda *problem: problems.append(problem))] == []
    assert isinstance(problems[0][1], FileNotFoundError)


def test_a_pipe_is_listed_so_that_it_is_warned_about(tmp_path: Path) -> None:
    """Reading it is an error at once; a link that leads nowhere is no file."""
    os.mkfifo(tmp_path / "params.json")
    (tmp_path / "run.json").symlink_to("nowhere")
    assert list_folder(str(tmp_path)).files == ("params.json",)


def test_quick_calls_stay_in_one_thread() -> None:
    """Threads would only cost time."""
    used = {*threaded_map(lambda _: threading.get_ident(), range(100))}
    assert used == {threading.get_ident()}


def test_slow_calls_run_in_several_threads_and_keep_their_order() -> None:
    """On a file server most of a call is waiting."""

    def slow(item: int) -> tuple[int, int]:
        time.sleep(0.002)
        return item, threading.get_ident()

    results = [*threaded_map(slow, range(TIMED + 10 * THREADS))]
    assert [item for item, _ in results] == [*range(TIMED + 10 * THREADS)]
    assert len({thread for _, thread in results}) > 4


def test_an_error_in_a_thread_reaches_the_caller() -> None:
    """Nothing is lost silently."""

    def fail(item: int) -> None:
        time.sleep(0.002)
        if item == TIMED + 5:
            raise ValueError(item)

    with pytest.raises(ValueError, match=str(TIMED + 5)):
        [*threaded_map(fail, range(100))]
