"""The placeholders of a command, as a script receives them."""

from __future__ import annotations

import argparse
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldir.errors import CommandError
from modeldir.search import placeholders, trial_command

VALUES = {
    "lr": 0.5, "name": "x y", "amp": True, "tied": False, "seed": None, "sizes": [64, 32],
    "shift": -1.5, "model": {"drop_out": 0.1}, "batch_size": 32,
}  # fmt: skip


@pytest.mark.parametrize(
    ("command", "line"),
    [
        ("go {flags}", ("go --lr 0.5 --name 'x y' --amp --sizes 64 32 --shift=-1.5 "
         "--model.drop_out 0.1 --batch_size 32")),
        ("go {flags:-/--no-}", ("go --lr 0.5 --name 'x y' --amp --no-tied --sizes 64 32 "
         "--shift=-1.5 --model.drop-out 0.1 --batch-size 32")),
        ("go {flags:--=}", ("go --lr=0.5 '--name=x y' --amp=True --tied=False '--sizes=[64,32]' "
         "--shift=-1.5 --model.drop_out=0.1 --batch_size=32")),
        ("go {flags:=}", ("go lr=0.5 'name='\"'\"'x y'\"'\"'' amp=true tied=false seed=null "
         "'sizes=[64,32]' shift=-1.5 model.drop_out=0.1 batch_size=32")),
        ("go {amp:--amp} {tied:--tied} {seed:--seed}", "go --amp"),
        ("go {amp:--amp/--no-amp} {tied:--tied/--untied}", "go --amp --untied"),
        ("go {lr:--rate} {shift:--shift}", "go --rate 0.5 --shift=-1.5"),
        ("go {{lr}} {lr}", "go '{lr}' 0.5"),
        ("go {{flags}}", "go '{flags}' --model_dir a"),
        ("go '{\"lr\":{lr}}'", "go '{\"lr\":0.5}'"),
        ("go --dir {out}", "go --dir a/out"),
    ],
)  # fmt: skip
def test_a_placeholder_becomes_words(command: str, line: str) -> None:
    """Each way to write flags, on/off flags, literal braces, and the output folder."""
    assert list(trial_command.fill(command, VALUES, "a")) == shlex.split(line)


def test_flags_leave_out_what_the_command_passes_already() -> None:
    """By its own placeholder, or by that of its section."""
    words = trial_command.fill("go --rate {lr} {model} {amp:-a} {flags}", VALUES, "a")
    assert not {"--lr", "--model.drop_out", "--amp"} & {*words}
    assert "--batch_size" in words


@given(st.dictionaries(st.sampled_from("abcd"), st.text() | st.floats(allow_nan=False)))
def test_argparse_reads_back_what_flags_wrote(values: dict[str, Any]) -> None:
    """Any string and any number reaches an argparse script as it is in params.json."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    for name in "abcd":
        parser.add_argument(f"--{name}", type=type(values.get(name, "")))
    _, *words = trial_command.fill("go {flags}", values, "a")
    read = vars(parser.parse_args(words))
    assert {name: read[name] for name in values} == values


@given(st.dictionaries(st.sampled_from("abcd"), st.text(st.characters(exclude_characters="\0"))))
def test_flags_inside_a_shells_line_are_quoted(values: dict[str, str]) -> None:
    """A shell splits them into the words that the script would get without it."""
    plain = trial_command.fill("go {flags}", values, "a")[1:]
    _, _, line = trial_command.fill("sh -c 'cd x && go {flags}'", values, "a")
    assert shlex.split(line.removeprefix("cd x && go")) == list(plain)


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        ("sh {flags:--yes}", "'--yes' is unknown"),
        ("sh --x={flags}", "is several words"),
        ("sh {amp:=}", "is no flag"),
        ("sh {lrr}", "no such hyperparameter.*'lr'"),
        ("sh -c 'echo \"$(go {lr})\"'", "cannot be quoted.*script file"),
        ("sh -c 'echo `go {lr}`'", "cannot be quoted.*script file"),
        ("sh -c 'cat <<E\n{lr}\nE'", "cannot be quoted.*script file"),
        ("sh -c 'go # {lr}'", "cannot be quoted.*script file"),
        ("sh -c 'echo \"$(cat {project}/a)\"'", "cannot be quoted.*script file"),
    ],
)
def test_a_wrong_placeholder_is_refused(tmp_path: Path, command: str, problem: str) -> None:
    """Before anything starts, with a hint."""
    with pytest.raises(CommandError, match=f"(?s){problem}"):
        trial_command.check_command(command, VALUES, tmp_path)


@pytest.mark.parametrize(
    "line", ["# don't\ngo {lr}", "a=$(date) go {lr}", "a#'b' go {lr}", "'#' go {lr}"]
)
def test_comments_and_closed_commands_leave_the_quoting_as_it_was(line: str) -> None:
    """A value after them is one word for the shell, whatever it holds."""
    words = ["sh", "-c", line]
    assert placeholders.problems(words, {"lr": "1"}) == []
    _, _, made = placeholders.filled(words, {"lr": "x; touch y"}, "a")
    assert made.endswith("go 'x; touch y'")


@pytest.mark.parametrize("word", ["{project}/a", '"{project}/a"', "'{project}/a'"])
@pytest.mark.parametrize("folder", ["/a b", "/it's; touch y", '/"$(touch y)"', "/{lr}"])
def test_the_project_is_one_word_for_a_shell(word: str, folder: str) -> None:
    """Its path is quoted like any other value, and nothing in it is a placeholder."""
    command = f"sh -c {shlex.quote(f'printf %s,%s {word} {{lr}}')}"
    words = trial_command.fill(command, {"lr": 1}, "a", project=folder)
    assert subprocess.check_output(words, text=True) == f"{folder}/a,1"


@pytest.mark.parametrize(
    ("command", "made"),
    [
        ("go {project}/x", ("go", "/a b/x", "--model_dir", "d")),
        ("go {{project}} ${project}", ("go", "{project}", "${project}", "--model_dir", "d")),
        ("go {lr} {project:--root}", ("go", "{project}", "--root", "/a b")),
    ],
)
def test_the_project_is_filled_in_with_the_other_values(
    command: str, made: tuple[str, ...]
) -> None:
    """Braces that are doubled or the shell's stay, and so do those in a value."""
    assert trial_command.fill(command, {"lr": "{project}"}, "d", project="/a b") == made


@pytest.mark.parametrize(
    ("command", "names"),
    [
        ("go {lr} --depth={model.depth} ${amp} {{tied}}", {"lr", "model.depth"}),
        ("go {model} {amp:--amp}", {"model.depth", "amp"}),
        ("go {flags}", {"lr", "model.depth", "amp", "tied"}),
        ("go {model_dir}", set()),
    ],
)
def test_names_that_a_command_passes(command: str, names: set[str]) -> None:
    """The script need not read from params.json what it gets as an argument."""
    assert placeholders.passed(command, ["lr", "model.depth", "amp", "tied"]) == names
