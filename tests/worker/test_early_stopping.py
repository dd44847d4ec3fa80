"""Early stopping in real searches: scripts with and without us, several ranks, kill -9, retry."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path

import pytest

import modeldir
from laboratory import Project, kill, read, supervisor_of, wait_until
from modeldir._system import reading
from modeldir.errors import SearchError, TrialPruned
from modeldir.pruners.rungs import RungFiles
from modeldir.search.loop import Trial
from modeldir.worker.runnable_search import Search

SIX = ("learning_rate=0.1,0.2,0.15,0.05,0.3,0.01",)
"""By asha, one after the other, the third and the fifth end at step 1."""
PRUNED = ["learning_rate_0.15", "learning_rate_0.3"]

WITH_RUN = """\
import argparse, modeldir

parser = argparse.ArgumentParser()
parser.add_argument("--model_dir")
with modeldir.start(parser.parse_args().model_dir) as run:
    state = run.restore() or {"epoch": 0}
    with open(".started.txt", "a") as file:
        file.write(f"{run.model_dir.name} {int(state['epoch'])}\\n")
    for epoch in range(int(state["epoch"]) + 1, run.params.num_epochs + 1):
        run.save_checkpoint({"epoch": epoch})
        run.log(epoch, accuracy=1 - run.params.learning_rate - 1 / (epoch + 1))
        with open("steps.txt", "a") as file:
            file.write(f"{run.model_dir.name} {epoch}\\n")
print("after the training")
"""
"""Trains by `run.log`, and says in `steps.txt` where it went on."""

UNTOUCHED = """\
import json, os, sys, time

folder = sys.argv[sys.argv.index("--model_dir") + 1]
name = os.path.basename(folder)
with open(os.path.join(folder, "params.json")) as file:
    params = json.load(file)
with open(".started.txt", "a") as file:
    file.write(name + "\\n")
{before}
for epoch in range(1, 10):
    accuracy = 1 - params["learning_rate"] - 1 / (epoch + 1)
    {write}
    with open("steps.txt", "a") as file:
        file.write(f"{{name}} {{epoch}}\\n")
    time.sleep(0.2)  # what is overwritten before anybody has looked is no step
    while os.path.exists("hold"):
        time.sleep(0.01)
with open(os.path.join(folder, "metrics_val_best_weights.json"), "w") as file:
    json.dump({{"accuracy": accuracy}}, file)
"""

REWRITES = """\
path = os.path.join(folder, "metrics_val_last_weights.json")
    with open(path, "w") as file:
        json.dump({"accuracy": accuracy}, file, indent=4)"""
APPENDS = """\
with open(os.path.join(folder, "metrics.jsonl"), "a") as file:
        file.write(json.dumps({"epoch": epoch, "val/accuracy": accuracy}) + "\\n")"""
PRINTS = """print(f"epoch {epoch}  val acc: {accuracy:.4f}")"""


def untouched(write: str, before: str = "") -> str:
    return UNTOUCHED.format(write=write, before=before)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project(tmp_path, WITH_RUN)
    made.params("experiments/search", learning_rate=0.5, num_epochs=9)
    return made


def steps(project: Project, name: str) -> list[int]:
    """The steps that a trial's script came to."""
    return [int(line.split()[1]) for line in project.lines("steps.txt") if line.startswith(name)]


def values(project: Project, rung: int) -> dict[int, float]:
    """What all trials have left at a rung."""
    (folder,) = (project.search / ".modeldir" / "rungs").glob("*-*")
    return RungFiles(folder, "accuracy", 0).values(rung)


def states(project: Project) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, state in project.trials().items():
        found.setdefault(state, []).append(name)
    return found


# -- By run.log ------------------------------------------------------------------------------------


def test_a_script_with_us_stops_itself_at_the_rung(project: Project) -> None:
    """Its metrics are written, it leaves quietly, and why stands in its run file."""
    done = project.searches(*SIX, "--pruner", "asha", "--maximize", "accuracy")
    assert done.code == 0, done.out
    assert states(project)["pruned"] == PRUNED
    assert "\n4 completed, 2 pruned. Best: " in done.out
    folder = project.search / "learning_rate_0.15"
    record = read(folder / "run.json")
    reason = "accuracy 0.35 at step 1: not among the best third of 3"
    assert (record["reason"], record["exit_code"], record["intent"]) == (reason, 0, None)
    assert f"pruned        3  learning_rate_0.15  {reason}  " in done.out
    assert read(folder / "metrics_eval_last_weights.json") == {"accuracy": 0.35}
    assert [line["step"] for line in reading.read_lines(folder / "metrics.jsonl")] == [1]
    assert "Traceback" not in (folder / "console.log").read_text()
    assert "after the training" in (folder / "train.log").read_text()
    assert steps(project, "learning_rate_0.15") == []
    assert steps(project, "learning_rate_0.1") == [*range(1, 10)]


