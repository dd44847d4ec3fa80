"""The plan: where its parts come from, how it grows, and how a command becomes a trial's."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from syrupy.assertion import SnapshotAssertion

from modeldir.errors import CommandError, ModeldirError, ParamsError, SearchError
from modeldir.experiment import project_settings
from modeldir.search import (
    base_config,
    plan,
    plan_check,
    plan_updates,
    sampler_check,
    trial_command,
)
from modeldir.space import Choice, Space

BASE = {"learning_rate": 0.5, "batch_size": 16, "model": {"depth": 2}, "text": "x"}
LISTS = {"space": {"learning_rate": [0.1, 0.01]}}
RANGE = {"space": {"learning_rate": {"uniform": [0.1, 0.2]}}}


def checked(raw: dict[str, Any], **project: Any) -> plan.Plan:
    return plan_check.check(raw, BASE, "search.json", project)


# -- A whole plan ----------------------------------------------------------------------------------


def test_lists_alone_are_a_grid_without_an_end() -> None:
    """What is listed is tried, all of it."""
    found = checked(LISTS)
    assert (found.sampler, found.trials, found.seed, found.metric) == ("grid", None, 0, None)
    assert found.space == Space({"learning_rate": Choice((0.1, 0.01))})


@pytest.mark.parametrize("domain", [{"uniform": [0.1, 0.2]}, {"log_uniform": [0.1, 1]}])
def test_a_range_is_sampled_a_limited_number_of_times(domain: dict[str, Any]) -> None:
    """Else it would go on for ever; by what `auto` chooses, which the plan then says."""
    found = checked({"space": {"learning_rate": domain, "batch_size": [16, 32]}})
    assert found.auto is not None
    assert found.trials == sampler_check.DEFAULT_TRIALS
    assert found.written["auto"] == {"sampler": found.sampler, "why": found.auto}


def test_a_part_of_a_grid_is_no_grid() -> None:
    """The first points of a grid are one corner of the space."""
    assert checked({**LISTS, "trials": 100}).sampler == "grid"
    assert checked({**LISTS, "trials": 1}).auto is not None


def test_a_plan_is_text_that_can_be_written() -> None:
    """Whatever is in it, and however deep; each is told, with what to do about it."""
    raw = {
        **LISTS,
        "command": "cat \udce9",
        "note": "\udcff",
        "warm_start_from": ["../a", "../\ud800"],
    }
    with pytest.raises(SearchError) as told:
        checked({**raw, "maximize": "accuracy"})
    lines = str(told.value).splitlines()
    assert [line.partition(":")[0].strip() for line in lines[1::2][:3]] == [
        "warm_start_from", "command", "note",
    ]  # fmt: skip
    assert lines[4].strip() == "rename the file, or put the command into a script"
    assert lines[6].strip() == "search.json is saved in UTF-8"
    assert checked({**LISTS, "note": "caf\u00e9 \U0001f600"}).note == "caf\u00e9 \U0001f600"


def test_a_null_is_as_if_it_were_not_there() -> None:
    """A key that somebody emptied falls back to what it is without it."""
    empty = dict.fromkeys(("maximize", "sampler", "trials", "seed", "command", "metrics", "resume"))
    found, bare = checked({**LISTS, **empty}), checked(LISTS)
    assert (found.sampler, found.trials, found.seed, found.resume, found.metric) == (
        bare.sampler,
        bare.trials,
        bare.seed,
        bare.resume,
        bare.metric,
    )


def test_what_is_written_is_read_back_as_the_same_plan() -> None:
    """`written` is JSON, also where Python gave tuples or NumPy's numbers, and means the same."""
    numpy = pytest.importorskip("numpy")
    given: dict[str, Any] = {
        "space": {
            "learning_rate": numpy.array([0.1, 0.01]),
            "batch_size": (numpy.int64(16), 32),
            "model.depth": range(1, 4),
            "text": {"uniform": (0, 1)},
        }
    }
    raw, _ = plan_updates.joined({}, {**given, "trials": 3})
    found = checked(raw)
    again = checked(json.loads(json.dumps(found.written)))
    assert again == found
    assert again.written == found.written


