"""Spaces with conditions, zips, constraints and points, searched by real commands."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion
from test_search_command import points, said

from laboratory import Project, read, wait_until
from modeldir import Search, space
from modeldir.experiment import experiment
from modeldir.monitor.search import SearchMonitor

BASE = {
    "optimizer": "adam",
    "momentum": 0.9,
    "learning_rate": 0.5,
    "batch_size": 16,
    "accumulate": 1,
    "dropout": 0.5,
}

SCRIPT = """\
import json, os, sys
from modeldir import Params

folder = sys.argv[sys.argv.index("--model_dir") + 1]
params = Params(os.path.join(folder, "params.json"))
score = params.learning_rate * params.batch_size * params.accumulate + params.dropout
if params.optimizer == "sgd":
    score += params.momentum
with open(os.path.join(folder, "metrics_eval_best_weights.json"), "w") as file:
    json.dump({"accuracy": score}, file)
with open(".started.txt", "a") as file:
    file.write(os.path.basename(folder) + "\\n")
"""
"""A training that reads `momentum` only where it counts."""

TYPED = (
    "optimizer=adam,sgd",
    "momentum=0.5,0.9",
    "learning_rate=0.1,0.01",
    "batch_size=64,32",
    "dropout=uniform:0,0.5,step=0.5",
    *("--condition", "momentum:optimizer=sgd"),
    *("--zip", "learning_rate,batch_size"),
    *("--constraint", "batch_size * accumulate <= 32 or dropout == 0"),
    *("--try", "momentum=0.9,dropout=0.5"),
    *("--sampler", "grid"),
)
PLAN: dict[str, Any] = {
    "space": {
        "optimizer": ["adam", "sgd"],
        "momentum": {"values": [0.5, 0.9], "condition": {"optimizer": "sgd"}},
        "learning_rate": [0.1, 0.01],
        "batch_size": [64, 32],
        "dropout": {"uniform": [0, 0.5], "step": 0.5},
    },
    "zip": [["learning_rate", "batch_size"]],
    "constraints": ["batch_size * accumulate <= 32 or dropout == 0"],
    "try": [{"momentum": 0.9, "dropout": 0.5}],
    "sampler": "grid",
}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    found = Project(tmp_path, SCRIPT)
    found.params("experiments/search", **BASE)
    return found


def in_order(project: Project) -> list[dict[str, Any]]:
    """The points of all trials, by number."""
    return [point for _, point in sorted(points(project).items())]


def test_a_space_with_all_of_it_is_searched_whole_and_once(
    project: Project, snapshot: SnapshotAssertion
) -> None:
    """The point first, then the grid: only what counts, what goes together, what is allowed."""
    done = project.searches(*TYPED, "-j", "2")
    assert (done.code, done.err) == (0, "")
    assert [" ".join(map(str, point.values())) for point in in_order(project)] == snapshot
    assert set(project.trials().values()) == {"completed"}
    for folder in project.search.glob("*/trial.json"):
        trial, values = read(folder), read(folder.with_name("params.json"))
        assert values == {**BASE, **trial["configuration"]}
        assert ("momentum" in trial["configuration"]) == (values["optimizer"] == "sgd")
        assert trial["sampler"] == ("try" if trial["number"] == 1 else "grid")
    again = project.searches()
    assert again.lines[0].startswith(
        f"Nothing left to run: {len(in_order(project))} completed. Best: "
    )
    assert project.modeldir("show", "experiments/search").out == snapshot(name="show")


def test_the_file_the_command_line_and_python_give_the_same_trials(
    tmp_path: Path, project: Project
) -> None:
    """By grid and at random, in the same order, under the same names, and the same plan is kept."""
    for sampler in ("grid", "random"):
        many = ("--sampler", sampler, "--trials", "6", "--seed", "7")
        doors = {door: Project(tmp_path / f"{sampler}_{door}", SCRIPT) for door in ("a", "b", "c")}
        for each in doors.values():
            each.params("experiments/search", **BASE)
        typed, filed, python = doors.values()
        assert typed.searches(*TYPED[:-2], *many).code == 0
        filed.write("experiments/search/search.json", json.dumps(PLAN))
        assert filed.searches(*many).code == 0
        search = Search(
            python.search,
            space={
                "optimizer": ["adam", "sgd"],
                "momentum": space.choice([0.5, 0.9], condition={"optimizer": "sgd"}),
                "learning_rate": [0.1, 0.01],
                "batch_size": (64, 32),
                "dropout": space.uniform(0, 0.5, step=0.5),
            },
            zip=[("learning_rate", "batch_size")],
            constraints="batch_size * accumulate <= 32 or dropout == 0",
            try_=[{"momentum": 0.9, "dropout": 0.5}],
            sampler=sampler,
            trials=6,
            seed=7,
        )
        for trial in search:
            with trial:
                experiment.Experiment(trial.model_dir)
                (trial.model_dir / "metrics_eval_best_weights.json").write_text('{"accuracy": 1}')
        assert in_order(typed) == in_order(filed) == in_order(python)
        assert typed.trials().keys() == filed.trials().keys() == python.trials().keys()
        assert len(in_order(typed)) == 6
        keys = ("space", "zip", "try", "constraints")
        plans = [[each.plan()[key] for key in keys] for each in doors.values()]
        assert plans[0] == plans[1] == plans[2]


@pytest.mark.parametrize("sampler", ["grid", "random"])
def test_points_come_first_whatever_the_sampler_and_after_any_restart(
    project: Project, sampler: str
) -> None:
    """One trial, then two more, then the rest: in the plan's order, each once."""
    typed = ("learning_rate=0.1,0.2,0.3,0.4", "dropout=0,0.1", "--try", "learning_rate=0.3",
             "--try", "learning_rate=0.2,dropout=0.1", "--try", "dropout=0.1",
             "--sampler", sampler)  # fmt: skip
    for trials in ("1", "3", "8"):
        assert project.searches(*typed, "--trials", trials).code == 0
    found = in_order(project)
    assert [point["learning_rate"] for point in found[:2]] == [0.3, 0.2]
    assert len(found) == len({str(point) for point in found}) == 8
    # The third, that only dropout be 0.1, was met already by the second.
    told = [read(path) for path in project.search.glob("*/trial.json")]
    assert sorted(each["number"] for each in told if each["sampler"] == "try") == [1, 2]


