"""Searches of a script that takes flags only: without a `params.json`."""

from __future__ import annotations

import json
import shlex
import subprocess
from pathlib import Path

import pytest

from laboratory import Project
from modeldir._system import reading
from modeldir.errors import CommandError, SearchError
from modeldir.search import placeholders, trial_command
from modeldir.search.search import Search

SCRIPT = """\
import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.5)
parser.add_argument("--momentum", type=float, default=0.0)
parser.add_argument("--optimizer", default="adam")
parser.add_argument("--seed", type=int, default=1)
args = parser.parse_args()
print(f"loss: {args.lr + args.momentum + args.seed / 1e6:.7f}")
"""
METRICS = ("--metrics", "loss: {loss}")


@pytest.fixture
def flags_only(tmp_path: Path) -> Project:
    """A project with a training script that takes flags."""
    return Project(tmp_path, SCRIPT)


def _trials(folder: Path) -> dict[str, object]:
    return {path.parent.name: reading.read_object(path) for path in folder.glob("*/params.json")}


def test_a_search_needs_no_params_json(flags_only: Project) -> None:
    """It makes its folder, resumes, grows, and is shown like any other search."""
    folder = flags_only.path / "runs/lr"
    command = ("--", "python", "train.py", "--lr", "{lr}")
    dry = flags_only.modeldir("search", "runs/lr", "lr=0.1,0.01", "--dry-run", *command)
    assert "python train.py --lr 0.1" in dry.out
    assert not folder.exists()
    done = flags_only.modeldir("search", "runs/lr", "lr=0.1,0.01", *METRICS, *command)
    assert done.code == 0, done.err
    assert _trials(folder) == {"lr_0.1": {"lr": 0.1}, "lr_0.01": {"lr": 0.01}}
    assert "Nothing left to run" in flags_only.modeldir("search", "runs/lr", *command).out
    assert "completed" in flags_only.modeldir("search", "runs/lr", "lr=0.001").out
    assert flags_only.modeldir("best", "runs/lr").out.strip() == "runs/lr/lr_0.001"
    shown = flags_only.modeldir("show", "runs/lr").out
    assert "3 completed" in shown
    assert "python train.py --lr {lr}\n" in shown
    assert "0.001" in flags_only.modeldir("results", "runs/lr").out
    assert flags_only.modeldir("diff", "runs/lr/lr_0.1", "runs/lr/lr_0.01").code == 0
    assert flags_only.modeldir("retry", "runs/lr/lr_0.1", "--set", "lr=0.2").code == 0
    assert flags_only.modeldir("run", "runs/lr/lr_0.1", *command).code == 0


def test_what_a_trial_does_not_search_stays_the_scripts_default(flags_only: Project) -> None:
    """A hyperparameter whose condition is not met is left out of the flags."""
    done = flags_only.modeldir(
        "search", "runs/a", "optimizer=sgd,adam", "momentum=0.9",
        "--condition", "momentum:optimizer=sgd", *METRICS, "--", "python", "train.py", "{flags}",
    )  # fmt: skip
    assert done.code == 0, done.err
    commands = {
        tuple(reading.read_object(path)["command"][2:])
        for path in (flags_only.path / "runs/a").glob("*/run.json")
    }
    assert commands == {
        ("--optimizer", "sgd", "--momentum", "0.9"),
        ("--optimizer", "adam"),
    }


def test_repeats_and_confirm_pass_seeds(flags_only: Project) -> None:
    """The first seed is 0, and `confirm` compares with the script's own defaults."""
    command = ("--", "python", "train.py", "{flags}")
    done = flags_only.modeldir(
        "search", "runs/a", "lr=0.1,0.2", "--repeats", "2", *METRICS, *command
    )
    assert done.code == 0, done.err
    seeds = {found["seed"] for found in _trials(flags_only.path / "runs/a").values()}  # type: ignore[index]
    assert seeds == {0, 1}
    confirmed = flags_only.modeldir("confirm", "runs/a", "--repeats", "2", "--top", "1")
    assert confirmed.code == 0, confirmed.err
    values = _trials(flags_only.path / "runs/a/confirm").values()
    assert {found["lr"] for found in values} == {0.1, None}  # type: ignore[index]


def test_confirm_leaves_out_a_base_that_cannot_be_run(flags_only: Project) -> None:
    """`--lr {lr}` needs a value, and nothing says what the script's default is."""
    command = ("--", "python", "train.py", "--lr", "{lr}", "--seed", "{seed}")
    flags_only.modeldir("search", "runs/a", "lr=0.1,0.2", "seed=1", *METRICS, *command)
    done = flags_only.modeldir("confirm", "runs/a", "--repeats", "2", "--top", "2")
    assert done.code == 0, done.out + done.err
    values = _trials(flags_only.path / "runs/a/confirm").values()
    assert {found["lr"] for found in values} == {0.1, 0.2}  # type: ignore[index]


def test_the_projects_command_is_enough(flags_only: Project) -> None:
    """A changed `modeldir.toml` does not change a search silently; the line to type is printed."""
    flags_only.write("modeldir.toml", 'command = "python train.py {flags}"\n')
    done = flags_only.modeldir("search", "runs/a", "lr=0.1", *METRICS)
    assert done.code == 0, done.err
    assert "modeldir.toml" not in done.out
    flags_only.write("modeldir.toml", 'command = "python train.py --seed 2 {flags}"\n')
    done = flags_only.modeldir("search", "runs/a", "lr=0.2")
    assert (
        "note: modeldir.toml has another command; this search keeps: python train.py {flags}\n"
        "  to change it: modeldir search runs/a -- python train.py --seed 2 {flags}\n"
    ) in done.out


