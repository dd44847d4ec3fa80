"""Exports to other tools: each is opened by the tool that it is for.

A test is skipped if its tool is not installed; `make test-exchange` installs all tools and skips
nothing. The scripts tests/foreign/look_*.py open the exports in a process of their own.
"""

from __future__ import annotations

import csv
import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import engines
import modeldir
from modeldir import commands
from modeldir._system import files, processes, reading
from modeldir.errors import FolderError, ModeldirError
from modeldir.exchange import sqlite
from modeldir.exchange.export_folder import ExportFolder
from modeldir.exchange.exporting import check_installed, export
from modeldir.experiment import attempts
from modeldir.metrics import tfevents

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from syrupy.assertion import SnapshotAssertion

BASE = {
    "learning_rate": 0.1, "batch_size": 32, "dropout": 0.0, "name": "base", "widths": [8, 16],
    "num_epochs": 3,
}  # fmt: skip
SPACE = {
    "learning_rate": {"log_uniform": [1e-3, 1.0]},
    "batch_size": [16, 32],
    "widths": [[8, 16], [4]],
}
POINTS: list[dict[str, object]] = [
    {"learning_rate": 0.01, "batch_size": 16, "widths": [8, 16]},
    {"learning_rate": 0.1, "batch_size": 32, "widths": [4]},
    {"learning_rate": 0.5, "batch_size": 32, "widths": [4]},
    {"learning_rate": 0.9, "batch_size": 16, "widths": [8, 16]},
]
LOOKS = Path(__file__).parents[1] / "foreign"
START = "2026-11-23T10:00:00.000+00:00"


