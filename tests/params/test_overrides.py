"""Hyperparameters on a script's command line: what is taken, what is refused, what is left."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import modeldir
from modeldir import Params
from modeldir.errors import ParamsError
from modeldir.params.overrides import changed, cli
from modeldir.params.plain_values import flatten
from modeldir.params.update_checks import misfit

if TYPE_CHECKING:
    from syrupy.assertion import SnapshotAssertion

BASE: dict[str, Any] = {
    "learning_rate": 0.1,
    "batch_size": 32,
    "augment": False,
    "model_version": "v1",
    "betas": [0.9, 0.999],
    "clip": None,
    "optimizer": {"name": "adam", "lr": 0.001},
    "odd name": 1,
}


def after(*words: str) -> dict[str, Any]:
    """What differs from the base."""
    data, others = changed(BASE, words, "params.json")
    assert others == []
    return {name: value for name, value in data.items() if value != BASE.get(name, ...)}


def refused(*words: str) -> str:
    with pytest.raises(ParamsError) as caught:
        changed(BASE, words, "params.json")
    return str(caught.value)


WORDS = st.one_of(
    st.text(max_size=12),
    st.builds(
        "{}{}{}{}".format,
        st.sampled_from(["", "++", "+", "~", "--", "-"]),
        st.sampled_from(
            [*BASE, "optimizer.lr", "optimizer.", ".lr", "betas.0", "new", "a.b.c", ""]
        ),
        st.sampled_from(["=", "", "=="]),
        st.sampled_from(["1", "1e-3", "null", "None", "true", "[1", "{}", "1e999", "9" * 5000, '"'])
        | st.text(max_size=6),
    ),
)


@given(st.lists(WORDS, max_size=4))
def test_any_words_are_taken_left_or_refused(words: list[str]) -> None:
    """Never another error; the values given are not touched; each value stays of its kind."""
    before = json.dumps(BASE)
    try:
        data, others = changed(BASE, words, "params.json")
    except ParamsError as error:
        data, others = BASE, []
        said = str(error)
    else:
        said = "Nothing was changed."
    assert said.endswith("Nothing was changed.")
    assert json.dumps(BASE) == before
    assert len(others) <= len(words)
    assert all(other in words for other in others)
    for name, value in BASE.items():
        assert misfit(value, data.get(name), name) is None


@given(st.recursive(
    st.dictionaries(st.sampled_from("abc"), st.integers() | st.text() | st.booleans(), min_size=1),
    lambda part: st.dictionaries(st.sampled_from("abc"), part, min_size=1),
))  # fmt: skip
def test_every_value_can_be_given_as_json(values: dict[str, Any]) -> None:
    """A word for each, on an empty file: the same values."""
    words = [f"++{name}={json.dumps(value)}" for name, value in flatten(values).items()]
    assert changed({}, words, "params.json") == (values, [])


@pytest.mark.parametrize(
    ("word", "name", "value"),
    [
        ("learning_rate=1e-3", "learning_rate", 0.001),
        ("learning_rate=.5", "learning_rate", 0.5),
        ("learning_rate=1", "learning_rate", 1),
        ("learning_rate=null", "learning_rate", None),
        ("batch_size=64", "batch_size", 64),
        ("augment=true", "augment", True),
        ("augment=True", "augment", True),
        ("model_version=2", "model_version", "2"),
        ("model_version=true", "model_version", "true"),
        ("model_version=", "model_version", ""),
        ("model_version=a=b=c", "model_version", "a=b=c"),
        ("model_version=x,y", "model_version", "x,y"),
        ('model_version="x,y"', "model_version", "x,y"),
        ('model_version="null"', "model_version", "null"),
        ("model_version=null", "model_version", None),
        ("betas=[1,2]", "betas", [1, 2]),
        ("clip=0.5", "clip", 0.5),
        ("clip=text", "clip", "text"),
        ("odd name=3", "odd name", 3),
        ("optimizer.lr=3e-4", "optimizer", {"name": "adam", "lr": 0.0003}),
        ('optimizer={"lr": 1}', "optimizer", {"name": "adam", "lr": 1}),
        ("++new=1", "new", 1),
        ("++new.key=a", "new", {"key": "a"}),
        ("++batch_size=8", "batch_size", 8),
        ("++optimizer.eps=1e-8", "optimizer", {"name": "adam", "lr": 0.001, "eps": 1e-8}),
    ],
)
def test_a_word_is_read_by_what_it_replaces(word: str, name: str, value: Any) -> None:
    """A text needs no quotes and never becomes a number; a number is one."""
    found = after(word)[name]
    assert (type(found), found) == (type(value), value)


def test_names_are_deleted() -> None:
    """Alone, or in a part."""
    data, _ = changed(BASE, ["~augment", "~optimizer.name"], "params.json")
    assert "augment" not in data
    assert data["optimizer"] == {"lr": 0.001}


def test_what_is_wrong_is_told_at_once(snapshot: SnapshotAssertion) -> None:
    """Each word with its remedy, and that nothing was changed."""
    words = [
        "lrr=1", "learning_rte=1", "lr=3e-4", "optimizer.nme=x", "betas.x=1", "batch_size=32.5",
        "batch_size=8", "learning_rate=0.1,0.01", "augment=1", "clip=None", "optimizer=sgd",
        "+new=1", "~augmnt", "~model_version=1", "optimizer.lr=", "odd name=x",
    ]  # fmt: skip
    assert refused(*words) == snapshot
    words = ["learning_rate=abc", "model_version=None", "betas=1,2", "batch_size=", "augment=yes"]
    assert refused(*words) == snapshot


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("clip=[1,2", "write 'clip=[1, 2]'"),
        ("++clips=[adam,sgd]", """write '++clips=["adam", "sgd"]'"""),
        ("++widths=[8, 16", "write '++widths=[8, 16]'"),
        ("clip={lr:1}", """for the string: 'clip="{lr:1}"'"""),
        ("clip=NaN", """for the string: 'clip="NaN"'"""),
        ("++seed=1e999", """for the string: '++seed="1e999"'"""),
        ("++seed=1_000", """for the string: '++seed="1_000"'"""),
        ("betas=(1, 2)", "write 'betas=[1, 2]'"),
        ("betas=['a', 'b']", """write 'betas=["a", "b"]'"""),
    ],
)
def test_what_was_not_meant_as_a_text_is_none(word: str, hint: str) -> None:
    """Where null stands, or nothing, a text is as good as a list: then a slip would be one."""
    assert hint in refused(word)
    assert after('clip="[1,2"')["clip"] == "[1,2"
    assert after("++path=a[1]", "clip=adam")["path"] == "a[1]"


def test_another_case_is_the_name_that_was_meant() -> None:
    """`LR` is `lr`, and only the message may know it."""
    assert "did you mean 'batch_size'?" in refused("BATCH_SIZE=1")
    assert "did you mean 'optimizer.lr'?" in refused("optimizer.LR=1")


@pytest.mark.parametrize(
    "word", ["learning_rate=NaN", "learning_rate=Infinity", "batch_size=0x10", "augment=yes"]
)
def test_what_is_no_json_is_no_number(word: str) -> None:
    """It would be a text, and a text has no place there."""
    assert "expected" in refused(word)


def test_other_words_are_left_in_their_order() -> None:
    """Options, their values, paths, URLs, and all behind `--`."""
    words = ["--model_dir", "D", "learning_rate=1", "-v", "runs/a=b", "s3://x=y", "--seed=3", "=3"]
    data, others = changed(BASE, [*words, "3d=1", "--", "batch_size=1"], "params.json")
    assert others == [word for word in words if word != "learning_rate=1"] + [
        "3d=1",
        "--",
        "batch_size=1",
    ]
    assert (data["learning_rate"], data["batch_size"]) == (1, 32)


def test_behind_an_option_only_what_is_known_is_taken() -> None:
    """`--tag a=b` is the option's; of a known name argparse will miss the option's value loudly."""
    data, others = changed(BASE, ["--tag", "run=7", "--cuda", "batch_size=1"], "params.json")
    assert others == ["--tag", "run=7", "--cuda"]
    assert data["batch_size"] == 1


def test_nothing_changes_if_a_word_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    """The script ends as argparse ends it, with the message and no traceback."""
    params = Params(BASE)
    with pytest.raises(SystemExit) as ended:
        cli(params, ["batch_size=1", "lrr=2"])
    assert ended.value.code == 2
    assert params == BASE
    assert "lrr: not in these hyperparameters" in capsys.readouterr().err


def test_locked_hyperparameters_are_not_overridden(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever locks them means it."""
    params = Params(BASE)
    modeldir.lock(params)
    with pytest.raises(SystemExit):
        cli(params, ["batch_size=1"])
    assert "locked" in capsys.readouterr().err


