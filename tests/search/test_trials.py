"""Trials: a number is claimed once, a claim becomes a folder, a folder is known again."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from laboratory import read, wait_until
from modeldir.experiment import attempts
from modeldir.params.plain_values import canonical_hash
from modeldir.search.trial_record import TrialRecord
from modeldir.search.trials import Trials

NAMES = ("lr",)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "params.json").write_text('{"lr": 0.5, "width": 8}')
    return tmp_path


def looked(folder: Path) -> Trials:
    """What a process that comes now sees."""
    trials = Trials(folder, NAMES)
    trials.refresh()
    trials.adopt()
    return trials


def made(trials: Trials, lr: Any, **settings: Any) -> TrialRecord:
    record = trials.claim({"lr": lr}, {"lr": lr, "width": 8}, **settings)
    assert record is not None
    return record


def known(trials: Trials) -> dict[int, str]:
    return {record.number: record.name for record in trials}


def experiment(path: Path, lr: float, **told: Any) -> Path:
    """A folder that lies in a search, made by somebody else."""
    path.mkdir()
    (path / "params.json").write_text(json.dumps({"lr": lr, "width": 8}))
    if told:
        (path / "trial.json").write_text(json.dumps(told))
    return path


# -- Claims ----------------------------------------------------------------------------------------


def test_a_claim_makes_the_folder_whole(folder: Path) -> None:
    """Hyperparameters, and what it is a trial of."""
    record = made(looked(folder), 0.1, told={"sampler": "grid", "seed": 230})
    assert record.name == "lr_0.1"
    assert read(folder / "lr_0.1/params.json") == {"lr": 0.1, "width": 8}
    told = read(folder / "lr_0.1/trial.json")
    assert told.pop("created").endswith("+00:00")
    assert told == {
        "format": 1,
        "number": 1,
        "configuration": {"lr": 0.1},
        "hash": canonical_hash({"lr": 0.1, "width": 8}),
        "sampler": "grid",
        "seed": 230,
    }


def test_many_who_claim_get_a_number_each(folder: Path) -> None:
    """Sixteen at once, who know nothing of each other: no number twice, none left out."""
    claims = 16

    def claim(index: int) -> int:
        trials = Trials(folder, NAMES)
        while True:
            trials.refresh()
            record = trials.claim({"lr": index}, {"lr": index, "width": 8})
            if record is not None:
                return record.number

    with ThreadPoolExecutor(claims) as pool:
        numbers = list(pool.map(claim, range(claims)))
    assert sorted(numbers) == list(range(1, claims + 1))
    assert len(looked(folder)) == claims


def test_who_comes_late_gets_nothing(folder: Path) -> None:
    """Two who saw the same: the first gets the number, the second is told."""
    one, two = looked(folder), looked(folder)
    made(one, 0.1)
    assert two.claim({"lr": 0.2}, {"lr": 0.2, "width": 8}) is None
    assert not (folder / "lr_0.2").exists()
    two.refresh()
    assert made(two, 0.2).number == 2


@pytest.mark.parametrize("left", [[], ["lr_0.1"], ["lr_0.1", "lr_0.1/params.json"]])
def test_a_claim_whose_maker_died_is_finished_by_whoever_finds_it(
    folder: Path, left: list[str]
) -> None:
    """At any moment between the claim and the last of its files."""
    made(looked(folder), 0.1)
    whole = (folder / "lr_0.1/params.json").read_bytes()
    shutil.rmtree(folder / "lr_0.1")
    (folder / ".modeldir/trials/000001.made").unlink()
    for name in left:
        path = folder / name
        path.write_bytes(whole) if name.endswith(".json") else path.mkdir()
    trials = looked(folder)
    assert known(trials) == {1: "lr_0.1"}
    assert (folder / "lr_0.1/params.json").read_bytes() == whole
    assert read(folder / "lr_0.1/trial.json")["number"] == 1
    assert made(trials, 0.2).number == 2


def test_looking_alone_writes_nothing(folder: Path) -> None:
    """A dry run, and a look from a machine that may only read."""
    made(looked(folder), 0.1)
    shutil.rmtree(folder / "lr_0.1")
    (folder / ".modeldir/trials/000001.made").unlink()
    experiment(folder / "other", 0.3)
    before = sorted(folder.rglob("*"))
    trials = Trials(folder, NAMES)
    trials.refresh(make=False)
    trials.adopt(claim=False)
    assert known(trials) == {1: "lr_0.1", 2: "other"}
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize("text", ["", "{", "[]", '{"name": "x"}', "null"])
def test_a_broken_claim_is_a_number_spent(folder: Path, text: str) -> None:
    """From a disk that was full: nothing comes of it, and nobody gets the number again."""
    made(looked(folder), 0.1)
    (folder / ".modeldir/trials/000002.json").write_text(text)
    trials = looked(folder)
    assert known(trials) == {1: "lr_0.1"}
    assert made(trials, 0.2).number == 3
    assert [*trials.claims.problems] == [2]


def test_a_claim_that_is_complete_a_moment_later_is_waited_for(folder: Path) -> None:
    """A network file system shows a part of it: its configuration must not be made twice."""
    made(looked(folder), 0.1)
    shutil.rmtree(folder / "lr_0.1")
    (folder / ".modeldir/trials/000001.made").unlink()
    claim = folder / ".modeldir/trials/000001.json"
    whole = claim.read_text()
    claim.write_text(whole[:50])
    with ThreadPoolExecutor() as pool:
        trials = pool.submit(looked, folder)
        time.sleep(0.3)
        claim.write_text(whole)
        assert known(trials.result()) == {1: "lr_0.1"}


def test_a_base_in_another_notation_makes_trials_in_it(tmp_path: Path) -> None:
    """params.yaml in the search, params.yaml in each trial: the script opens the name it knows."""
    (tmp_path / "params.yaml").write_text("lr: 0.5\nwidth: 8\n")
    made(looked(tmp_path), 0.001)
    assert (tmp_path / "lr_0.001/params.yaml").read_text() == "lr: 0.001\nwidth: 8\n"


def test_a_taken_name_gets_a_number_of_its_own(folder: Path) -> None:
    """A file, a broken link, a trial of the same name: nothing is written over."""
    (folder / "lr_0.1").write_text("a file of the user's")
    (folder / "lr_0.1__2").symlink_to("nowhere")
    trials = looked(folder)
    assert made(trials, 0.1).name == "lr_0.1__3"
    assert made(trials, 0.1).name == "lr_0.1__4"
    assert (folder / "lr_0.1").read_text() == "a file of the user's"


# -- What users do to folders ----------------------------------------------------------------------


def test_a_removed_trial_never_happened_but_its_number_did(folder: Path) -> None:
    """Also when it was the highest: what its number named elsewhere must not change."""
    trials = looked(folder)
    for lr in (0.1, 0.2, 0.3):
        made(trials, lr)
    shutil.rmtree(folder / "lr_0.3")
    shutil.rmtree(folder / "lr_0.1")
    again = looked(folder)
    assert known(again) == {2: "lr_0.2"}
    assert made(again, 0.3).number == 4
    assert known(looked(folder)) == {2: "lr_0.2", 4: "lr_0.3"}


def test_a_renamed_trial_is_the_same(folder: Path) -> None:
    """Its number, its point; whatever its name, and however often."""
    made(looked(folder), 0.1)
    (folder / "lr_0.1").rename(folder / "the winner")
    trials = looked(folder)
    assert known(trials) == {1: "the winner"}
    assert trials[1].configuration == {"lr": 0.1}
    (folder / "the winner").rename(folder / "lr_0.1")
    assert known(looked(folder)) == {1: "lr_0.1"}


def test_two_trials_that_changed_names_are_told_apart(folder: Path) -> None:
    """Identity is in the folder, not in the name that the claim had given it."""
    trials = looked(folder)
    made(trials, 0.1)
    made(trials, 0.2)
    (folder / "lr_0.1").rename(folder / "aside")
    (folder / "lr_0.2").rename(folder / "lr_0.1")
    (folder / "aside").rename(folder / "lr_0.2")
    found = looked(folder)
    assert {record.number: record.configuration["lr"] for record in found} == {1: 0.1, 2: 0.2}
    assert {n: read(found.path(found[n]) / "params.json")["lr"] for n in (1, 2)} == {1: 0.1, 2: 0.2}


def test_a_copy_of_a_trial_is_no_second_trial(folder: Path) -> None:
    """`cp -r` before an experiment by hand: the copy is the user's, and counts for nothing."""
    made(looked(folder), 0.1)
    shutil.copytree(folder / "lr_0.1", folder / "a copy")
    assert known(looked(folder)) == {1: "lr_0.1"}
    assert known(looked(folder)) == {1: "lr_0.1"}


