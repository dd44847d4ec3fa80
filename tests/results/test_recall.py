"""What is kept of a large tree: the table is the same with it and without, whatever happens."""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from laboratory import wait_until
from modeldir._system import files, readers, user_cache
from modeldir.experiment import attempts
from modeldir.results import apart, experiment_tree, folders, recall, sheets
from modeldir.results.experiment_tree import Found, Tree, read_tree, read_trees

BASE = {"learning_rate": 0.001, "batch_size": 32, "optimizer": "adam"}
EVAL = "metrics_eval_best_weights.json"
COUNT = 6


@pytest.fixture(autouse=True)
def _small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache folder of its own; what is kept of trees of thousands is kept of a few here, and
    what has just changed counts as settled.
    """
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(recall, "FEWEST", COUNT)
    monkeypatch.setattr(recall, "_SETTLED", 0)
    monkeypatch.chdir(tmp_path)


def write(path: Path, value: object) -> None:
    """A file as other people's scripts write it: in its place."""
    path.write_text(value if isinstance(value, str) else json.dumps(value))


def tree(tmp_path: Path, *, recorded: bool = False) -> Path:
    """A few experiments, as a search leaves them or as others do."""
    top = tmp_path / "tree"
    for number in range(1, COUNT + 1):
        folder = top / f"trial_{number}"
        folder.mkdir(parents=True)
        write(folder / "params.json", {**BASE, "learning_rate": number / 1000})
        write(folder / EVAL, {"accuracy": 0.9 - number / 100, "loss": number / 10})
        write(folder / "metrics.jsonl", '{"step": 1, "accuracy": 0.5}\n')
        if recorded:
            write(folder / "trial.json", {"number": number, "point": {"learning_rate": 1}})
            attempt = attempts.begin(folder, 1, {"supervisor": None, "process": None})
            assert attempt is not None
            attempts.rewrite(attempt, {"status": "completed", "duration": 1.5, "code": "ab12"})
    time.sleep(0.05)  # longer than a tick of the clock that stamps files
    return top


def kept(top: Path) -> dict[str, tuple[str, ...]]:
    """What is kept of a tree now: each folder's name, with the files in it to look at."""
    sheets = recall._read(str(place(top)), os.path.realpath(top))
    return {name: sheet.kind.looked_at or () for sheet in sheets for name in sheet.names}


def place(top: Path) -> Path:
    """Where that lies."""
    found = user_cache.place("trees", os.path.realpath(top))
    assert found is not None
    return Path(found)


def told(read: Tree) -> list[tuple[Found, object, object]]:
    """All of a tree, also what two states need not share to be equal."""
    return [(each, dict(each.status.given), each.status.note) for each in read.found]


def same(top: Path, **options: Any) -> Tree:
    """The tree; it must be the same with what is kept and without, now and the next time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", "/dev/null")
        plain = read_trees([top], **options)
    for _ in range(2):
        recalled = read_trees([top], keep=True, **options)
        assert told(recalled) == told(plain)
        assert recalled.warnings == plain.warnings
        assert recalled.objectives == plain.objectives
    return plain


def warm(tmp_path: Path, *, recorded: bool = False) -> Path:
    """A tree of which everything is kept."""
    top = tree(tmp_path, recorded=recorded)
    same(top)
    assert len(kept(top)) == COUNT
    return top


# -- Every kind of change --------------------------------------------------------------------------


def overwrite(top: Path) -> None:
    """New metrics in the place of the old ones, of the same length: the folder's time stands."""
    text = (top / "trial_2" / EVAL).read_text()
    write(top / "trial_2" / EVAL, text.replace("0.88", "0.99"))


def overwrite_and_set_back(top: Path) -> None:
    """The same, and the file's time is set back to what it was, as `cp -p` does."""
    status = os.stat(top / "trial_2" / EVAL)
    overwrite(top)
    os.utime(top / "trial_2" / EVAL, ns=(status.st_atime_ns, status.st_mtime_ns))


def edit_params(top: Path) -> None:
    write(top / "trial_3" / "params.json", {**BASE, "learning_rate": 7})


def by_rename(top: Path) -> None:
    files.write_json(top / "trial_2" / EVAL, {"accuracy": 0.99})


