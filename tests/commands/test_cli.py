"""The command `modeldir`: its help, its exit codes, and how errors reach a user."""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest
from syrupy.assertion import SnapshotAssertion

from laboratory import THREE, Project, let_it_be_long_ago
from modeldir import __version__, commands
from modeldir.errors import SearchError
from modeldir.results import plots

COMMANDS = [name for _, group in commands.GROUPS for name, _ in group]
EVERY = [
    name for name in COMMANDS if find_spec(f"modeldir.commands.{commands.module(name)}") is not None
]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


# -- Help ------------------------------------------------------------------------------------------


def test_the_overview_is_one_screen(
    capsys: pytest.CaptureFixture[str], snapshot: SnapshotAssertion
) -> None:
    """Grouped by what a reader wants to do; however it is asked for, the same."""
    said = []
    for words in [], ["--help"], ["-h"], ["help"]:
        assert commands.main(words) == 0
        said.append(capsys.readouterr().out)
    assert said == [commands.overview() + "\n"] * 4
    assert said[0] == snapshot
    assert max(map(len, said[0].splitlines())) <= 80


@pytest.mark.parametrize("name", EVERY)
def test_every_command_has_a_page_of_help(
    name: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    snapshot: SnapshotAssertion,
) -> None:
    """The help page of each command ends with a line to copy."""
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit) as left:
        commands.main([name, "--help"])
    assert left.value.code == 0
    text = capsys.readouterr().out
    assert text == snapshot
    assert "\nexample" in text
    assert f"modeldir {name}" in text.rpartition("\nexample")[2]