def test_each_is_judged_once(project: Project) -> None:
    """The supervisor of a script that judges itself leaves it be: one line a trial and rung."""
    project.searches(*SIX, "--pruner", "asha", "--maximize", "accuracy", "-j", "2")
    for path in (project.search / ".modeldir" / "rungs").rglob("*.txt"):
        numbers = [line.split()[0] for line in path.read_text().splitlines()]
        assert len(numbers) == len(set(numbers)), path


def test_the_best_is_one_that_was_trained_to_its_end(project: Project) -> None:
    """A pruned trial has its row, and never wins, however good its first steps were."""
    project.searches(*SIX, "--pruner", "asha", "--maximize", "accuracy")
    folder = project.search / "learning_rate_0.15"
    (folder / "metrics_eval_best_weights.json").write_text('{"accuracy": 0.999}')
    best = project.modeldir("best", "experiments/search")
    assert best.lines[-1].endswith("learning_rate_0.01")
    table = project.modeldir("synthesize", "experiments/search")
    assert sum("pruned" in line for line in table.lines) == 2


def test_no_metric_needs_to_be_named(project: Project) -> None:
    """The first metrics say that accuracy counts."""
    done = project.searches(*SIX, "--pruner", "asha")
    assert states(project)["pruned"] == PRUNED, done.out


def test_a_metric_that_nobody_can_rank_by_is_an_error(project: Project) -> None:
    """With what to type."""
    project.write("train.py", WITH_RUN.replace("accuracy=", "closeness="))
    done = project.searches("learning_rate=0.1", "--pruner", "asha")
    assert done.code == 1
    console = (project.search / "learning_rate_0.1" / "console.log").read_text()
    assert "modeldir cannot tell whether high or low is better in closeness" in console
    assert "--maximize NAME" in console


def test_a_script_that_goes_on_all_the_same_is_told_again(project: Project) -> None:
    """It catches everything, and trains to its end: then it has completed."""
    script = WITH_RUN.replace(
        "        run.log(epoch, accuracy=1 - run.params.learning_rate - 1 / (epoch + 1))\n",
        "        try:\n"
        "            run.log(epoch, accuracy=1 - run.params.learning_rate - 1 / (epoch + 1))\n"
        "        except Exception as error:\n"
        "            print('caught', error)\n",
    )
    project.write("train.py", script)
    project.searches(*SIX, "--pruner", "asha")
    assert states(project) == {"completed": sorted(project.trials())}
    log = (project.search / "learning_rate_0.15" / "train.log").read_text()
    assert log.count("caught accuracy 0.35 at step 1") == 9


def test_the_pruner_may_change_midway(project: Project) -> None:
    """What the plan says now holds for the trials that start now, and is told."""
    first = project.searches("learning_rate=0.1,0.2", "--pruner", "asha")
    assert "plan: pruner: asha (kept; --pruner none removes it)" in first.lines
    more = project.searches(
        "learning_rate=0.3", "--pruner", "median:warmup_trials=1", command="python train.py"
    )
    assert "plan: pruner: asha -> median:warmup_trials=1 (kept; " in more.out
    assert project.plan()["pruner"] == {"median": {"warmup_trials": 1}}
    none = project.searches("learning_rate=0.4", "--pruner", "none")
    assert "none" in none.lines[0]
    assert "pruner" not in project.plan()
    assert project.trials()["learning_rate_0.4"] == "completed"


def test_a_pruner_that_comes_later_knows_what_was_before(project: Project) -> None:
    """Trials that ran without one set the bar too: their metrics tell."""
    project.searches("learning_rate=0.1,0.05", "--maximize", "accuracy")
    project.searches("learning_rate=0.3", "--pruner", "asha")
    assert set(values(project, 1)) == {1, 2, 3}
    assert set(values(project, 9)) == {1, 2}
    assert states(project)["pruned"] == ["learning_rate_0.3"]
    project.searches("learning_rate=0.2", "--pruner", "asha:reduction_factor=2")
    assert project.trials()["learning_rate_0.2"] == "pruned"


def test_rungs_that_a_kill_left_half_filled_are_filled(project: Project) -> None:
    """That some values are there does not say that all are."""
    project.searches("learning_rate=0.1,0.05", "--maximize", "accuracy")
    project.searches("learning_rate=0.3", "--pruner", "asha")
    (marker,) = project.search.glob(".modeldir/rungs/filled/*")
    marker.unlink()  # as if it had been killed before the last rung
    for rung in project.search.glob(".modeldir/rungs/asha-*/accuracy/9"):
        shutil.rmtree(rung)
    project.searches()
    assert set(values(project, 9)) == {1, 2}
    assert set(values(project, 1)) == {1, 2, 3}


def test_what_is_wrong_with_a_pruner_is_said_before_anything_starts(project: Project) -> None:
    """With all else that is wrong."""
    done = project.searches("learning_rate=0.1", "--pruner", "ahsa", "--trials", "0")
    assert done.code == 2
    assert "pruner: no 'ahsa'\n    did you mean 'asha'?" in done.err
    assert "trials: got 0" in done.err
    assert done.err.endswith("Nothing was started.\n")
    assert not (project.search / "search.json").exists()