def test_views_and_cached_values_follow() -> None:
    """A part that somebody holds shows the new value."""
    params = Params(BASE)
    part, before = params.optimizer, params.batch_size
    assert cli(params, ["optimizer.lr=1", "batch_size=2", "~augment"]) == []
    assert (part.lr, params.batch_size, before) == (1, 2, 32)
    assert "augment" not in params


SCRIPT = """
import argparse, os
import modeldir

parser = argparse.ArgumentParser()
parser.add_argument("--model_dir", required=True)
parser.add_argument("--cuda", action="store_true")
args, _ = parser.parse_known_args()
params = modeldir.Params(os.path.join(args.model_dir, "params.json"))
args = parser.parse_args(modeldir.cli(params))
print(params.learning_rate, params["optimizer.lr"], args.cuda)
"""


def script(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    (folder / "train.py").write_text(SCRIPT)
    (folder / "base").mkdir(exist_ok=True)
    (folder / "base/params.json").write_text(json.dumps(BASE))
    command = [sys.executable, "train.py", "--model_dir", "base", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_the_idiom_works_in_a_script(tmp_path: Path) -> None:
    """Overrides between options; argparse keeps its own part, and its own errors."""
    done = script(tmp_path, "learning_rate=1e-3", "--cuda", "optimizer.lr=3e-4")
    assert (done.stdout, done.stderr, done.returncode) == ("0.001 0.0003 True\n", "", 0)
    done = script(tmp_path, "learning_rate=1e-3", "--cudda")
    assert done.returncode == 2
    assert "unrecognized arguments: --cudda" in done.stderr


def test_a_bad_override_ends_the_script_with_a_message(
    tmp_path: Path, snapshot: SnapshotAssertion
) -> None:
    """Exit code 2, the file, the name that was meant; never our traceback."""
    done = script(tmp_path, "learning_rte=1e-3", "batch_size=32.5")
    assert (done.stdout, done.returncode) == ("", 2)
    assert done.stderr == snapshot


def test_a_new_experiment_reads_values_the_same_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`modeldir new --from`: a text stays a text, and what does not fit is refused."""
    from modeldir.commands import main

    monkeypatch.chdir(tmp_path)
    Path("base").mkdir()
    Path("base/params.json").write_text(json.dumps(BASE))
    assert main(["new", "next", "--from", "base", "model_version=2", "optimizer.name=7"]) == 0
    made = Params("next/params.json")
    assert (made.model_version, made.optimizer.name) == ("2", "7")
    capsys.readouterr()
    assert main(["new", "more", "--from", "base", "batch_size=32.5", "augment=1"]) == 2
    told = capsys.readouterr().err
    assert "batch_size is 32: expected an integer, found 32.5" in told
    assert "augment is false: expected true or false, found 1" in told
    assert not Path("more").exists()