def test_the_rows_of_a_file_are_the_search(project: Project, snapshot: SnapshotAssertion) -> None:
    """No more and no less; said again nothing runs; a row that is added is one more trial."""
    project.write("points.csv", "\ufefflearning_rate,optimizer,batch_size\n0.1,adam,32\n0.2,sgd,\n")
    assert project.searches("@points.csv").code == 0
    assert in_order(project) == [
        {"learning_rate": 0.1, "optimizer": "adam", "batch_size": 32},
        {"learning_rate": 0.2, "optimizer": "sgd", "batch_size": 16},
    ]
    assert (
        project.searches("@points.csv")
        .lines[0]
        .startswith("Nothing left to run: 2 completed. Best: ")
    )
    with (project.path / "points.csv").open("a") as file:
        file.write("0.1,sgd,64\n")
    done = project.searches("@points.csv")
    assert done.lines[0] == 'plan: learning_rate, optimizer, batch_size: [0.1, "sgd", 64] added'
    assert len(in_order(project)) == 3
    assert project.plan() == snapshot


def test_the_rows_of_a_file_go_first_where_the_names_have_domains(project: Project) -> None:
    """Then a blank cell is sampled, and the search goes on by its sampler."""
    project.write("points.csv", "learning_rate,dropout\n0.25,0.5\n,0.25\n")
    typed = ("learning_rate=log_uniform:0.01,1", "dropout=uniform:0,0.5,step=0.25")
    assert project.searches(*typed, "@points.csv", "--trials", "4").code == 0
    first, second, *_ = in_order(project)
    assert first == {"learning_rate": 0.25, "dropout": 0.5}
    assert second["dropout"] == 0.25
    assert project.plan()["try"] == [{"learning_rate": 0.25, "dropout": 0.5}, {"dropout": 0.25}]


def test_a_plan_s_file_may_name_a_file_of_points(project: Project) -> None:
    """Seen from the search's folder."""
    project.write("experiments/search/points.csv", "learning_rate\n0.1\n0.2\n")
    project.write("experiments/search/search.json", '{"try": "@points.csv"}')
    assert project.searches().code == 0
    assert in_order(project) == [{"learning_rate": 0.1}, {"learning_rate": 0.2}]