# -- Scripts that know nothing of us ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("write", "read"), [(REWRITES, None), (APPENDS, None), (PRINTS, "val acc: {accuracy}")],
    ids=["rewrites a file", "appends lines", "prints"],
)  # fmt: skip
def test_a_script_without_us_is_stopped(project: Project, write: str, read: str | None) -> None:
    """By TERM, as soon as its metrics say so, with the reason; those that are good run on."""
    project.write("train.py", untouched(write))
    told = ("--metrics", read) if read else ()
    done = project.searches(*SIX, "--pruner", "asha", "--maximize", "accuracy", *told, "--no-check")
    assert done.code == 0, done.out
    assert states(project)["pruned"] == PRUNED
    record = json.loads((project.search / "learning_rate_0.15" / "run.json").read_text())
    assert (record["signal"], record["intent"]["intent"]) == ("SIGTERM", "pruned")
    assert record["reason"] == "accuracy 0.35 at step 1: not among the best third of 3"
    assert steps(project, "learning_rate_0.15") in ([1], [1, 2])
    assert steps(project, "learning_rate_0.01") == [*range(1, 10)]
    assert set(values(project, 9)) == {1, 2, 4, 6}


def test_a_cs230_project_is_stopped_early(tmp_path: Path) -> None:
    """Its own train.py, as it was written before there was a modeldir."""
    home = Path(__file__).parents[1] / "projects" / "cs230_untouched"
    shutil.copytree(home, tmp_path / "project")
    project = Project(tmp_path / "project")
    shutil.copy(home / "train.py", project.path / "train.py")
    script = (project.path / "train.py").read_text()
    shutil.copy(home / "experiments" / "learning_rate" / "params.json", project.search)
    slow = script.replace("import argparse", "import argparse, time").replace(
        "        val_metrics =", "        time.sleep(0.1)\n        val_metrics ="
    )
    project.write("train.py", slow)
    done = project.searches(
        "learning_rate=0.1,0.01,1e-6,1e-7", "--pruner", "asha:min_step=2,reduction_factor=2",
        "--no-check", limit=90,
    )  # fmt: skip
    assert done.code == 0, done.out
    assert "learning_rate_1e-07" in states(project)["pruned"], done.out


def test_a_script_that_ignores_term_is_killed(project: Project) -> None:
    """After its grace; it is pruned all the same."""
    ignores = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)"
    script = untouched(REWRITES, ignores).replace("range(1, 10)", "range(1, 10 + 990 * poor)")
    project.write(
        "train.py", script.replace("\nfor epoch", "\npoor = 'rate_0.3' in name\nfor epoch")
    )
    project.searches("learning_rate=0.1,0.2,0.3", "--pruner", "asha", "--no-check", limit=60)
    record = read(project.search / "learning_rate_0.3" / "run.json")
    assert (record["status"], record["signal"]) == ("pruned", "SIGKILL")


def test_a_pruner_that_breaks_ends_nobody(project: Project) -> None:
    """One of the user's own, in a script without us: the trial goes on, and what broke is said."""
    project.write("train.py", untouched(REWRITES))
    project.write(
        "own_rule.py",
        "class Breaks:\n"
        "    def __init__(self, rungs, direction): pass\n"
        "    def should_prune(self, step, value): raise ZeroDivisionError('mine')\n",
    )
    done = project.searches("learning_rate=0.1", "--pruner", "own_rule:Breaks", "--no-check")
    assert done.code == 0, done.out
    console = (project.search / "learning_rate_0.1" / "console.log").read_text()
    assert "modeldir: this trial is not stopped early: ZeroDivisionError: mine" in console


def test_of_several_ranks_none_leaves_alone(project: Project) -> None:
    """The others would wait for it for ever: the supervisor ends them all."""
    ranks = (
        "import os, subprocess, sys, time\n"
        "both = [subprocess.Popen([sys.executable, 'rank.py', *sys.argv[1:]],\n"
        "        env={**os.environ, 'RANK': str(r), 'WORLD_SIZE': '2'}) for r in range(2)]\n"
        "sys.exit(max(each.wait() for each in both))\n"
    )
    project.write("train.py", ranks)
    slow = WITH_RUN.replace("import argparse", "import time, argparse").replace(
        "        run.save", "        time.sleep(0.1)\n        run.save"
    )
    project.write("rank.py", slow)
    done = project.searches(*SIX, "--pruner", "asha", "--maximize", "accuracy", "--no-check")
    assert done.code == 0, done.out
    assert states(project)["pruned"] == PRUNED
    record = read(project.search / "learning_rate_0.15" / "run.json")
    assert record["intent"]["intent"] == "pruned"
    for name in PRUNED:
        assert "TrialPruned" not in (project.search / name / "console.log").read_text()


# -- Whatever is killed ----------------------------------------------------------------------------


