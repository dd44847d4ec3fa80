"""`modeldir adopt`: scripts as people write them, none of which knows modeldir.

The scripts are in `projects/adopt`. Each one leaves its values in `.trained.jsonl` when it trains.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from engines import need_framework
from laboratory import LIMIT, Project, Said, read
from modeldir.adopt.first_search import first_search
from modeldir.adopt.output_options import placed

if TYPE_CHECKING:
    from syrupy.assertion import SnapshotAssertion

SCRIPTS = Path(__file__).parents[1] / "projects" / "adopt"

WRITTEN = {
    "mnist": "mnist.py",
    "imagenet": "imagenet.py data/imagenet -a resnet50",
    "word_lm": "word_lm.py --tied",
    "course": "course.py cifar --hidden 8 4 --tag a --no-ema",
    "gan": "gan.py --dataroot x",
    "vision": "vision_models.py data -b 64 --no-aug",
    "subcommand": "subcommands.py --device cpu train --amp",
    "gpt": "train.py --n_layer=6",
    "click": "with_click.py data --no-shuffle",
    "click group": "with_click_group.py fit --workdir x",
    "typer": "with_typer.py data",
    "absl": "with_absl.py --data=x --noaugment",
    "ml_collections": "with_ml_collections.py --workdir=x",
    "hydra": "with_hydra.py optimizer=sgd model.width=64",
    "tyro": "with_tyro.py --data x --optimizer.no-nesterov",
    "tyro function": "with_tyro_function.py",
    "simple_parsing": "with_simple_parsing.py --seed 5",
    "jsonargparse": "with_jsonargparse.py fit --model.width 8",
    "fire": "with_fire.py fit --layers=4",
    "transformers": "with_huggingface.py --model_name_or_path gpt2",
}
"""How a user would start each script."""
LIBRARIES = ("click", "typer", "absl", "ml_collections", "hydra", "tyro", "simple_parsing",
             "jsonargparse", "fire", "transformers")  # fmt: skip


def _marked(name: str) -> Any:
    library = name.partition(" ")[0]
    marks = [pytest.mark.frameworks, pytest.mark.timeout(600)] if library in LIBRARIES else []
    return pytest.param(name, marks=marks)


_LONG = 10 * LIMIT
"""Some of these libraries take long to import on a machine that others use, too."""


class Adopting(Project):
    """A folder with one script, and nothing of modeldir."""

    def __init__(self, path: Path) -> None:
        super().__init__(path / "unused")
        self.path = path / "project"
        shutil.copytree(SCRIPTS, self.path, ignore=shutil.ignore_patterns("__pycache__"))

    def types(self, *words: str, cwd: Path | None = None) -> Said:
        """Type any other command."""
        done = subprocess.run(
            words, cwd=cwd or self.path, env=self.environment, capture_output=True, text=True,
            timeout=_LONG, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        return Said(done.stdout, done.stderr, done.returncode)

    def adopts(self, *command: str, cwd: Path | None = None) -> Said:
        return self.modeldir("adopt", "--", *command, cwd=cwd)

    def trained(self, cwd: Path | None = None) -> list[dict[str, Any]]:
        """The values of each training in a folder, in the order in which they were started."""
        path = (cwd or self.path) / ".trained.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def settings(self) -> str:
        return (self.path / "modeldir.toml").read_text()


@pytest.fixture
def project(tmp_path: Path) -> Adopting:
    return Adopting(tmp_path)


def next_lines(said: Said) -> list[list[str]]:
    """The words of each command that is printed to be typed next."""
    printed = said.out[said.out.index("next: ") :].removeprefix("next: ")
    return [shlex.split(line)[1:] for line in printed.splitlines()]


def searched(lines: list[list[str]]) -> str:
    """The name of the hyperparameter that the last line searches."""
    return lines[-1][2].partition("=")[0]


def flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in values.items():
        is_section = isinstance(value, dict)
        found.update(flat(value, f"{prefix}{name}.") if is_section else {f"{prefix}{name}": value})
    return found


@pytest.mark.parametrize("name", [_marked(name) for name in WRITTEN])
def test_the_printed_lines_run_unedited(name: str, project: Adopting) -> None:
    """The script is not trained, and its trials have its own values, but for what is searched."""
    library = name.partition(" ")[0]
    if library in LIBRARIES:
        need_framework(library)
    folder = project.path / "gpt" if name == "gpt" else project.path
    command = ("python", *WRITTEN[name].split())
    assert project.types(*command, cwd=folder).code == 0
    [by_itself] = map(flat, project.trained(folder))
    said = project.modeldir("adopt", "--", *command, cwd=folder, limit=_LONG)
    assert said.code == 0, said.err
    assert len(project.trained(folder)) == 1, "it was trained"
    lines = next_lines(said)
    for line in lines:
        done = project.modeldir(*line, cwd=folder, limit=_LONG)
        assert done.code == 0, done.out + done.err
    _, *trials = map(flat, project.trained(folder))
    assert len(trials) == 3
    varied, tried = searched(lines), set()
    for trial in trials:
        differing = {key for key in by_itself if trial[key] != by_itself[key]}
        tried |= {str(trial[key]) for key in by_itself if key == varied.removeprefix("config.")}
        outputs = {key for key in differing if "experiments/" in str(trial[key])}
        assert differing - outputs <= {varied, varied.removeprefix("config.")}
    assert len(tried) == 3
    if name != "mnist":  # it has no option for a folder
        assert [*folder.glob("experiments/*/*_*/**/metrics_val.json")]


def test_what_is_printed(project: Adopting, snapshot: SnapshotAssertion) -> None:
    """One line each for what was found and written, then what to type."""
    assert project.adopts("python", *WRITTEN["course"].split()).out == snapshot(name="printed")
    assert project.settings() == snapshot(name="settings")
    text = (project.path / "experiments/base_model/params.json").read_text()
    assert text == snapshot(name="params")


def test_without_an_output_option_it_says_how_to_name_one(
    project: Adopting, snapshot: SnapshotAssertion
) -> None:
    """The user may place `{model_dir}`, and then it stays where it is."""
    assert project.adopts("python", "mnist.py").out == snapshot(name="note")
    words = ("--force", "--", "python", "imagenet.py", "--resume", "{model_dir}/last.pt")
    said = project.modeldir("adopt", *words)
    assert "imagenet.py --resume {model_dir}/last.pt {flags" in project.settings()
    assert "note:" not in said.out


def test_nothing_runs_after_the_options_are_read(project: Adopting) -> None:
    """Not even what a script does in the end: `finally`, `atexit`, another thread."""
    project.write(
        "train.py",
        "import argparse, atexit, pathlib, threading\n"
        "mark = lambda: pathlib.Path('ran').write_text('')\n"
        "atexit.register(mark)\n"
        "threading.Thread(target=lambda: (threading.main_thread().join(), mark())).start()\n"
        "parser = argparse.ArgumentParser()\n"
        "parser.add_argument('--lr', type=float, default=0.1)\n"
        "try:\n    parser.parse_args()\nexcept BaseException:\n    pass\nfinally:\n    mark()\n",
    )
    assert project.adopts("python", "train.py").code == 0
    assert not (project.path / "ran").exists()


@pytest.mark.parametrize(
    "command",
    [
        "python -m imagenet data -b 3",
        "sh -c 'cd . && python imagenet.py data -b 3'",
        "./run.sh -b 3",
        "env SOME=1 python -u imagenet.py data -b 3",
        "python site-packages/launch.py imagenet.py data -b 3",
    ],
)
def test_the_script_is_found_behind_what_starts_it(command: str, project: Adopting) -> None:
    """A module, a shell, a wrapper, and a launcher that starts several processes."""
    project.write("run.sh", '#!/bin/sh\npython imagenet.py data "$@"\n').chmod(0o755)
    project.write(
        "site-packages/launch.py",
        "import argparse, subprocess, sys\n"
        "parser = argparse.ArgumentParser()\n"
        "parser.add_argument('rest', nargs=argparse.REMAINDER)\n"
        "command = [sys.executable, *parser.parse_args().rest]\n"
        "ranks = [subprocess.Popen(command) for rank in range(2)]\n"
        "sys.exit(max(rank.wait() for rank in ranks))\n",
    )
    said = project.adopts(*shlex.split(command))
    assert said.code == 0, said.err
    for line in next_lines(said):
        assert project.modeldir(*line).code == 0
    trials = project.trained()
    assert {trial["lr"] for trial in trials} == {1.0, 0.1, 0.01}
    assert {trial["data"] for trial in trials} == {"data"}
    assert {trial["batch_size"] for trial in trials} == {3}


def test_a_wrapper_that_forgets_its_arguments_is_named(project: Adopting) -> None:
    """Its trials would all be the same."""
    project.write("run.sh", "#!/bin/sh\npython imagenet.py data\n").chmod(0o755)
    said = project.adopts("./run.sh")
    assert "note: ./run.sh does not pass its arguments on" in said.out


def test_a_sitecustomize_of_the_user_is_loaded_too(project: Adopting) -> None:
    """The place that we take in the interpreter is given back."""
    project.write("site/sitecustomize.py", "import os\nos.environ['MINE'] = '1'\n")
    project.environment["PYTHONPATH"] = f"{project.path}/site"
    project.write(
        "mine.py", "import os\nassert os.environ['MINE'] == '1'\nimport mnist\nmnist.main()"
    )
    assert project.adopts("python", "mine.py").code == 0


ARGPARSE = "import argparse\nparser = argparse.ArgumentParser()\n"

WRONG = {
    "required": ("python gan.py", ""),
    "no options": ("python ending.py", ""),
    "import": ("python train.py", "import no_such_module"),
    "no program": ("no_such_program train.py", ""),
    "no script": ("python no_such_script.py", ""),
    "no command": ("python subcommands.py", ""),
    "help": ("python mnist.py --help", ""),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_script_that_cannot_be_asked(
    name: str, project: Adopting, snapshot: SnapshotAssertion
) -> None:
    """The script's own words are shown, and nothing is written."""
    command, text = WRONG[name]
    project.write("train.py", text)
    said = project.adopts(*command.split())
    assert said.code == 2
    said_of = said.err.replace(str(project.path), "PROJECT")
    assert "\n".join(line for line in said_of.splitlines() if "usage" not in line) == snapshot
    assert not (project.path / "modeldir.toml").exists()
    assert not (project.path / "experiments").exists()


