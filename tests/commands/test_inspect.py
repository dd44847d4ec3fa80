"""The commands that look: synthesize, best, show, diff and log, as they are typed."""

from __future__ import annotations

import csv
import json
import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from modeldir import commands
from modeldir._system import processes
from modeldir._system.shell import quoted
from modeldir.commands import log
from modeldir.experiment import attempts
from modeldir.search import finished_experiments, worker_registry

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from syrupy.assertion import SnapshotAssertion

BASE = {"learning_rate": 0.001, "batch_size": 32, "model": {"layers": 2, "name": "mlp"}}
EVAL = "metrics_eval_best_weights.json"
SEARCH = "experiments/learning_rate"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(path: Path, value: object) -> None:
    """A JSON file, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def make(folder: str, changes: Mapping[str, Any] | None = None, **metrics: object) -> Path:
    """An experiment as any script leaves it: hyperparameters, and development metrics if given."""
    write(Path(folder) / "params.json", {**BASE, **(changes or {})})
    if metrics:
        write(Path(folder) / EVAL, metrics)
    return Path(folder)


def record(
    folder: Path, status: str | None = "completed", number: int = 1, **facts: object
) -> None:
    """A run file in an experiment, of an attempt that ended if a status is given."""
    command = ["python", "train.py", "--model_dir", str(folder)]
    attempt = attempts.begin(folder, number, {"supervisor": None, "process": None})
    assert attempt is not None
    started = "2026-11-23T10:00:00.000+00:00"
    attempts.rewrite(attempt, {"started": started, "status": status, "command": command, **facts})


def search() -> None:
    """Three trials by learning rate: a good one, one that failed, one that never ran."""
    write(Path(SEARCH) / "params.json", BASE)
    plan = {"space": {"learning_rate": [0.1, 0.01, 0.001]}, "maximize": "accuracy"}
    write(Path(SEARCH) / "search.json", {**plan, "command": "python train.py"})
    good = make(f"{SEARCH}/learning_rate_0.01", {"learning_rate": 0.01}, accuracy=0.9711111111111)
    record(good, duration=75.4)
    bad = make(f"{SEARCH}/learning_rate_0.1", {"learning_rate": 0.1})
    record(bad, "failed", failure="error", last_line="ValueError: the loss is nan", duration=1.5)
    make(f"{SEARCH}/learning_rate_0.001")


def typed(*words: str) -> subprocess.CompletedProcess[str]:
    """A command as a shell runs it, with its output in a pipe."""
    return subprocess.run(
        [sys.executable, "-m", "modeldir", *words], capture_output=True, text=True, check=False
    )


def in_terminal(columns: int, *words: str) -> str:
    """What a command shows in a terminal of so many columns."""
    reader, terminal = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(columns), "TERM": "xterm"}
    command = [sys.executable, "-m", "modeldir", *words]
    subprocess.run(command, env=environment, stdout=terminal, stderr=terminal, check=False)
    os.close(terminal)
    shown = os.read(reader, 100_000).decode().replace("\r\n", "\n")
    os.close(reader)
    return shown


@pytest.mark.parametrize(
    "line",
    [
        "show nowhere/where_there_is_not_a_folder_of_this_long_name",
        "search nowhere learning_rate=0.1",
        "search experiments/learning_rate --sampler nothing_of_the_kind --trials 20 -- python a.py",
        "search experiments/learning_rate --tirals 3 --maximze accuracy --samplr random",
        "synthesize experiments --columns experiment,learning_rate,nothing",
        "run experiments/base_model python train.py",
        "run",
    ],
)
def test_a_message_is_broken_between_words_and_in_no_command(line: str) -> None:
    """In a terminal of 60 columns: what is to be typed stays one line, and can be copied."""
    search()
    make("experiments/base_model")
    whole = typed(*line.split()).stderr
    narrow = in_terminal(60, *line.split())
    assert narrow.split() == whole.split()
    for each in narrow.splitlines():
        is_typed = "modeldir " in each or "pip install" in each
        assert len(each) <= 60 or is_typed or " " not in each.strip()
    commands = [each for each in whole.splitlines() if each.startswith("  modeldir ")]
    assert {*commands} <= {*narrow.splitlines()}


def test_a_long_list_of_values_is_broken_between_them() -> None:
    """`show` of a search, in a terminal; in a pipe it is one line, and so is the command."""
    search()
    plan = json.loads((Path(SEARCH) / "search.json").read_text())
    plan["space"]["learning_rate"] = [round(0.0005 * n, 4) for n in range(1, 31)]
    plan["command"] = "python train.py " + " ".join(f"--option{n} {n}" for n in range(8))
    write(Path(SEARCH) / "search.json", plan)
    narrow = in_terminal(60, "show", SEARCH).splitlines()
    whole = typed("show", SEARCH).stdout.splitlines()
    (values,) = [line for line in whole if line.startswith("space ")]
    at = next(n for n, line in enumerate(narrow) if line.startswith("space "))
    assert len(values) > 200
    assert " ".join(narrow[at:]).split()[: len(values.split())] == values.split()
    assert all(len(line) <= 60 and line.startswith(" " * 9) for line in narrow[at + 1 : at + 5])
    assert next(line for line in whole if line.startswith("command ")) in narrow


def test_a_look_ahead_is_broken_between_words() -> None:
    """In a terminal of 60 columns, but for the command; in a pipe each is one line."""
    search()
    Path("train.py").write_text("")
    words = ("search", SEARCH, "--dry-run")
    narrow = in_terminal(60, *words).splitlines()
    whole = typed(*words).stdout.splitlines()
    assert " ".join(narrow).split() == " ".join(whole).split()
    assert any(line.startswith("time: ") and len(line) > 60 for line in whole)
    assert all(len(line) <= 60 or "python " in line for line in narrow)


def test_a_message_in_a_pipe_is_as_it_was_written() -> None:
    """A program that reads it finds its lines."""
    said = typed("search", "nowhere", "learning_rate=0.1").stderr
    assert said.startswith("error: nowhere: no such folder; a search needs a base config.\n")


# -- synthesize ------------------------------------------------------------------------------------


def test_synthesize_in_a_pipe(snapshot: SnapshotAssertion) -> None:
    """The table alone, every digit; results.md and results.csv lie in the folder."""
    search()
    done = typed("synthesize", SEARCH)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == snapshot
    assert {"results.md", "results.csv"} <= set(os.listdir(SEARCH))


def test_synthesize_in_a_terminal(
    snapshot: SnapshotAssertion, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table is made to fit, and below it stands what to type next."""
    monkeypatch.setenv("NO_COLOR", "1")
    search()
    assert in_terminal(60, "synthesize", SEARCH) == snapshot


def test_all_columns_in_a_terminal() -> None:
    """Whoever asks for all columns gets them all, however narrow the terminal."""
    search()
    assert "model.layers" in in_terminal(40, "synthesize", "--all-columns", SEARCH)