def test_a_trial_of_another_search_gets_a_number_of_this_one(folder: Path) -> None:
    """The number it had was the other search's."""
    made(looked(folder), 0.1)
    experiment(folder / "guest", 0.7, number=1, point={"lr": 0.7}, hash="0" * 16)
    trials = looked(folder)
    assert known(trials) == {1: "lr_0.1", 2: "guest"}
    assert trials[2].configuration == {"lr": 0.7}


def test_a_trial_removed_meanwhile_is_known_no_more(folder: Path) -> None:
    """A worker that works for days must not start a trial in a folder that is gone."""
    trials = looked(folder)
    record = made(trials, 0.1)
    assert trials.is_there(record)
    shutil.rmtree(folder / "lr_0.1")
    assert not trials.is_there(record)
    trials.refresh()
    assert known(trials) == {}
    assert made(trials, 0.1).number == 2


# -- Adoption --------------------------------------------------------------------------------------


def test_folders_that_another_script_made_are_taken_in_as_they_are(folder: Path) -> None:
    """By their hyperparameters; not a byte of theirs is changed."""
    experiment(folder / "b", 0.2)
    experiment(folder / "a", 0.1)
    before = {path: path.read_bytes() for path in folder.glob("*/params.json")}
    trials = looked(folder)
    assert {record.name: record.configuration for record in trials} == {
        "a": {"lr": 0.1},
        "b": {"lr": 0.2},
    }
    assert {path: path.read_bytes() for path in folder.glob("*/params.json")} == before
    assert known(looked(folder)) == known(trials)