@pytest.mark.slow
def test_a_slow_script_is_ended(project: Adopting) -> None:
    """With all that it has started."""
    project.write(
        "train.py",
        "import os, subprocess, sys, time\n"
        "print('reading data', flush=True)\n"
        "child = subprocess.Popen(['sleep', '1000'])\n"
        "open('pids', 'w').write(f'{os.getpid()} {child.pid}')\n"
        "import argparse\ntime.sleep(1000)\n",
    )
    said = project.modeldir("adopt", "--time-limit", "8", "--", "python", "train.py")
    assert said.code == 2
    assert "train.py read no options in 8.0s, and was ended\n  reading data" in said.err
    for pid in (project.path / "pids").read_text().split():
        until = time.monotonic() + LIMIT
        while Path(f"/proc/{pid}").exists() and time.monotonic() < until:
            time.sleep(0.01)
        assert not Path(f"/proc/{pid}").exists()


@pytest.mark.slow
def test_a_script_that_is_slow_to_answer_is_ended(project: Adopting) -> None:
    """The time limit holds for the questions to its parser, too."""
    project.write(
        "train.py",
        f"import time\n{ARGPARSE}"
        "parser.add_argument('--lr', type=lambda word: time.sleep(1000), default=0.1)\n"
        "parser.parse_args()\n",
    )
    said = project.modeldir("adopt", "--time-limit", "8", "--", "python", "train.py")
    assert said.code == 2
    assert "train.py read no options in 8.0s, and was ended\n  to wait longer:" in said.err
    assert not (project.path / "modeldir.toml").exists()


