"""Imports of other tools' runs, from files that the tools themselves wrote.

tests/foreign/make_TOOL made the files in tests/foreign/TOOL, so these tests need none of the tools.
"""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import re
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import engines
import modeldir
from modeldir import commands
from modeldir._system import files
from modeldir.errors import FolderError, ModeldirError
from modeldir.exchange import sqlite
from modeldir.exchange.exporting import export
from modeldir.exchange.importing import TOOLS, ImportResult, import_runs
from modeldir.experiment import attempts
from modeldir.metrics import tfevents
from modeldir.results.experiments import ExperimentRow
from modeldir.results.synthesize import read_tree

if TYPE_CHECKING:
    from syrupy.assertion import SnapshotAssertion

FOREIGN = Path(__file__).parents[1] / "foreign"
SOURCES = {
    "hydra": "hydra", "optuna": "optuna/study.db", "optuna journal": "optuna/journal.log",
    "ray": "ray", "guild": "guild", "mlflow": "mlflow/mlflow.db", "mlflow folders": "mlflow/mlruns",
    "sacred": "sacred", "tensorboard": "tensorboard",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def found_in(folder: str) -> dict[str, ExperimentRow]:
    """Return the experiments in a folder by name, all of which must be readable."""
    tree = read_tree(folder)
    assert tree.warnings == ()
    return {found.name: found for found in tree.experiments}


def states(found: dict[str, ExperimentRow]) -> dict[str, str]:
    return {name: each.status.state for name, each in found.items()}


def content(folder: Path) -> dict[str, str]:
    """Return a hash of each file below a folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


# -- All of them -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SOURCES)
def test_the_tool_is_found_out_and_the_source_is_left_as_it_is(name: str) -> None:
    """The tool is detected, each run is imported once, and the source does not change."""
    source = Path("source") / SOURCES[name].rpartition("/")[2]
    place = FOREIGN / SOURCES[name]
    if place.is_dir():
        shutil.copytree(place, source)
    else:
        source.parent.mkdir()
        shutil.copy(place, source)
    before = content(Path("source"))
    first = import_runs(source, "out")
    assert first.tool == name.partition(" ")[0]
    assert (first.updated, first.same) == (0, 0)
    assert all("has no parameters, so it is left out" in problem for problem in first.problems)
    assert first.new > 0
    made = content(Path("out"))
    again = import_runs(source, "out")
    assert (again.new, again.updated, again.same) == (0, 0, first.new)
    assert content(Path("out")) == made
    assert content(Path("source")) == before


@pytest.mark.parametrize("name", SOURCES)
def test_the_table_shows_them(name: str, snapshot: SnapshotAssertion) -> None:
    """Hyperparameters, metrics and statuses are imported as far as the tool records them."""
    import_runs(FOREIGN / SOURCES[name], "out")
    rows = [
        {
            "name": found.name,
            "hyperparameters": found.hyperparameters,
            "development": dict(found.scores.validation),
            "test": dict(found.scores.test),
            "state": found.status.state,
            "last line": found.status.last_line,
            "number": found.number,
        }
        for found in read_tree("out").experiments
    ]
    assert rows == snapshot


def test_what_is_said_of_an_import(snapshot: SnapshotAssertion) -> None:
    """The summary counts the runs, names the tool, and suggests the next command."""
    done = ImportResult("runs", "hydra", Path("out"), 2, 1, 3, ("lr_0.1",), ("x: is not YAML",))
    assert [str(done), str(ImportResult("runs", "ray", Path("a b"), 0, 0, 0))] == snapshot


def test_each_tool_is_asked_for_by_name() -> None:
    """Runs of another tool are an error that names the tool they look like."""
    with pytest.raises(FolderError) as caught:
        import_runs(FOREIGN / "sacred", "out", "hydra")
    assert "no run of hydra was found there.\n  it looks like: --from sacred" in str(caught.value)
    Path("empty").mkdir()
    with pytest.raises(ModeldirError, match=r"no run of hydra, .* or tensorboard was found"):
        import_runs("empty", "out")
    with pytest.raises(FolderError, match="no such folder"):
        import_runs("nowhere", "out")
    assert not Path("out").exists()
    assert {name.partition(" ")[0] for name in SOURCES} == set(TOOLS)


def test_the_source_is_no_place_for_what_is_imported() -> None:
    """The source and the folders in it are no place for the import."""
    shutil.copytree(FOREIGN / "hydra", "runs")
    for inside in ("runs", "runs/imported"):
        with pytest.raises(FolderError, match="which import must not change"):
            import_runs("runs", inside)
    assert content(Path("runs")) == content(FOREIGN / "hydra")


def test_paths_are_told_as_they_were_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages show the source as it was typed; keys and origins have absolute paths."""
    shutil.copytree(FOREIGN / "sacred", "runs/of mine")
    told = json.loads(Path("runs/of mine/1/run.json").read_text())
    Path("runs/of mine/1/run.json").write_text(json.dumps({**told, "fail_trace": 7}))
    (problem,) = import_runs("runs/of mine", "out").problems
    assert problem.startswith("runs/of mine/1: ")
    assert str(Path.cwd()) not in problem
    with pytest.raises(FolderError, match=r"^runs/of mine/x lies in runs/of mine, .*\n.*"):
        import_runs("runs/of mine", "runs/of mine/x")
    with sqlite3.connect("bad.db") as made:
        made.execute("create table studies (study_id int)")
        made.execute("create table trials (trial_id int)")
    with pytest.raises(FolderError, match=r"^bad\.db: Optuna cannot read it"):
        import_runs("bad.db", "out")
    Path("none").mkdir()
    with pytest.raises(ModeldirError, match=r"^none: no run of .*\n.* modeldir results none\n"):
        import_runs("none", "out")
    monkeypatch.chdir("runs")
    beside = re.escape(f"{Path.cwd()}_imported")
    with pytest.raises(FolderError, match=f"^x lies in \\., .*\\n.*: -o {beside}\\n"):
        import_runs(".", "x")


def test_a_pickle_is_never_loaded() -> None:
    """Pickles that would make a folder are in the places of Ray, Hydra and Sacred."""

    class Trap:
        def __reduce__(self) -> tuple[Any, tuple[str]]:
            return os.mkdir, (str(Path("sprung").absolute()),)

    trap = pickle.dumps(Trap())
    for tool, names in (
        ("ray", ["tuner.pkl", "train*/params.pkl"]),
        ("hydra", ["0/job_return.pickle", "0/.hydra/config.pickle"]),
        ("sacred", ["1/result.pkl"]),
    ):
        shutil.copytree(FOREIGN / tool, tool)
        for name in names:
            folders = (
                sorted(Path(tool).glob(name.rpartition("/")[0])) if "/" in name else [Path(tool)]
            )
            for folder in folders:
                (folder / name.rpartition("/")[2]).write_bytes(trap)
        import_runs(tool, f"from_{tool}")
    assert not Path("sprung").exists()


def test_sacred_s_objects_stay_text() -> None:
    """A configuration that describes an object (`py/object`) creates none."""
    shutil.copytree(FOREIGN / "sacred", "runs")
    described = {
        "lr": 0.1,
        "f": {"py/object": "os.system", "py/reduce": ["x"]},
        "nan": float("nan"),
    }
    Path("runs/1/config.json").write_text(json.dumps(described))
    done = import_runs("runs", "out")
    assert done.new == 3 or done.problems
    for found in found_in("out").values():
        assert found.hyperparameters is not None


def test_unreadable_pieces_are_told_and_the_rest_comes() -> None:
    """Broken YAML, broken JSON and a torn event file are reported; the rest is imported."""
    shutil.copytree(FOREIGN / "hydra", "runs")
    Path("runs/0/.hydra/config.yaml").write_text("a: [1, 2\nb: }{")
    Path("runs/2/metrics_test.json").write_text("{")
    done = import_runs("runs", "out")
    assert done.new == 3
    assert len(done.problems) == 2
    assert any("0/.hydra/config.yaml" in problem for problem in done.problems)
    shutil.copytree(FOREIGN / "tensorboard", "events")
    torn = next(Path("events/torch/lr_0.1").glob("*tfevents*"))
    torn.write_bytes(torn.read_bytes()[:-10])
    assert import_runs("events", "from_events").new == 3


def test_an_odd_run_costs_no_other() -> None:
    """Malformed JSON and a missing log are reported or ignored; the other runs are imported."""
    shutil.copytree(FOREIGN / "sacred", "runs")
    told = json.loads(Path("runs/1/run.json").read_text())
    Path("runs/1/run.json").write_text(json.dumps({**told, "fail_trace": 7, "start_time": [1]}))
    Path("runs/2/cout.txt").unlink()
    Path("runs/2/cout.txt").symlink_to("nowhere")
    Path("runs/2/metrics.json").write_text('{"loss": {"steps": [0], "values": ["x"]}, "a": 3}')
    done = import_runs("runs", "out")
    assert done.new == 2
    assert [problem.partition(":")[0] for problem in done.problems] == ["runs/1"]
    shutil.copytree(FOREIGN / "ray", "ray")
    trial = next(Path("ray").glob("train*"))
    (trial / "result.json").write_text(
        '{"trial_id": "x", "timestamp": "soon", "time_total_s": []}\n'
    )
    for state in Path("ray").glob("experiment_state*"):
        state.write_text('{"trial_data": [["{"], [3], {"trial_id": 1}]}')
    assert import_runs("ray", "from_ray").new == 3


def test_odd_names_are_safe() -> None:
    """A run called `../../x`, in another script, or with 300 letters stays in its folder."""
    connection = sqlite3.connect("m.db")
    with sqlite3.connect(FOREIGN / "mlflow/mlflow.db") as source:
        source.backup(connection)
    names = ["../../escaped", "學習 率/é", "x" * 300, ".hidden"]
    alive = "SELECT run_uuid FROM runs WHERE lifecycle_stage = 'active' ORDER BY start_time"
    keys = [key for (key,) in connection.execute(alive)]
    for name, key in zip(names, keys, strict=True):
        connection.execute("UPDATE runs SET name = ? WHERE run_uuid = ?", (name, key))
    connection.commit()
    connection.close()
    assert import_runs("m.db", "deep/er/out").new == 4
    made = sorted(path.name for path in Path("deep/er/out").iterdir())
    assert len(made) == 4
    assert {"hidden", "學習_率-é"} < set(made)
    assert all(len(name.encode()) <= 120 for name in made)
    assert sorted(path.name for path in Path().iterdir()) == ["deep", "m.db"]


def test_two_runs_of_one_name_are_two_folders() -> None:
    """A number is added to the second name, and a later import still recognizes both."""
    for folder in ("a", "b"):
        shutil.copytree(FOREIGN / "hydra/2", f"runs/{folder}/2")
    assert import_runs("runs", "out").new == 2
    assert len(list(Path("out").iterdir())) == 2
    assert import_runs("runs", "out").same == 2


# -- A second import -------------------------------------------------------------------------------


def test_what_the_tool_knows_more_of_is_brought_up_to_date() -> None:
    """A run that has ended since is updated, also after a rename, unless it was run again here."""
    connection = sqlite3.connect("m.db")
    with sqlite3.connect(FOREIGN / "mlflow/mlflow.db") as source:
        source.backup(connection)
    import_runs("m.db", "out")
    assert states(found_in("out"))["run_3"] == "interrupted"
    Path("out/run_3").rename("out/mine")
    again = attempts.begin(Path("out/run_1"), 2, {"process": None})
    assert again is not None
    attempts.rewrite(again, {"status": "completed"})
    ended = "UPDATE runs SET status = 'FINISHED', end_time = 1700000020000 WHERE name = 'run 3'"
    connection.execute(ended)
    connection.execute("UPDATE metrics SET value = 0.875 WHERE key = 'val_acc' AND step = 2")
    connection.commit()
    connection.close()
    done = import_runs("m.db", "out")
    assert (done.new, done.updated, done.same, done.run_again_here) == (0, 3, 0, ("run_1",))
    found = found_in("out")
    assert states(found)["mine"] == "completed"
    assert found["mine"].scores.validation["acc"] == 0.875
    assert found["run_1"].scores.validation["acc"] == 0.69


def test_what_is_new_is_added() -> None:
    """A second import of a growing sweep adds only the new jobs."""
    shutil.copytree(FOREIGN / "hydra", "runs")
    shutil.rmtree("runs/3")
    assert import_runs("runs", "out").new == 3
    shutil.copytree(FOREIGN / "hydra/3", "runs/3")
    done = import_runs("runs", "out")
    assert (done.new, done.same) == (1, 3)


def test_a_run_that_a_killed_import_left_out_of_sight_is_imported() -> None:
    """A complete run that was not renamed yet is imported again."""
    import_runs(FOREIGN / "mlflow/mlruns", "out")
    Path("out/run_0").rename("out/.tmp-1-abc")
    done = import_runs(FOREIGN / "mlflow/mlruns", "out")
    assert (done.new, done.same) == (1, 3)
    assert len(found_in("out")) == 4


def test_a_second_import_into_a_folder_is_refused_while_one_is_under_way() -> None:
    """Both would make every run. No lock file is left behind."""
    Path("out").mkdir()
    descriptor = os.open("out", os.O_RDONLY)
    try:
        assert files.hold(descriptor)
        with pytest.raises(FolderError, match=r"another import into out is under way"):
            import_runs(FOREIGN / "hydra", "out")
    finally:
        os.close(descriptor)
    assert import_runs(FOREIGN / "hydra", "out").new == 4
    assert all(path.is_dir() for path in Path("out").iterdir())


# -- Tool by tool ----------------------------------------------------------------------------------


def test_hydra_s_job_is_told() -> None:
    """The origin, the log, and the steps of Lightning's CSV file are imported."""
    import_runs(FOREIGN / "hydra", "out")
    folder = Path("out/learning_rate_0.01__model.name_mlp")
    origin = json.loads((folder / "origin.json").read_text())
    assert origin["message"] == f"imported from hydra: {FOREIGN / 'hydra/2'}"
    assert origin["imported"]["job"] == "train"
    assert "learning rate 0.01" in (folder / "train.log").read_text()
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert lines[0] == {"step": 9, "train/loss": 1.0, "val/acc": 0.49}
    assert not (folder / "run.json").exists()  # Hydra records no end


def test_hydra_s_references_are_what_they_stand_for() -> None:
    """References in lists and strings are replaced; those that need computation are not."""
    config = (
        "a: ${b.0}\nb: [8, 16]\nc: ${a}\nname: x_${c}_${b.1}\nhome: ${oc.env:HOME}\n"
        "lost: ${no.where}\none: ${two}\ntwo: ${one}\npart: ${d}\nd: {e: 1}\n"
    )
    Path("runs/.hydra").mkdir(parents=True)
    Path("runs/.hydra/config.yaml").write_text(config)
    import_runs("runs", "out")
    (found,) = found_in("out").values()
    assert found.hyperparameters is not None
    values = dict(found.hyperparameters)
    assert values.pop("one") in {"${one}", "${two}"}
    assert values.pop("two") in {"${one}", "${two}"}
    assert values == {
        "a": 8, "b": [8, 16], "c": 8, "name": "x_8_16", "home": "${oc.env:HOME}",
        "lost": "${no.where}", "part": {"e": 1}, "d": {"e": 1},
    }  # fmt: skip


def test_a_study_becomes_a_search_that_goes_on() -> None:
    """A search continues the study, and its sampler learns from the study's trials."""
    import_runs(FOREIGN / "optuna/journal.log", "out")
    search = Path("out/small-study")
    base = {"lr": 0.1, "layers": 1, "optimizer": "adam", "momentum": 0.0}
    (search / "params.json").write_text(json.dumps(base))
    made = modeldir.Search(str(search), sampler="random", trials=9)
    trial = made.ask()
    assert trial is not None
    with trial:
        trial.report(0, {"value": 0.5})
    assert trial.number == 7
    tree = read_tree(search)
    assert tree.metric == ("value", "minimize")
    assert len(tree.experiments) == 7


def test_what_to_type_where_a_study_has_no_base(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a `params.json`, the error suggests a command that works."""
    import_runs(FOREIGN / "optuna/journal.log", "out")
    search = "out/small-study"
    best = read_tree(search).best()
    assert best is not None
    assert commands.main(["diff", search]) == 2
    assert capsys.readouterr().err == (
        f"error: {search} has no params.json: no base to compare its best trial with\n"
        f"  to compare with another trial: modeldir diff {best.path} OTHER\n"
    )
    assert commands.main(["confirm", search]) == 2
    hint = f"modeldir new {search} --from {search}/trial_0001"
    assert (
        f"\n  {hint}   (then add the other hyperparameters of the script)\n"
        in capsys.readouterr().err
    )
    assert commands.main([*hint.split()[1:], "--add", "seed=1"]) == 0
    assert commands.main(["confirm", search, "--dry-run", "--", "true"]) == 0
    assert "base" in capsys.readouterr().out
    assert commands.main(["diff", "out"]) == 2
    assert capsys.readouterr().err.endswith("\n  to see what is below it: modeldir results out\n")


def test_a_trial_without_an_end_is_named_before_a_search_runs_it(
    snapshot: SnapshotAssertion,
) -> None:
    """The import names trials that Optuna still calls running."""
    pytest.importorskip("optuna")
    import optuna

    study = optuna.create_study(study_name="s", storage="sqlite:///s.db")
    study.ask().suggest_float("lr", 0.1, 0.1)
    assert str(import_runs("s.db", "out")) == snapshot
    assert import_runs("s.db", "out").unfinished == ()


def test_an_older_storage_is_read_from_a_copy() -> None:
    """Only the copy is upgraded to the installed Optuna."""
    shutil.copy(FOREIGN / "optuna/study.db", "old.db")
    connection = sqlite3.connect("old.db")
    connection.execute("UPDATE alembic_version SET version_num = 'v3.0.0.d'")
    connection.commit()
    connection.close()
    before = Path("old.db").read_bytes()
    assert import_runs("old.db", "out").new == 8
    assert Path("old.db").read_bytes() == before


def _killed_writer(folder: str) -> Path:
    """A database whose newest value is in the file beside it, as a killed writer leaves it."""
    shutil.copy(FOREIGN / "mlflow/mlflow.db", "live.db")
    connection = sqlite3.connect("live.db")
    connection.execute("PRAGMA journal_mode = wal")
    connection.execute("UPDATE metrics SET value = 0.875 WHERE key = 'val_acc' AND step = 2")
    connection.commit()
    Path(folder).mkdir()
    for end in ("", "-wal"):
        shutil.copy(f"live.db{end}", f"{folder}/mlflow.db{end}")
    connection.close()
    return Path(folder)


@pytest.mark.parametrize("source", ["runs", "runs/mlflow.db"])
def test_the_newest_pages_of_a_database_are_read_and_nothing_is_written(source: str) -> None:
    """SQLite would make files beside the database, in a folder that may be somebody else's."""
    runs = _killed_writer("runs")
    before = content(runs)
    import_runs(source, "out")
    assert 0.875 in [row.scores.validation.get("acc") for row in found_in("out").values()]
    assert content(runs) == before


def test_a_link_beside_a_database_is_not_read() -> None:
    """It leads to pages of another database, which the user may read and others may not."""
    runs = _killed_writer("runs")
    (runs / "mlflow.db-wal").rename("elsewhere")
    (runs / "mlflow.db-wal").symlink_to(Path("elsewhere").absolute())
    import_runs("runs", "out")
    assert 0.875 not in [row.scores.validation.get("acc") for row in found_in("out").values()]


def test_a_database_that_is_written_all_the_time_is_a_problem(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No copy of it would be that of one moment."""
    path = Path(shutil.copy(FOREIGN / "mlflow/mlflow.db", "m.db"))
    moments = iter(range(10**6))
    monkeypatch.setattr(sqlite, "stamp", lambda _: next(moments))
    monkeypatch.setattr(sqlite, "_PAUSE", 0.0)
    with pytest.raises(OSError, match="another program keeps writing to it"), sqlite.copied(path):
        pass


def test_several_experiments_of_mlflow_are_several_folders() -> None:
    """Each has its name; a single experiment needs no subfolder."""
    connection = sqlite3.connect("m.db")
    with sqlite3.connect(FOREIGN / "mlflow/mlflow.db") as source:
        source.backup(connection)
    connection.execute("UPDATE runs SET experiment_id = 0 WHERE name = 'run 0'")
    connection.commit()
    connection.close()
    import_runs("m.db", "out")
    assert set(found_in("out")) == {"Default/run_0", "digits/run_1", "digits/run_2", "digits/run_3"}


def test_scalars_of_tensorboard_are_as_they_were_written() -> None:
    """A 32-bit float becomes its shortest decimal: 0.69."""
    written = {"a": 0.69, "b": 1e-30, "c": float("inf"), "d": -0.0, "e": 123456789.0, "f": 3e38}
    (event,) = tfevents.events(tfevents.header(1.0) + tfevents.scalars(1.0, 1, written))
    assert event.scalars == {**written, "e": 123456790.0}  # the shortest of those that it may be


@pytest.mark.parametrize("tool", ["guild", "ray", "sacred"])
def test_why_a_run_failed_is_its_exception(tool: str) -> None:
    """The exception is found even if output follows the traceback."""
    shutil.copytree(FOREIGN / tool, "runs")
    trace = "Traceback (most recent call last):\n  File 'a.py', line 1\nMemoryError: 8 GB\n"
    if tool == "sacred":
        told = json.loads(Path("runs/3/run.json").read_text())
        lines = [*trace.splitlines(keepends=True), "epoch 3\n"]
        Path("runs/3/run.json").write_text(json.dumps({**told, "fail_trace": lines}))
    else:
        name = ".guild/output" if tool == "guild" else "error.txt"
        (log,) = (
            each
            for each in sorted(Path("runs").rglob(name.rpartition("/")[2]))
            if "it diverged" in each.read_text()
        )
        log.write_text(f"{trace}epoch 3\n")
    import_runs("runs", "out")
    (failed,) = (each for each in found_in("out").values() if each.status.state == "failed")
    assert failed.status.last_line == "MemoryError: 8 GB"
    assert failed.status.failure == "out-of-memory"


# -- There and back --------------------------------------------------------------------------------


@pytest.mark.parametrize(("to", "out"), [("tensorboard", "events"), ("optuna", "s.log")])
def test_what_was_exported_comes_back(to: str, out: str) -> None:
    """Names, hyperparameters, curves and results survive an export and an import."""
    base = {"learning_rate": 0.1, "model": {"widths": [8, 16]}, "name": "a b"}
    Path("s").mkdir()
    Path("s/params.json").write_text(json.dumps(base))
    space = {"learning_rate": [0.1, 0.01], "model.widths": [[8, 16], [4]]}
    for trial in modeldir.Search("s", space=space, maximize="accuracy"):
        with trial:
            for step in 0, 2, 1:
                trial.report(step, {"accuracy": trial.params.learning_rate + step / 4})
    export("s", to, out)
    import_runs(out, "back")
    before, after = found_in("s"), found_in("back")
    assert len(after) == 4

    def key(found: ExperimentRow) -> str:
        return json.dumps(found.hyperparameters, sort_keys=True)

    scores = {key(each): each.scores.validation["accuracy"] for each in before.values()}
    assert {key(e): e.scores.validation["accuracy"] for e in after.values()} == scores
    if to == "tensorboard":  # whose tags `best/accuracy` and `last/accuracy` are no other metrics
        kept = {key(each): each.scores.last for each in before.values()}
        assert {key(each): each.scores.last for each in after.values()} == kept
        assert {name for each in after.values() for name in each.scores.validation} == {"accuracy"}
    assert set(states(after).values()) == {"completed"}


# -- The command -----------------------------------------------------------------------------------


def typed(*words: str) -> subprocess.CompletedProcess[str]:
    """Run a command as a shell does."""
    return subprocess.run(
        [sys.executable, "-m", "modeldir", *words], capture_output=True, text=True, check=False
    )


def test_the_commands_as_they_are_typed() -> None:
    """Import and export work, and a mistake prints a message and exits with 2."""
    done = typed("import", str(FOREIGN / "sacred"), "-o", "runs")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "next:    modeldir results runs"
    done = typed("export", "runs", "--to", "csv", "-o", "tables")
    assert (done.returncode, done.stderr) == (0, "")
    assert Path("tables/trials.csv").exists()
    for words in ["import", "nowhere", "-o", "x"], ["export", "nowhere", "--to", "csv", "-o", "x"]:
        done = typed(*words)
        assert (done.returncode, done.stdout) == (2, "")
        assert "nowhere: no such folder" in done.stderr


def test_a_full_disk_is_told_and_the_import_goes_on() -> None:
    """Runs that were imported before the disk was full are complete and stay."""
    shutil.copytree(FOREIGN / "sacred", "runs")
    Path("runs/2/cout.txt").write_text("x" * 10_000)
    words = ["import", "runs", "-o", "out"]
    limited = ["sh", "-c", 'ulimit -f 4; exec "$@"', "sh", sys.executable, "-m", "modeldir", *words]
    done = subprocess.run(limited, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "error: out: File too large: the import was cut short.\n"
        "  run it again to continue\nImported so far, each as a whole: 1.\n"
    )
    again = import_runs("runs", "out")
    assert (again.new, again.same) == (2, 1)


# -- The real tools, where they are installed ------------------------------------------------------

MAKERS = {
    "hydra": ("make_hydra.sh", "hydra"),
    "optuna": ("make_optuna.py", "optuna"),
    "ray": ("make_ray.py", "tensorboardX"),  # what Ray Tune needs beyond Ray
    "mlflow": ("make_mlflow.py", "mlflow"),
    "sacred": ("make_sacred.py", "sacred"),
    "tensorboard": ("make_tensorboard.py", "tensorboard"),
}
"""By tool its script, and what has to be there. Guild is not: its last release, of 2023, made what
is kept, and asks for packages older than those that the other tools ask for.
"""


def said(place: Path) -> list[str]:
    """Return what an import makes of runs, without what is random: Sacred draws a seed."""
    import_runs(place, f"from_{place.name}")
    rows = []
    for found in found_in(f"from_{place.name}").values():
        values = {name: v for name, v in (found.hyperparameters or {}).items() if name != "seed"}
        scores = found.scores
        told = [found.number, found.status.state, found.status.last_line]
        rows.append(json.dumps([values, scores.validation, scores.test, *told], sort_keys=True))
    shutil.rmtree(f"from_{place.name}")
    return sorted(rows)


@pytest.mark.exchange
@pytest.mark.parametrize("tool", MAKERS)
@pytest.mark.timeout(600)
def test_what_the_installed_release_writes_is_read(tool: str) -> None:
    """The installed release of the tool gives the same as the stored files."""
    script, package = MAKERS[tool]
    engines.need_package(package)
    shutil.copy(FOREIGN / script, script)
    words = [sys.executable, script] if script.endswith(".py") else ["sh", script, sys.executable]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    kept = [FOREIGN / place for name, place in SOURCES.items() if name.split()[0] == tool]
    for place in kept:
        assert said(Path(place.relative_to(FOREIGN))) == said(place)