def test_a_space_that_grows_says_so_and_how_to_take_it_back(
    project: Project, snapshot: SnapshotAssertion
) -> None:
    """Conditions, points and constraints that are said later are added, and none takes them out."""
    grid = ("--sampler", "grid")
    project.searches("optimizer=adam,sgd", "momentum=0.5,0.9", "--trials", "2", "--no-check", *grid)
    more = ("--condition", "momentum:optimizer=sgd", "--constraint", "momentum > 0.6",
            "--try", "optimizer=sgd", "learning_rate=0.1,0.2")  # fmt: skip
    said_of = [
        [*project.searches(*words, "--dry-run").lines, "--"]
        for words in (more, ("--zip", "optimizer,momentum"))
    ]
    assert project.searches(*more, "--trials", "4").code == 0
    taken = project.searches(
        *("--condition", "momentum:none", "--try", "none", "--constraint", "none"),
        *("--trials", "5", "--no-check"),
    )
    lines = [said(line, project) for lines in said_of for line in lines]
    assert lines == snapshot(name="dry runs")
    assert [line for line in taken.lines if line.startswith("plan:")] == snapshot(name="taken out")
    assert project.plan().keys().isdisjoint({"try", "constraints", "condition"})


def test_the_first_trial_check_need_not_read_what_does_not_count(project: Project) -> None:
    """The first trial is one with adam, at which the script never looks at the momentum."""
    done = project.searches("optimizer=adam,sgd", "momentum=0.5,0.9", "--condition",
                            "momentum:optimizer=sgd", "-j", "2")  # fmt: skip
    assert done.code == 0
    assert len(project.started) == 3
    assert project.started[0] == "optimizer_adam"


def test_the_first_trial_check_has_to_read_what_counts(project: Project) -> None:
    """A knob that nobody reads is found though it counts only where another one has a value."""
    project.write("train.py", SCRIPT.replace("score += params.momentum", "pass"))
    done = project.searches("momentum=0.5,0.9", "optimizer=sgd,adam", "--condition",
                            "momentum:optimizer=sgd")  # fmt: skip
    assert done.code == 2
    assert "momentum varies in this search, but train.py never read it" in done.out + done.err
    assert len(project.started) == 1


def test_a_running_trial_shows_only_what_counts_at_it(project: Project) -> None:
    """Whoever watches sees no momentum beside adam."""
    waiting = "while os.path.exists('hold'):\n    import time; time.sleep(0.005)\n"
    project.write("train.py", SCRIPT.replace("score =", f"{waiting}score =", 1))
    project.hold()
    words = ("optimizer=adam,sgd", "momentum=0.5,0.9", "--condition", "momentum:optimizer=sgd",
             "--no-check", "-j", "2", "--", "python", "train.py")  # fmt: skip
    with project.started_as("search", "experiments/search", *words) as worker:
        watched = SearchMonitor(project.search)
        wait_until(lambda: len(watched.update().running) == 2, "two that run")
        rows = {row.name: row.values for row in watched.update().running}
        project.release()
        assert worker.wait(30) == 0
    assert "momentum" not in rows["optimizer_adam"]
    assert rows["optimizer_sgd__momentum_0.5"]["momentum"] == 0.5


def test_a_trial_made_after_another_has_the_point_that_counts_then(project: Project) -> None:
    """`retry --set`: what no longer counts leaves the point and the name; the hash is its own."""
    typed = ("optimizer=adam,sgd", "momentum=0.5,0.9", "--condition", "momentum:optimizer=sgd")
    project.searches(*typed)
    trial = "experiments/search/optimizer_sgd__momentum_0.5"
    done = project.modeldir("retry", trial, "--set", "optimizer=adam")
    assert done.code == 0
    assert done.out.startswith("trial 4 (optimizer_adam__2) will run")
    assert read(project.search / "optimizer_adam__2" / "trial.json")["configuration"] == {
        "optimizer": "adam"
    }
    other = "experiments/search/optimizer_adam"
    done = project.modeldir("retry", other, "--set", "optimizer=sgd", "--set", "batch_size=8")
    assert done.out.startswith("trial 5 (optimizer_sgd__momentum_0.9__batch_size_8) will run")
    assert project.searches().code == 0
    assert set(project.trials().values()) == {"completed"}


def test_folders_that_another_script_made_are_taken_in_at_their_point(project: Project) -> None:
    """Without a trial.json: what does not count at them is no part of their point."""
    made: dict[str, dict[str, Any]] = {"one": {"momentum": 0.5}, "two": {"optimizer": "sgd"}}
    for name, values in made.items():
        project.params(f"experiments/search/{name}", **{**BASE, **values})
        metric = f"experiments/search/{name}/metrics_eval_best_weights.json"
        project.write(metric, '{"accuracy": 0.5}')
    typed = ("optimizer=adam,sgd", "momentum=0.5,0.9", "--condition", "momentum:optimizer=sgd")
    assert project.searches(*typed).code == 0
    assert project.started == ["optimizer_sgd__momentum_0.5"]
    claims = [read(path) for path in (project.search / ".modeldir/trials").glob("*.json")]
    assert {claim["name"]: claim["configuration"] for claim in claims} == {
        "one": {"optimizer": "adam"},
        "two": {"optimizer": "sgd", "momentum": 0.9},
        "optimizer_sgd__momentum_0.5": {"optimizer": "sgd", "momentum": 0.5},
    }


