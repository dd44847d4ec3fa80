"""A trial's number is its one identity: `SEARCH 12` and `SEARCH/12` name its folder."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from laboratory import Project, read
from modeldir import commands

THREE = ("learning_rate=0.1,0.2,0.3", "batch_size=8,16", "dropout=0.0,0.5")
SEARCH = "experiments/search"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def trial(project: Project, name: str, number: object, search: str = SEARCH) -> Path:
    """A trial's folder as a search leaves it, without a claim."""
    folder = project.path / search / name
    project.params(f"{search}/{name}", learning_rate=0.1)
    (folder / "trial.json").write_text(json.dumps({"number": number, "configuration": {}}))
    return folder


# -- Folders ---------------------------------------------------------------------------------------


def test_folders_are_numbered_where_more_than_two_hyperparameters_vary(project: Project) -> None:
    """Their `trial.json` has the number, and `params.json` the values."""
    project.params(SEARCH, learning_rate=0.1, batch_size=8, dropout=0.0)
    assert project.searches(*THREE, "--trials", "3", "--sampler", "grid").code == 0
    assert project.trials() == dict.fromkeys(
        ["trial_0001", "trial_0002", "trial_0003"], "completed"
    )
    for number, name in enumerate(project.trials(), start=1):
        assert read(project.path / SEARCH / name / "trial.json")["number"] == number


def test_a_space_that_grows_keeps_its_folders_and_numbers_the_new_ones(project: Project) -> None:
    """No folder is renamed, and no trial is run twice."""
    project.params(SEARCH, learning_rate=0.1, batch_size=8, dropout=0.0)
    assert project.searches("learning_rate=0.1,0.2", "batch_size=8,16").code == 0
    before = project.trials()
    assert "learning_rate_0.1__batch_size_8" in before
    assert project.modeldir("search", SEARCH, "dropout=0.0,0.5").code == 0
    new = project.trials().keys() - before.keys()
    assert sorted(new) == ["trial_0005", "trial_0006", "trial_0007", "trial_0008"]
    assert len(project.started) == 8


def test_a_new_trial_by_retry_is_named_by_its_number_too(project: Project) -> None:
    """`retry --set` makes trial 3 after trial 2, which is named by its number."""
    project.params(SEARCH, learning_rate=0.1, batch_size=8, dropout=0.0)
    assert project.searches(*THREE, "--trials", "2", "--sampler", "grid").code == 0
    said = project.modeldir("retry", SEARCH, "2", "--set", "learning_rate=0.7")
    assert said.code == 0, said.err
    assert read(project.path / SEARCH / "trial_0003" / "trial.json")["retry_of"] == 2


def test_repeats_of_a_numbered_search_are_one_row(project: Project) -> None:
    """The seed does not count: two hyperparameters and a seed are named by their values."""
    project.params(SEARCH, learning_rate=0.1, batch_size=8, dropout=0.0, seed=1)
    two = ("learning_rate=0.1", "batch_size=8,16", "--repeats", "2")
    assert project.searches(*two).code == 0
    assert all("__seed_" in name for name in project.trials())
    assert project.modeldir("search", SEARCH, "dropout=0.0,0.5", "learning_rate=0.1,0.2").code == 0
    numbered = [name for name in project.trials() if name.startswith("trial_")]
    assert len(numbered) == 12
    table = project.modeldir("synthesize", SEARCH, "--format", "json").out
    assert len(json.loads(table)) == 8


# -- Commands --------------------------------------------------------------------------------------


@pytest.fixture
def searched(project: Project) -> Project:
    """A search of three trials by one hyperparameter."""
    project.params(SEARCH, learning_rate=0.1)
    assert project.searches("learning_rate=0.1,0.2,0.3").code == 0
    return project


OF_SEARCHES = {"search", "worker", "confirm", "digest"}
"""Commands of a whole search."""
OF_NEW_FOLDERS = {"init", "new", "demo", "import", "adopt"}
"""Commands that make a folder. `new --from` takes a trial: see below."""
OF_NO_FOLDER = {"completion"}
OF_TRIALS = {
    "show": [],
    "watch": [],
    "log": [],
    "results": ["--format", "csv"],
    "best": [],
    "diff": [],
    "plot": ["--kind", "curves", "-o", "figure.svg"],
    "export": ["--to", "csv", "-o", "out/csv"],
    "stop": [],
    "retry": [],
    "run": ["--as-training", "-q", "--", "python", "train.py"],
    "remove": [],
    "reproduce": ["-q"],
    "revert": [],
}
"""The commands that take a trial, each with what else it needs."""