def by_rename_and_set_back(top: Path) -> None:
    """A file by rename, and the folder's time set back, as `rsync -a` does."""
    status = os.stat(top / "trial_2")
    by_rename(top)
    os.utime(top / "trial_2", ns=(status.st_atime_ns, status.st_mtime_ns))


def remove_folder(top: Path) -> None:
    shutil.rmtree(top / "trial_4")


def remove_file(top: Path) -> None:
    os.unlink(top / "trial_4" / EVAL)


def add_folder(top: Path) -> None:
    shutil.copytree(top / "trial_1", top / "trial_9")


def rename_folder(top: Path) -> None:
    os.rename(top / "trial_1", top / "another")


def swap_folders(top: Path) -> None:
    """Two folders change their names with each other."""
    os.rename(top / "trial_1", top / "x")
    os.rename(top / "trial_2", top / "trial_1")
    os.rename(top / "x", top / "trial_2")


def replace_by_copy(top: Path) -> None:
    """A folder is put back from a backup, with all its times."""
    shutil.copytree(top / "trial_1", top / "backup", copy_function=shutil.copy2)
    shutil.rmtree(top / "trial_1")
    os.rename(top / "backup", top / "trial_1")
    by_rename(top)


def break_file(top: Path) -> None:
    write(top / "trial_2" / EVAL, '{"accuracy": ')


def nest(top: Path) -> None:
    """What was an experiment becomes one with others below it."""
    shutil.copytree(top / "trial_1", top / "trial_5" / "deeper")


def link(top: Path) -> None:
    """An experiment that lies elsewhere, by a link: also what it leads to may change."""
    shutil.copytree(top / "trial_1", top.parent / "elsewhere")
    os.symlink(top.parent / "elsewhere", top / "trial_5" / "linked")


def link_within(top: Path) -> None:
    """A link to an experiment of the tree: it is one all the same."""
    os.symlink(top / "trial_1", top / "trial_5" / "again")


def to_yaml(top: Path) -> None:
    os.unlink(top / "trial_3" / "params.json")
    write(top / "trial_3" / "params.yaml", "learning_rate: 3e-2\nmodel:\n  width: 8\n")


def new_test_metrics(top: Path) -> None:
    write(top / "trial_3" / "metrics_test_best.json", {"accuracy": 0.7})


def run_again(top: Path) -> None:
    attempt = attempts.begin(top / "trial_6", 2, {"supervisor": None, "process": None})
    assert attempt is not None
    attempts.rewrite(attempt, {"status": "failed", "failure": "nan", "note": "again"})


def plan(top: Path) -> None:
    write(top / "search.json", {"minimize": "loss", "command": "python train.py"})


CHANGES = (
    overwrite, overwrite_and_set_back, edit_params, by_rename, by_rename_and_set_back,
    remove_folder, remove_file, add_folder, rename_folder, swap_folders, replace_by_copy,
    break_file, nest, link, link_within, to_yaml, new_test_metrics, run_again, plan,
)  # fmt: skip
IN_PLACE = {overwrite, overwrite_and_set_back, edit_params, break_file}


@pytest.mark.parametrize("change", CHANGES, ids=lambda each: each.__name__)
def test_a_change_is_seen_in_trees_of_others(
    tmp_path: Path, change: Callable[[Path], None]
) -> None:
    """However others change their files and folders, what is kept makes no other table."""
    top = warm(tmp_path)
    before = told(read_tree(top))
    change(top)
    assert told(same(top)) != before or change in {plan, link_within}


@pytest.mark.parametrize(
    "change", [each for each in CHANGES if each not in IN_PLACE], ids=lambda each: each.__name__
)
def test_a_change_is_seen_in_recorded_trials(
    tmp_path: Path, change: Callable[[Path], None]
) -> None:
    """The same of trials whose ends are recorded, of which the folder alone is looked at."""
    top = warm(tmp_path, recorded=True)
    assert set(kept(top).values()) == {()}
    change(top)
    same(top)


