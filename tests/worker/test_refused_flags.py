"""The hint at the first trial of a script that does not know the flags it gets."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

import pytest

from laboratory import Project
from modeldir.worker import refused_flags

ARGPARSE = """\
import argparse
parser = argparse.ArgumentParser()
group = parser.add_argument_group("model")
group.add_argument("--hidden-size", type=int, default=8)
group.add_argument("--amp", action=argparse.BooleanOptionalAction, default=True)
parser.add_argument("--lr", type=float, REQUIRED)
parser.add_argument("--save-dir", default="out")
args = parser.parse_args()
print(f"loss: {args.lr + args.hidden_size + 100 * args.amp}")
"""
METRICS = ("--metrics", "loss: {loss}")


@pytest.mark.parametrize("required", ["default=0.1", "required=True"])
def test_the_hinted_line_runs_the_script_that_refused(tmp_path: Path, required: str) -> None:
    """Pasted as it is, it trains all: dashes, on/off flags and the output folder are right."""
    project = Project(tmp_path, ARGPARSE.replace("REQUIRED", required))
    project.params("runs/a", lr=0.1, hidden_size=4, amp=False)
    failed = project.modeldir(
        "search", "runs/a", "lr=0.1,0.2,0.3", *METRICS, "-j", "2", "--", "python", "train.py"
    )
    assert failed.code == 2
    assert failed.out.count("started ") == 1
    *_, problem, line = failed.out.splitlines()
    assert problem == (
        "error: train.py does not take --model_dir; "
        "its flags: --hidden-size, --amp, --lr, --save-dir."
    )
    program, *words = shlex.split(line)
    assert program == "modeldir"
    assert words[-2:] == ["--save-dir", "{model_dir}"]
    done = project.modeldir(*words)
    assert "3 completed. Best: runs/a/lr_0.1 (lowest loss 4.1)" in done.out


def test_names_with_dashes_are_told_from_unknown_ones(tmp_path: Path) -> None:
    """`{flags:-}` is enough for the first; of the second the script's flags are named."""
    project = Project(tmp_path, ARGPARSE.replace("REQUIRED", "default=0.1"))
    words = (*METRICS, "--", "python", "train.py", "{flags}")
    dashes = project.modeldir("search", "runs/a", "hidden_size=4,8", *words).out
    assert "error: train.py has --hidden-size, not --hidden_size.\n" in dashes
    assert dashes.endswith("  modeldir search runs/a -- python train.py {flags:-}\n")
    near = project.modeldir("search", "runs/b", "hidden_siz=4,8", *words).out
    assert near.endswith("error: train.py has no --hidden_siz (did you mean 'hidden-size'?).\n")
    other = project.modeldir("search", "runs/c", "width=4,8", *words).out
    flags = "--hidden-size, --amp, --lr, --save-dir"
    assert other.endswith(f"error: train.py has no --width; its flags: {flags}.\n")


def test_a_script_that_takes_model_dir_gets_no_hint(tmp_path: Path) -> None:
    """Its own errors are shown as ever, and all trials run."""
    script = "import sys\nassert '--model_dir' in sys.argv\nsys.exit('unknown option: none')\n"
    project = Project(tmp_path, script)
    done = project.searches("learning_rate=0.1,0.2")
    assert "2 failed" in done.out
    assert "does not take" not in done.out


