"""`modeldir new`: folders derived from others, what they remember, and mistakes told at once."""

from __future__ import annotations

import json
import os
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from modeldir import Experiment, commands
from modeldir.commands.new import derive
from modeldir.errors import FolderError, ParamsError
from modeldir.experiment import experiment

if TYPE_CHECKING:
    from syrupy.assertion import SnapshotAssertion

BASE = """\
{
    "model": {"width": 64, "layers": [1, 2]},
    "learning_rate": 1e-2,
    "batch_size": 32,
    "optimizer": "adam",
    "augment": null
}
"""


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a base model, as the folder to type commands in."""
    base = tmp_path / "experiments" / "base_model"
    base.mkdir(parents=True)
    (base / "params.json").write_text(BASE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def new(*words: str) -> int:
    """Type `modeldir new ...`."""
    return commands.main(["new", *words])


def tree(folder: Path) -> dict[str, str]:
    """All files below a folder, by path, with their text."""
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def loaded(path: str) -> dict[str, Any]:
    """The object in a JSON file."""
    value = json.loads(Path(path).read_text())
    assert isinstance(value, dict)
    return value


def test_a_folder_is_derived(
    snapshot: SnapshotAssertion, capsys: pytest.CaptureFixture[str]
) -> None:
    """Names keep their order, other values their form, and the end says what to type next."""
    words = ["learning_rate=0.001", "model.width=128", "-m", "does it settle?"]
    assert new("experiments/slow/wide", "--from", "experiments/base_model", *words) == 0
    assert capsys.readouterr().out == snapshot(name="told")
    assert Path("experiments/slow/wide/params.json").read_text() == snapshot(name="params")
    origin = loaded("experiments/slow/wide/origin.json")
    assert datetime.fromisoformat(origin.pop("created")).utcoffset() is not None
    assert origin == {
        "format": 1,
        "from": "../../base_model",
        "changes": {"learning_rate": [0.01, 0.001], "model.width": [64, 128]},
        "message": "does it settle?",
    }
    assert experiment.is_experiment(Path("experiments/slow/wide"))


def test_options_may_stand_between_values() -> None:
    """The order in which the words are typed does not matter."""
    words = ["learning_rate=1", "--from", "experiments/base_model", "batch_size=2"]
    assert new("-m", "why", "a", *words) == 0
    assert Experiment("a").origin()["changes"] == {
        "learning_rate": [0.01, 1],
        "batch_size": [32, 2],
    }


def test_without_changes_it_is_a_copy_of_the_values() -> None:
    """A search folder starts with the base model's own hyperparameters, and nothing else of it."""
    Path("experiments/base_model/train.log").write_text("old")
    assert new("experiments/wide", "--from", "experiments/base_model") == 0
    assert Experiment("experiments/wide").params() == json.loads(BASE)
    assert Experiment("experiments/wide").origin()["changes"] == {}
    assert sorted(os.listdir("experiments/wide")) == ["origin.json", "params.json"]


def test_a_value_given_as_it_is_is_no_change() -> None:
    """Only what differs is told and kept; a float in place of a whole number is refused."""
    assert new("a", "--from", "experiments/base_model", "batch_size=32", "optimizer=adam") == 0
    assert Experiment("a").origin()["changes"] == {}
    assert new("b", "--from", "experiments/base_model", "batch_size=32.0") == 2
    assert not os.path.exists("b")


def test_values_are_read_as_json_or_as_text() -> None:
    """Null, lists, truth, objects, and text that holds an equals sign."""
    words = ["augment=true", "model.layers=[3]", "optimizer=a=b", "batch_size=null"]
    assert new("a", "--from", "experiments/base_model", *words) == 0
    params = Experiment("a").params()
    assert params["augment"] is True
    assert params["model"] == {"width": 64, "layers": [3]}
    assert params["optimizer"] == "a=b"
    assert params["batch_size"] is None
    assert Experiment("a").origin()["changes"]["augment"] == [None, True]