def test_a_supervisor_that_is_killed_leaves_its_trial_to_be_judged_again(project: Project) -> None:
    """The next attempt begins afresh, and its value takes the place of the first one's."""
    project.write("train.py", untouched(REWRITES))
    project.hold()
    words = ("search", "experiments/search", *SIX, "--pruner", "asha", "--maximize", "accuracy")
    with project.started_as(*words, "--no-check", "--", "python", "train.py") as worker:
        wait_until(lambda: steps(project, "learning_rate_0.1"), "the first step")
        wait_until(lambda: list(project.search.glob(".modeldir/rungs/*/*/1/*.txt")), "its value")
        kill(supervisor_of(project.search / "learning_rate_0.1"))
        project.release()
        assert worker.wait(60) == 0
    assert read(project.search / "learning_rate_0.1" / "run.2.json")["status"] == "completed"
    assert sorted(values(project, 1)) == [1, 2, 3, 4, 5, 6]
    assert states(project)["pruned"] == PRUNED


def test_a_worker_that_is_killed_changes_no_decision(project: Project) -> None:
    """The trial goes on without it and is stopped by its supervisor; the next worker goes on."""
    project.write("train.py", untouched(REWRITES))
    words = ("search", "experiments/search", *SIX, "--pruner", "asha", "--maximize", "accuracy")
    with project.started_as(*words, "--no-check", "--", "python", "train.py") as worker:
        wait_until(lambda: len(project.started) == 3, "the third trial")
        kill(worker.pid)
        worker.wait()
        wait_until(lambda: "running" not in states(project), "its end")
    done = project.modeldir("search", "experiments/search")
    assert done.code == 0, done.out
    assert states(project)["pruned"] == PRUNED
    assert len(project.started) == 6


def test_two_workers_share_the_rungs(project: Project) -> None:
    """Each trial is compared with those of both."""
    project.write("train.py", untouched(REWRITES))
    words = ("search", "experiments/search", *SIX, "--pruner", "asha", "--maximize", "accuracy")
    command = ("--no-check", "--", "python", "train.py")
    with project.started_as(*words, *command) as one:
        wait_until(lambda: project.started, "the first start")
        with project.started_as("search", "experiments/search", "--no-check") as two:
            assert one.wait(60) == 0
            assert two.wait(60) == 0
    assert sorted(values(project, 1)) == [1, 2, 3, 4, 5, 6]
    assert "learning_rate_0.3" in states(project)["pruned"]
    assert "learning_rate_0.01" in states(project)["completed"]
    assert len(project.started) == 6


def test_a_removed_trial_sets_no_bar(project: Project) -> None:
    """By `modeldir remove`, or by hand."""
    project.searches(*SIX, "--pruner", "asha", "--maximize", "accuracy")
    project.modeldir("remove", "experiments/search/learning_rate_0.01")
    assert sorted(values(project, 1)) == [1, 2, 3, 4, 5]
    shutil.rmtree(project.search / "learning_rate_0.05")
    project.modeldir("search", "experiments/search")
    assert sorted(values(project, 1)) == [1, 2, 3, 5, 7]  # the grid's point was made again


# -- To go on after all ----------------------------------------------------------------------------


def test_a_pruned_trial_goes_on_from_its_last_weights(project: Project) -> None:
    """To its own end, as its next attempt; no rung hears of it twice."""
    project.searches(*SIX, "--pruner", "asha", "--maximize", "accuracy")
    said = project.modeldir("retry", "experiments/search", "--pruned", "--top", "1")
    assert said.lines == [
        "trial 3 (learning_rate_0.15) will continue from its last weights",
        "next: modeldir search experiments/search",
    ]
    before = values(project, 1)
    done = project.modeldir("search", "experiments/search")
    assert done.code == 0, done.out
    assert project.trials()["learning_rate_0.15"] == "completed"
    assert project.trials()["learning_rate_0.3"] == "pruned"
    folder = project.search / "learning_rate_0.15"
    assert [line["step"] for line in reading.read_lines(folder / "metrics.jsonl")] == [
        *range(1, 10)
    ]
    assert values(project, 1) == before
    assert {3, 9} <= {int(path.parent.name) for path in project.search.rglob("rungs/*/*/*/*.txt")}
    assert values(project, 9)[3] == pytest.approx(0.75)
    again = project.modeldir("search", "experiments/search")
    assert "Nothing left to run" in again.out


def test_a_continued_trial_that_is_interrupted_is_not_pruned_later(project: Project) -> None:
    """Whoever wished that it go on wished so for good."""
    slow = WITH_RUN.replace(
        "        run.save", "        import time; time.sleep(0.05)\n        run.save"
    )
    project.write("train.py", slow)
    project.searches(*SIX, "--pruner", "asha", "--maximize", "accuracy")
    folder = project.search / "learning_rate_0.15"
    project.modeldir("retry", str(folder), "--pruned")
    with project.started_as("search", "experiments/search") as worker:
        wait_until(lambda: 3 in steps(project, "learning_rate_0.15"), "some steps")
        worker.send_signal(signal.SIGTERM)
        worker.wait(30)
    assert project.trials()["learning_rate_0.15"] == "interrupted"
    assert project.modeldir("search", "experiments/search").code == 0
    assert project.trials()["learning_rate_0.15"] == "completed"
    begun = [line.split()[1] for line in project.started if line.startswith("learning_rate_0.15")]
    assert begun[:2] == ["0", "1"]
    assert int(begun[2]) >= 3