@pytest.mark.parametrize(
    "name",
    [".hidden", "attempts", "no_params", "a_file", "broken", "without_the_name", "a_search"],
)
def test_what_is_no_trial_is_let_be(folder: Path, name: str) -> None:
    """Hidden folders, files, experiments of something else, searches within the search."""
    path = folder / name
    if name == "a_file":
        path.write_text("")
    else:
        path.mkdir()
    if name in {".hidden", "attempts", "a_search"}:
        (path / "params.json").write_text('{"lr": 0.1}')
    if name == "a_search":
        (path / "search.json").write_text("{}")
    if name == "broken":
        (path / "params.json").write_text("{")
    if name == "without_the_name":
        (path / "params.json").write_text('{"batch_size": 3}')
    assert known(looked(folder)) == {}


@pytest.mark.parametrize(
    "told", [[], {"number": "1"}, {"number": 1.5, "configuration": []}, {"configuration": None}]
)
def test_a_broken_trial_file_is_as_if_it_were_not_there(folder: Path, told: Any) -> None:
    """The hyperparameters say enough."""
    path = experiment(folder / "x", 0.1)
    (path / "trial.json").write_text(json.dumps(told))
    trials = looked(folder)
    assert {record.name: record.configuration for record in trials} == {"x": {"lr": 0.1}}