def test_the_project_gives_what_the_plan_does_not() -> None:
    """And its metric not at all where the plan names one: two would be one too many."""
    project = {"command": "python train.py", "minimize": "loss", "slurm": {"partition": "gpu"}}
    assert checked(LISTS, **project).metric == ("loss", "minimize")
    assert checked(LISTS, **project).command == "python train.py"
    assert checked({**LISTS, "maximize": "f1"}, **project).metric == ("f1", "maximize")
    assert checked({**LISTS, "command": "./go"}, **project).command == "./go"
    assert "command" not in checked(LISTS, **project).written


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ({}, "there is nothing to search"),
        ({"space": {}}, "there is nothing to search"),
        ({"space": 3}, "space: got 3"),
        ({**LISTS, "trials": True}, "trials: got True"),
        ({**LISTS, "trials": -1}, "trials: got -1"),
        ({**LISTS, "seed": 1.5}, "seed: got 1.5"),
        ({**LISTS, "sampler": 3}, "sampler: got 3"),
        ({**LISTS, "sampler": "annealing"}, "sampler: no 'annealing'"),
        ({**LISTS, "command": ["python"]}, "command: got ['python']"),
        ({**LISTS, "trails": 3}, "did you mean 'trials'?"),
        ({**RANGE, "sampler": "grid"}, "learning_rate: a grid needs a list of values"),
        ({**LISTS, "metrics": "acc"}, "metrics: has no {name}"),
        ({"space": {"model": [1]}}, "model: is a nested section"),
    ],
)
def test_a_wrong_plan_is_refused(raw: dict[str, Any], words: str) -> None:
    """One message each; all at once is a snapshot with the command."""
    with pytest.raises(SearchError) as refused:
        checked(raw)
    assert words in str(refused.value)
    assert str(refused.value).startswith("search.json cannot be searched:\n")
    assert str(refused.value).endswith("\nNothing was started.")


def test_a_problem_keeps_its_hint_whatever_the_name_looks_like() -> None:
    """A line break in a name does not turn half of it into a hint."""
    name = "rate\n    of learning"
    with pytest.raises(SearchError) as refused:
        checked({"space": {name: {"unifrom": [0, 1]}}})
    assert [problem.what.removeprefix(name) for problem in refused.value.problems] == [
        ": not in params.json",
        ': unknown word "unifrom"',
    ]
    assert refused.value.problems[1].hint == "did you mean 'uniform'?"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
KEYS = st.sampled_from([
    "space", "maximize", "minimize", "sampler", "trials", "seed", "command", "cwd", "metrics",
    "resume", "zip", "try", "constraints", "condition", "other", "auto", "repeats",
    "warm_start_from", "reuse",
])  # fmt: skip


@given(st.dictionaries(KEYS, JSON), st.dictionaries(KEYS, JSON))
def test_whatever_lies_there_it_is_a_plan_or_a_message(
    old: dict[str, Any], given: dict[str, Any]
) -> None:
    """No JSON that somebody puts into search.json ends in a traceback."""
    for key in ("space", "condition"):  # as `Search` gives them
        given[key] = given[key] if isinstance(given.get(key), dict) else {}
    with contextlib.suppress(ModeldirError):
        raw, changes = plan_updates.joined(old, given)
        assert all(isinstance(change, str) for change in changes)
        plan_check.check(raw, BASE, "search.json", {})


# -- Growing ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "given", "after", "changes"),
    [
        ([0.1], [0.01, 0.1], [0.1, 0.01], ["x: 0.01 added to 0.1"]),
        ([0.1], [0.1], [0.1], []),
        ([1], [1.0, True], [1, True], ["x: true added to 1"]),
        ([None, "a b"], ["a b", None, "c"], [None, "a b", "c"], ["x: c added to null, a b"]),
        ([[64]], [[64], [64, 32]], [[64], [64, 32]], ["x: [64, 32] added to [64]"]),
        ([0.1], {"uniform": [0, 1]}, {"uniform": [0, 1]}, ['x: [0.1] -> {"uniform": [0, 1]}']),
        ({"uniform": [0, 1]}, [0.1], [0.1], ['x: {"uniform": [0, 1]} -> [0.1]']),
        ({"int": [0, 1]}, {"int": [0, 1]}, {"int": [0, 1]}, []),
        (None, [0.1], [0.1], ["x: [0.1] added"]),
    ],
)
def test_values_are_joined_and_other_domains_replaced(
    before: Any, given: Any, after: Any, changes: list[str]
) -> None:
    """What changed is said in the words of search.json."""
    old = {"space": {"other": [1], **({} if before is None else {"x": before})}}
    raw, said = plan_updates.joined(old, {"space": {"x": given}})
    assert raw["space"] == {"other": [1], "x": after}
    assert said == changes
    assert old["space"].get("x") == before