def test_with_other_values_it_is_a_new_trial_with_the_weights(project: Project) -> None:
    """Hyperparameters never change under a name; where it came from is told in both its files."""
    project.searches(*SIX, "--pruner", "asha", "--maximize", "accuracy")
    said = project.modeldir("retry", "experiments/search", "--pruned", "--set", "num_epochs=12")
    assert said.lines[0] == (
        "trial 7 (learning_rate_0.15__num_epochs_12) will run: "
        "trial 3 (learning_rate_0.15) with num_epochs 12, from its last weights"
    )
    assert project.modeldir("search", "experiments/search").code == 0
    folder = project.search / "learning_rate_0.15__num_epochs_12"
    parent = {"number": 3, "name": "learning_rate_0.15", "step": 1}
    assert read(folder / "trial.json")["parent"] == parent
    assert read(folder / "run.json")["parent"] == parent
    assert read(folder / "run.json")["status"] == "completed"
    assert f"{folder.name} 1" in project.started
    assert [line["step"] for line in reading.read_lines(folder / "metrics.jsonl")] == [
        *range(2, 13)
    ]
    assert project.trials()["learning_rate_0.15"] == "pruned"


def test_a_script_that_cannot_go_on_begins_afresh_and_that_is_said(project: Project) -> None:
    """Without a way to resume there is none."""
    project.write("train.py", untouched(REWRITES))
    project.searches(*SIX, "--pruner", "asha", "--maximize", "accuracy", "--no-check")
    said = project.modeldir("retry", "experiments/search/learning_rate_0.3", "--pruned")
    assert said.lines[0] == "trial 5 (learning_rate_0.3) will start again: it left no weights"
    assert project.modeldir("search", "experiments/search").code == 0
    assert project.trials()["learning_rate_0.3"] == "completed"
    assert (project.search / "learning_rate_0.3" / "attempts" / "1").is_dir()
    assert values(project, 1)[5] == pytest.approx(0.2)


def test_who_was_pruned_before_its_first_weights_begins_afresh(project: Project) -> None:
    """Though its script could go on: what it left is set aside. A new one is spared too."""
    late = WITH_RUN.replace('        run.save_checkpoint({"epoch": epoch})\n', "").replace(
        "1 / (epoch + 1))\n", '1 / (epoch + 1))\n        run.save_checkpoint({"epoch": epoch})\n'
    )
    assert late != WITH_RUN
    project.write("train.py", late)
    project.searches(*SIX, "--pruner", "asha", "--maximize", "accuracy")
    one = "experiments/search/learning_rate_0.3"
    said = project.modeldir("retry", one, "--pruned")
    assert said.lines[0] == "trial 5 (learning_rate_0.3) will start again: it left no weights"
    said = project.modeldir("retry", one, "--pruned", "--set", "num_epochs=8")
    assert said.lines[0].endswith("from the beginning: it left no weights")
    assert project.modeldir("search", "experiments/search").code == 0
    folder = project.search / "learning_rate_0.3"
    assert [line["step"] for line in reading.read_lines(folder / "metrics.jsonl")] == [
        *range(1, 10)
    ]
    assert (folder / "attempts" / "1").is_dir()
    assert not read(folder / "run.2.json")["resumes"]
    assert project.trials()["learning_rate_0.3"] == "completed"
    assert project.trials()["learning_rate_0.3__num_epochs_8"] == "completed"


def test_mistakes_with_pruned_trials_are_said(project: Project) -> None:
    """Nothing is marked then."""
    project.searches("learning_rate=0.1", "--pruner", "asha")
    for words, told in (
        (("experiments/search", "--pruned", "--only", "nan"), "--only cannot be combined"),
        (("experiments/search", "--top", "2"), "--top needs --pruned"),
        (("experiments/search", "--pruned", "--top", "0"), "--top 0: expected 1 or more"),
        (("experiments/search/learning_rate_0.1", "--pruned"), "was not pruned: it is completed"),
    ):
        done = project.modeldir("retry", *words)
        assert done.code == 2
        assert told in done.err
    done = project.modeldir("retry", "experiments/search", "--pruned")
    assert "No trial was pruned." in done.out
    assert not list(project.search.glob(".modeldir/trials/*.unpruned"))


# -- In Python -------------------------------------------------------------------------------------

RATES = {"learning_rate": [0.1, 0.2, 0.15, 0.05, 0.3, 0.01]}


def train(trial: Trial) -> None:
    for epoch in range(1, 10):
        trial.report(epoch, accuracy=1 - trial.params.learning_rate - 1 / (epoch + 1))