@pytest.mark.parametrize("seed", range(6))
def test_whatever_changes_the_table_is_the_same(tmp_path: Path, seed: int) -> None:
    """Changes of every kind, a few at a time, in a tree of others' folders, of recorded trials, of
    repeats and of conditions: byte for byte the table is that of who keeps nothing.
    """
    from modeldir.results.synthesize import synthesize

    chance = random.Random(seed)
    top = tree(tmp_path, recorded=seed % 2 == 1)
    search = top / "search"
    for number in range(1, COUNT + 1):
        plant(search / f"t{number:02d}", chance, number)
    space = {"dropout": {"uniform": [0, 1], "when": {"optimizer": "adam"}}}
    write(search / "search.json", {"minimize": "loss", "command": "true", "space": space})
    for _ in range(12):
        for _ in range(chance.randint(0, 4)):
            change_something(top, chance)
        tables = []
        kept = str(tmp_path / "cache")
        slowly = chance.random() < 0.5
        ways = (("/dev/null", False), ("/dev/null", True), (kept, slowly), (kept, True))
        for cache, slow in ways:
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("XDG_CACHE_HOME", cache)
                if slow:
                    as_from_a_server(patch)
                found = synthesize(top, all_columns=True)
            best = found.best, [*map(repr, found.tree.rows())] if found.tree else []
            tables.append((str(found), (top / "results.csv").read_bytes(), best))
        assert tables[0] == tables[1] == tables[2] == tables[3]
    assert place(top).exists()


def as_from_a_server(patch: pytest.MonkeyPatch) -> None:
    """Everything takes so long that several threads read, a folder or two each."""
    patch.setattr(experiment_tree, "_MANY", 2)
    patch.setattr(readers, "_TRIED", 1)
    patch.setattr(readers, "_PART", 2)
    patch.setattr(apart, "SLOW", 0)
    patch.setattr(recall, "_SLOW", 0)