def test_a_first_plan_is_no_change() -> None:
    """There is nothing to tell of who begins."""
    raw, said = plan_updates.joined({}, {"space": {"x": [1]}, "seed": 3, "trials": None})
    assert raw == {"space": {"x": [1]}, "seed": 3}
    assert said == []


def test_a_metric_takes_the_place_of_the_other() -> None:
    """Only one is ranked by, and whoever changes it reads so."""
    raw, said = plan_updates.joined(
        {"maximize": "accuracy", "seed": 1}, {"minimize": "loss", "seed": 2}
    )
    assert raw == {"minimize": "loss", "seed": 2}
    assert said == ["maximize accuracy -> minimize loss", "seed: 1 -> 2"]


def test_metrics_given_at_once_are_all_kept() -> None:
    """Those to maximize first; naming one alone takes the place of all."""
    raw, changes = plan_updates.joined(
        {**LISTS, "maximize": "f1"}, {"maximize": "accuracy", "minimize": "loss"}
    )
    found = checked(raw)
    assert found.objectives == (("accuracy", "maximize"), ("loss", "minimize"))
    assert found.metric == ("accuracy", "maximize")
    assert changes == ["maximize: f1 -> accuracy"]
    alone, changes = plan_updates.joined(raw, {"minimize": "loss"})
    assert checked(alone).objectives == (("loss", "minimize"),)
    assert changes == ["maximize accuracy -> minimize loss"]


def test_a_metric_cannot_be_wanted_both_ways() -> None:
    """One of the two was a slip."""
    with pytest.raises(SearchError, match="loss: cannot be both maximized and minimized"):
        checked({**LISTS, "maximize": ["accuracy", "loss"], "minimize": "loss"})


# -- Files -----------------------------------------------------------------------------------------


def test_the_nearest_project_file_counts(tmp_path: Path) -> None:
    """Looked for from the folder upwards, as git looks for its own."""
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    (tmp_path / "modeldir.toml").write_text('command = "outer"\n')
    assert project_settings.settings(deep) == {"command": "outer"}
    (tmp_path / "a" / "modeldir.toml").write_text('command = "inner"\n')
    assert project_settings.settings(deep) == {"command": "inner"}


def test_a_broken_project_file_names_the_line(tmp_path: Path) -> None:
    """It is TOML; a mistake in it is told as in any other file."""
    (tmp_path / "modeldir.toml").write_text('command = "python train.py"\nminimize = loss\n')
    with pytest.raises(ParamsError) as refused:
        project_settings.settings(tmp_path)
    assert refused.value.line == 2


@pytest.mark.parametrize("name", ["params.json", "params.yaml", "params.toml"])
def test_the_base_may_be_written_in_any_notation(tmp_path: Path, name: str) -> None:
    """As an experiment's hyperparameters may."""
    text = {"params.json": '{"lr": 1}', "params.yaml": "lr: 1\n", "params.toml": "lr = 1\n"}
    (tmp_path / name).write_text(text[name])
    assert base_config.load_base(tmp_path, {}) == {"lr": 1}


# -- Commands --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("python train.py", ["python", "train.py", "--model_dir", "a b"]),
        ("python train.py --dir={model_dir}", ["python", "train.py", "--dir=a b"]),
        ("python train.py {text}", ["python", "train.py", "x"]),
        ("python train.py {model.depth}", ["python", "train.py", "2"]),
        ("sh -c 'python t.py --lr {learning_rate}'", ["sh", "-c", "python t.py --lr 0.5"]),
        ("go '{' '}' {} {0}", ["go", "{", "}", "{}", "{0}", "--model_dir", "a b"]),
        ("go ${text} {text}", ["go", "${text}", "x"]),
        ("go $text", ["go", "$text", "--model_dir", "a b"]),
    ],
)
def test_a_command_becomes_a_trials_command(command: str, words: list[str]) -> None:
    """Names in braces are replaced within their word; without any, --model_dir is added."""
    assert list(trial_command.fill(command, BASE, "a b")) == words