def test_the_loop_is_stopped_by_what_it_reports(project: Project) -> None:
    """`with trial:` leaves quietly, and the next one comes."""
    search = Search(project.search, RATES, pruner="asha", maximize="accuracy")
    for trial in search:
        with trial:
            train(trial)
    assert states(project)["pruned"] == PRUNED
    record = read(project.search / "learning_rate_0.15" / "run.json")
    assert record["reason"] == "accuracy 0.35 at step 1: not among the best third of 3"
    assert read(project.search / "learning_rate_0.01" / "metrics_eval_best_weights.json") == {
        "accuracy": pytest.approx(0.89)
    }


def test_start_in_the_loop_is_stopped_by_run_log(project: Project) -> None:
    """The same rungs, whichever way the loop records its metrics."""
    for trial in Search(project.search, RATES, pruner="asha", maximize="accuracy"):
        with trial, modeldir.start(trial.model_dir) as run:
            for epoch in range(1, 10):
                run.log(epoch, accuracy=1 - run.params.learning_rate - 1 / (epoch + 1))
    assert states(project)["pruned"] == PRUNED
    assert "MODELDIR_PRUNER" not in os.environ


def test_ask_report_and_tell_serve_many_at_a_time(project: Project) -> None:
    """Several are asked for before any is told; who is stopped is told so without more words."""
    search = Search(project.search, RATES, pruner="asha", maximize="accuracy")
    running: list[Trial] = []
    while (trial := search.ask()) is not None:
        running.append(trial)
    assert len(running) == 6
    for epoch in range(1, 10):
        for trial in list(running):
            try:
                trial.report(epoch, {"accuracy": 1 - trial.params.learning_rate - 1 / (epoch + 1)})
            except TrialPruned:
                search.tell(trial)
                running.remove(trial)
    for trial in running:
        search.tell(trial)
    assert states(project)["pruned"] == PRUNED
    best = search.best()
    assert best is not None
    assert best.path.name == "learning_rate_0.01"


def test_who_tells_may_say_how_it_ended(project: Project) -> None:
    """Pruned by a rule of one's own, or failed, with a reason; and only once."""
    search = Search(project.search, RATES, maximize="accuracy")
    one, two, three = search.ask(), search.ask(), search.ask()
    assert one is not None
    assert two is not None
    assert three is not None
    search.tell(two, {"accuracy": 0.2}, status="pruned", reason="no hope")
    search.tell(one, status="failed", reason="the machine broke")
    search.tell(three, {"accuracy": 0.9})
    told = {trial: read(trial.model_dir / "run.json") for trial in (one, two, three)}
    assert [record["status"] for record in told.values()] == ["failed", "pruned", "completed"]
    assert [record.get("reason") for record in told.values()] == [
        "the machine broke", "no hope", None,
    ]  # fmt: skip
    with pytest.raises(SearchError, match="already recorded: it has completed"):
        search.tell(three, {"accuracy": 0.1})


def test_what_is_reported_must_be_numbers(project: Project) -> None:
    """As for `run.log`; the metric of the search must be among them."""
    trial = Search(project.search, RATES, pruner="asha", maximize="accuracy").ask()
    assert trial is not None
    with pytest.raises(modeldir.MetricsError, match="must be one number"):
        trial.report(1, accuracy="high")
    with pytest.raises(modeldir.MetricsError, match="'accuracy', but only loss was logged"):
        trial.report(1, loss=0.1)


# -- Population-based training ---------------------------------------------------------------------

POPULATION = (
    WITH_RUN.replace('{"epoch": 0}', '{"epoch": 0, "done": 0.0}')
    .replace(
        """        run.save_checkpoint({"epoch": epoch})
        run.log(epoch, accuracy=1 - run.params.learning_rate - 1 / (epoch + 1))
""",
        """        state["done"] += (1 - state["done"]) * run.params.learning_rate
        run.save_checkpoint({"epoch": epoch, "done": state["done"]})
        run.log(epoch, accuracy=state["done"])
        time.sleep(0.1)
        while os.path.exists("hold." + run.model_dir.name):
            time.sleep(0.01)
""",
    )
    .replace("import argparse", "import os, time, argparse")
)
"""What it has learned is in its weights; a large learning rate is good."""

PBT = ("learning_rate=log_uniform:0.001,0.3", "--maximize", "accuracy", "--no-check",
       "--sampler", "pbt:population=4,interval=3", "--seed", "1", "--trials", "9")  # fmt: skip