@pytest.mark.parametrize(
    ("command", "left_out", "typed"),
    [
        ("python -I train.py", "-I", "python train.py"),
        ("python3 -E train.py", "-E", "python3 train.py"),
        ("env A=1 python -u -W ignore -S train.py", "-S", "env A=1 python -u -W ignore train.py"),
        ("python -uIS -m train", "-IS", "python -u -m train"),
        ("sh -c 'cd .;python -I train.py'", "-I", None),
    ],
)
def test_python_without_our_hook_is_not_started(
    command: str, left_out: str, typed: str | None, project: Adopting
) -> None:
    """Such a script could not be held, and would be trained."""
    project.write("train.py", f"open('ran', 'w')\n{ARGPARSE}parser.parse_args()\n")
    said = project.adopts(*shlex.split(command))
    assert said.code == 2
    assert f"leave out {left_out}: " in said.err
    assert typed is None or f"modeldir adopt -- {typed}\n" in said.err
    assert not (project.path / "ran").exists()


def test_the_scripts_own_options_may_have_these_letters(project: Adopting) -> None:
    """Only what stands between the interpreter and the script is for Python."""
    project.write(
        "train.py", f"{ARGPARSE}parser.add_argument('-I', type=int, default=1)\nparser.parse_args()"
    )
    assert project.adopts("python", "-X", "utf8", "-WI", "train.py", "-I", "3").code == 0