def look(tool: str, *words: str, needs: str) -> Any:
    """Return what a tool reads from an export, in a process of its own."""
    engines.need_package(needs)
    done = subprocess.run(
        [sys.executable, str(LOOKS / f"look_{tool}.py"), *words],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def make(name: str, values: Mapping[str, object], *accuracies: float, **facts: object) -> Path:
    """Make a trial with its curve, and with a run file if facts are given."""
    folder = Path("lr") / name
    folder.mkdir(parents=True)
    (folder / "params.json").write_text(json.dumps({**BASE, **values}))
    for step, accuracy in enumerate(accuracies):
        value = accuracy if math.isfinite(accuracy) else str(accuracy)
        line = {"step": step, "time": f"2026-11-23T10:00:0{step}.000+00:00", "accuracy": value}
        with (folder / "metrics.jsonl").open("a") as file:
            file.write(json.dumps({**line, "train/loss": 1 / (step + 1)}) + "\n")
    finite = [each for each in accuracies if math.isfinite(each)]
    if finite:
        best = folder / "metrics_eval_best_weights.json"
        best.write_text(json.dumps({"accuracy": max(finite)}))
    if facts:
        attempt = attempts.begin(folder, 1, {"supervisor": None, "process": None})
        assert attempt is not None
        attempts.rewrite(attempt, {"started": START, "duration": 5.0, **facts})
    return folder


@pytest.fixture
def search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a search with four trials that ended differently, a running and a pending one."""
    monkeypatch.chdir(tmp_path)
    Path("lr").mkdir()
    Path("lr/params.json").write_text(json.dumps(BASE))
    plan = {"space": SPACE, "maximize": "accuracy", "command": "python train.py"}
    Path("lr/search.json").write_text(json.dumps(plan))
    make("good", POINTS[0], 0.5, 0.75, 0.625, status="completed")
    make("stopped", POINTS[1], 0.25, status="pruned", reason="below the median")
    make("broken", POINTS[2], 0.5, float("nan"), status="failed", failure="nan", last_line="E: x")
    make("odd", {**POINTS[3], "dropout": 0.5}, status="completed")  # it wrote no metric
    make("waits", POINTS[0])
    runs = make("runs", POINTS[0])
    me = processes.process()
    assert me is not None
    assert attempts.begin(runs, 1, {"process": me.to_json()})
    return Path("lr")


# -- Words -----------------------------------------------------------------------------------------


def test_what_is_said_of_an_export(search: Path, snapshot: SnapshotAssertion) -> None:
    """The summary counts what was written and left out, and names the command that opens it."""
    said = [str(export(search, to, out)) for to, out in WHERE for _ in range(2)]
    assert said == snapshot


WHERE = (("csv", "tables"), ("tensorboard", "events"), ("optuna", "lr.log"))


def test_nothing_to_export_is_said(search: Path) -> None:
    """A folder without finished experiments, a missing folder and an unknown metric are errors."""
    Path("empty").mkdir()
    with pytest.raises(ModeldirError, match="no experiment in empty"):
        export("empty", "csv", "out")
    with pytest.raises(
        ModeldirError, match=r"no experiment has ended yet: 1 pending\.\nNothing was written"
    ):
        export(search / "waits", "csv", "out")
    with pytest.raises(FolderError, match="no such folder"):
        export("nowhere", "csv", "out")
    with pytest.raises(ModeldirError, match="'acuracy'\n    did you mean 'accuracy'"):
        export(search, "csv", "out", (("acuracy", "maximize"),))
    assert not Path("out").exists()


def test_a_tool_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the missing package and the command that installs it."""
    monkeypatch.setattr(
        "modeldir.exchange.exporting.REQUIRED_PACKAGES", {"mlflow": ("no_such_package",)}
    )
    with pytest.raises(ModeldirError) as caught:
        check_installed("mlflow")
    assert str(caught.value) == (
        "--to mlflow needs no_such_package, which is not installed.\n"
        "  pip install no_such_package\nNothing was written."
    )


# -- Where it goes ---------------------------------------------------------------------------------


@pytest.mark.parametrize("to", ["csv", "tensorboard"])
def test_what_is_there_is_not_overwritten(search: Path, to: str) -> None:
    """A folder with other files, a file, or the export of another folder is left as it is."""
    Path("mine").mkdir()
    Path("mine/trials.csv").write_text("my own")
    with pytest.raises(FolderError, match="files that are not an export"):
        export(search, to, "mine")
    with pytest.raises(FolderError, match="is a file"):
        export(search, to, "mine/trials.csv")
    assert Path("mine/trials.csv").read_text() == "my own"
    export(search, to, "out")
    with pytest.raises(FolderError, match="holds the export of"):
        export(search / "good", to, "out")


@pytest.mark.parametrize(("to", "out"), [("csv", "out"), ("optuna", "lr.log")])
def test_an_export_moves_with_its_project(search: Path, to: str, out: str) -> None:
    """An export still belongs to experiments that were moved together with it."""
    export(search, to, out)
    moved = Path("moved")
    moved.mkdir()
    for name in (str(search), out):
        Path(name).rename(moved / name)
    assert export(moved / search, to, str(moved / out)).experiments == 4


def test_said_again_only_what_differs_is_written(search: Path) -> None:
    """A second export adds new trials, removes those that are gone, and leaves changed files."""
    export(search, "tensorboard", "out")
    before = {path: path.stat().st_mtime_ns for path in Path("out").rglob("*tfevents*")}
    (search / "waits/metrics_eval_best_weights.json").write_text('{"accuracy": 0.5}')
    (search / "odd").rename("elsewhere")
    mine = Path("out/good/events.out.tfevents.0.modeldir")
    mine.write_bytes(b"mine")
    done = export(search, "tensorboard", "out")
    assert done.counts["removed"] == 1
    assert done.notes == (f"{mine} was not updated, because it was changed outside modeldir",)
    assert mine.read_bytes() == b"mine"
    assert Path("out/waits").is_dir()
    assert not Path("out/odd").exists()
    stopped = Path("out/stopped/events.out.tfevents.0.modeldir")
    assert stopped.stat().st_mtime_ns == before[stopped]


@pytest.mark.parametrize("to", ["csv", "tensorboard"])
def test_an_export_that_was_cut_short_knows_its_own_files(search: Path, to: str) -> None:
    """An export that was killed between two files continues, and other files stay."""
    place, source = Path("out"), files.absolute(search)
    ExportFolder(place, to, source).write("trials.csv", b"killed after this one")
    (place / "mine").write_text("mine")
    assert export(search, to, "out").notes == ()
    ExportFolder(place, to, source).write("trials.csv", b"killed again")
    done = export(search, to, "out")
    assert done.notes == ()
    assert b"killed" not in (reading.read_bytes(place / "trials.csv") or b"")
    assert (place / "mine").read_text() == "mine"
    assert [path.name for path in place.glob("modeldir_export*")] == ["modeldir_export.json"]


# -- A full disk -----------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Return a file system of 32 KiB."""
    path = tmp_path / "disk"
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=32k", "none", str(path)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:  # noqa: PLW1510 - looked at here
        pytest.skip("a small file system can be mounted here only by root")
    yield path
    # Lazily: a database that could not be made is open as long as its error is kept.
    subprocess.run(["umount", "--lazy", str(path)], check=True)


def left_free(disk: Path, blocks: int) -> Path:
    """Fill a disk except for some blocks of 4 KiB. Return the file that fills it."""
    filler = disk / "filler"
    filler.write_bytes(b"x" * 4096 * (8 - blocks))
    return filler


def test_an_export_to_a_full_disk_goes_on_when_there_is_room(
    search: Path, small_disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a full disk no file is incomplete, and the next export continues."""
    out = small_disk / "out"
    words = ["export", str(search), "--to", "tensorboard", "-o", str(out)]
    for blocks, state in (1, "Nothing was written."), (4, "Written so far, each as a whole: 2."):
        filler = left_free(small_disk, blocks)
        assert commands.main(words) == 2
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err == (
            f"error: {out}: No space left on device: the export was cut short.\n"
            f"  run it again when there is space\n{state}\n"
        )
        assert out.exists() == (blocks > 1)
        there = [path.name for path in out.rglob("*") if path.is_file()]
        assert [name for name in there if files.is_temporary(name)] == []
        assert len([name for name in there if name == tfevents.FILE_NAME]) == blocks // 2
        filler.unlink()
    assert commands.main(words) == 0
    assert "3 files written, 2 as they were" in capsys.readouterr().out


def test_a_study_stays_as_it_was_where_the_disk_is_full(search: Path, small_disk: Path) -> None:
    """The study is replaced as a whole or not at all, and nothing is left beside it."""
    pytest.importorskip("optuna")
    left_free(small_disk, 0)
    with pytest.raises(ModeldirError, match=r"lr\.log: No space left .*\n.*\nNothing was written"):
        export(search, "optuna", str(small_disk / "lr.log"))
    assert os.listdir(small_disk) == ["filler"]


# -- Tables ----------------------------------------------------------------------------------------


def test_tables_as_csv(search: Path) -> None:
    """One table has all facts of the trials, the other a line per logged value, unrounded."""
    export(search, "csv", "out")
    with Path("out/trials.csv").open(newline="") as file:
        trials = {row["experiment"]: row for row in csv.DictReader(file)}
    assert set(trials) == {"good", "stopped", "broken", "odd"}
    assert trials["good"]["metrics.accuracy"] == "0.75"
    assert trials["good"]["params.widths"] == "[8, 16]"
    assert trials["broken"]["failure"] == "nan"
    assert trials["odd"]["metrics.accuracy"] == ""
    with Path("out/curves.csv").open(newline="") as file:
        curves = list(csv.DictReader(file))
    assert len(curves) == 12
    first = {"experiment": "broken", "step": "0", "metric": "accuracy", "value": "0.5"}
    assert curves[0].items() >= first.items()


def test_a_formula_is_no_formula_in_csv(search: Path) -> None:
    """A hyperparameter that a spreadsheet would run as a formula gets an apostrophe."""
    make("evil", {"name": "=HYPERLINK('http://x')"}, 0.5)
    export(search, "csv", "out")
    assert "'=HYPERLINK" in Path("out/trials.csv").read_text()


@pytest.mark.exchange
def test_tables_as_parquet(search: Path) -> None:
    """In pandas, numbers are numbers and strings are strings."""
    engines.need_package("pandas")
    engines.need_package("pyarrow")
    export(search, "parquet", "out")
    script = (
        "import pandas; trials = pandas.read_parquet('out/trials.parquet').set_index('experiment');"
        "curves = pandas.read_parquet('out/curves.parquet');"
        "print(trials.loc['good', 'metrics.accuracy'], trials['params.batch_size'].dtype,"
        "trials.loc['odd', 'params.widths'], len(curves), curves['value'].dtype)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "0.75 int64 [8,16] 12 float64\n"
    assert export(search, "parquet", "out").counts["as they were"] == 2


# -- TensorBoard -----------------------------------------------------------------------------------


def test_event_files_have_the_checksums_of_others() -> None:
    """The first record equals the one that TensorFlow writes, byte for byte."""
    made = tfevents.header(1.0)
    assert made[:8] == bytes([24, 0, 0, 0, 0, 0, 0, 0])
    # The length's masked checksum, from a file that TensorFlow wrote.
    assert made[8:12].hex() == "a37f4b22"
    assert list(tfevents.records(made)) == [made[12:-4]]


def test_a_torn_event_file_is_read_as_far_as_it_goes() -> None:
    """Records before an incomplete one are read."""
    whole = tfevents.header(1.0) + tfevents.scalars(2.0, 7, {"loss": 0.5, "acc": -1.0})
    torn = whole + tfevents.scalars(3.0, 8, {"loss": 0.25})[:-3]
    assert [event.step for event in tfevents.events(torn)] == [7]
    assert next(tfevents.events(torn)).scalars == {"loss": 0.5, "acc": -1.0}
    assert list(tfevents.events(b"no events at all")) == []


@pytest.mark.exchange
def test_tensorboard_opens_it(search: Path) -> None:
    """TensorBoard reads the curves, the varying columns, the statuses and the final metrics."""
    export(search, "tensorboard", "out")
    seen = look("tensorboard", "out", needs="tensorboard")
    assert seen["series"]["good"]["accuracy"] == [[0, 1, 2], [0.5, 0.75, 0.625]]
    assert seen["series"]["good"]["best/accuracy"] == [[2], [0.75]]
    assert math.isnan(seen["series"]["broken"]["accuracy"][1][1])
    assert seen["columns"] == {
        "learning_rate": "DATA_TYPE_FLOAT64",
        "batch_size": "DATA_TYPE_FLOAT64",
        "dropout": "DATA_TYPE_FLOAT64",
        "widths": "DATA_TYPE_STRING",
    }
    assert seen["metrics"] == ["best/accuracy"]
    groups = {group["name"]: group for group in seen["groups"]}
    assert groups["good"]["hparams"]["learning_rate"] == 0.01
    assert groups["good"]["metrics"] == {"best/accuracy": 0.75}
    ends = {name: group["status"] for name, group in groups.items()}
    assert ends == {
        "good": ["STATUS_SUCCESS"], "broken": ["STATUS_FAILURE"], "stopped": ["STATUS_UNKNOWN"],
        "odd": ["STATUS_SUCCESS"],
    }  # fmt: skip


@pytest.mark.exchange
def test_repeats_are_one_group_in_tensorboard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HParams shows the mean of repeats, as `modeldir results` does."""
    monkeypatch.chdir(tmp_path)
    Path("s").mkdir()
    Path("s/params.json").write_text('{"learning_rate": 0.1, "seed": 0}')
    space = {"learning_rate": [0.1]}
    for trial in modeldir.Search("s", space=space, maximize="accuracy", repeats=2):
        with trial:
            trial.report(0, {"accuracy": trial.number / 2})
    export("s", "tensorboard", "out")
    (group,) = look("tensorboard", "out", needs="tensorboard")["groups"]
    assert (len(group["sessions"]), group["metrics"]["best/accuracy"]) == (2, 0.75)


# -- Optuna ----------------------------------------------------------------------------------------


def study_in(path: str) -> Any:
    """Return the study in a file, opened as users of Optuna do."""
    import optuna

    backend = optuna.storages.journal.JournalFileBackend(path)
    return optuna.load_study(study_name=None, storage=optuna.storages.JournalStorage(backend))


@pytest.mark.filterwarnings("ignore")
def test_optuna_loads_it(search: Path) -> None:
    """States, values, distributions and intermediate values are as in the search."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    export(search, "optuna", "lr.log")
    study = study_in("lr.log")
    assert study.direction.name == "MAXIMIZE"
    assert study.metric_names == ["accuracy"]
    trials = {trial.user_attrs["modeldir"]["experiment"]: trial for trial in study.trials}
    assert {name: trial.state.name for name, trial in trials.items()} == {
        "good": "COMPLETE", "stopped": "PRUNED", "broken": "FAIL", "odd": "FAIL",
    }  # fmt: skip
    good = trials["good"]
    assert (good.value, good.params["learning_rate"]) == (0.75, 0.01)
    assert good.params["widths"] == "[8,16]"
    assert good.intermediate_values == {0: 0.5, 1: 0.75, 2: 0.625}
    assert good.distributions["learning_rate"] == FloatDistribution(1e-3, 1.0, log=True)
    assert good.distributions["batch_size"] == CategoricalDistribution((16, 32))
    assert good.user_attrs["hyperparameters"] == {"name": "base", "num_epochs": 3}
    assert good.duration.total_seconds() == 5.0
    assert trials["stopped"].value == 0.25
    assert math.isnan(trials["broken"].intermediate_values[1])
    odd = trials["odd"].user_attrs["modeldir"]
    assert odd["reason"] == "completed, without a finite accuracy"
    assert study.best_trial.number == good.number


@pytest.mark.parametrize("name", ["lr.db", "lr.sqlite", "lr.sqlite3"])
def test_a_study_is_no_database(search: Path, name: str) -> None:
    """The name of a database is an error that suggests the name of a journal."""
    pytest.importorskip("optuna")
    with pytest.raises(ModeldirError, match=r"not as a database\.\n.*: -o lr\.log\nNothing"):
        export(search, "optuna", name)
    assert not Path(name).exists()


@pytest.mark.filterwarnings("ignore")
def test_optuna_goes_on_with_it(search: Path) -> None:
    """Optuna can continue the study, and the next export keeps its trials and notes."""
    export(search, "optuna", "lr.log")
    study = study_in("lr.log")
    study.set_user_attr("mine", "a note")
    distributions = dict(study.best_trial.distributions)
    asked = study.ask(distributions)
    study.tell(asked, 0.125)
    (search / "good/metrics_eval_best_weights.json").write_text('{"accuracy": 0.875}')
    (search / "waits/metrics_eval_best_weights.json").write_text('{"accuracy": 0.5}')
    make("outside", {"learning_rate": 7.0, "batch_size": 48}, 0.5)
    done = export(search, "optuna", "lr.log")
    assert done.counts == {"new": 2, "changed": 1, "as they were": 3}
    assert done.notes == ("1 others in it stay as they are",)
    again = study_in("lr.log")
    assert again.user_attrs["mine"] == "a note"
    assert again.trials[asked.number].value == 0.125
    assert again.best_value == 0.875
    assert again.trials[0].distributions["learning_rate"].high == 7.0  # widened, for all
    assert len(again.trials) == 7
    assert again.ask(dict(again.best_trial.distributions)).params  # nothing contradicts itself


@pytest.mark.filterwarnings("ignore")
def test_another_s_study_is_not_overwritten(search: Path) -> None:
    """A foreign study, another kind of file, and the study of another folder are kept."""
    import optuna

    backend = optuna.storages.journal.JournalFileBackend("mine.log")
    optuna.create_study(storage=optuna.storages.JournalStorage(backend), study_name="mine")
    before = Path("mine.log").read_bytes()
    with pytest.raises(
        FolderError, match=r"mine\.log holds trials that are not from an export: 'mine'"
    ):
        export(search, "optuna", "mine.log")
    assert Path("mine.log").read_bytes() == before
    Path("notes.txt").write_text("my notes\n")
    with pytest.raises(FolderError, match="not an Optuna journal"):
        export(search, "optuna", "notes.txt")
    assert Path("notes.txt").read_text() == "my notes\n"
    export(search, "optuna", "lr.log")
    with pytest.raises(FolderError, match="holds the study of"):
        export(search / "good", "optuna", "lr.log", (("accuracy", "maximize"),))


def test_a_study_needs_a_metric(search: Path, tmp_path: Path) -> None:
    """Without a metric to rank by, the error asks for one."""
    folder = tmp_path / "alone"
    folder.mkdir()
    (folder / "params.json").write_text("{}")
    (folder / "metrics_eval_best_weights.json").write_text('{"wibble": 3}')
    with pytest.raises(ModeldirError, match="name one: --maximize NAME"):
        export(folder, "optuna", "x.log")
    export(folder, "optuna", "x.log", (("wibble", "minimize"),))
    assert study_in("x.log").best_value == 3


@pytest.mark.exchange
def test_optuna_dashboard_opens_it(search: Path) -> None:
    """The API of optuna-dashboard returns the trials, their states and parameters."""
    export(search, "optuna", "lr.log")
    seen = look("dashboard", "lr.log", needs="optuna_dashboard")["lr"]
    assert seen["directions"] == ["maximize"]
    states = sorted(trial["state"] for trial in seen["trials"])
    assert states == ["Complete", "Fail", "Fail", "Pruned"]
    assert {each["name"] for each in seen["union_search_space"]} >= {"learning_rate", "widths"}


# -- MLflow ----------------------------------------------------------------------------------------


@pytest.mark.exchange
@pytest.mark.timeout(600)  # MLflow takes seconds to import, here four times
def test_mlflow_opens_it(search: Path) -> None:
    """MLflow shows params, steps and statuses; a second export adds and replaces runs."""
    engines.need_package("mlflow")
    make("evil", {"name": "x" * 7000, 'a"b': 1}, float("inf"), status="completed")

    def exported() -> str:
        words = [sys.executable, "-m", "modeldir", "export", "lr", "--to", "mlflow", "-o", "m.db"]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()[0]

    assert exported() == "m.db: 5 experiments for mlflow (5 new)"
    runs = look("mlflow", f"sqlite:///{Path('m.db').absolute()}", needs="mlflow")["lr"]
    ends = {name: run["status"] for name, run in runs.items()}
    assert ends == {
        "good": "FINISHED", "stopped": "FINISHED", "broken": "FAILED", "odd": "FINISHED",
        "evil": "FINISHED",
    }  # fmt: skip
    assert runs["good"]["history"]["accuracy"] == [[0, 0.5], [1, 0.75], [2, 0.625]]
    assert runs["good"]["history"]["best/accuracy"] == [[2, 0.75]]
    assert runs["good"]["params"]["learning_rate"] == "0.01"
    assert runs["good"]["end"] - runs["good"]["start"] == 5000
    assert runs["broken"]["history"]["accuracy"][1] == [1, "nan"]
    assert runs["stopped"]["tags"]["modeldir.status"] == "pruned"
    assert len(runs["evil"]["params"]["name"]) == 6000
    assert runs["evil"]["params"]["a_b"] == "1"
    (search / "good/metrics_eval_best_weights.json").write_text('{"accuracy": 0.875}')
    make("more", POINTS[0], 0.5)
    assert exported() == "m.db: 6 experiments for mlflow (1 new, 1 changed, 4 as they were)"


def test_mlflow_is_given_a_database(tmp_path: Path) -> None:
    """A folder or another kind of file is an error; the address of a server is kept."""
    from modeldir.exchange.mlflow_export import tracking_uri

    with pytest.raises(FolderError, match=r"name a file: -o .*mlflow\.db"):
        tracking_uri(str(tmp_path))
    (tmp_path / "notes").write_text("mine")
    with pytest.raises(FolderError, match="is not a database"):
        tracking_uri(str(tmp_path / "notes"))
    assert tracking_uri("http://localhost:5000") == "http://localhost:5000"
    assert tracking_uri(str(tmp_path / "m.db")) == f"sqlite:///{tmp_path / 'm.db'}"


def test_a_database_is_known_by_its_first_bytes(tmp_path: Path) -> None:
    """Its name does not matter."""
    assert not sqlite.is_database(tmp_path)
    (tmp_path / "a.db").write_bytes(b"SQLite format 3\0 and more")
    assert sqlite.is_database(tmp_path / "a.db")