def test_a_search_copied_without_its_records_keeps_its_numbers(folder: Path) -> None:
    """`.modeldir` may be left behind: trial.json says which number each had."""
    trials = looked(folder)
    for lr in (0.1, 0.2, 0.3):
        made(trials, lr)
    before = known(trials)
    shutil.rmtree(folder / ".modeldir")
    shutil.rmtree(folder / "lr_0.2")
    found = looked(folder)
    assert known(found) == {n: name for n, name in before.items() if n != 2}
    assert made(found, 0.4).number == 4


def test_many_who_adopt_at_once_take_in_each_folder_once(folder: Path) -> None:
    """Workers that start together on a tree that none of them made."""
    for index in range(12):
        experiment(folder / f"x{index:02}", index / 100)
    code = (
        "import sys; from pathlib import Path; from modeldir.search.trials import Trials;"
        f"trials = Trials(Path({str(folder)!r}), ('lr',)); sys.stdin.read();"
        "trials.refresh(); trials.adopt()"
    )
    workers = [
        subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE) for _ in range(4)
    ]
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.close()
    assert [worker.wait() for worker in workers] == [0] * 4
    names = [record.name for record in looked(folder)]
    assert sorted(names) == [f"x{index:02}" for index in range(12)]


# -- Status and names ------------------------------------------------------------------------------


def test_a_recorded_end_is_final_until_it_is_forgotten(folder: Path) -> None:
    """It need not be read again; a trial about to run again is told apart by `forget`."""
    trials = looked(folder)
    record = made(trials, 0.1)
    assert trials.status(record).state == "pending"
    assert trials.statuses.unfinished() == [record]
    run = folder / "lr_0.1/run.json"
    run.write_text('{"status": "failed", "failure": "error"}')
    assert trials.status(record).state == "failed"
    assert (trials.statuses.unfinished(), trials.statuses.failed()) == ([], [record])
    run.write_text('{"status": "completed"}')
    assert trials.status(record).state == "failed"
    trials.statuses.forget(record)
    assert trials.status(record).state == "completed"


def test_the_end_before_is_not_taken_for_that_of_the_attempt_to_come(folder: Path) -> None:
    """It is read again in the moment before the new attempt begins, and is not final for that."""
    trials = looked(folder)
    record = made(trials, 0.1)
    (folder / "lr_0.1/run.json").write_text('{"status": "failed", "failure": "error"}')
    assert trials.status(record).state == "failed"
    trials.statuses.forget(record)
    assert trials.status(record).state == "failed"
    (folder / "lr_0.1/run.2.json").write_text('{"status": "completed"}')
    assert trials.status(record).state == "completed"
    assert trials.statuses.unfinished() == []


def test_an_end_that_was_forgotten_for_nothing_is_final_again(folder: Path) -> None:
    """Its supervisor was killed before the attempt began: the trial may be run once more."""
    trials = looked(folder)
    record = made(trials, 0.1)
    (folder / "lr_0.1/run.json").write_text('{"status": "failed", "failure": "error"}')
    assert trials.status(record).state == "failed"
    trials.statuses.forget(record)
    assert trials.status(record).state == "failed"
    assert trials.statuses.failed() == []
    trials.statuses.recall(record)
    assert trials.status(record).state == "failed"
    assert trials.statuses.failed() == [record]


def test_news_are_told_once(folder: Path) -> None:
    """A sampler learns of each trial once."""
    trials = looked(folder)
    record = made(trials, 0.1)
    assert trials.take_news() == [record]
    trials.refresh()
    assert trials.take_news() == []


def test_a_name_that_would_be_too_long_is_the_number(folder: Path) -> None:
    """120 bytes are the limit, and bytes are not characters; other trials keep their values."""
    trials = looked(folder)
    assert trials.free_name({"x": "a" * 118}, 7, numbered=False) == f"x_{'a' * 118}"
    assert trials.free_name({"x": "a" * 119}, 7, numbered=False) == "trial_0007"
    assert trials.free_name({"x": "語" * 40}, 7, numbered=False) == "trial_0007"
    assert made(trials, 0.1, numbered=True).name == "trial_0001"