def test_a_slow_tree_is_read_by_several(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where each file takes a round trip, all folders together take little longer than a few."""
    top = tree(tmp_path)
    for number in range(60):
        shutil.copytree(top / "trial_1", top / f"copy_{number}")
    monkeypatch.setattr(experiment_tree, "_MANY", 10)
    monkeypatch.setattr(readers, "_TRIED", 5)
    monkeypatch.setattr(readers, "_PART", 2)
    opened, slow, most = os.open, 0, 0

    def take_long(*arguments: Any, **named: Any) -> int:
        nonlocal slow, most
        slow += 1
        most = max(most, slow)
        time.sleep(0.005)
        slow -= 1
        return opened(*arguments, **named)

    monkeypatch.setattr(os, "open", take_long)
    found = read_tree(top).found
    assert len(found) == 60 + COUNT
    assert most > 4


def test_where_nobody_waits_nobody_asks_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files in memory: the first folders of a tree say so for all."""
    monkeypatch.setattr(experiment_tree, "_MANY", 3)
    monkeypatch.setattr(readers, "_TRIED", 2)
    monkeypatch.setattr(apart, "SLOW", 10)
    asked, read = [], apart.read

    def counted(top: str, names: Sequence[str], *, watch: bool) -> Any:
        asked.append(len(names))
        return read(top, names, watch=watch)

    monkeypatch.setattr(apart, "read", counted)
    top = tree(tmp_path)
    for search in range(3):
        for number in range(COUNT):
            shutil.copytree(top / "trial_1", top / f"search_{search}" / f"trial_{number}")
    assert len(read_tree(top).found) == 4 * COUNT
    assert asked == [COUNT + 3]


def test_what_is_wrong_is_told_in_the_same_order_however_it_is_read(tmp_path: Path) -> None:
    top = tree(tmp_path)
    for number in range(0, 40, 3):
        write(add(top, f"a{number:02d}") / EVAL, '{"accuracy": ')
        write(add(top, f"b{number:02d}") / "params.json", '{"a": 1, "a": 2}')
    at_once = read_tree(top)
    with pytest.MonkeyPatch.context() as patch:
        as_from_a_server(patch)
        by_several = read_tree(top)
    assert len(at_once.warnings) == 28
    assert by_several.warnings == at_once.warnings
    assert [*map(repr, by_several.found)] == [*map(repr, at_once.found)]


def add(top: Path, name: str) -> Path:
    return Path(shutil.copytree(top / "trial_1", top / name))


def plant(folder: Path, chance: random.Random, number: int) -> None:
    """An experiment, of one of several kinds."""
    folder.mkdir(parents=True, exist_ok=True)
    values: dict[str, object] = {**BASE, "learning_rate": chance.random(), "dropout": None}
    values |= chance.choice([{}, {"seed": number, "batch_size": 8}, {"model": {"width": [1, 2]}}])
    write(folder / "params.json", dict(chance.sample([*values.items()], len(values))))
    scores = {"accuracy": chance.choice([0.5, chance.random()]), "loss": chance.random()}
    write(folder / EVAL, scores if chance.random() < 0.8 else {"f1": float("nan")})
    if chance.random() < 0.5:
        write(folder / "metrics.jsonl", '{"step": 1, "accuracy": 0.5}\n')
        write(folder / "metrics_test_best.json", {"accuracy": chance.random()})
    if chance.random() < 0.6:
        told = {"number": number, "point": chance.choice([{"learning_rate": 1}, {"dropout": 1}])}
        told |= chance.choice([{}, {"repeat": number % 3 + 1}, {"note": "why"}])
        write(folder / "trial.json", told)
        attempt = attempts.begin(folder, 1, {"supervisor": None, "process": None})
        assert attempt is not None
        ends = ({"status": "completed", "duration": 1.5}, {"status": "failed", "failure": "nan"})
        given = {"params": {"changed": {"learning_rate": {"given": 9}}}}
        attempts.rewrite(attempt, chance.choice(ends) | chance.choice([{}, {}, given]))


def change_something(top: Path, chance: random.Random) -> None:
    """One change to a tree, as people and programs make them."""
    folders = sorted({path.parent for path in top.rglob("params.json")})
    folder, other = chance.choice(folders), f"x{chance.randrange(10**6)}"
    of_others = not (folder / "run.json").exists()
    match chance.randrange(8):
        case 0 if of_others:
            write(folder / EVAL, {"accuracy": chance.random(), "loss": chance.random()})
        case 1 if of_others:
            write(folder / "params.json", chance.choice([{**BASE, "epochs": 3}, '{"a": 1', "{}"]))
        case 2 if len(folders) > 2:
            shutil.rmtree(folder)
        case 3:
            os.rename(folder, folder.with_name(other))
        case 4:
            shutil.copytree(folder, folder.with_name(other), copy_function=shutil.copy2)
        case 5:
            plant(folder.parent / other, chance, chance.randrange(50))
        case 6:
            plant(folder / other, chance, 1)
        case _:
            files.write_json(folder / EVAL, {"accuracy": chance.random(), "loss": 1})


def test_a_script_that_overwrites_its_metrics_after_the_end(tmp_path: Path) -> None:
    """Without `metrics.jsonl` nobody knows that metrics arrive by rename: their file is looked at,
    and so are test metrics, which an evaluating script may overwrite any number of times.
    """
    top = tree(tmp_path, recorded=True)
    for number in range(1, COUNT + 1):
        os.unlink(top / f"trial_{number}" / "metrics.jsonl")
        write(top / f"trial_{number}" / "metrics_test_best.json", {"accuracy": 0.5})
    time.sleep(0.05)
    same(top)
    assert set(kept(top).values()) == {(EVAL, "metrics_test_best.json")}
    overwrite(top)
    write(top / "trial_3" / "metrics_test_best.json", {"accuracy": 0.6})
    found = {each.name: each for each in same(top).found}
    assert found["trial_2"].scores.best["accuracy"] == 0.99
    assert found["trial_3"].scores.test["accuracy"] == 0.6


@pytest.mark.parametrize("name", ["metrics_val_best_weights.json", "results.json"])
def test_a_script_with_metrics_under_names_of_its_own(tmp_path: Path, name: str) -> None:
    """What `Run` never writes is not trusted to arrive by rename, though the script logs by it."""
    top = tree(tmp_path, recorded=True)
    for number in range(1, COUNT + 1):
        write(top / f"trial_{number}" / name, {"f1": 0.5})
        os.utime(top / f"trial_{number}")  # as an end that is recorded after it
    time.sleep(0.05)
    same(top)
    assert set(kept(top).values()) == {(name,)}
    write(top / "trial_3" / name, {"f1": 0.9})
    found = {each.name: each for each in same(top).found}
    assert found["trial_3"].scores.best["f1"] == 0.9


def test_what_is_kept_is_used(tmp_path: Path) -> None:
    """The one thing that is not looked at: what a search put into a trial that has ended, edited
    in its place. It is seen with the folder's next change, or when what was kept is taken away.
    """
    top = warm(tmp_path, recorded=True)
    edit_params(top)
    assert {each.name: each.hyperparameters for each in read_tree(top).found}["trial_3"] == {
        **BASE, "learning_rate": 0.003,
    }  # fmt: skip
    place(top).unlink()
    same(top)
    assert {each.name: each.hyperparameters for each in read_tree(top).found}["trial_3"] == {
        **BASE, "learning_rate": 7,
    }  # fmt: skip


def test_params_of_other_notations_are_kept(tmp_path: Path) -> None:
    """YAML, comments and nested parts are read with care once, and then recalled."""
    top = tree(tmp_path)
    for number, (name, text) in enumerate(
        [
            ("params.yaml", "learning_rate: 1e-3\nmodel: {width: 8}\n"),
            ("params.toml", "learning_rate = 0.5\nname = 'é'\n"),
            ("params.jsonc", '{"learning_rate": 1e-3, // small\n}'),
        ],
        start=1,
    ):
        os.unlink(top / f"trial_{number}" / "params.json")
        write(top / f"trial_{number}" / name, text)
    os.unlink(top / "trial_4" / "params.json")
    write(top / "trial_4" / "params.json", {"model": {"width": [1, 2, {"a": None}]}, "b": True})
    time.sleep(0.05)
    same(top)
    assert len(kept(top)) == COUNT
    write(top / "trial_1" / "params.yaml", "learning_rate: 9e-3\nmodel: {width: 8}\n")
    same(top)


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1, "a": 2}', '{"a": NaN}', '{"a": 1e999}', '{"b": {"a": -1e999}}',
        '{"a": "\\ud83d"}',
        '{"b": {"a": 1, "a": 2}}', "\ufeff{}", "[1]", "", '{"a": 1} x', '{"a" : 1, "a":2}',
        '{"a": ["b:c", {"d": 1, "d": 2}]}', '{"a": 123456789012345678901234567890}',
    ],
)  # fmt: skip
def test_what_is_read_quickly_is_read_right(tmp_path: Path, text: str) -> None:
    """Params and metrics that a quick parser would let pass are refused, or read, as ever."""
    from modeldir.errors import MetricsError, ParamsError
    from modeldir.metrics import metrics
    from modeldir.params import plain_values

    file = tmp_path / "params.json"
    file.write_text(text)
    quick = folders.hyperparameters_in(file.read_bytes())
    try:
        assert quick is None or quick == plain_values.load_file(file)
    except ParamsError:
        assert quick is None
    numbers = folders.numbers_in(file.read_bytes())
    try:
        assert numbers is None or numbers == metrics.read_metrics(file)
    except MetricsError:
        assert numbers is None