def test_a_part_is_replaced_by_an_object() -> None:
    """A nested part may be given as a whole."""
    assert new("a", "--from", "experiments/base_model", 'model={"width": 1}') == 0
    assert Experiment("a").params()["model"] == {"width": 1}
    change = Experiment("a").origin()["changes"]["model"]
    assert change == [{"width": 64, "layers": [1, 2]}, {"width": 1}]


@pytest.mark.parametrize("name", ["params.yaml", "params.toml"])
def test_the_notation_stays(name: str) -> None:
    """What comes from YAML or TOML is written in the same."""
    Path("other").mkdir()
    text = "learning_rate: 1e-3\n" if name.endswith("yaml") else "learning_rate = 1e-3\n"
    (Path("other") / name).write_text(text)
    assert new("a", "--from", "other", "learning_rate=5") == 0
    assert Experiment("a").params() == {"learning_rate": 5}
    assert (Path("a") / name).exists()


def test_a_search_gives_its_base_and_a_trial_its_values() -> None:
    """A plan is not copied, so the new folder is no search; a trial is like any experiment."""
    folder = Path("experiments/base_model")
    (folder / "search.json").write_text("{}")
    trial = folder / "batch_size_8"
    trial.mkdir()
    (trial / "params.json").write_text('{"batch_size": 8}')
    (trial / "trial.json").write_text('{"number": 0}')
    assert new("again", "--from", str(folder)) == 0
    assert not experiment.is_search(Path("again"))
    assert new("longer", "--from", str(trial), "batch_size=9") == 0
    assert Experiment("longer").origin()["from"] == "../experiments/base_model/batch_size_8"
    assert sorted(os.listdir("longer")) == ["origin.json", "params.json"]


def test_the_origin_holds_when_the_project_moves(project: Path, tmp_path: Path) -> None:
    """It is written relative to the new folder, wherever the command was typed."""
    os.chdir("experiments")
    assert new("../a/b", "--from", "base_model") == 0
    os.chdir(project)
    origin = Path("a/b") / Experiment("a/b").origin()["from"]
    assert os.path.samefile(origin, "experiments/base_model")


def test_names_are_added_when_that_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """`--add` makes new names, also in parts that are not there; they had no value before."""
    words = ["dropout=0.5", "schedule.warmup=10", "--add"]
    assert new("a", "--from", "experiments/base_model", *words) == 0
    assert "  dropout: 0.5\n  schedule.warmup: 10\n" in capsys.readouterr().out
    assert Experiment("a").params()["schedule"] == {"warmup": 10}
    changes = Experiment("a").origin()["changes"]
    assert changes == {"dropout": [None, 0.5], "schedule.warmup": [None, 10]}


def test_values_are_told_as_json_has_them(capsys: pytest.CaptureFixture[str]) -> None:
    """As they are typed, and as the file has them; not as Python would say it."""
    words = ["augment=true", "learning_rate=null", "flag=false", "optimizer=sgd", "--add"]
    assert new("a", "--from", "experiments/base_model", *words) == 0
    assert capsys.readouterr().out.splitlines()[1:5] == [
        "  augment: null -> true",
        "  learning_rate: 0.01 -> null",
        "  flag: false",
        '  optimizer: "adam" -> "sgd"',
    ]


def test_a_first_experiment_comes_from_none(
    snapshot: SnapshotAssertion, capsys: pytest.CaptureFixture[str]
) -> None:
    """Values alone make one; it has an origin only if there is something to say."""
    assert new("first one", "learning_rate=0.1", "model.width=8", "name=x y") == 0
    assert capsys.readouterr().out == snapshot(name="told")
    assert Path("first one/params.json").read_text() == snapshot(name="params")
    assert os.listdir("first one") == ["params.json"]
    assert new("second", "learning_rate=0.1", "-m", "a start") == 0
    origin = Experiment("second").origin()
    assert (origin["from"], origin["message"], origin["changes"]) == (None, "a start", {})