def test_what_does_not_count_is_no_change_of_the_base(project: Project) -> None:
    """The base's own value of a conditional name may change; another name's may not."""
    typed = ("optimizer=adam,sgd", "momentum=0.5,0.9", "--condition", "momentum:optimizer=sgd")
    project.searches(*typed)
    project.params("experiments/search", **{**BASE, "momentum": 0.1})
    assert project.searches().lines[0].startswith("Nothing left to run: 3 completed. Best: ")
    project.params("experiments/search", **{**BASE, "dropout": 0.1})
    assert "the base config changed" in project.searches().err


def test_hundreds_of_trials_are_told_by_the_first_and_how_many_more(
    project: Project, snapshot: SnapshotAssertion
) -> None:
    """And what does not count is a blank cell."""
    before = project.tree()
    done = project.searches("optimizer=adam,sgd", "momentum=uniform:0,0.9,step=0.1", "--condition",
                            "momentum:optimizer=sgd", "dropout=uniform:0,0.5", "--trials", "500",
                            "--sampler", "random", "--dry-run")  # fmt: skip
    assert done.out == snapshot
    assert project.tree() == before


def test_a_dry_run_estimates_by_the_trials_that_have_finished(project: Project) -> None:
    """The median, times the rounds that are left; said too where nothing can be known yet."""
    typed = ("learning_rate=0.1,0.2,0.3,0.4,0.5,0.6", "-j", "2")
    none = project.searches(*typed, "--dry-run")
    assert "time: not known, no trial has finished; --dry-run --estimate runs one" in none.out
    assert project.searches(*typed, "--trials", "3", "--sampler", "grid").code == 0
    for number, seconds in enumerate((60.0, 100.0, 600.0), 1):
        path = project.search / f"learning_rate_0.{number}" / "run.json"
        record = read(path)
        assert record["status"] == "completed"
        path.write_text(json.dumps({**record, "duration": seconds}))
    done = project.searches("--trials", "6", "-j", "2", "--dry-run")
    expected = "time: about 3m 20s, for 3 trials, 2 at a time, 1m 40s each (the median of 3 that"
    assert expected in done.out


def test_one_trial_is_run_to_time_it_and_kept(
    project: Project, snapshot: SnapshotAssertion
) -> None:
    """A real one, the first: then the estimate; the search goes on with the second."""
    done = project.searches("learning_rate=0.1,0.2,0.3", "--dry-run", "--estimate")
    assert done.code == 0
    assert project.started == ["learning_rate_0.1"]
    assert said(done.out, project) == snapshot
    assert project.searches().code == 0
    assert project.started == ["learning_rate_0.1", "learning_rate_0.2", "learning_rate_0.3"]
    alone = project.searches("--estimate")
    assert (alone.code, alone.err) == (
        2,
        "error: --estimate needs --dry-run\nNothing was started.\n",
    )


HOSTILE = {
    "unknown names": ("momentun=1,2", "--condition", "momentum:optimizr=sgd", "--zip", "a,b",
                      "--try", "batchsize=3", "--constraint", "batch_szie < 3"),
    "steps": ("dropout=uniform:0,0.5,step=0.3", "batch_size=int:16,63,step=16"),
    "a step without a value": ("dropout=uniform:0,0.5,step=",),
    "a word that is no step": ("dropout=uniform:0,0.5,stp=0.1",),
    "a condition without a value": ("momentum=1,2", "--condition", "momentum:optimizer"),
    "a condition that never comes": ("momentum=1,2", "optimizer=adam,sgd", "--condition",
                                     "momentum:optimizer=sdg"),
    "a condition of what is fixed": ("momentum=1,2", "--condition", "momentum:optimizer=sgd"),
    "a circle": ("momentum=1,2", "optimizer=adam,sgd", "--condition", "momentum:optimizer=sgd",
                 "--condition", "optimizer:momentum=1"),
    "lists of unequal length": ("batch_size=1,2,3", "learning_rate=0.1,0.2", "--zip",
                                "batch_size,learning_rate"),
    "one name in two zips": ("batch_size=1,2", "learning_rate=1,2", "momentum=1,2", "--zip",
                             "batch_size,learning_rate", "--zip", "momentum,batch_size"),
    "a point outside": ("batch_size=1,2", "--try", "batch_size=3"),
    "a point twice": ("batch_size=1,2", "--try", "batch_size=1,batch_size=2"),
    "a point of two values": ("batch_size=1,2", "--try", "batch_size=1,2"),
    "no point": ("batch_size=1,2", "--try", "batch_size"),
    "a constraint that nothing keeps": ("batch_size=16,32", "--constraint",
                                        "batch_size * accumulate <= 4"),
    "a constraint that is code": ("batch_size=16,32", "--constraint",
                                  "__import__('os').system('touch pwned')"),
    "a constraint that is huge": ("batch_size=16,32", "--constraint",
                                  "batch_size < 9**9**9**9"),
    "two sources of points": ("batch_size=16,32", "@points.csv", "--try", "batch_size=16"),
    "no such file": ("@points.csv",),
}  # fmt: skip