def test_other_questions_are_answered_as_ever(tmp_path: Path) -> None:
    """Another metrics file, some columns, a condition: what is kept changes no answer."""
    from modeldir.results.synthesize import synthesize

    top = warm(tmp_path)
    write(top / "trial_1" / "scores.json", {"f1": 0.3})
    same(top, metrics_file="scores.json")
    for options in ({"columns": ["experiment", "loss@last"]}, {"where": "accuracy > 0.85"}):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("XDG_CACHE_HOME", "/dev/null")
            plain = synthesize(top, write=False, **options).table
        assert synthesize(top, write=False, **options).table == plain


# -- The file --------------------------------------------------------------------------------------


def test_small_trees_leave_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Below two thousand folders nothing is kept, and no folder is made for it."""
    monkeypatch.setattr(recall, "FEWEST", 2_000)
    read_trees([tree(tmp_path)], keep=True)
    assert not (tmp_path / "cache").exists()


def test_looking_alone_leaves_nothing(tmp_path: Path) -> None:
    """Who reads a tree without being asked to keep it writes nothing."""
    read_tree(tree(tmp_path))
    assert not (tmp_path / "cache").exists()


def test_what_has_just_changed_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that changed within the last two seconds may change again without another time."""
    monkeypatch.setattr(recall, "_SETTLED", 2_000_000_000)
    top = tree(tmp_path)
    time.sleep(2.1)
    overwrite(top)
    same(top)
    assert set(kept(top)) == {f"trial_{n}" for n in range(1, COUNT + 1) if n != 2}