@pytest.mark.parametrize("width", [40, 60, 80, 100])
@pytest.mark.parametrize("name", ["", *EVERY])
def test_help_is_never_wider_than_the_terminal(
    name: str, width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each line of each help page fits, and each option has an explanation of its own."""
    monkeypatch.setenv("COLUMNS", str(width))
    with suppress(SystemExit):
        commands.main([name, "--help"] if name else ["--help"])
    text = capsys.readouterr().out
    assert [line for line in text.splitlines() if len(line) > width] == []
    assert len(text.splitlines()) > 5


@pytest.mark.parametrize("name", EVERY)
def test_every_option_is_explained(name: str) -> None:
    """No option is hidden, and none lacks its line."""
    parser = commands.parser_of(name)
    unexplained = [
        action.option_strings or action.dest
        for action in parser._actions
        if not action.help or action.help == argparse.SUPPRESS
    ]
    assert unexplained == []


def test_every_command_of_the_overview_exists() -> None:
    """What is listed can be called: it has a file with help, an example, and a `run`."""
    assert EVERY == COMMANDS
    for name in EVERY:
        module = import_module(f"modeldir.commands.{commands.module(name)}")
        assert module.HELP
        assert module.EXAMPLE
        assert callable(module.configure)
        assert callable(module.run)


@pytest.mark.parametrize(
    ("command", "package"),
    [("search", "samplers"), ("search", "pruners"), ("search", "launchers")],
)
def test_help_names_everything_that_can_be_chosen(
    command: str, package: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The help page lists each sampler, pruner and launcher."""
    with pytest.raises(SystemExit):
        commands.main([command, "--help"])
    names = set(import_module(f"modeldir.{package}").NAMES) - {"local"}
    assert names <= set(re.findall(r"\w+", capsys.readouterr().out))


def test_help_of_plot_names_each_kind(capsys: pytest.CaptureFixture[str]) -> None:
    """`modeldir plot --help` explains each kind of figure."""
    with pytest.raises(SystemExit):
        commands.main(["plot", "--help"])
    assert set(plots.KINDS) <= set(re.findall(r"\w+", capsys.readouterr().out))


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """Both ways of asking."""
    assert [commands.main(["--version"]), commands.main(["-V"])] == [0, 0]
    assert capsys.readouterr().out == f"modeldir {__version__}\n" * 2


def test_help_of_a_command_that_there_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    """Names the nearest, as the command by itself would."""
    assert commands.main(["help", "serach"]) == 2
    assert "did you mean 'search'?" in capsys.readouterr().err


def test_synthesize_is_another_name_for_results(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Readers of the course find its word."""
    with pytest.raises(SystemExit):
        commands.main(["synthesize", "--help"])
    assert "modeldir results [DIR" in capsys.readouterr().out


def modules_loaded_by(words: list[str], folder: Path) -> set[str]:
    """Run a command in a folder and return the names of the modules that it loads."""
    code = (
        "import sys; before = set(sys.modules); from modeldir.commands import main\n"
        f"try: code = main({words!r})\n"
        "except SystemExit as left: code = left.code\n"
        "print(*sorted(set(sys.modules) - before), file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True
    )
    assert done.stdout
    return {*done.stderr.split()}


LIBRARIES = {"numpy", "optuna", "cmaes", "scipy", "torch", "ray", "matplotlib", "pydantic", "rich"}


def test_the_overview_loads_nothing_slow(tmp_path: Path) -> None:
    """`modeldir --help` loads no parser, no command and no slow module of the standard library."""
    slow = {"argparse", "dataclasses", "inspect", "subprocess", "threading", "tempfile", "logging"}
    loaded = modules_loaded_by(["--help"], tmp_path)
    assert not loaded & {*slow, *LIBRARIES, "datetime", "json", "typing"}
    assert {each for each in loaded if each.startswith("modeldir.commands.")} == set()


@pytest.mark.parametrize(
    "line",
    [
        "search --help",
        "show experiment",
        "show search",
        "stop search",
        "log experiment",
        "synthesize experiment",
        "search search learning_rate=1,2 --no-check -- python train.py",
    ],
)
def test_a_command_loads_no_library_that_it_does_not_need(line: str, tmp_path: Path) -> None:
    """Commands that only read folders, and a grid search, wait for no numerical library."""
    for folder in ("experiment", "search"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "params.json").write_text('{"learning_rate": 0.1}\n')
    (tmp_path / "experiment" / "train.log").write_text("epoch 1\n")
    (tmp_path / "search" / "search.json").write_text('{"space": {"learning_rate": [1, 2]}}\n')
    (tmp_path / "train.py").touch()
    words = [sys.executable if word == "python" else word for word in line.split()]
    assert not modules_loaded_by(words, tmp_path) & LIBRARIES


def test_show_of_a_search_reads_each_of_its_trials_once(project: Project) -> None:
    """One listing of its folder, one reading of what it says: it is most of what `show` takes."""
    assert project.searches("learning_rate=0.1,0.01", "--no-check").code == 0
    let_it_be_long_ago(project.path / "experiments/search")
    code = (
        "import sys; from modeldir.commands import main; from modeldir.commands import show\n"
        "def hear(what, given):\n"
        "    if what in {'open', 'os.listdir', 'os.scandir'}:\n"
        "        told.append(f'{what} {given[0]}')\n"
        "told = []; sys.addaudithook(hear); main(['show', 'experiments/search'])\n"
        "print(*told, sep='\\n', file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=project.path, capture_output=True, text=True, check=True
    )
    assert "2 completed" in done.stdout
    trial = "experiments/search/learning_rate_0.01"
    done_there = [each.partition(" ") for each in done.stderr.splitlines() if trial in each]
    opened = [path.removeprefix(f"{trial}/") for what, _, path in done_there if what == "open"]
    once = ["metrics_eval_best_weights.json", "params.json", "run.json"]
    assert sorted(name for name in opened if name != "trial.json") == once
    assert opened.count("trial.json") <= 2  # also by who asks whether the folder is still its own
    assert sum(what in {"os.listdir", "os.scandir"} for what, _, _ in done_there) == 1
    marks = [each for each in done.stderr.splitlines() if each.endswith("search/.modeldir/trials")]
    assert len(marks) <= 3


# -- Mistakes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["serach", "frobnicate", "--verison", "result", "report"])
def test_an_unknown_command_names_the_nearest(
    word: str, capsys: pytest.CaptureFixture[str], snapshot: SnapshotAssertion
) -> None:
    """Exit code 2, and what was probably meant."""
    assert commands.main([word]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == snapshot


@pytest.mark.parametrize(
    "words", [["search"], ["search", "d", "--trials", "two"], ["search", "d", "--tirals", "3"]]
)
def test_an_option_that_is_wrong_is_exit_code_2(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """As argparse says it, with the usage."""
    with pytest.raises(SystemExit) as left:
        commands.main(words)
    assert left.value.code == 2
    assert capsys.readouterr().err.startswith("usage: modeldir search DIR")


@pytest.mark.parametrize(
    "line",
    [
        "run experiments/base_model python train.py",
        "run experiments/base_model -q train.py --data_dir data",
        "run",
        "show",
        "search experiments/search learning_rate=0.1 --trails 3",
        "search experiments/search learning_rate=0.1 --trials many",
        "search experiments/search learning_rate=0.1 --trials",
        "search experiments/search learning_rate=0.1 python train.py",
        "search train.py learning_rate=0.1",
        "log experiments/search -n 3",
        "log experiments/search -20",
        "log experiments",
        "search experiments/search learnin_rate=0.1",
        "search experiments/search learning_rate=log_uniform:0,1",
        "search experiments/search learning_rate=int:1,2.5",
        "search experiments/search learning_rate=",
        "show experimnts/serch",
    ],
)
def test_a_mistake_is_answered_with_what_to_type(
    project: Project, line: str, snapshot: SnapshotAssertion
) -> None:
    """A command without `--`, an option of another tool, a folder left out, a domain for a plan."""
    project.params("experiments/base_model", learning_rate=0.5)
    project.write("train.py", "")
    said = project.modeldir(*line.split())
    assert (said.code, said.out) == (2, "")
    assert said.err == snapshot


def test_a_mistake_in_the_plan_s_file_is_not_one_of_the_command_line(project: Project) -> None:
    """And the other way round: what cannot be searched is named."""
    path = project.search / "search.json"
    path.write_text('{"space": {"learning_rate": {"log_uniform": [0, 1]}}}')
    said = project.searches("batch_size=8,16").err
    assert said.startswith("error: experiments/search/search.json cannot be searched:\n")
    assert '    use {"uniform": ...} to include zero\n' in said
    path.write_text('{"space": {"learning_rate": [0.1]}}')
    said = project.searches("batchsize=8,16").err
    assert said.startswith("error: experiments/search cannot be searched as asked:\n")


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("synthesize d --format cvs", "csv"),
        ("export d --to optna", "optuna"),
        ("import d --from=tensorbord", "tensorboard"),
        ("export d --too optuna", "--to"),
        ("search --sampel tpe -- python train.py --sampler tpe", "--sampler"),
        ("synthesize d --sorrt=accuracy --collumns accuracy", "--sort --columns"),
        ("search d --slot 2", "--jobs"),
        ("search d --slots=2 --parallel 4", "--jobs --jobs"),
        ("search d --timeout 3h --metric accuracy", "--time-limit --maximize"),
        (
            "search d --Warm_Start_From e --n_jobs 2 --gpu 1",
            "--warm-start-from --jobs --gpus-per-trial",
        ),
        ("search d --one-job --tri 3 --constr x", "--one-job-per-trial --constraint"),
        ("synthesize d --col x --metrics f", "--columns --metrics-file"),
        ("search d --epochs 3 --verbose --batch_size 32 --gres gpu", ""),
        ("synthesize d --slots 3", ""),
        ("synthesize d --tpo 3", "--top"),
        ("export d --to excel", ""),
        ("worker", ""),
    ],
)
def test_argparse_s_own_errors_name_the_nearest(
    line: str, meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A choice, an option; also where the misspelled one is thought to be missing."""
    with pytest.raises(SystemExit) as left:
        commands.main(line.split())
    assert left.value.code == 2
    hints = [text for text in capsys.readouterr().err.splitlines() if "did you mean" in text]
    assert hints == [f"  did you mean {word!r}?" for word in meant.split()]


def test_an_option_is_never_guessed(capsys: pytest.CaptureFixture[str]) -> None:
    """`--tri` is not `--trials` today and `--tries` tomorrow."""
    with pytest.raises(SystemExit):
        commands.main(["search", "d", "--tri", "3"])
    assert "unrecognized arguments: --tri" in capsys.readouterr().err


def commanding(monkeypatch: pytest.MonkeyPatch, error: BaseException | None) -> None:
    """Make `modeldir best` a command that raises an error, or prints a line and returns 7."""

    def run(arguments: argparse.Namespace) -> int:
        if error is not None:
            raise error
        return 7

    def configure(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("words", nargs="*")

    fake = SimpleNamespace(HELP="", EXAMPLE="", configure=configure, run=run)
    monkeypatch.setitem(sys.modules, "modeldir.commands.best", fake)


@pytest.mark.parametrize("words", ["synthesize", "best .", "log one"])
def test_a_closed_output_is_nobodys(tmp_path: Path, words: str) -> None:
    """As a daemon may have it: what is printed goes nowhere, and into no file that is opened."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "params.json").write_text(f'{{"rate": "{name}"}}')
        (tmp_path / name / "train.log").write_text("hello\n")
        (tmp_path / name / "metrics_eval_best_weights.json").write_text('{"loss": 1}')
    command = f"{sys.executable} -m modeldir {words} >&-"
    done = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    "words",
    ["--help", "--version", "show --help", "show one", "log one", "synthesize", "diff one two"],
)
def test_a_full_output_is_one_line(tmp_path: Path, words: str, unbuffered: str) -> None:
    """As a redirection to a full disk has it: told, and the exit code of all other errors."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "params.json").write_text(f'{{"rate": "{name}"}}')
        (tmp_path / name / "train.log").write_text("hello\n")
    done = subprocess.run(
        f"{sys.executable} -m modeldir {words} > /dev/full",
        shell=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
        capture_output=True,
        text=True,
        check=False,
    )
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert line.endswith(": No space left on device")
    assert done.returncode == 2


@pytest.mark.parametrize("words", ["--help", "show one", "show --help"])
def test_a_reader_that_has_left_is_nobody_s_error(tmp_path: Path, words: str) -> None:
    """`| head` may have read enough before all is printed, also before the very end."""
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "params.json").write_text("{}")
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "modeldir", *words.split()]
    done = subprocess.run(
        command, cwd=tmp_path, stdout=writing, stderr=subprocess.PIPE, check=False
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (None, 7, ""),
        (SearchError("a mistake\n  what to type"), 2, "error: a mistake\n  what to type\n"),
        (KeyboardInterrupt(), 130, ""),
        (BrokenPipeError(), 0, ""),
        (
            PermissionError(13, "Permission denied", "a/b"),
            2,
            "error: a/b: Permission denied\n",
        ),
        (OSError("odd"), 2, "error: odd\n"),
    ],
)
def test_an_end_becomes_an_exit_code(
    error: BaseException | None,
    code: int,
    words: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A user's mistake is a message and 2, an interruption 130, a reader that left is no error."""
    commanding(monkeypatch, error)
    monkeypatch.setattr(sys, "stdout", sys.stdout)  # a broken pipe takes it away
    assert commands.main(["best"]) == code
    assert capsys.readouterr().err == words


def test_a_mistake_of_ours_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    """It must reach the bug report."""
    commanding(monkeypatch, ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        commands.main(["best"])


def test_the_users_command_comes_after_two_dashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its words are never taken for ours, whatever they look like; only the first `--` counts."""
    seen = []

    def run(arguments: argparse.Namespace) -> int:
        seen.append((arguments.words, arguments.command))
        return 0

    commanding(monkeypatch, None)
    monkeypatch.setattr(sys.modules["modeldir.commands.best"], "run", run)
    commands.main(["best", "a", "--", "python", "--help", "--", "-j"])
    commands.main(["best", "a"])
    commands.main(["best", "--"])
    assert seen == [(["a"], ["python", "--help", "--", "-j"]), (["a"], None), ([], [])]


# -- As a process ----------------------------------------------------------------------------------


def test_the_console_script_and_the_module_are_the_same(project: Project) -> None:
    """`modeldir` and `python -m modeldir`."""
    script = Path(sys.executable).with_name("modeldir")
    done = subprocess.run([script, "frobnicate"], capture_output=True, text=True, check=False)
    module = project.modeldir("frobnicate")
    assert (done.returncode, done.stdout, done.stderr) == (2, module.out, module.err)


@pytest.mark.parametrize(("more", "told"), [("", "True True\n"), ("COLLECTS=False, ", "False ")])
def test_a_command_has_its_garbage_collected(more: str, told: str) -> None:
    """Only what was imported for it is never looked through; and nothing where it ends at once."""
    code = (
        "import gc, sys, types; from modeldir.commands import entry; "
        "told = lambda _: print(gc.isenabled(), gc.get_freeze_count() > 0) or 7; "
        f"fake = types.SimpleNamespace({more}"
        "HELP='', EXAMPLE='', configure=lambda _: None, run=told); "
        "sys.modules['modeldir.commands.best'] = fake; sys.argv = ['modeldir', 'best']; entry()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 7
    assert done.stdout.startswith(told)


def test_exit_codes_of_a_search(project: Project) -> None:
    """0 all well, 1 some trial failed, 2 wrong use (130 is shown with the workers)."""
    assert project.searches("learning_rate=0.1").code == 0
    project.write("fail.learning_rate_0.2", "")
    assert project.searches("learning_rate=0.2").code == 1
    assert project.searches("learning_rat=0.2").code == 2
    assert project.modeldir("search", "nowhere", *THREE).code == 2


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("synthesize", 0),
        ("best .", 1),
        ("show nowhere", 2),
        ("show --nothing", 2),
        ("nothing", 2),
        ("show one > /dev/full", 2),
    ],
)
@pytest.mark.parametrize("where", ["2> /dev/full", "2>&1 >/dev/null | true"])
def test_who_cannot_be_told_learns_it_by_the_exit_code(
    tmp_path: Path, words: str, code: int, where: str
) -> None:
    """Messages that cannot be written change no answer."""
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "params.json").write_text("{")
    command = f"sleep 0.2; {sys.executable} -m modeldir {words}"
    done = subprocess.run(
        ["bash", "-c", f"{{ {command}; echo $? > code; }} {where}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    assert (tmp_path / "code").read_text() == f"{code}\n"