def test_every_command_is_of_trials_or_of_searches() -> None:
    """A new command has to be added to one of the lists above."""
    known = {name for _, group in commands.GROUPS for name, _ in group}
    assert known == {*OF_SEARCHES, *OF_NEW_FOLDERS, *OF_NO_FOLDER, *OF_TRIALS}


@pytest.mark.parametrize("command", OF_TRIALS)
def test_a_number_is_as_good_as_the_folder(
    searched: Project, command: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """In two words or as a path, for each command that takes a trial."""
    steps = [json.dumps({"step": step, "accuracy": step / 9}) for step in range(3)]
    searched.write(f"{SEARCH}/learning_rate_0.2/metrics.jsonl", "\n".join(steps) + "\n")
    copy = tmp_path_factory.mktemp("copy") / "project"
    shutil.copytree(searched.path, copy)
    said = []
    for words in ([f"{SEARCH}/learning_rate_0.2"], [SEARCH, "2"], [f"{SEARCH}/2"]):
        shutil.rmtree(searched.path)
        shutil.copytree(copy, searched.path)
        said.append(searched.modeldir(command, *words, *OF_TRIALS[command]))
    differs = command == "reproduce"  # the metrics that this test has written are not the script's
    assert said[0].code == int(differs), said[0].err
    assert said[1] == said[0]
    assert said[2] == said[0]


def test_zeros_before_a_number_and_a_slash_behind_a_folder_change_nothing(
    searched: Project,
) -> None:
    """`SEARCH/ 0002`, as a shell completes the folder and as the trial's folder may be called."""
    by_name = searched.modeldir("show", f"{SEARCH}/learning_rate_0.2")
    assert searched.modeldir("show", f"{SEARCH}/", "00002") == by_name
    assert searched.modeldir("show", f"{SEARCH}/0002") == by_name


def test_several_numbers_follow_one_search(searched: Project) -> None:
    """`diff SEARCH 1 3` compares two trials, and not the search."""
    by_name = [f"{SEARCH}/learning_rate_0.1", f"{SEARCH}/learning_rate_0.3"]
    assert searched.modeldir("diff", SEARCH, "1", "3") == searched.modeldir("diff", *by_name)


def test_a_number_alone_is_a_trial_of_the_search_that_one_is_in(searched: Project) -> None:
    """After `cd experiments/search`, `modeldir show 3` is enough."""
    here = searched.path / SEARCH
    assert "learning_rate_0.3" in searched.modeldir("show", "3", cwd=here).out
    elsewhere = searched.modeldir("show", "3").err
    assert elsewhere == "error: 3: no such folder\n  in this folder: experiments\n"


def test_trials_are_managed_by_their_numbers(searched: Project) -> None:
    """`retry`, `run`, `new` and `remove` take them; a removed trial's number is unknown then."""
    said = searched.modeldir("retry", SEARCH, "1", "3")
    assert said.code == 0
    assert said.lines[:2] == [
        "trial 1 (learning_rate_0.1) will run again",
        "trial 3 (learning_rate_0.3) will run again",
    ]
    assert searched.modeldir("run", SEARCH, "2", "--", "python", "train.py").code == 0
    assert (searched.path / SEARCH / "learning_rate_0.2" / "run.2.json").exists()
    assert searched.modeldir("new", "experiments/next", "--from", f"{SEARCH}/2").code == 0
    assert read(searched.path / "experiments/next/params.json") == {"learning_rate": 0.2}
    assert searched.modeldir("remove", SEARCH, "2").code == 0
    said = searched.modeldir("show", SEARCH, "2")
    assert (said.code, said.err) == (2, f"error: {SEARCH} has no trial 2\n  its trials: 1, 3\n")


def test_an_unknown_number_is_an_error_that_names_the_known_ones(project: Project) -> None:
    """In both forms, also for what can be no number of a trial."""
    for known in (1, 2, 3):
        trial(project, f"trial_{known:04d}", known)
    for number in ("0", "4", "0004", "99999999"):
        for words in ([SEARCH, number], [f"{SEARCH}/{number}"]):
            said = project.modeldir("show", *words)
            assert said.code == 2
            assert said.err == f"error: {SEARCH} has no trial {int(number)}\n  its trials: 1 to 3\n"
    said = project.modeldir("show", SEARCH, "-1")
    assert (said.code, said.err.splitlines()[0]) == (2, "error: -1: no such folder")


def test_a_search_without_trials_has_no_numbers(project: Project) -> None:
    """A search that has not begun says so."""
    project.params(SEARCH, learning_rate=0.1)
    project.write(f"{SEARCH}/search.json", json.dumps({"space": {"learning_rate": [1, 2]}}))
    said = project.modeldir("show", SEARCH, "1")
    assert said.err == f"error: {SEARCH} has no trial 1\n  it has no trials yet\n"


def test_a_folder_by_the_name_of_the_number_wins(searched: Project) -> None:
    """Trial 3 in a folder named 2 is what `SEARCH/2` names; so is a folder 2 that is here."""
    (searched.path / SEARCH / "learning_rate_0.3").rename(searched.path / SEARCH / "2")
    for words in ([SEARCH, "2"], [f"{SEARCH}/2"]):
        assert "0.3" in searched.modeldir("show", *words).out.splitlines()[-3]
    assert "learning_rate_0.1\n" in searched.modeldir("show", SEARCH, "1").out
    searched.params("2", learning_rate=7)
    both = searched.modeldir("show", SEARCH, "2").out
    assert f"{SEARCH}: a search" in both
    assert "modeldir run 2 --" in both


def test_a_search_that_was_copied_or_renamed_keeps_its_numbers(searched: Project) -> None:
    """Without claims, each trial's own file tells its number; a renamed trial is found as well."""
    ignored = shutil.ignore_patterns(".modeldir")
    shutil.copytree(searched.path / SEARCH, searched.path / "copy", ignore=ignored)
    assert "copy/learning_rate_0.2\n" in searched.modeldir("show", "copy", "2").out
    (searched.path / SEARCH / "learning_rate_0.2").rename(searched.path / SEARCH / "a b\u2603")
    assert "a b\u2603\n" in searched.modeldir("show", SEARCH, "2").out


def test_a_number_of_two_folders_names_none(project: Project) -> None:
    """A copy inside a search has its original's number: the error names both."""
    trial(project, "one", 1)
    trial(project, "two", 1)
    said = project.modeldir("show", SEARCH, "1")
    assert said.code == 2
    assert said.err == f"error: {SEARCH} has several folders of trial 1\n  name one: one, two\n"


def test_a_number_means_the_trials_of_this_folder_alone(project: Project) -> None:
    """A search within a search has numbers of its own, by a path through its parent's number."""
    trial(project, "outer_1", 1)
    inner = trial(project, "outer_1/inner_3", 3)
    for words in ([f"{SEARCH}/outer_1", "3"], [f"{SEARCH}/1/3"]):
        assert str(inner.relative_to(project.path)) in project.modeldir("show", *words).out
    said = project.modeldir("show", SEARCH, "3")
    assert said.err == f"error: {SEARCH} has no trial 3\n  its trials: 1\n"
    said = project.modeldir("show", "experiments/3")
    assert said.code == 2
    assert "no such folder" in said.err


def test_odd_numbers_in_files_are_no_trials(project: Project) -> None:
    """What is no whole number, and a claim whose name leads elsewhere, is not taken."""
    for index, number in enumerate([True, 1.0, "1", None, -1, 10**400]):
        trial(project, f"odd_{index}", number)
    trial(project, "real", 12345)
    trial(project, "elsewhere", 2, search="experiments/other")
    claims = project.path / SEARCH / ".modeldir" / "trials"
    os.makedirs(claims)
    (claims / "000002.json").write_text(json.dumps({"name": "../other/elsewhere"}))
    assert f"{SEARCH}/real\n" in project.modeldir("show", SEARCH, "12345").out
    for number in ("1", "2"):
        said = project.modeldir("show", SEARCH, number)
        assert said.err == f"error: {SEARCH} has no trial {number}\n  its trials: 12345\n"


def test_many_gaps_are_counted(project: Project) -> None:
    """An error names at most eight ranges, and how many numbers there are besides."""
    for number in [*range(1, 40, 2), 100, 101, 102]:
        trial(project, f"trial_{number:04d}", number)
    said = project.modeldir("log", SEARCH, "2")
    assert said.err.splitlines()[1] == "  its trials: 1, 3, 5, 7, 9, 11, 13, 15 and 15 more"