def test_a_population_goes_on_from_the_weights_of_the_best(project: Project) -> None:
    """The worst is replaced by a changed copy; its lineage is in trial.json and in run.json."""
    project.write("train.py", POPULATION)
    project.params("experiments/search", learning_rate=0.5, num_epochs=40)
    done = project.searches(*PBT, "-j", "4", limit=90)
    assert done.code == 0, done.out
    assert states(project)["pruned"], done.out
    trials = {read(path)["number"]: path.parent for path in project.search.glob("*/trial.json")}
    children = [path for number, path in trials.items() if number > 4]
    # Who is stopped when all others have completed is not replaced.
    assert 1 <= len(children) <= len(states(project)["pruned"])
    assert not states(project).get("failed"), done.out
    for folder in children:
        told, ran = read(folder / "trial.json"), read(folder / "run.json")
        parent, replaced = trials[told["parent"]["number"]], trials[told["notes"]["replaces"]]
        assert told["parent"]["name"] == parent.name
        assert read(replaced / "run.json")["status"] == "pruned"
        assert ran["parent"]["number"] == told["parent"]["number"]
        assert ran["resumes"]
        first = reading.read_lines(folder / "metrics.jsonl")[0]
        before = {line["step"]: line["accuracy"]
                  for line in reading.read_lines(parent / "metrics.jsonl")}  # fmt: skip
        assert first["step"] > 1
        rate = read(folder / "params.json")["learning_rate"]
        start = before[first["step"] - 1]
        assert first["accuracy"] == pytest.approx(start + (1 - start) * rate)


def test_who_is_stopped_when_the_others_have_completed_is_not_replaced(project: Project) -> None:
    """From a completed one's weights no step is left: such a copy would fail without a metric."""
    project.write("train.py", POPULATION)
    project.params("experiments/search", learning_rate=0.5, num_epochs=9)
    two = [word.replace("population=4", "population=2,quantile=0.5") for word in PBT]
    done = project.searches(*two, "-j", "1", limit=90)
    assert done.code == 0, done.out
    assert sorted(project.trials().values()) == ["completed", "pruned"], done.out
    assert "note: 2 configurations instead of 9: no stopped trial could be replaced" in done.out
    assert "members have to run in parallel: set -j to the size of the population" in done.out
    # The one command does not send to the other for trials that cannot come.
    assert "to come" not in project.modeldir("show", "experiments/search").out
    again = project.searches()
    assert "Nothing left to run: 1 completed, 1 pruned" in again.out


def test_a_population_whose_scripts_leave_no_weights_is_an_error(project: Project) -> None:
    """There is nothing to copy; nothing that ran is lost."""
    bare = POPULATION.replace("        run.save_checkpoint", "        # run.save_checkpoint")
    project.write("train.py", bare)
    project.params("experiments/search", learning_rate=0.5, num_epochs=40)
    done = project.searches(*PBT, "-j", "4", limit=90)
    assert done.code == 2
    assert "saved none that its script can load" in done.out
    assert "--resume '--restore_file last'" in done.out
    assert len(project.trials()) == 4


def test_nobody_is_exchanged_at_the_last_step(project: Project) -> None:
    """Also where the interval divides it: what ends there is whole."""
    project.write("train.py", POPULATION)
    project.params("experiments/search", learning_rate=0.5, num_epochs=3)
    done = project.searches(*PBT, "-j", "4", limit=90)
    assert done.code == 0, done.out
    assert states(project)["completed"] == sorted(project.trials())


def test_a_copy_of_who_was_at_its_end_has_not_failed(project: Project) -> None:
    """Nothing was left to train; it is not said to lack a metric for ever."""
    search = project.searches(
        "learning_rate=0.1,0.2,0.3", "--pruner", "asha", "--maximize", "accuracy"
    )
    assert search.code == 0
    pruned = states(project)["pruned"]
    assert pruned
    project.modeldir(
        "retry", f"experiments/search/{pruned[0]}", "--pruned", "--set", "num_epochs=1"
    )
    done = project.modeldir("search", "experiments/search")
    assert done.code == 0, done.out
    record = read(project.search / f"{pruned[0]}__num_epochs_1" / "run.json")
    assert (record["status"], record["reason"]) == ("completed", "nothing was left to train")


def test_a_population_lives_in_the_loop_too(project: Project) -> None:
    """A trial that takes another's place finds its weights in its folder, before it begins."""
    search = Search(
        project.search,
        {"learning_rate": {"log_uniform": [0.001, 0.3]}},
        maximize="accuracy",
        sampler={"pbt": {"population": 4}},
        trials=8,
        seed=1,
    )
    done: dict[int, float] = {}
    running: list[Trial] = []
    for epoch in range(1, 20):
        while (trial := search.ask()) is not None:
            before = modeldir.load_checkpoint(trial.model_dir, "last") if trial.resumes else {}
            done[trial.number] = float(before.get("done", 0.0))
            running.append(trial)
        for trial in list(running):
            done[trial.number] += (1 - done[trial.number]) * trial.params.learning_rate
            modeldir.save_checkpoint({"done": done[trial.number]}, trial.model_dir, is_best=False)
            try:
                trial.report(epoch, accuracy=done[trial.number])
            except TrialPruned:
                search.tell(trial)
                running.remove(trial)
    for trial in running:
        search.tell(trial)
    children = [
        path.parent for path in project.search.glob("*/trial.json") if "parent" in read(path)
    ]
    assert len(children) == 4
    for folder in children:
        assert read(folder / "run.json")["parent"]["number"] >= 1
        assert reading.read_lines(folder / "metrics.jsonl")[0]["accuracy"] > 0.05


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--sampler", "pbt"), "pbt needs a metric"),
        (("--sampler", "pbt", "--maximize", "a", "--pruner", "asha"), "pbt stops the worst itself"),
        (("--pruner", "pbt"), "pbt works only with the sampler pbt"),
        (
            ("--sampler", "pbt:interval=0", "--maximize", "a"),
            "interval: got 0, expected an integer",
        ),
        (
            ("--maximize", "a", "--minimize", "b", "--pruner", "asha"),
            "it compares trials by one metric",
        ),
    ],
)
def test_a_population_that_makes_no_sense_is_refused(
    project: Project, words: tuple[str, ...], told: str
) -> None:
    """Before anything is started."""
    done = project.searches("learning_rate=uniform:0,1", *words)
    assert (done.code, told in done.err) == (2, True), done.err
    assert "Nothing was started." in done.err