def test_a_clock_that_was_set_back(tmp_path: Path) -> None:
    """Files from the future are not kept: they may come to be changed at that time."""
    top = warm(tmp_path)
    place(top).unlink()
    reading = recall.Recall(str(top))
    reading._began += 3600  # as if the reading began an hour ago by the clock that stamps files
    reading.expect(COUNT)
    learnt = _read_one(top, "trial_1", lambda stamp: (2**62, *stamp[1:]))
    assert reading._settled(learnt) == []


def _read_one(
    top: Path, name: str, change: Callable[[tuple[int, int, int]], Any] = lambda stamp: stamp
) -> list[sheets.Sheet]:
    """What is learnt of one folder."""
    contents = folders.Contents.of(os.listdir(top / name))
    facts = folders.read(str(top / name), contents)
    assert facts is not None
    learnt = sheets.Gathering()
    learnt.add(name, facts, (), change(folders.stamp(os.stat(top / name))))
    return learnt.sheets()


@pytest.mark.parametrize(
    "column",
    [
        [1, 1, 1], [1, True, 1], [True, 1], [1, 1.0], [0.0, -0.0, 0.0], [-0.0, -0.0], [0.5, 0.5],
        [float("nan")] * 2, [None, None], ["a", "a"], ["a", "b", "a"], [{}, {}], [{}, {"a": 1}, {}],
        [{"a": 1}, {"a": True}], [[1], [True]], [(), ()], [("a",), ("a",)], [2**70, 2**70], [7],
    ],
    ids=str,
)  # fmt: skip
def test_a_column_comes_back_as_it_was(tmp_path: Path, column: list[object]) -> None:
    """Also where all that stands in it is equal: equal is not the same."""
    top = tree(tmp_path)
    path = user_cache.place("trees", str(top))
    assert path is not None
    Path(path).parent.mkdir(parents=True, mode=0o700)
    kind = sheets.Kind(("a",), (), (), (), (), "unrecorded", ())
    blank = [None] * len(column)
    names = [f"trial_{number}" for number, _ in enumerate(column)]
    stamps = [[*range(len(column))]] * 3
    sheet = sheets.Sheet(kind, [names, column, *([blank] * 5), *stamps])
    recall._write(path, str(top), [sheet])
    (read,) = recall._read(path, str(top))
    assert read.kind == kind
    assert [*map(repr, read.columns)] == [*map(repr, sheet.columns)]


@pytest.mark.parametrize("damage", ["cut", "bit", "empty", "noise", "version", "other"])
def test_a_damaged_file_is_as_none(tmp_path: Path, damage: str) -> None:
    """Cut off, with a wrong bit, of another version or another tree: it is not looked into."""
    top = warm(tmp_path)
    path = place(top)
    data = path.read_bytes()
    damaged = {
        "cut": data[:-7],
        "bit": data[:-9] + bytes([data[-9] ^ 4]) + data[-8:],
        "empty": b"",
        "noise": os.urandom(5_000),
        "version": data.replace(b"modeldir trees 3 ", b"modeldir trees 2 ", 1),
        "other": data.replace(b"/tree'", b"/trex'", 1),
    }
    path.write_bytes(damaged[damage])
    assert kept(top) == {}
    same(top)
    assert len(kept(top)) == COUNT


def test_a_file_that_others_may_write_is_not_looked_into(tmp_path: Path) -> None:
    """Bytes of others must not reach the parser, whatever they sum up to."""
    top = warm(tmp_path)
    os.chmod(place(top), 0o666)
    assert kept(top) == {}
    os.chmod(place(top), 0o600)
    os.chmod(place(top).parent, 0o777)
    assert kept(top) == {}
    os.chmod(place(top).parent, 0o700)
    assert len(kept(top)) == COUNT


def test_a_pipe_in_its_place_is_not_waited_for(tmp_path: Path) -> None:
    """Whoever opens a pipe to read waits for somebody who writes: nobody does."""
    top = warm(tmp_path)
    place(top).unlink()
    os.mkfifo(place(top))
    same(top)
    assert kept(top) == {}


def test_nothing_lies_in_the_tree(tmp_path: Path) -> None:
    """A tree that is packed and sent away has nothing of it, and a cache in it means nothing."""
    top = warm(tmp_path)
    assert sorted(os.listdir(top)) == [f"trial_{n}" for n in range(1, COUNT + 1)]