@pytest.mark.parametrize(
    ("value", "argument"),
    [(1e-05, "1e-05"), (3, "3"), (True, "True"), (None, "None"), ([64, 32], "[64,32]"),
     ({"a": [1]}, '{"a":[1]}'), ("", "")],
)  # fmt: skip
def test_a_value_is_written_as_python_reads_it_from_a_flag(value: Any, argument: str) -> None:
    """Lists and objects as JSON on one line, all else as Python shows it."""
    assert trial_command.fill("go {v}", {"v": value}, "d")[1] == argument


@given(st.text())
def test_a_text_reaches_the_script_as_one_argument_whatever_is_in_it(text: str) -> None:
    """Quotes, spaces, braces, dollars: no shell and no second filling ever sees them."""
    values = {"text": text, "learning_rate": 0.5}
    assert trial_command.fill("go --x={text} {learning_rate}", values, "d") == (
        "go",
        f"--x={text}",
        "0.5",
    )


@given(st.lists(st.text().filter(lambda word: "{" not in word), min_size=1))
def test_a_typed_command_survives_being_written_down(words: list[str]) -> None:
    """The words after `--` are kept in search.json as one line, and read back as they were."""
    made = trial_command.fill(shlex.join(words), {}, "d")
    assert list(made) == [*words, "--model_dir", "d"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "train.py").write_text("")
    (tmp_path / "go").write_text("#!/bin/sh\n")
    return tmp_path


@pytest.mark.parametrize(
    "command",
    ["python3 train.py", "python3 -u train.py {learning_rate}", f"{sys.executable} train.py",
     "sh -c 'exit 0'", "env A=1 python3 train.py", "python3 {text}.py"],
)  # fmt: skip
def test_a_command_that_can_run_is_let_through(folder: Path, command: str) -> None:
    """By name, by path, with options, through env or a shell."""
    trial_command.check_command(command, BASE, folder)


@pytest.mark.parametrize(
    "command",
    ["", "   ", "go", "./go", "./nowhere", "pyhton train.py", "python3 trian.py",
     "python3 'train.py", "python3 train.py {learning_rat} {batch}", "pyhton trian.py {x}",
     "train.py --epochs 3", "./train.py"],
)  # fmt: skip
def test_a_command_that_cannot_run_says_why(
    folder: Path, command: str, snapshot: SnapshotAssertion
) -> None:
    """All that is wrong with it, and what to type."""
    with pytest.raises(CommandError) as refused:
        trial_command.check_command(command, BASE, folder)
    assert str(refused.value).replace(str(folder), "FOLDER") == snapshot


def test_python_may_be_called_python3_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """On many machines there is no `python`: the line to type is shown."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "python3").symlink_to(sys.executable)
    monkeypatch.setenv("PATH", str(programs))
    with pytest.raises(CommandError, match=r"use python3: python3 train\.py --epochs 3"):
        trial_command.check_command("python train.py --epochs 3", BASE, folder)


def test_another_python_is_pointed_out_where_it_matters(folder: Path, tmp_path: Path) -> None:
    """A script that imports modeldir will not find it in another environment; others need not."""
    other = tmp_path / "other" / "python"
    other.parent.mkdir()
    other.symlink_to(sys.executable)
    assert trial_command.other_python(f"{other} train.py", folder) is None
    (folder / "train.py").write_text("from modeldir import Params\n")
    note = trial_command.other_python(f"{other} train.py", folder)
    assert note is not None
    assert f"is {other}" in note
    assert trial_command.other_python(f"{sys.executable} train.py", folder) is None
    assert trial_command.other_python("sh train.py", folder) is None


@pytest.mark.parametrize("program", ["sbatch", "qsub", "bsub", "/usr/bin/sbatch", "condor_submit"])
def test_what_only_submits_is_refused_also_where_it_is_not_installed(
    folder: Path, program: str
) -> None:
    """The way that works is said before anything else is looked at."""
    with pytest.raises(CommandError, match=f"^{os.path.basename(program)} only submits a job"):
        trial_command.check_command(f"{program} job.sh", BASE, folder)