@pytest.mark.parametrize("stdout", ["None", "type('Writer', (), {'write': print})()", "closed"])
def test_a_script_is_ended_whatever_its_output_is(stdout: str, project: Adopting) -> None:
    """Even one that replaces sys.stdout and catches all errors does not continue."""
    replaced = "sys.stdout.close()" if stdout == "closed" else f"sys.stdout = {stdout}"
    project.write(
        "train.py",
        f"import sys\n{ARGPARSE}{replaced}\n"
        "try:\n    parser.parse_args()\nexcept BaseException:\n    pass\nopen('ran', 'w')\n",
    )
    said = project.adopts("python", "train.py", "--no-such-option")
    assert said.code == 2
    assert "ended with exit code 2 before its options were known" in said.err
    assert not (project.path / "ran").exists()


@pytest.mark.parametrize("broken", ["bytes", "syntax", "pipe", "folder"])
@pytest.mark.parametrize("words", [(), ("--force",)])
def test_broken_settings_are_found_before_the_script_starts(
    broken: str, words: tuple[str, ...], project: Adopting
) -> None:
    """Nothing is written, and no traceback is printed, with `--force` either."""
    path = project.path / "modeldir.toml"
    if broken == "pipe":
        os.mkfifo(path)
    elif broken == "folder":
        path.mkdir()
    else:
        path.write_bytes({"bytes": b'command = "\xff"\n', "syntax": b"command = \n"}[broken])
    project.write("train.py", f"open('ran', 'w')\n{ARGPARSE}parser.parse_args()\n")
    before = project.tree()
    said = project.modeldir("adopt", *words, "--", "python", "train.py")
    assert said.code == 2
    assert "modeldir.toml" in said.err
    assert "Traceback" not in said.err
    assert project.tree() == before


def test_files_are_not_replaced_unasked(project: Adopting, snapshot: SnapshotAssertion) -> None:
    """Nothing is started then; `--force` replaces the values and the command, and no more."""
    project.params("experiments/base_model", mine=1)
    project.write("modeldir.toml", '# of mine\nmaximize = "acc"  # so\ncommand = "python a.py"\n')
    before = project.tree()
    said = project.adopts("python", "mnist.py")
    assert (said.code, project.tree()) == (2, before)
    assert said.err == snapshot
    assert project.modeldir("adopt", "--force", "--", "python", "mnist.py").code == 0
    assert project.settings() == (
        '# of mine\nmaximize = "acc"  # so\ncommand = "python mnist.py {flags:-}"\n'
    )
    assert "mine" not in read(project.path / "experiments/base_model/params.json")