@pytest.mark.parametrize("words", HOSTILE.values(), ids=HOSTILE.keys())
def test_what_cannot_be_searched_is_told_before_anything_starts(
    project: Project, words: tuple[str, ...], snapshot: SnapshotAssertion
) -> None:
    """All that is wrong at once, with what to type; no file is made or changed."""
    before = project.tree()
    done = project.searches(*words)
    assert (done.code, done.out) == (2, "")
    assert done.err.endswith("Nothing was started.\n")
    assert project.tree() == before
    assert done.err == snapshot


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_it_is_typed_without_quotes_but_for_constraints(project: Project, shell: str) -> None:
    """As the documentation has it, in the shells that people use."""
    line = (
        f"{sys.executable} -m modeldir search experiments/search optimizer=adam,sgd"
        " momentum=uniform:0.5,0.9,step=0.2 --condition momentum:optimizer=sgd"
        " --zip learning_rate,batch_size learning_rate=0.1,0.01 batch_size=32,64"
        " --try optimizer=sgd,momentum=0.7 --constraint 'batch_size * accumulate <= 512'"
        " --sampler grid --dry-run -- python train.py"
    )
    try:
        done = subprocess.run([shell, "-c", line], cwd=project.path, env=project.environment,
                              capture_output=True, text=True, check=False)  # fmt: skip
    except FileNotFoundError:
        pytest.skip(f"no {shell}")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("8 trials would be made")


def test_the_page_on_spaces_says_one_space_three_times(project: Project, tmp_path: Path) -> None:
    """The page on search spaces: file, command line and Python give the same plan and trials."""
    page = (Path(__file__).parents[2] / "docs/concepts/search-spaces.md").read_text()
    base = {**BASE, "num_epochs": 1, "model": {"num_layers": 2}}
    plans, names = {}, {}
    for language, text in blocks_of(page).items():
        reads = SCRIPT.replace("score = ", "score = params.model.num_layers + ")
        each = Project(tmp_path / language, reads)
        each.params("experiments/search", **base)
        if language == "json":
            each.write("experiments/search/search.json", text)
            done = each.searches("--trials", "4", "--dry-run")
            plan = json.loads(text)
        else:
            program = text if language == "bash" else f"{text}\nsearch.run('python train.py')"
            words = ["bash", "-c"] if language == "bash" else [sys.executable, "-c"]
            ran = subprocess.run([*words, program], cwd=each.path, env=each.environment,
                                 capture_output=True, text=True, check=False)  # fmt: skip
            assert (ran.returncode, ran.stderr) == (0, ""), ran.stdout
            done, plan = each.searches("--trials", "8", "--dry-run"), each.plan()
        keys = ("space", "zip", "try", "constraints")
        plans[language] = {key: plan[key] for key in keys}
        names[language] = {*each.trials(), *listed(done.out)}
        assert plans[language]["space"].pop("num_epochs") in (5, [5])
    assert plans["json"] == plans["bash"] == plans["python"]
    assert len(names["json"]) == 4
    assert names["json"] <= names["bash"] == names["python"]


def blocks_of(page: str) -> dict[str, str]:
    """The one block of JSON, of bash and of Python on a page."""
    found = re.findall(r"^```(json|bash|python)\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    assert len(found) == 3
    return dict(found)


def listed(out: str) -> list[str]:
    """The folders of the trials in what a dry run printed."""
    rows = out.partition("---\n")[2].partition("\n\n")[0]
    return [f"trial_{int(line.split()[0]):04}" for line in rows.splitlines()]