def test_a_number_s_folder_that_is_taken_gets_a_suffix(folder: Path) -> None:
    """A folder of the user's that looks like a trial's is left alone."""
    (folder / "trial_0001").mkdir()
    assert made(looked(folder), 0.1, numbered=True).name == "trial_0001__2"


def test_what_the_project_ignores_makes_no_difference(tmp_path: Path) -> None:
    """A copy of a trial with other workers is that trial; a searched name always counts."""
    trials = Trials(tmp_path, ("lr",), frozenset({"num_workers", "lr"}))
    first = trials.claim({"lr": 0.1}, {"lr": 0.1, "num_workers": 1})
    second = trials.claim({"lr": 0.2}, {"lr": 0.2, "num_workers": 1})
    assert first is not None
    assert second is not None
    assert first.hash != second.hash
    assert first.hash == canonical_hash({"lr": 0.1})
    copied = tmp_path / "copy"
    shutil.copytree(tmp_path / first.name, copied)
    (copied / "params.json").write_text('{"lr": 0.1, "num_workers": 8}')
    trials.adopt()
    assert len(list(trials)) == 2


# -- Looking again ---------------------------------------------------------------------------------


def test_what_others_claim_and_mark_is_seen_at_once(folder: Path) -> None:
    """Beside one who claims, too: only who was alone need not look again."""
    mine, others = Trials(folder, NAMES), Trials(folder, NAMES)
    for number in range(1, 6):
        assert mine.claim({"lr": number / 10}, {"lr": number / 10}) is not None
        others.refresh()
        assert len(others) == 2 * number - 1
        assert others.claim({"lr": float(number)}, {"lr": float(number)}) is not None
        mine.refresh()
        assert len(mine) == 2 * number
    others.want_again(others[3])
    time.sleep(0.05)
    mine.refresh()
    assert [record.number for record in mine.wanted_again()] == [3]


def test_what_is_missed_is_seen_a_second_later(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mark that another process made in the very moment of our own claim."""
    mine, others = Trials(folder, NAMES), Trials(folder, NAMES)
    assert mine.claim({"lr": 0.1}, {"lr": 0.1}) is not None
    mine.refresh()
    others.refresh()
    known = mine.folders.make

    def meanwhile(record: TrialRecord, claim: Mapping[str, Any] | None = None) -> None:
        others.want_again(others[1])
        known(record, claim)

    monkeypatch.setattr(mine.folders, "make", meanwhile)
    assert mine.claim({"lr": 0.2}, {"lr": 0.2}) is not None

    def is_seen() -> bool:
        mine.refresh()
        return bool(mine.wanted_again())

    wait_until(is_seen)


def test_ends_are_known_by_number(folder: Path) -> None:
    """Which trials are left, and which have failed, through an end, another try and a removal."""
    trials = Trials(folder, NAMES)
    records = [trials.claim({"lr": n / 10}, {"lr": n / 10}) for n in (1, 2, 3)]
    first, second, third = (record for record in records if record is not None)
    assert trials.statuses.unfinished() == [first, second, third]
    for record, status in ((first, attempts.FAILED), (second, attempts.COMPLETED)):
        attempt = attempts.begin(trials.path(record), 1, {})
        assert attempt is not None
        attempts.rewrite(attempt, {"status": status})
        trials.status(record)
    assert trials.statuses.unfinished() == [third]
    assert trials.statuses.failed() == [first]
    trials.statuses.forget(first)
    assert trials.statuses.failed() == []
    assert trials.statuses.unfinished() == [first, third]
    trials.put_aside(third)
    assert trials.statuses.unfinished() == [first]
    trials.statuses.recall(first)
    trials.status(first)
    assert trials.statuses.failed() == [first]
    trials.put_aside(first)
    assert trials.statuses.failed() == []