def test_a_killed_adopt_is_repeated(project: Adopting) -> None:
    """A kill after params.json leaves no command; the same line writes it. Other values stay."""
    (project.path / "slow").mkdir()
    killing = (
        "import os, signal\nreplace = os.replace\n"
        "def kill(old, new, **rest):\n"
        "    if str(new).endswith('modeldir.toml'):\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    replace(old, new, **rest)\n"
        "os.replace = os.rename = kill\n"
    )
    project.write("slow/sitecustomize.py", killing)
    project.environment["PYTHONPATH"] = str(project.path / "slow")
    assert project.adopts("python", "mnist.py").code == -signal.SIGKILL
    del project.environment["PYTHONPATH"]
    params = project.path / "experiments/base_model/params.json"
    left = params.read_bytes()
    assert not (project.path / "modeldir.toml").exists()
    other = project.adopts("python", "mnist.py", "--lr", "0.5")
    assert (other.code, params.read_bytes()) == (2, left)
    assert "params.json is there already" in other.err
    assert not (project.path / "modeldir.toml").exists()
    again = project.adopts("python", "mnist.py")
    assert (again.code, params.read_bytes()) == (0, left), again
    assert project.settings() == 'command = "python mnist.py {flags:-}"\n'
    assert "params.json is there already" in project.adopts("python", "mnist.py").err


@pytest.mark.parametrize("words", [("--save", "\udcff"), ("a\udcffb",)])
def test_words_that_are_not_utf8_are_refused(words: tuple[str, ...], project: Adopting) -> None:
    """Neither file could hold such bytes, so nothing is started or written."""
    project.write("train.py", f"open('ran', 'w')\n{ARGPARSE}parser.parse_args()\n")
    before = project.tree()
    said = project.adopts("python", "train.py", *words)
    assert (said.code, project.tree()) == (2, before)
    assert "not UTF-8" in said.err
    assert "Traceback" not in said.err


def test_a_default_that_is_not_utf8_is_left_to_the_script(project: Adopting) -> None:
    """A script may take one from its environment; the other options are adopted."""
    project.write(
        "train.py",
        f"import os\n{ARGPARSE}parser.add_argument('--lr', type=float, default=0.1)\n"
        "parser.add_argument('--user', default=os.fsdecode(b'\\xff'))\n"
        "parser.add_argument('--users', nargs='*', default=['a', os.fsdecode(b'\\xff')])\n"
        "parser.parse_args()\n",
    )
    said = project.adopts("python", "train.py")
    assert said.code == 0, said
    assert read(project.path / "experiments/base_model/params.json") == {"lr": 0.1}
    assert "left to the script's own default: --user, --users" in said.out


def test_settings_without_a_command_get_one(project: Adopting) -> None:
    """What else is in the file stays."""
    project.write("modeldir.toml", '# of mine\nmaximize = "acc"\n[slurm]\ngres = "gpu:1"\n')
    assert project.adopts("python", "mnist.py").code == 0
    said = project.modeldir("search", "experiments/base_model", "lr=0.1,0.2", "--dry-run")
    assert "python mnist.py --batch-size 64" in said.out
    assert project.settings().startswith('# of mine\nmaximize = "acc"\n')
    assert '[slurm]\ngres = "gpu:1"' in project.settings()


def test_settings_of_windows_editors_get_a_command(project: Adopting) -> None:
    """They may begin with a byte order mark."""
    project.write("modeldir.toml", '\ufeffmaximize = "acc"\n')
    assert project.adopts("python", "mnist.py").code == 0
    assert project.settings() == 'maximize = "acc"\ncommand = "python mnist.py {flags:-}"\n'