def test_experiments_that_differ_in_their_seed_alone_are_remarked_upon() -> None:
    """Somebody's own runs over seeds: how they become one row; not where they are one already."""
    for number in range(4):
        make(f"experiments/{number}", {"seed": number % 2, "batch_size": number // 2}, accuracy=0.5)
    told = "seeds:   some of the 4 rows differ only in the seed. --group seed prints 2 rows with"
    assert told in in_terminal(100, "synthesize", "experiments")
    assert "seeds:" not in in_terminal(100, "synthesize", "experiments", "--group", "seed")
    assert "0.5 ± 0" in in_terminal(100, "synthesize", "experiments", "--group", "seed")
    assert "seeds:" not in in_terminal(100, "synthesize", "experiments", "--where", "seed == 0")


def test_rows_that_all_differ_only_in_the_seed_have_one_mean() -> None:
    """The line below the table says so of all rows, not of some."""
    for number in range(3):
        make(f"experiments/{number}", {"seed": number}, accuracy=0.5)
    told = "seeds:   the 3 rows differ only in the seed. --group seed prints their mean"
    assert told in in_terminal(100, "synthesize", "experiments")


@pytest.mark.parametrize("options", [(), ("--per-seed",), ("--group", "seed")])
def test_no_single_seed_is_proposed_for_the_test_data(options: tuple[str, ...]) -> None:
    """The luckiest seed is no best experiment: the next step is the confirmation, or its answer."""
    search = Path("experiments/search")
    Path("evaluate.py").touch()
    for path in (search, search / "confirm"):
        for seed in (1, 2):
            folder = make(f"{path}/lr_0.1__seed_{seed}", {"lr": 0.1, "seed": seed}, accuracy=seed)
            record = {"number": seed, "configuration": {"lr": 0.1}, "repeat": seed}
            (folder / "trial.json").write_text(json.dumps(record))
        (path / "search.json").write_text('{"space": {"lr": [0.1]}, "repeats": 2}')
    (search / "confirm/confirm.json").write_text("{}")
    shown = in_terminal(100, "results", str(search), *options)
    assert "best:    lr_0.1, by the mean of 2 seeds\n" in shown
    assert "next:    modeldir confirm experiments/search   (train the best again" in shown
    shown = in_terminal(100, "results", f"{search}/confirm", *options)
    assert "next:    modeldir confirm experiments/search   (the answer of the test)\n" in shown


def test_the_best_of_some_rows_is_not_called_the_best() -> None:
    """With `--where` the line below the table names the best of the rows that are shown."""
    for number in range(2):
        make(f"experiments/{number}", {"seed": number}, accuracy=number / 2)
    assert "best:    experiments/1" in in_terminal(100, "synthesize", "experiments")
    some = in_terminal(100, "synthesize", "experiments", "--where", "seed == 0")
    assert "best of these rows: experiments/0" in some
    assert "best:  " not in some


def test_a_group_tells_a_seed_that_is_one_once(capsys: pytest.CaptureFixture[str]) -> None:
    """The same run three times has one seed: how often is told beside it."""
    for index in range(3):
        make(f"runs/same_{index}", {"seed": 230}, accuracy=0.5)
        make(f"runs/other_{index}", {"seed": index, "batch_size": 64}, accuracy=0.5)
    commands.main(["synthesize", "runs", "--group", "seed", "--format", "csv"])
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert {row["seed"] for row in rows} == {"230", "[0, 1, 2]"}


def test_a_note_on_a_search() -> None:
    """`search -m`: each trial keeps the note of its time; one that all share is told below."""
    write(Path("s/params.json"), {"width": 1})
    script = (
        "import json, sys; json.dump({'accuracy': 1}, open(sys.argv[1] + '/" + EVAL + "', 'w'))"
    )
    command = ["--no-check", "--", sys.executable, "-c", script, "{model_dir}"]
    assert typed("search", "s", "width=1,2", "-m", "as it was", *command).returncode == 0
    for _ in range(2):  # what it wrote is replaced
        done = typed("synthesize", "s")
        assert "the note of all: as it was" in done.stdout
        assert done.stderr == ""
    more = typed("search", "s", "width=3", "-m", "wider")
    assert "note: as it was -> wider" in more.stdout
    rows = typed("synthesize", "s", "--columns", "width,note", "--format", "csv").stdout.split("\n")
    assert sorted(rows[1:4]) == ["1,as it was", "2,as it was", "3,wider"]
    assert "note" in typed("synthesize", "s").stdout.splitlines()[2]
    assert json.loads(Path("s/width_3/trial.json").read_text())["note"] == "wider"
    assert "note     wider" in re.sub(" +", " " * 5, typed("show", "s").stdout)


def test_next_is_the_projects_own_evaluation() -> None:
    """Where an evaluate.py lies, the best experiment is to be evaluated; once it is, not again."""
    search()
    Path("evaluate.py").touch()
    best = f"{SEARCH}/learning_rate_0.01"
    command = f"python evaluate.py --model_dir {best}"
    assert command in in_terminal(80, "synthesize")
    assert command in typed("show", best).stdout
    Path(best, "metrics_test_best_weights.json").write_text('{"accuracy": 0.9}')
    assert f"modeldir show {best}" in in_terminal(80, "synthesize")
    assert f"next: modeldir log {best}" in typed("show", best).stdout


def test_a_table_in_a_file(snapshot: SnapshotAssertion) -> None:
    """Of the form that its name says, or that is asked for; it is not printed. A name that says
    another is refused.
    """
    search()
    for name, begins in (("t.tex", "% learning_rate"), ("t.html", "<!doctype"), ("t.csv", "exp")):
        done = typed("synthesize", SEARCH, "-o", name)
        assert done.stdout.startswith(f"written: {name} (")
        assert Path(name).read_text().startswith(begins)
    done = typed("synthesize", SEARCH, "-o", "t.pdf")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == snapshot
    assert not Path("t.pdf").exists()
    typed("synthesize", SEARCH, "--format", "markdown", "-o", "t.txt")
    assert Path("t.txt").read_text().startswith("# learning_rate: 3")
    done = typed("synthesize", SEARCH, "-o", "no/such/t.csv")
    assert (done.returncode, done.stderr) == (
        2,
        "error: no/such/t.csv was not written: No such file or directory\n",
    )


def test_a_choice_from_the_command_line() -> None:
    """Rows, columns and order as they are typed, with commas between names."""
    search()
    words = ["--where", "learning_rate < 0.05", "--columns", "learning_rate, status", "--reverse"]
    done = typed("synthesize", SEARCH, *words, "--sort", "learning_rate", "--format", "csv")
    assert done.stdout == "learning_rate,status\n0.01,completed\n0.001,pending\n"
    assert typed("synthesize", SEARCH, "--top", "0").returncode == 2


def test_show_of_a_trial_that_is_to_run_again() -> None:
    """After `retry --pruned` it says so, and what to type; so does its search."""
    search()
    trial = Path(f"{SEARCH}/learning_rate_0.1")
    write(trial / "trial.json", {"number": 3, "configuration": {"learning_rate": 0.1}})
    marks = Path(SEARCH) / ".modeldir" / "trials"
    marks.mkdir(parents=True)
    (marks / "000003.again.2").touch()
    told = typed("show", str(trial)).stdout
    assert f"to run again as attempt 2: modeldir search {SEARCH}" in told
    assert "to run again" in typed("show", SEARCH).stdout
    (marks / "000003.again.2").rename(marks / "000003.again.1")
    assert "to run again" not in typed("show", str(trial)).stdout


def test_show_of_a_trial_against_the_best() -> None:
    """What is not as in its base and the best trial, and both metrics; of the best, that it is."""
    search()
    trial = make(f"{SEARCH}/learning_rate_0.1", {"learning_rate": 0.1}, accuracy=0.5)
    write(trial / "trial.json", {"number": 3, "configuration": {"learning_rate": 0.1}})
    best = Path(f"{SEARCH}/learning_rate_0.01")
    write(best / "trial.json", {"number": 1, "configuration": {"learning_rate": 0.01}})
    lines = [line.split() for line in typed("show", str(trial)).stdout.splitlines()]
    assert ["hyperparameter", "base", "learning_rate_0.01", "(best)", "here"] in lines
    assert ["learning_rate", "0.001", "0.01", "0.1"] in lines
    assert ["accuracy", "0.971111", "0.5", "-0.4711"] in lines
    assert not any(line[:1] == ["batch_size"] and len(line) > 2 for line in lines)
    assert "it is the best of its search" in typed("show", str(best)).stdout


def test_a_note_on_a_run() -> None:
    """`run -m` keeps it in run.json; it is a column of the table."""
    make("a")
    command = [sys.executable, "-c", "pass"]
    assert typed("run", "a", "-m", "with dropout", "-q", "--", *command).returncode == 0
    assert json.loads(Path("a/run.json").read_text())["note"] == "with dropout"
    assert "with dropout" in typed("synthesize", "a").stdout


@pytest.mark.parametrize(
    "name", ["a b", "it's", "esc\x1b[2J", "two\nlines", "back\\slash\x07", "no\udcff"]
)
def test_a_path_is_told_as_a_shell_takes_it(name: str) -> None:
    """Nothing of it is obeyed by the terminal; bash makes the very bytes of it again."""
    told = quoted(name)
    assert told.isprintable()
    done = subprocess.run(["bash", "-c", f"printf %s {told}"], capture_output=True, check=True)
    assert done.stdout == os.fsencode(name)


def test_a_name_with_escapes_reaches_no_terminal() -> None:
    """Neither in what is told of it, nor in what to type next."""
    make("s/esc\x1b[2J\x07", accuracy=0.5)
    for words in (["show", "s/esc\x1b[2J\x07"], ["synthesize", "s"]):
        shown = in_terminal(80, *words)
        assert "esc\\x1b[2J\\x07" in shown
        assert "\x1b[2J" not in shown
        assert "\x07" not in shown


@pytest.mark.parametrize("words", ["stop", "best", "search", "retry", "remove", "diff", "new"])
def test_what_to_type_next_has_no_escapes(words: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Of a folder with a name that a terminal would obey, whichever command tells of it."""
    name = "esc\x1b[2J"
    make(name)
    code = commands.main([words, name])
    out, err = capfd.readouterr()
    assert code != 2 or "\x1b" not in err  # 2: a mistake, whose message has none at all
    told = [*out.splitlines(), *err.splitlines()]
    typed = [line for line in told if "modeldir " in line and name not in line.split("modeldir")[0]]
    assert typed
    assert not [line for line in typed if "\x1b" in line]


def test_show_several(snapshot: SnapshotAssertion) -> None:
    """One after the other; what is none of both is told at the end, and the answer is 2."""
    search()
    log = Path(f"{SEARCH}/learning_rate_0.1/console.log")
    log.write_text("epoch 1\nTraceback (most recent call last):\nValueError: the loss is nan\n")
    trials = [f"{SEARCH}/learning_rate_{name}" for name in ("0.1", "0.001")]
    done = typed("show", SEARCH, *trials, "experiments/no", "experiments")
    assert done.returncode == 2
    assert done.stdout == snapshot(name="out")
    assert done.stderr == snapshot(name="err")
    everything = typed("show", *map(str, sorted(Path(SEARCH).iterdir())))
    assert (everything.returncode, everything.stderr) == (0, "")
    assert everything.stdout.count("\nnext: ") == 3


@pytest.mark.parametrize("form", ["markdown", "csv", "json", "latex", "html"])
def test_the_other_forms(
    form: str, capsys: pytest.CaptureFixture[str], snapshot: SnapshotAssertion
) -> None:
    """Each is what a file of that kind would hold, nothing before it or after it."""
    search()
    assert commands.main(["results", SEARCH, "--format", form]) == 0
    assert capsys.readouterr().out == snapshot


@pytest.mark.parametrize("option", ["--model_dir", "--parent_dir"])
def test_the_folder_as_cs230s_script_takes_it(
    option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--model_dir` and `--parent_dir` name the folder too; beside another it is one more."""
    search()
    assert commands.main(["synthesize", option, SEARCH]) == 0
    assert capsys.readouterr().out.startswith("learning_rate: 3 experiments")
    make("other", accuracy=0.5)
    assert commands.main(["synthesize", "other", option, SEARCH]) == 0
    assert capsys.readouterr().out.startswith("other and learning_rate: 4 experiments")


def test_warnings_are_no_part_of_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    """They go to standard error, so that what is piped stays a table."""
    search()
    Path(f"{SEARCH}/learning_rate_0.01/{EVAL}").write_text("{")
    assert commands.main(["synthesize", SEARCH, "--format", "csv"]) == 0
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 4
    assert len(err.splitlines()) == 1
    assert err.startswith(
        f"warning: {SEARCH}/learning_rate_0.01/{EVAL}: is not JSON: line 1, column 2"
    )


def test_nothing_to_synthesize(capsys: pytest.CaptureFixture[str]) -> None:
    """No experiments answer 1, and a program still gets a table; a missing folder answers 2."""
    assert commands.main(["synthesize", "."]) == 1
    assert capsys.readouterr().err.startswith("error: no experiment in .")
    assert commands.main(["synthesize", ".", "--format", "json", "--sort", "accuracy"]) == 1
    assert capsys.readouterr().out == "[]\n"
    assert commands.main(["synthesize", "experiments"]) == 2
    assert capsys.readouterr().err == "error: experiments: no such folder\n"


def test_sorting_from_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    """`--sort` takes any column's name, and answers 2 for none."""
    search()
    assert commands.main(["synthesize", SEARCH, "--sort", "learning_rate", "--format", "csv"]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert [row.split(",")[1] for row in rows] == ["learning_rate", "0.001", "0.01", "0.1"]
    assert commands.main(["synthesize", SEARCH, "--sort", "learningrate"]) == 2
    assert "did you mean 'learning_rate'?" in capsys.readouterr().err


# -- best ------------------------------------------------------------------------------------------


def test_best_prints_a_path_alone() -> None:
    """So that it serves in `$(modeldir best DIR)`, whatever lies in the folder."""
    search()
    done = typed("best", SEARCH)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{SEARCH}/learning_rate_0.01\n", "")


def test_best_of_a_path_that_is_no_text() -> None:
    """A shell needs the very bytes."""
    folder = os.fsdecode(b"caf\xe9 au lait")
    make(f"{folder}/a", accuracy=0.5)
    done = subprocess.run(
        [sys.executable, "-m", "modeldir", "best", folder], capture_output=True, check=True
    )
    assert done.stdout == b"caf\xe9 au lait/a\n"


def test_best_by_another_metric(capsys: pytest.CaptureFixture[str]) -> None:
    """`--minimize loss` ranks by it this once, also where the plan says something else."""
    make("experiments/a", accuracy=0.9, loss=2)
    make("experiments/b", accuracy=0.8, loss=1)
    commands.main(["best", "experiments"])
    commands.main(["best", "experiments", "--minimize", "loss"])
    commands.main(["best", "experiments", "--maximize", "loss"])
    assert capsys.readouterr().out.split() == ["experiments/a", "experiments/b", "experiments/a"]


def test_no_best_yet(capsys: pytest.CaptureFixture[str], snapshot: SnapshotAssertion) -> None:
    """Nothing is printed where the path would stand; standard error says why, the answer is 1."""
    folder = make("experiments/a", accuracy=0.5)
    record(folder, "failed")
    make("experiments/b")
    assert commands.main(["best", "experiments"]) == 1
    assert commands.main(["best", "experiments", "--maximize", "acuracy"]) == 1
    assert commands.main(["best", "experiments", "--metric", "acuracy"]) == 1
    assert commands.main(["best", "experiments", "--metric", "sharpness"]) == 1
    Path("empty").mkdir()
    assert commands.main(["best", "empty"]) == 1
    assert commands.main(["best", "experiment"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err == snapshot


# -- show ------------------------------------------------------------------------------------------


def shown(capsys: pytest.CaptureFixture[str], folder: str) -> str:
    """What `modeldir show` prints."""
    assert commands.main(["show", folder]) == 0
    out: str = capsys.readouterr().out
    return out


def test_show_a_completed_trial(
    capsys: pytest.CaptureFixture[str], snapshot: SnapshotAssertion
) -> None:
    """All that its files say, each thing once: attempts, metrics of every kind, nested names."""
    search()
    folder = Path(f"{SEARCH}/learning_rate_0.01")
    write(folder / "metrics_eval_last_weights.json", {"accuracy": 0.9, "loss": 0.25})
    write(folder / "metrics_test_best.json", {"accuracy": 0.96})
    write(folder / "trial.json", {"number": 2, "configuration": {"learning_rate": 0.01}})
    (folder / "train.log").touch()
    (folder / "console.log").touch()
    assert shown(capsys, str(folder)) == snapshot


def test_show_a_failed_attempt(
    capsys: pytest.CaptureFixture[str], snapshot: SnapshotAssertion
) -> None:
    """The class of the failure and its last line; the log is what to look at next."""
    folder = make("experiments/my model")
    record(folder, "completed")
    record(folder, "failed", 2, failure="error", last_line="KeyError: 'lr'", duration=0.25)
    (folder / "console.log").touch()
    assert shown(capsys, str(folder)) == snapshot


def test_show_what_was_derived(
    capsys: pytest.CaptureFixture[str], snapshot: SnapshotAssertion
) -> None:
    """Where it came from, what was changed there, and why."""
    make("experiments/base_model")
    words = ["experiments/wide", "--from", "experiments/base_model", "model.layers=4"]
    assert commands.main(["new", *words, "-m", "is wider better?"]) == 0
    capsys.readouterr()
    assert shown(capsys, "experiments/wide") == snapshot
    write(Path("experiments/wide/search.json"), {"space": {"learning_rate": [0.1]}})
    assert shown(capsys, "experiments/wide") == snapshot(name="a search")


def test_show_what_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """An attempt whose process lives is running; one that left no end was interrupted."""
    folder = make("experiments/a")
    me = processes.process()
    assert me is not None
    attempts.begin(folder, 1, {"supervisor": None, "process": me.to_json()})
    assert "status    running\n" in shown(capsys, "experiments/a")
    attempts.begin(folder, 2, {"supervisor": None, "process": None})
    assert "status    interrupted\n          it ended without recording how\n" in shown(
        capsys, "experiments/a"
    )


def test_show_what_cannot_be_read(
    capsys: pytest.CaptureFixture[str], snapshot: SnapshotAssertion
) -> None:
    """Broken files are told of; the rest is shown."""
    folder = make("experiments/a", accuracy=0.5)
    (folder / "params.json").write_text("{")
    (folder / "metrics_test.json").write_text("[]")
    for name in ("trial.json", "origin.json"):
        (folder / name).write_text('{"configuration": 3, "changes": 4, "from": 5}')
    assert shown(capsys, "experiments/a") == snapshot


def test_show_a_search(capsys: pytest.CaptureFixture[str], snapshot: SnapshotAssertion) -> None:
    """Its plan, its trials by status, the best one, and why others failed."""
    search()
    assert shown(capsys, SEARCH) == snapshot


def test_show_a_random_search_as_it_runs(
    capsys: pytest.CaptureFixture[str], snapshot: SnapshotAssertion
) -> None:
    """Domains in words, how far the running trials are, and of many failures only some."""
    write(Path("s/params.json"), BASE)
    space = {"learning_rate": {"log_uniform": [1e-5, 0.1]}, "batch_size": [16, 32]}
    plan = {"space": space, "minimize": "loss", "sampler": "random", "trials": 20, "seed": 230}
    write(Path("s/search.json"), plan)
    me = processes.process()
    assert me is not None
    folder = make("s/trial_0013", loss=0.5)
    write(folder / "trial.json", {"number": 13, "configuration": {}})
    attempts.begin(folder, 1, {"supervisor": None, "process": me.to_json()})
    (folder / "metrics.jsonl").write_text('{"step": 3, "time": "x", "loss": 0.5}\n')
    for number in range(1, 13):
        failed = make(f"s/trial_{number:04}")
        write(failed / "trial.json", {"number": number, "configuration": {}})
        record(failed, "failed", last_line=f"ValueError: {number}")
    assert shown(capsys, "s") == snapshot


def test_show_what_search_would_not_understand(capsys: pytest.CaptureFixture[str]) -> None:
    """A key that no plan has, as one of an older version: the line has its name and the file."""
    search()
    plan = json.loads(Path(SEARCH, "search.json").read_text())
    write(Path(SEARCH, "search.json"), {**plan, "points": [], "sampller": "tpe"})
    line = f"{SEARCH}/search.json cannot be searched: points: no such key; sampller: no such key\n"
    assert shown(capsys, SEARCH).count(line) == 1


def test_show_a_search_that_reuses_what_cannot_be_read(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing folder, or one like `/` with too many folders, is a line; the rest is shown."""
    search()
    plan = json.loads(Path(SEARCH, "search.json").read_text())
    plan = {key: value for key, value in plan.items() if key not in {"sampler", "trials"}}
    for count in range(4):
        make(f"other/{count}", accuracy=0.5)
    monkeypatch.setattr(finished_experiments, "_MOST_FOLDERS", 3)
    for folder, why in (("nowhere", "no such folder"), ("other", "more than 3 folders")):
        reuse = [os.path.relpath(folder, SEARCH)]
        write(
            Path(SEARCH, "search.json"),
            {**plan, "space": {"learning_rate": [1, 2]}, "reuse": reuse},
        )
        assert shown(capsys, SEARCH).count(f"\n{folder}: {why}") == 1


def test_show_a_broken_claim(capsys: pytest.CaptureFixture[str]) -> None:
    """Its number is not used again, so it stands there until somebody is told."""
    search()
    claim = Path(SEARCH, ".modeldir/trials/000099.json")
    claim.parent.mkdir(parents=True, exist_ok=True)
    claim.write_text('{"name": "lr_0.2", "poi')
    line = f"{claim}: it is not valid JSON, so it is left out\n"
    assert shown(capsys, SEARCH).count(line) == 1


def test_show_a_search_without_a_plan(capsys: pytest.CaptureFixture[str]) -> None:
    """CS230's own script leaves none; a broken one is told of."""
    write(Path("s/params.json"), BASE)
    make("s/a", accuracy=0.5)
    assert "best    a  accuracy 0.5\n" in shown(capsys, "s")
    Path("s/search.json").write_text("{")
    text = shown(capsys, "s")
    assert "s/search.json, line 1" in text
    assert "trials  1 untracked\n" in text


def test_show_a_search_before_its_first_trial(capsys: pytest.CaptureFixture[str]) -> None:
    """What to type is the search."""
    write(Path("s/search.json"), {"space": {"learning_rate": [0.1]}})
    assert shown(capsys, "s").endswith("next: modeldir search s -- python train.py\n")


def test_show_neither(capsys: pytest.CaptureFixture[str], snapshot: SnapshotAssertion) -> None:
    """A folder of experiments is none itself; a missing folder is said to be missing."""
    make("experiments/a")
    assert commands.main(["show", "experiments"]) == 2
    assert commands.main(["show", "experiment"]) == 2
    assert commands.main(["show", "experiments/a/params.json"]) == 2
    assert capsys.readouterr().err == snapshot


# -- diff ------------------------------------------------------------------------------------------


def differing(capsys: pytest.CaptureFixture[str], *folders: str) -> str:
    """What `modeldir diff` prints."""
    assert commands.main(["diff", *folders]) == 0
    out: str = capsys.readouterr().out
    return out


def test_diff_two(capsys: pytest.CaptureFixture[str], snapshot: SnapshotAssertion) -> None:
    """Only what differs, nested names dotted, values that look the same told apart."""
    changes: dict[str, Any] = {"model": {"layers": 4, "name": "mlp"}, "batch_size": "32"}
    one = make("experiments/a", {"augment": None, "flag": 1}, accuracy=0.9, loss=0.5, epoch=3)
    two = make("experiments/b", {**changes, "flag": 1.0}, accuracy=0.95, loss=0.5, f1=0.4)
    write(one / "metrics_test.json", {"accuracy": 0.9})
    record(one, commit="1a2b", python="3.12.1")
    record(two, commit="3c4d", python="3.12.1")
    assert differing(capsys, "experiments/a", "experiments/b") == snapshot


def test_diff_three_of_one_name(
    capsys: pytest.CaptureFixture[str], snapshot: SnapshotAssertion
) -> None:
    """More than two have no change column; folders of one name go by their paths."""
    for index, name in enumerate(("x/a", "y/a", "z/b")):
        make(name, {"seed": index}, accuracy=index / 10)
    assert differing(capsys, "x/a", "y/a", "z/b") == snapshot


def test_diff_of_twins(capsys: pytest.CaptureFixture[str], snapshot: SnapshotAssertion) -> None:
    """That nothing differs is said."""
    make("a", accuracy=0.5)
    make("b", {"learning_rate": 1e-3}, accuracy=0.5)
    make("c", {"batch_size": 32.0}, accuracy=0.5)
    assert differing(capsys, "a", "b", "c") == snapshot


def test_diff_of_what_cannot_be_compared(
    capsys: pytest.CaptureFixture[str], snapshot: SnapshotAssertion
) -> None:
    """One folder, a folder that is none, hyperparameters that are broken: all answer 2."""
    make("a")
    make("broken")
    Path("broken/params.json").write_text("{")
    for folders in (["a"], ["a", "b"], ["a", "broken"]):
        assert commands.main(["diff", *folders]) == 2
    assert capsys.readouterr().err == snapshot


def test_diff_of_a_search_names_its_best_trial(
    capsys: pytest.CaptureFixture[str], snapshot: SnapshotAssertion
) -> None:
    """Its base never ran; what is meant is a trial."""
    search()
    make("experiments/b", accuracy=0.5)
    assert commands.main(["diff", "experiments/b", SEARCH]) == 2
    assert capsys.readouterr().err == snapshot


def test_diff_of_one_is_against_its_base_and_the_best(
    capsys: pytest.CaptureFixture[str], snapshot: SnapshotAssertion
) -> None:
    """A trial; a search, by its base and its best; what was derived, against its source."""
    search()
    worse = make(f"{SEARCH}/learning_rate_0.1", {"learning_rate": 0.1}, accuracy=0.5)
    best = Path(f"{SEARCH}/learning_rate_0.01")
    for number, trial in enumerate((worse, best)):
        write(trial / "trial.json", {"number": number, "configuration": {}})
    assert differing(capsys, str(worse)) == snapshot(name="a trial")
    assert differing(capsys, str(best)) == snapshot(name="the best trial")
    assert differing(capsys, SEARCH) == snapshot(name="a search")
    words = ["experiments/wide", "--from", str(best), "model.layers=4"]
    assert commands.main(["new", *words]) == 0
    capsys.readouterr()
    assert differing(capsys, "experiments/wide") == snapshot(name="derived")
    (best / EVAL).unlink()
    (worse / EVAL).unlink()
    assert commands.main(["diff", SEARCH]) == 2
    assert capsys.readouterr().err == snapshot(name="no best yet")


def test_diff_in_a_narrow_terminal_calls_trials_by_number(snapshot: SnapshotAssertion) -> None:
    """As the table does; below it stands which is which."""
    search()
    for number, rate in enumerate(("0.1", "0.01"), 1):
        trial = make(f"{SEARCH}/learning_rate_{rate}", {"learning_rate": float(rate)})
        write(trial / "trial.json", {"number": number, "configuration": {}})
        write(trial / EVAL, {"accuracy": 1 - float(rate)})
    assert in_terminal(60, "diff", f"{SEARCH}/learning_rate_0.1") == snapshot


def test_diff_of_many_stays_in_its_terminal() -> None:
    """Where lines would wrap, some experiments stand below the others, each with its rows."""
    folders = [make(f"experiments/wide_{n}", {"seed": n}, accuracy=n / 10) for n in range(9)]
    words = ["diff", *map(str, folders)]
    lines = in_terminal(60, *words).splitlines()
    assert max(map(len, lines)) <= 60
    assert sum(line.count("wide_") for line in lines) == 2 * 9
    assert len(typed(*words).stdout.splitlines()[0]) > 60


def test_diff_of_all_that_lies_in_a_search(capsys: pytest.CaptureFixture[str]) -> None:
    """`diff experiments/learning_rate/*`: the files beside the trials are passed over."""
    search()
    text = differing(capsys, *map(str, sorted(Path(SEARCH).iterdir())))
    assert text.splitlines()[0].split() == [
        "hyperparameter", "learning_rate_0.001", "learning_rate_0.01", "learning_rate_0.1"
    ]  # fmt: skip


# -- Digits ----------------------------------------------------------------------------------------


def test_metrics_have_six_digits_in_a_terminal_and_in_a_pipe() -> None:
    """The same in show, in diff and in the table."""
    search()
    make("experiments/b", accuracy=0.1234567890123)
    other = f"{SEARCH}/learning_rate_0.01"
    lines = [("show", SEARCH), ("show", other), ("diff", "experiments/b", other),
             ("synthesize", SEARCH)]  # fmt: skip
    for words in lines:
        for shown in (typed(*words).stdout, in_terminal(100, *words)):
            assert "0.971111" in shown
            assert "0.9711111" not in shown


@pytest.mark.parametrize("name", ["csv", "json"])
def test_csv_and_json_have_all_digits_in_a_terminal_and_in_a_pipe(name: str) -> None:
    """Programs read them, so no digit is lost, however narrow the terminal is."""
    search()
    words = ("synthesize", SEARCH, "--format", name)
    assert "0.9711111111111" in typed(*words).stdout
    assert "0.9711111111111" in in_terminal(40, *words)


# -- What was used -------------------------------------------------------------------------------

OVERRIDES = """\
import argparse, modeldir
parser = argparse.ArgumentParser()
parser.add_argument("--model_dir")
args, _ = parser.parse_known_args()
with modeldir.start(args.model_dir) as run:
    parser.parse_args(modeldir.cli(run.params))
    for epoch in range(2):
        run.log(epoch, accuracy=1 - run.params.learning_rate)
        run.params.learning_rate /= 2
        run.params.batch_size
"""
"""A training that takes `name=value` on its command line, and whose learning rate decays."""


def test_a_value_from_the_command_line_is_shown_as_it_was_used(
    capsys: pytest.CaptureFixture[str], snapshot: SnapshotAssertion
) -> None:
    """Not as params.json has it, which is told too; that it decays later is the script's affair."""
    Path("train.py").write_text(OVERRIDES)
    for name, value in (("experiments/a", "0.25"), ("experiments/b", "0.5")):
        make(name, {"learning_rate": 0.25})
        command = [sys.executable, "train.py", f"learning_rate={value}"]
        done = typed("run", name, "-q", "--", *command)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert "learning_rate   0.25 -> 0.5\n" in shown(capsys, "experiments/b")
    assert differing(capsys, "experiments/a", "experiments/b") == snapshot(name="diff")
    for _ in range(2):  # what it wrote is replaced
        done = typed("synthesize", "experiments")
        assert done.stderr == ""
    assert re.sub(r"\b\d+\.\ds\b", "0.0s", done.stdout) == snapshot(name="table")
    with open("experiments/results.csv") as file:
        told = [(row["learning_rate"], row["overridden"]) for row in csv.DictReader(file)]
    assert told == [("0.25", ""), ("0.5", "learning_rate: 0.25 -> 0.5")]


# -- log -------------------------------------------------------------------------------------------


def logged(capfdbinary: pytest.CaptureFixture[bytes], *words: str) -> bytes:
    """What `modeldir log` prints, byte for byte."""
    assert commands.main(["log", *words]) == 0
    out: bytes = capfdbinary.readouterr().out
    return out


def test_log_is_the_scripts_own(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """train.log if it is there, else console.log as it reads; `--raw` is console.log's bytes."""
    folder = make("a")
    (folder / "console.log").write_bytes(b"\xff\r 10%\r 20%\x1b[K\n\x1b[31mred\x1b[0m\r\nend")
    assert logged(capfdbinary, "a") == b" 20%\nred\nend\n"
    (folder / "train.log").write_bytes(b"Epoch 1\n")
    assert logged(capfdbinary, "a") == b"Epoch 1\n"
    raw = b"\xff\r 10%\r 20%\x1b[K\n\x1b[31mred\x1b[0m\r\nend"
    assert logged(capfdbinary, "a", "--raw") == raw
    assert logged(capfdbinary, "a", "--raw", "--tail", "2") == b"\x1b[31mred\x1b[0m\r\nend"
    assert logged(capfdbinary, "a", "--raw", "--tail", "0") == b""


def test_log_of_another_name(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """A script may call its log as it likes: the one written last is shown."""
    folder = make("a")
    (folder / "old.log").write_bytes(b"old\n")
    os.utime(folder / "old.log", (1, 1))
    (folder / "training.log").write_bytes(b"new\n")
    assert logged(capfdbinary, "a") == b"new\n"


@pytest.mark.parametrize(
    ("text", "count", "last"),
    [
        (b"a\nb\nc\n", 2, b"b\nc\n"),
        (b"a\nb\nc", 2, b"b\nc\n"),
        (b"a\nb\n", 5, b"a\nb\n"),
        (b"a\n", 0, b""),
        (b"", 3, b""),
        (b"a\n 1%\r 2%\nc\n", 2, b" 2%\nc\n"),
        (b"a\r\nb\r\n", 1, b"b\n"),
        (b"\xff\xfe\n", 1, b"\xff\xfe\n"),
        (b"x" * 100_000 + b"\n" + b"y" * 70_000 + b"\n", 1, b"y" * 70_000 + b"\n"),
        (b"x" * 70_000 + b"\n" + b"y" * 65_536 + b"\nz\n", 2, b"y" * 65_536 + b"\nz\n"),
        (b"line\n" * 50_000, 40_000, b"line\n" * 40_000),
        ("ü".encode() * 200_000, 1, "ü".encode() * 200_000 + b"\n"),
    ],
)
def test_the_end_of_a_log(
    text: bytes, count: int, last: bytes, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    """The last lines, however long they are; a progress bar's states are one line."""
    (make("a") / "train.log").write_bytes(text)
    assert logged(capfdbinary, "a", "--tail", str(count)) == last


def test_the_end_of_a_large_log_is_cheap(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """Of a terabyte only the end is read."""
    with open(make("a") / "console.log", "wb") as file:
        file.truncate(1 << 40)
        file.seek(0, os.SEEK_END)
        file.write(b"\nbefore\n" + b"\r 99%" * 20_000 + b"\r100%\nlast\n")
    assert logged(capfdbinary, "a", "--tail", "2") == b"100%\nlast\n"


def begun(pid: int, host: str = "") -> str:
    """The line with which a session of a log of ours begins."""
    where = host or processes.host()
    return (
        f"# modeldir-log v1 2026-11-23T20:47:01.123+00:00 pid={pid} host={where} argv=[] cwd=/x\n"
    )


def gone() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


LINE = "2026-11-23 20:47:01,124 a line\n"
END = "# end 2026-11-23T20:47:02.002+00:00 pid=1 clean\n"


@pytest.mark.parametrize(
    ("log", "cut"),
    [
        (begun(gone()) + LINE, True),
        (begun(gone()) + LINE + END, False),
        (begun(gone()) + LINE + END + begun(gone()) + LINE, True),
        (begun(os.getpid()) + LINE, False),
        (begun(gone(), "elsewhere") + LINE, False),
        (LINE, False),
        ("", False),
    ],
)
def test_a_log_that_was_cut_off(log: str, cut: bool, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: FBT001
    """Where the writer was killed, that is told; not of a log that is written, or not ours."""
    (make("a") / "train.log").write_text(log)
    assert commands.main(["log", "a"]) == 0
    told = "warning: a/train.log is cut off: its process was killed, or the machine stopped\n"
    assert capsys.readouterr().err == (told if cut else "")


def test_a_log_of_a_recorded_run_that_was_cut_off(capsys: pytest.CaptureFixture[str]) -> None:
    """The run's record says that nothing runs any more, also of another host."""
    folder = make("a")
    (folder / "train.log").write_text(begun(7, "elsewhere") + LINE)
    record(folder, "interrupted")
    assert commands.main(["log", "a"]) == 0
    assert "is cut off" in capsys.readouterr().err


def test_the_times_are_dim_in_a_terminal() -> None:
    """What was printed is in front; with NO_COLOR and in a pipe there are no escape codes."""
    (make("a") / "train.log").write_text(LINE + "text\n")
    shown = in_terminal(80, "log", "a").replace("\r\n", "\n")
    assert shown == "\x1b[2m2026-11-23 20:47:01,124\x1b[0m a line\ntext\n"
    assert typed("log", "a").stdout == LINE + "text\n"


def test_log_of_a_search(capsys: pytest.CaptureFixture[str], snapshot: SnapshotAssertion) -> None:
    """The search's own log; without one, its trials to choose from, the newest first."""
    search()
    assert commands.main(["log", SEARCH]) == 2
    for place, name in enumerate(["0.1", "0.01"]):
        log = Path(SEARCH) / f"learning_rate_{name}" / "console.log"
        log.write_text("trained\n")
        os.utime(log, (place, place))
    assert commands.main(["log", SEARCH]) == 2
    assert capsys.readouterr().err == snapshot
    (Path(SEARCH) / "search.log").write_text("a trial\n")
    assert commands.main(["log", SEARCH]) == 0
    assert capsys.readouterr().out == "a trial\n"


def test_logs_of_several(snapshot: SnapshotAssertion) -> None:
    """One after the other, each below its name; those that have none are told at the end."""
    search()
    for name in ("0.1", "0.01"):
        Path(SEARCH, f"learning_rate_{name}", "console.log").write_text(f"with {name}\ndone\n")
    trials = [f"{SEARCH}/learning_rate_{name}" for name in ("0.1", "0.001", "0.01")]
    done = typed("log", *trials, "--tail", "1")
    assert done.returncode == 2
    assert done.stdout == snapshot(name="out")
    assert done.stderr == snapshot(name="err")
    assert typed("log", *trials[::2], "--raw").stdout.count("with") == 2


# -- log, as it grows --


class Steps:
    """What happens while `modeldir log -f` waits, one step each time; then nothing any more."""

    def __init__(self, *steps: Callable[[], object]) -> None:
        self.steps = list(steps)

    def __call__(self) -> None:
        if not self.steps:
            raise KeyboardInterrupt
        self.steps.pop(0)()


def add(path: Path, text: str) -> Callable[[], object]:
    """A step in which a log grows."""

    def step() -> None:
        with path.open("a") as file:
            file.write(text)

    return step


def followed(capfd: pytest.CaptureFixture[str], *steps: Callable[[], object], **how: Any) -> str:
    """What following the log of `a` shows while these steps happen, until it ends by itself."""
    rest = Steps(*steps)
    log.follow(Path("a"), **{"tail": None, "raw": False, "wait": rest, **how})
    assert not rest.steps
    return capfd.readouterr().out


def ends(folder: Path) -> None:
    """The first attempt's record gets its end."""
    attempts.rewrite(attempts.read(folder, 1), {"status": "completed"})


def running(folder: Path, number: int = 1) -> None:
    """An attempt that this very process runs."""
    own = processes.process()
    assert own is not None
    facts = {"supervisor": None, "process": own.to_json()}
    assert attempts.begin(folder, number, facts) is not None


def test_following_goes_on_until_the_run_has_ended(capfd: pytest.CaptureFixture[str]) -> None:
    """What is added is shown, with what the run wrote last; a bar when it is done."""
    folder = make("a")
    running(folder)
    console = folder / "console.log"
    console.write_text("Epoch 1\n\r 10%")

    def last() -> None:
        add(console, "\nbye")()
        ends(folder)

    steps = (add(console, "\r 50%"), add(console, "\r100%\n"), add(console, "Epoch 2"), last)
    assert followed(capfd, *steps) == "Epoch 1\n100%\nEpoch 2\nbye\n"


def test_following_waits_for_a_run_and_goes_on_with_the_next(
    capfd: pytest.CaptureFixture[str],
) -> None:
    """A log that is not there yet is waited for; one that a new attempt moved away is left."""
    folder = make("a")
    train = folder / "train.log"

    def again() -> None:
        ends(folder)
        running(folder, 2)
        (folder / "attempts").mkdir()
        train.rename(folder / "attempts" / "train.log")

    def over() -> None:
        add(train, "second, end\n")()
        attempts.rewrite(attempts.read(folder, 2), {"status": "completed"})

    steps = [lambda: running(folder), add(train, "first\n"), add(train, "more\n"), again]
    steps += [lambda: None, add(train, "second\n"), over]
    assert followed(capfd, *steps) == "first\nmore\nsecond\nsecond, end\n"


def test_following_goes_over_to_the_script_s_own_log(capfd: pytest.CaptureFixture[str]) -> None:
    """It began with `console.log`, as the run had just begun; then `train.log` is there."""
    folder = make("a")
    running(folder)
    (folder / "console.log").write_text("imported\n")
    train = folder / "train.log"

    def over() -> None:
        add(train, "in the log, end\n")()
        ends(folder)

    steps = (add(train, "in the log\n"), over)
    assert followed(capfd, *steps) == "imported\nin the log\nin the log, end\n"


def test_following_several_at_once(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their names stand before the lines, as they come, also before the pieces of a long one."""
    monkeypatch.setattr("modeldir.commands.log_reader.MAX_LINE", 8)
    monkeypatch.setattr("modeldir.logs.screen.MAX_LINE", 8)
    one, two = make("a"), make("wide")
    for each in (one, two):
        running(each)
    (one / "console.log").write_text("first\n")

    def over() -> None:
        add(two / "console.log", "much too long\n\nend\n")()
        ends(two)

    steps = Steps(
        add(two / "console.log", "begun\n"), add(one / "console.log", "more\n"),
        lambda: ends(one), over,
    )  # fmt: skip
    log.follow_all([one, two], tail=None, raw=False, wait=steps)
    lines = capfd.readouterr().out.splitlines()
    assert lines[:3] == ["a    | first", "wide | begun", "a    | more"]
    assert "".join(line.removeprefix("wide | ") for line in lines[3:]) == "much too longend"
    assert all(line.startswith("wide | ") for line in lines[3:])
    assert lines[-2:] == ["wide | ", "wide | end"]


def test_following_trials_in_a_terminal_that_their_names_would_fill() -> None:
    """They go by their numbers, which are told first; in a pipe by their names."""
    search()
    trials = [f"{SEARCH}/learning_rate_{rate}" for rate in ("0.1", "0.01")]
    for number, trial in enumerate(trials, 1):
        write(Path(trial, "trial.json"), {"number": number, "configuration": {}})
        Path(trial, "console.log").write_text("done\n")
    shown = in_terminal(60, "log", "-f", *trials)
    assert shown == "1: learning_rate_0.1\n2: learning_rate_0.01\n1 | done\n2 | done\n"
    piped = typed("log", "-f", *trials).stdout
    assert piped == "learning_rate_0.1  | done\nlearning_rate_0.01 | done\n"


def test_following_several_of_which_one_has_no_log(
    capfd: pytest.CaptureFixture[str], snapshot: SnapshotAssertion
) -> None:
    """The others are followed to their ends, then it is told; bytes of several are refused."""
    folder = make("a", accuracy=0.5)
    record(folder)
    (folder / "console.log").write_text("done\n")
    make("b", accuracy=0.5)
    assert commands.main(["log", "-f", "a", "b"]) == 2
    assert commands.main(["log", "-f", "--raw", "a", "b"]) == 2
    out, err = capfd.readouterr()
    assert out == "a | done\n"
    assert err == snapshot


def test_following_says_that_it_waits(capfd: pytest.CaptureFixture[str]) -> None:
    """Before anything has begun a line says so, once."""
    make("a")
    rest = Steps(lambda: None, lambda: None)
    with pytest.raises(KeyboardInterrupt):
        log.follow(Path("a"), tail=None, raw=False, wait=rest)
    assert capfd.readouterr().err == "waiting for a to start (stop waiting: Ctrl-C)\n"


def test_following_a_search_ends_with_its_workers(capfd: pytest.CaptureFixture[str]) -> None:
    """While somebody works on it, its log may grow."""
    folder = Path("a")
    make("a/trial")
    (folder / "params.json").write_text("{}")
    (folder / "search.json").write_text("{}")
    (folder / "search.log").write_text("worker 1\n")
    membership = worker_registry.register(folder, 1)
    steps = (add(folder / "search.log", "completed trial\n"), membership.leave)
    assert followed(capfd, *steps) == "worker 1\ncompleted trial\n"


def test_following_a_script_that_nobody_recorded(capfd: pytest.CaptureFixture[str]) -> None:
    """The end that its log has is the end; so is the death of what wrote it."""
    train = make("a") / "train.log"
    train.write_text(begun(os.getpid()))
    assert followed(capfd, add(train, LINE), add(train, END)) == begun(os.getpid()) + LINE + END
    dead = begun(gone())
    train.write_text(dead + LINE)
    assert followed(capfd) == dead + LINE


def test_following_the_end(capfd: pytest.CaptureFixture[str]) -> None:
    """`-f --tail` begins with the last lines; a file that was emptied is read from its start."""
    folder = make("a")
    running(folder)
    console = folder / "console.log"
    console.write_text("1\n2\n3\n")
    steps = (add(console, "4\n"), lambda: console.write_text("5\n"), lambda: ends(folder))
    assert followed(capfd, *steps, tail=1) == "3\n4\n5\n"
    console.write_text("a\rb\n")
    assert followed(capfd, raw=True) == "a\rb\n"


def test_following_ends_by_control_c() -> None:
    """That is how one stops looking: nothing went wrong, and nothing is said."""
    folder = make("a")
    running(folder)
    (folder / "train.log").write_text("line\n")
    command = [sys.executable, "-m", "modeldir", "log", "a", "-f"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"line\n"
        process.send_signal(signal.SIGINT)
        assert (process.wait(30), process.stderr.read()) == (0, b"")


def test_following_ends_with_its_reader() -> None:
    """`modeldir log -f DIR | head -1` ends at once, also if nothing more is written."""
    folder = make("a")
    running(folder)
    (folder / "train.log").write_text("line\n")
    command = f"{sys.executable} -m modeldir log a -f | head -1"
    done = subprocess.run(
        command, shell=True, capture_output=True, text=True, check=True, timeout=60
    )
    assert (done.stdout, done.stderr) == ("line\n", "")


def test_no_log(capsys: pytest.CaptureFixture[str], snapshot: SnapshotAssertion) -> None:
    """What is missing is told, and where to look instead."""
    folder = make("a")
    assert commands.main(["log", "a"]) == 2
    (folder / "train.log").touch()
    assert commands.main(["log", "a", "--raw"]) == 2
    assert commands.main(["log", "b"]) == 2
    assert capsys.readouterr().err == snapshot


def test_a_reader_that_leaves() -> None:
    """`modeldir log DIR | head -1` ends quietly."""
    (make("a") / "train.log").write_bytes(b"line\n" * 100_000)
    command = f"{sys.executable} -m modeldir log a | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("line\n", "")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), "high"),
        (("--metric", "accuracy"), "high"),
        (("--metric", "loss"), "low"),
        (("--maximize", "loss"), "high"),
        (("--maximize", "fitness"), "low"),
    ],
    ids=" ".join,
)
def test_best_is_one_path_by_any_metric(words: tuple[str, ...], expected: str) -> None:
    """Equals, NaN, what failed, was pruned or never ran are no reason to print two, or another."""
    record(make("tree/high", {"learning_rate": 0.1}, accuracy=0.9, loss=0.5, fitness=1))
    record(make("tree/low", {"learning_rate": 0.2}, accuracy=0.9, loss=0.4, fitness=2))
    record(make("tree/nan", {"learning_rate": 0.3}, accuracy=float("nan"), loss=float("nan")))
    for state in ("failed", "pruned", "interrupted"):
        record(make(f"tree/{state}", accuracy=0.99, loss=0.01, fitness=9), state)
    make("tree/waiting")
    said = typed("best", "tree", *words)
    assert (said.returncode, said.stdout, said.stderr) == (0, f"tree/{expected}\n", "")


def test_best_by_a_name_that_does_not_say_its_way_asks(snapshot: SnapshotAssertion) -> None:
    """No guess: the wrong end of a list would be a path too."""
    record(make("tree/a", fitness=1))
    said = typed("best", "tree", "--metric", "fitness")
    assert (said.returncode, said.stdout) == (2, "")
    assert said.stderr == snapshot