_PRINTED = {
    "click": (
        (
            "Usage: go.py [OPTIONS]\nTry 'go.py --help' for help.\n\n"
            "Error: No such option '--model_dir'."
        ),
        '@click.option("--lr", default=0.1)\n@click.option("--batch-size", default=32)',
        "{flags:-}",
    ),
    "typer": (
        (
            "Usage: go.py [OPTIONS]\nTry 'go.py --help' for help.\n╭─ Error ─╮\n"
            "│ No such option: --model_dir │\n╰─────────╯"
        ),
        "import typer\ndef main(lr: float = 0.1, batch_size: int = 32): ...",
        "{flags:-/--no-}",
    ),
    "absl": (
        (
            "FATAL Flags parsing error:\n  Unknown command line flag 'model_dir'. "
            "Did you mean: log_dir ?\n"
            "Pass --helpshort or --helpfull to see help on flags."
        ),
        (
            'from absl import app, flags\nflags.DEFINE_float("lr", 0.1, "rate")\n'
            'flags.DEFINE_integer("batch_size", 32, "")\nflags.DEFINE_string("workdir", "", "dir")'
        ),
        "{flags:--=} --workdir {model_dir}",
    ),
    "fire": (
        "ERROR: Could not consume arg: --model_dir\nUsage: go.py -\n",
        "import fire\nfire.Fire(train)",
        "{flags:--=}",
    ),
    "tyro": (
        "╭─ Parsing error ─╮\n│ Unrecognized options: --model_dir, a │\n╰────╯",
        "import tyro",
        "{flags:-/--no-}",
    ),
    "hydra": (
        (
            "usage: go.py [--help] [--hydra-help] [overrides ...]\n"
            "go.py: error: unrecognized arguments: --model_dir\n"
        ),
        "@hydra.main()",
        "{flags:=} hydra.run.dir={model_dir}",
    ),
    "huggingface": (
        (
            "ValueError: Some specified arguments are not used by the HfArgumentParser: "
            "['--model_dir', 'a']"
        ),
        "HfArgumentParser(TrainingArguments)",
        "{flags:--=}",
    ),
    "configurator": (
        (
            'Traceback (most recent call last):\n  File "<string>", line 24, in <module>\n'
            "AssertionError\n"
        ),
        "exec(open('configurator.py').read())",
        "{flags:--=}",
    ),
    "short flags": (
        (
            "usage: go.py [-h] [-l LR] [-b BATCH_SIZE] data\n"
            "go.py: error: unrecognized arguments: --model_dir a"
        ),
        'p.add_argument("-l", "--lr")\np.add_argument("-b", "--batch_size")',
        "{flags}",
    ),
    "a colored usage": (
        (
            "\x1b[1;34musage: \x1b[0mgo.py [\x1b[36m--lr \x1b[33mLR\x1b[0m] [--batch-size N]\n"
            "go.py: error: unrecognized arguments: --model_dir a"
        ),
        "",
        "{flags:-}",
    ),
    "a flag too few": (
        "usage: go.py [-h] [--lr LR]\ngo.py: error: unrecognized arguments: --model_dir a",
        "",
        "--lr {lr}",
    ),
    "nothing known": ("error: unexpected argument '--model_dir' found", "", "{flags}"),
}


@pytest.mark.parametrize("library", _PRINTED)
def test_what_other_libraries_print_is_understood(library: str) -> None:
    """Each as the library printed it, with the placeholder that it reads."""
    output, source, words = _PRINTED[library]
    found = refused_flags.hint(output, source, "go.py", "go.py", {"lr": 0.1, "batch_size": 16})
    assert found is not None
    assert found[1] == f"go.py {words}"


@pytest.mark.parametrize(
    "output",
    [
        "",
        "ValueError: model_dir is empty",
        "usage: go.py [-h]\ngo.py: error: argument --lr: invalid float value: 'x'",
        "AssertionError",
        "the following arguments are required: data",
    ],
)
def test_other_failures_get_no_hint(output: str) -> None:
    """Only a refused flag is explained."""
    assert refused_flags.hint(output, "", "go.py", "go.py", {"lr": 0.1}) is None


@pytest.mark.skipif(shutil.which("sh") is None or sys.platform == "win32", reason="needs a shell")
def test_a_program_that_is_no_python_script_is_helped_too(tmp_path: Path) -> None:
    """Its flags are unknown, and `{flags}` is the way to try."""
    project = Project(tmp_path)
    project.write(
        "go.sh", 'case "$1" in --model_dir) echo "unknown option --model_dir"; exit 2;; esac'
    )
    done = project.searches("learning_rate=0.1", command="sh go.sh")
    assert "error: the script does not take --model_dir.\n" in done.out
    assert done.out.endswith("-- sh go.sh {flags}\n")
