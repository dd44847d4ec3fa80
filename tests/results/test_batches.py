"""Many folders at once are understood as each would be by itself."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from modeldir.results import batches, folders
from modeldir.results.discovery import Folder
from modeldir.results.experiment_tree import read_tree
from modeldir.results.folders import Contents, Facts
from modeldir.results.sheets import Gathering

NAMES = ("params.json", "metrics_eval_best_weights.json", "metrics_test.json", "run.json",
         "trial.json")  # fmt: skip
PLAIN = (
    '{"learning_rate": 0.1, "seed": 1}', '{"learning_rate": 0.2, "seed": 2}\n', '{"model": "a"}',
    '{"layers": [1, {"a": 2}], "seed": 3}', "{}",
)  # fmt: skip
ODD = (
    '{"a": 1, "a": 2}', '{"a": NaN}', '{"a": 1e999}', '{"a": "\\u0041"}', "", "{", "[1]",
    "\ufeff{}", '{"a": 1} x', '{"layers": [1, {"a": 1, "a": 2}]}', " {}", '{"a": ',
    "nonsense", '{"a": true}',
)  # fmt: skip
SCORES = (
    '{"accuracy": 0.5, "loss": 1.5}', '{"accuracy": 1, "loss": 0.25}',
    '{"accuracy": NaN, "loss": 2}',
    '{"accuracy": 9007199254740993, "loss": 2}', '{"accuracy": "0.5", "loss": 2}', '{"loss": true}',
)  # fmt: skip
RUNS = tuple(
    json.dumps({"status": "completed", "duration": 1.5, "started": "2026-11-25T12:00:00Z", **more})
    for more in (
        {}, {"note": "own", "code": "abc"}, {"status": "failed", "failure": "error", "reason": "x"},
        {"params": {"changed": {"seed": {"given": 5}}}}, {"resumes": True}, {"status": None},
        {"duration": True},
    )
)  # fmt: skip
TRIALS = (
    '{"number": 3, "repeat": 1, "point": {"seed": 1}, "note": "why"}', '{"number": "3"}', "{}",
    "[]",
)  # fmt: skip


def read(names: tuple[str, ...], texts: list[list[str]]) -> tuple[list[str], dict[str, Facts]]:
    """Folders with these texts in their files: who is left, and what the others tell."""
    contents, gathering = Contents.of(names), Gathering()
    assert contents.files == names
    taken = [
        batches.Read(
            Folder(f"/top/{n}", str(n), names, None, is_leaf=True),
            [text.encode() for text in each],
            (),
        )
        for n, each in enumerate(texts)
    ]
    left = batches.gather(contents, taken, gathering)
    told = {
        name: facts
        for sheet in gathering.sheets()
        for name, facts in zip(sheet.names, sheet.all_facts(), strict=True)
    }
    return [folder.name for folder in left], told


@pytest.mark.parametrize("seed", range(60))
def test_many_at_once_are_told_as_one_by_one(seed: int) -> None:
    """Whatever stands in their files: odd ones are in some batches, and make no other one odd."""
    dice = random.Random(seed)
    names = NAMES[: dice.randint(1, len(NAMES))]
    odd = seed % 3 == 0
    choices = (
        PLAIN[: dice.randint(1, 5)] + ODD * odd, SCORES[: 2 + 4 * odd], SCORES[:3],
        RUNS[: dice.randint(1, 4) + 3 * odd], TRIALS[: 1 + 3 * odd],
    )  # fmt: skip
    count = dice.choice([1, 2, 40])
    texts = [[dice.choice(each) for each in choices[: len(names)]] for _ in range(count)]
    left, told = read(names, texts)
    for place, each in enumerate(texts):
        alone = folders.facts_in(Contents.of(names), [text.encode() for text in each])
        if alone is None:
            assert str(place) in left
            assert str(place) not in told
        else:
            state = alone.state if len(alone.state) == 1 else (*alone.state, 0.0)
            assert repr(told[str(place)]) == repr(alone._replace(state=state))


def test_what_is_wrong_is_told_in_the_order_of_the_folders(tmp_path: Path) -> None:
    """Whenever it is found out, and whatever else lies in them."""
    for number in range(1, 9):
        folder = tmp_path / f"t{number}"
        folder.mkdir()
        (folder / "params.json").write_text("{" if number % 2 else '{"a": 1}')
        if number in {3, 6}:
            (folder / "metrics_eval.json").write_text("[]")
        if number == 5:
            (folder / "params.json").rename(folder / "params.yaml")
    warned = [warning.split("/t")[-1][0] for warning in read_tree(tmp_path).warnings]
    assert warned == sorted(warned)
    assert {*warned} == set("13567")