def test_a_script_of_the_course_needs_nothing(
    project: Adopting, snapshot: SnapshotAssertion
) -> None:
    """It takes `--model_dir` and reads params.json, and is not even started."""
    project.write(
        "train.py",
        f"{ARGPARSE}parser.add_argument('--model_dir')\nargs = parser.parse_args()\n"
        "open(args.model_dir + '/params.json')\nopen('ran', 'w')\n",
    )
    assert project.adopts("python", "train.py").out == snapshot(name="empty")
    project.params("experiments/base_model", learning_rate=0.01, batch_size=16)
    said = project.adopts("python", "train.py")
    assert said.out == snapshot(name="with a base config")
    assert not (project.path / "ran").exists()


def test_a_first_look_at_the_command_line_is_not_the_last(project: Adopting) -> None:
    """Options that a script adds after `parse_known_args` are known, too."""
    assert "lambda_A" in project.adopts("python", "gan.py", "--dataroot", "x").out


def test_a_script_may_only_look_at_what_it_knows(project: Adopting) -> None:
    """A last `parse_known_args` is where a script is held."""
    project.write(
        "train.py",
        f"{ARGPARSE}parser.add_argument('--lr', default=0.1)\n"
        "args, rest = parser.parse_known_args()\nopen('ran', 'w')\n",
    )
    assert project.adopts("python", "train.py").code == 0
    assert not (project.path / "ran").exists()


def test_a_parser_that_is_asked_for_its_defaults_is_not_the_scripts(project: Adopting) -> None:
    """`parse_args([])` does not read the command line."""
    project.write(
        "train.py",
        f"{ARGPARSE}parser.add_argument('--inner', type=int, default=1)\nparser.parse_args([])\n"
        "parser.add_argument('--lr', type=float, default=0.1)\nparser.parse_args()\n",
    )
    said = project.adopts("python", "train.py", "--lr", "0.5")
    assert read(project.path / "experiments/base_model/params.json") == {"inner": 1, "lr": 0.5}, (
        said
    )


def test_two_at_once_write_one_file(project: Adopting) -> None:
    """The second one finds a file that is there, and leaves it."""
    with project.started_as("adopt", "--", "python", "mnist.py") as first:
        second = project.adopts("python", "mnist.py")
        first.wait()
        assert sorted([first.returncode, second.code]) in ([0, 0], [0, 2])
    assert len(read(project.path / "experiments/base_model/params.json")) == 10
    assert project.settings() == 'command = "python mnist.py {flags:-}"\n'


@pytest.mark.parametrize(
    ("name", "value", "place"),
    [
        ("--output_dir", None, "{model_dir}"),
        ("--save-dir", "runs", "{model_dir}"),
        ("--logdir", "./logs/a.b/c", "{model_dir}"),
        ("--trainer.default_root_dir", None, "{model_dir}"),
        ("hydra.run.dir", "outputs/${now:%Y-%m-%d}", "{model_dir}"),
        ("--save", "nets/model.pt", "{model_dir}/model.pt"),
        ("--log-file", "train.log", "{model_dir}/train.log"),
        ("--checkpoint_dir", None, None),
        ("--output", 10, None),
        ("--output_features", "10", None),
        ("--data_dir", "data", None),
        ("--resume", "last.pt", None),
    ],
)
def test_output_options_are_known_by_name(name: str, value: object, place: str | None) -> None:
    """A folder that scripts also read from is none without a default."""
    assert placed(name, value) == place


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ({"epochs": 3, "model.learning_rate": 1e-5}, ("model.learning_rate", "0.0001,1e-05,1e-06")),
        ({"lr": None, "blr": 0.1}, ("blr", "1,0.1,0.01")),
        ({"lr": None, "epochs": 1}, ("lr", "0.1,0.01,0.001")),
        ({"workers": 4, "batch_size": 32}, ("batch_size", "32,64")),
        ({"lr": 0, "amp": True, "seed": 3}, ("seed", "0,1,2")),
        ({"name": "a", "amp": False}, None),
    ],
)
def test_what_to_search_first(values: dict[str, Any], found: tuple[str, str] | None) -> None:
    """The learning rate where there is one, else another number."""
    assert first_search(values) == found