def test_a_folder_that_is_there_is_filled() -> None:
    """Notes and a plan written beforehand stay where they are."""
    Path("a").mkdir()
    Path("a/notes.txt").write_text("mine")
    Path("a/search.json").write_text('{"space": {"batch_size": [1, 2]}}')
    assert new("a", "--from", "experiments/base_model") == 0
    assert sorted(os.listdir("a")) == ["notes.txt", "origin.json", "params.json", "search.json"]
    assert experiment.is_search(Path("a"))


@pytest.mark.parametrize(
    "words",
    [
        ["a"],
        ["a", "learning_rate", "=1", "model.=1", "x=1", "x=2"],
        ["a", "model=1", "model.width=2"],
        ["a", "--from", "experiments/base_modle"],
        ["a", "--from", "experiments/base_model/params.json"],
        ["a", "--from", "experiments"],
        ["a", "--from", "experiments/base_model", "learning_rat=1", "foo=1", "model.widht=3"],
        ["a", "--from", "experiments/base_model", "model=3"],
        ["a", "--from", "experiments/base_model", "learning_rate=0.1,0.01", "batch_size=int:1,6"],
        ["a", "--from", "experiments/base_model", "--add", "optimizer.name=adam"],
        ["experiments/base_model", "--from", "experiments/base_model"],
        ["experiments/base_model/params.json", "learning_rate=1"],
        ["experiments/base_model/params.json/a", "learning_rate=1"],
    ],
    ids=[
        "nothing", "no-values", "value-and-part", "no-folder", "a-file", "no-experiment",
        "unknown-names", "a-part", "domains", "into-a-text", "there", "is-a-file", "below-a-file",
    ],
)  # fmt: skip
def test_mistakes_are_told_and_nothing_is_made(
    words: list[str],
    project: Path,
    snapshot: SnapshotAssertion,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Every problem at once, what to type instead, exit code 2, and not one file or folder."""
    before = tree(project), sorted(map(str, project.rglob("*")))
    assert new(*words) == 2
    assert capsys.readouterr().err == snapshot
    assert (tree(project), sorted(map(str, project.rglob("*")))) == before


def test_a_value_that_cannot_be_saved_leaves_nothing(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """TOML has no null: the message names the folder, and its parents are gone again."""
    Path("other").mkdir()
    Path("other/params.toml").write_text("batch_size = 1\n")
    assert new("deep/down/a", "--from", "other", "batch_size=null") == 2
    told = capsys.readouterr().err
    assert "deep/down/a/params.toml cannot be saved:\n  batch_size: TOML has no null" in told
    assert not Path("deep").exists()


def test_a_broken_source_is_told_by_its_own_error(capsys: pytest.CaptureFixture[str]) -> None:
    """File, line and column, as everywhere."""
    Path("experiments/base_model/params.json").write_text('{"a": 1,}')
    assert new("a", "--from", "experiments/base_model") == 2
    assert "experiments/base_model/params.json" in capsys.readouterr().err
    assert not Path("a").exists()


def test_of_two_who_make_the_same_folder_one_is_told(project: Path) -> None:
    """Whoever comes second changes nothing."""
    derive(Path("a"), Path("experiments/base_model"), {"batch_size": 1})
    before = tree(project / "a")
    with pytest.raises(FolderError, match="already exists"):
        derive(Path("a"), Path("experiments/base_model"), {"batch_size": 2})
    assert tree(project / "a") == before


def test_looking_at_the_source_is_no_reading(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A script that derives an experiment from its own run has not read its hyperparameters."""
    base = project / "experiments" / "base_model"
    monkeypatch.setenv("MODELDIR_RUN", f"token:{base}")
    with pytest.raises(ParamsError):
        derive(Path("a"), base, {"batch_siz": 1})
    derive(Path("b"), base, {"batch_size": 1})
    from modeldir.params.params import Params

    assert "learning_rate" not in Params(base / "params.json").__modeldir__.tree.reads.names