def test_rows_of_a_file_need_no_params_json(flags_only: Project) -> None:
    """Each column is a flag."""
    flags_only.write("points.csv", "lr,momentum\n0.1,0.9\n0.2,0.8\n")
    done = flags_only.modeldir(
        "search", "runs/a", "@points.csv", *METRICS, "--", "python", "train.py", "{flags}"
    )
    assert done.code == 0, done.err
    assert len(_trials(flags_only.path / "runs/a")) == 2


def test_a_command_without_placeholders_still_needs_a_base(tmp_path: Path) -> None:
    """Its script can only read params.json; the way without it is one of the hints."""
    with pytest.raises(SearchError, match=r"(?s)needs a base config.* python go\.py \{flags\}"):
        Search(tmp_path / "a", {"lr": [1, 2]}, command="python go.py")
    with pytest.raises(SearchError, match=r"p does not vary, and no .*\n +give it values: p=VALUE"):
        Search(tmp_path / "a", {"lr": [1]}, constraints=["lr < p"], command="python go.py {flags}")
    with pytest.raises(SearchError, match=r"o\.p is a key in it"):
        Search(tmp_path / "a", {"o": [1, 2], "o.p": [3]}, command="python go.py {flags}")


# -- Commands that miss something ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "missing"),
    [
        ("sh --lr {lr}", ["width"]),
        ("sh --out {out}", ["lr", "width"]),
        ("sh --lr {lr} --save {model_dir}/x", ["width"]),
        ("sh --lr {lr} --model_dir {model_dir}", []),
        ("sh --lr {lr} --config {model_dir}/params.json", []),
        ("sh --dir {model_dir}", []),
        ("sh {flags}", []),
        ("sh", []),
    ],
)
def test_a_searched_name_that_nothing_passes_is_refused(
    tmp_path: Path, command: str, missing: list[str]
) -> None:
    """All its trials would train the same, unless the script reads params.json."""
    found = placeholders.not_passed(command, ["lr", "width"])
    assert [problem.partition(":")[0] for problem, _ in found] == missing
    values = {"lr": 0.1, "width": 8}
    if missing:
        with pytest.raises(CommandError, match=r"width: the command does not pass it"):
            trial_command.check_command(command, values, tmp_path, values)
    else:
        trial_command.check_command(command, values, tmp_path, values)


def test_a_placeholder_needs_a_value_in_each_trial(flags_only: Project) -> None:
    """Without params.json an inactive hyperparameter has none; `{name:--name}` leaves it out."""
    words = (
        "search", "runs/a", "optimizer=sgd,adam", "momentum=0.9",
        "--condition", "momentum:optimizer=sgd", "--dry-run", "--", "python", "train.py",
    )  # fmt: skip
    refused = flags_only.modeldir(*words, "{optimizer:--optimizer}", "--momentum", "{momentum}")
    assert refused.code == 2
    assert "{momentum:--momentum} instead of --momentum {momentum}" in refused.err
    assert flags_only.modeldir(*words, "{optimizer:--optimizer}", "{momentum:--momentum}").code == 0


def test_names_of_placeholders_may_be_hyperparameters(tmp_path: Path) -> None:
    """`{flags}` passes them; a placeholder that could mean both is refused."""
    values = {"out": 1, "flags": 2, "model_dir": 3}
    words = trial_command.fill("go {flags}", values, "a")
    assert words == ("go", "--out", "1", "--flags", "2", "--model_dir", "3")
    for name in ("out", "model_dir"):
        with pytest.raises(CommandError, match="stands for a folder, but"):
            trial_command.check_command(f"sh {{{name}}}", values, tmp_path)


@pytest.mark.parametrize("value", ["a b", "it's", '$HOME "x" `id` \\', "x; touch y"])
def test_a_value_stays_one_word_in_a_shells_script(value: str) -> None:
    """Wherever its placeholder stands: bare, in single or in double quotation marks."""
    script = "set -e; printf '%s\\n' {v} '{v}' \"{v}\" 'it'\\''s' {v}"
    line = shlex.join(["bash", "-euo", "pipefail", "-c", script])
    words = trial_command.fill(line, {"v": value}, "a")
    printed = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    assert printed.splitlines() == [value, value, value, "it's", value]


def test_a_plan_keeps_placeholders_as_they_are_typed(flags_only: Project) -> None:
    """`{lr}` needs no quotation marks, in no shell."""
    flags_only.modeldir(
        "search", "runs/a", "lr=0.1", *METRICS, "--", "python", "train.py", "--lr={lr}"
    )
    plan = json.loads((flags_only.path / "runs/a/search.json").read_text())
    assert plan["command"] == "python train.py --lr={lr}"


def test_hydra_gets_no_null_for_an_inactive_hyperparameter(tmp_path: Path) -> None:
    """Hydra would take it for a value; its own default is meant."""
    space = {
        "optimizer": ["sgd", "adam"],
        "momentum": {"values": [0.9, None], "condition": {"optimizer": "sgd"}},
    }
    plan = Search(tmp_path / "a", space, command="sh {flags:=}").plan_file
    words = plan.command_for("t", {"optimizer": "adam", "momentum": None})
    assert words == ("sh", "optimizer=adam")
    words = plan.command_for("t", {"optimizer": "sgd", "momentum": None})
    assert words == ("sh", "optimizer=sgd", "momentum=null")