@pytest.mark.parametrize("where", ["/dev/null", "relative", "/proc/1/nowhere"])
def test_where_nothing_can_be_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """A read-only home, or none: the table comes all the same."""
    top = tree(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", where)
    assert len(read_trees([top], keep=True).found) == COUNT


def test_a_full_disk(tmp_path: Path) -> None:
    """What cannot be written whole is not there at all; nobody hears of it."""
    top = warm(tmp_path)
    place(top).unlink()
    code = (
        "import resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))\n"
        "from modeldir.results import recall\n"
        f"recall.FEWEST, recall._SETTLED = {COUNT}, 0\n"
        "from modeldir.results.experiment_tree import read_trees\n"
        "print(len(read_trees([sys.argv[1]], keep=True).found))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, top], capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == str(COUNT)
    assert ran.stderr == ""
    assert os.listdir(place(top).parent) == []
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 200


def test_a_tree_that_cannot_be_written(tmp_path: Path) -> None:
    """Where no file can be made to learn the server's time, only what is an hour old is kept."""
    top = tree(tmp_path)
    reading = recall.Recall(str(top / "not there"))
    reading.expect(COUNT)
    assert reading._settled(_read_one(top, "trial_1")) == []


def test_killed_while_writing(tmp_path: Path) -> None:
    """Kill -9 at any time: the next reader finds the old file, the new one or none."""
    top = warm(tmp_path)
    expected = told(read_tree(top))
    code = (
        "import sys\n"
        "from modeldir.results import recall\n"
        f"recall.FEWEST, recall._SETTLED, recall._CHANGED_PART = {COUNT}, 0, 0\n"
        "from modeldir.results.experiment_tree import read_trees\n"
        "print('begun', flush=True)\n"
        "while True:\n"
        "    reading = recall.Recall(sys.argv[1])\n"
        "    reading.met.update(reading._there)\n"
        "    reading._count = -1\n"
        "    reading.save([])\n"
    )
    for wait in (0.0, 0.003, 0.01, 0.02, 0.03):
        writer = subprocess.Popen([sys.executable, "-c", code, top], stdout=subprocess.PIPE)
        assert writer.stdout is not None
        writer.stdout.readline()
        time.sleep(wait)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        assert told(read_tree(top)) == expected
        assert len(kept(top)) == COUNT


def test_many_readers_and_writers(tmp_path: Path) -> None:
    """Several write and read at once while trials change: each table is one that was true."""
    top = warm(tmp_path)
    problems: list[object] = []
    over = threading.Event()
    wanted = {f"trial_{n}" for n in range(1, COUNT + 1)}

    def read() -> None:
        while not over.is_set():
            found = read_trees([top], keep=True)
            if {each.name for each in found.found} != wanted or found.warnings:
                problems.append(found)

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(30):
        files.write_json(top / f"trial_{number % COUNT + 1}" / EVAL, {"accuracy": number})
    over.set()
    for thread in threads:
        thread.join()
    assert problems == []
    time.sleep(0.05)
    same(top)


def test_no_more_than_some_trees_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was not written for longest goes, and so does what a killed writer left."""
    monkeypatch.setattr(recall, "TREES", 2)
    top = warm(tmp_path)
    folder = place(top).parent
    for age, name in ((500, ".tmp-1-a"), (400, "old"), (300, "newer")):
        (folder / name).write_text("x")
        os.utime(folder / name, (time.time() - age,) * 2)
    edit_params(top)
    same(top)
    wait_until(lambda: set(os.listdir(folder)) == {"newer", place(top).name})


def test_two_thousand_folders_by_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command itself keeps what it read of a large tree, and says the same the second time."""
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    top = tmp_path / "large"
    for number in range(recall.FEWEST + 1):
        folder = top / f"t{number:05d}"
        folder.mkdir(parents=True)
        write(folder / "params.json", {"learning_rate": number, "batch_size": number % 7})
        write(folder / EVAL, {"accuracy": number / 10_000})
    time.sleep(2.1)
    command = [sys.executable, "-m", "modeldir", "synthesize", str(top)]
    first, second = (subprocess.run(command, capture_output=True, check=True) for _ in range(2))
    assert len(kept(top)) == recall.FEWEST + 1
    assert first.stdout == second.stdout
    assert first.stdout.count(b"\n") > recall.FEWEST