BREAKS = (
    "class Breaks:\n"
    "    def __init__(self, rungs, direction): pass\n"
    "    def should_prune(self, step, value): raise ZeroDivisionError('mine')\n"
)


def test_a_pruner_that_breaks_ends_no_script_with_us_either(project: Project) -> None:
    """As for a script without us: it goes on to its end, and what broke is said once."""
    project.write("own_rule.py", BREAKS)
    done = project.searches("learning_rate=0.1", "--pruner", "own_rule:Breaks", "--no-check")
    assert done.code == 0, done.out
    console = (project.search / "learning_rate_0.1" / "console.log").read_text()
    assert console.count("this trial is not stopped early: ZeroDivisionError: mine") == 1
    assert steps(project, "learning_rate_0.1") == [*range(1, 10)]


def test_what_fails_behind_a_pruned_training_leaves_it_pruned(project: Project) -> None:
    """A script that evaluates its best weights once the training is over may find none."""
    project.write("train.py", WITH_RUN + "assert run._recorder._best > 0.6, 'no good weights'\n")
    done = project.searches(*SIX, "--pruner", "asha", "--maximize", "accuracy", "--no-check")
    assert done.code == 0, done.out
    assert states(project)["pruned"] == PRUNED
    assert read(project.search / PRUNED[0] / "run.json")["exit_code"] == 1


def test_a_script_that_starts_with_us_but_writes_metrics_itself_is_stopped(
    project: Project,
) -> None:
    """Who never calls `run.log` does not decide: the supervisor does."""
    script = untouched(REWRITES, "import modeldir\nrun = modeldir.start(folder)")
    project.write("train.py", script)
    done = project.searches(*SIX, "--pruner", "asha", "--maximize", "accuracy", "--no-check")
    assert done.code == 0, done.out
    assert states(project)["pruned"] == PRUNED


def test_a_trial_of_another_base_sets_no_bar(project: Project) -> None:
    """With --accept-new-base trials continue beside earlier ones, whose values mean others."""
    project.searches("learning_rate=0.01,0.02,0.03", "--pruner", "asha", "--maximize", "accuracy")
    project.params("experiments/search", learning_rate=0.5, num_epochs=3)
    done = project.searches("learning_rate=0.4,0.3", "--accept-new-base", "--trials", "5")
    assert done.code == 0, done.out
    assert sorted(values(project, 1)) == [4, 5, 6, 7, 8]
    record = read(project.search / "learning_rate_0.4" / "run.json")
    assert record["reason"].endswith("not among the best third of 4")


def test_who_tells_in_the_body_has_told(project: Project) -> None:
    """What was recorded is not recorded once more as the body is left, nor reported to."""
    search = Search(project.search, RATES, maximize="accuracy")
    first = search.ask()
    assert first is not None
    with first:
        search.tell(first, {"val/accuracy": 0.2}, status="pruned", reason="no hope")
        with pytest.raises(SearchError, match="already recorded: it has pruned"):
            first.report(1, accuracy=0.1)
    assert read(first.model_dir / "run.json")["status"] == "pruned"
    assert "MODELDIR_RUN" not in os.environ
    second = search.ask()
    assert second is not None
    with pytest.raises(SearchError, match="status 'complete'"):
        search.tell(second, {"val/accuracy": 0.2}, status="complete")  # type: ignore[arg-type]
    search.tell(second, {"val/accuracy": 0.2, "train/accuracy": 0.9})
    assert read(second.model_dir / "run.json")["status"] == "completed"
    assert read(second.model_dir / "metrics_eval_best_weights.json") == {"accuracy": 0.2}


def test_a_population_at_its_end_has_no_children_that_train_nothing(project: Project) -> None:
    """They would end without any metrics, and have failed."""
    project.write("train.py", WITH_RUN)
    words = ("--sampler", "pbt:population=3,quantile=0.5", "--trials", "6", "--no-check")
    done = project.searches(
        "learning_rate=log_uniform:0.01,0.3", *words, "--maximize", "accuracy", "--seed", "3"
    )
    assert done.code == 0, done.out
    assert "failed" not in states(project)
    assert states(project)["pruned"]
    assert len(project.trials()) == 3
