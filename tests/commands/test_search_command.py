"""`modeldir search`, as it is typed: each sentence of what it promises, by real processes."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion

from laboratory import LIMIT, THREE, WITH_PARAMS, Project, read
from modeldir import Search
from modeldir._system import reading
from modeldir.commands.search import with_typed_hints
from modeldir.errors import SearchError

ALL = ("learning_rate_0.001", "learning_rate_0.01", "learning_rate_0.1")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def said(text: str, project: Project) -> str:
    """A text that users read, without what differs from run to run."""
    text = text.replace(str(project.path), "PROJECT").replace(sys.executable, "PYTHON")
    return re.sub(r"\b\d+\.\ds\b", "0.0s", text)


def points(project: Project) -> dict[int, dict[str, Any]]:
    """Each trial's point, by number."""
    told = [read(path) for path in project.search.glob("*/trial.json")]
    return {trial["number"]: trial["configuration"] for trial in told}


# -- Grid and random -------------------------------------------------------------------------------


def test_a_grid_makes_one_folder_a_point_and_trains_in_each(
    project: Project, snapshot: SnapshotAssertion
) -> None:
    """The main job: three values, three folders, each with its own hyperparameters and metrics."""
    done = project.searches(*THREE)
    assert (done.code, done.err) == (0, "")
    assert said(done.out, project) == snapshot
    assert project.trials() == dict.fromkeys(ALL, "completed")
    for value in (0.1, 0.01, 0.001):
        folder = project.search / f"learning_rate_{value}"
        assert read(folder / "params.json") == {"learning_rate": value, "batch_size": 16}
        assert (folder / "console.log").read_text() == f"trained learning_rate_{value}\n"
    assert sorted(project.started) == sorted(project.ended) == list(ALL)


def test_the_plan_is_written_down_as_it_was_chosen(
    project: Project, snapshot: SnapshotAssertion
) -> None:
    """Who reads search.json next year sees what varied, the metric, the command and its folder."""
    project.searches(*THREE, "--seed", "230")
    assert (project.search / "search.json").read_text() == snapshot


@pytest.mark.slow
def test_the_same_seed_gives_the_same_trials_whatever_slots_and_restarts(tmp_path: Path) -> None:
    """Chance is drawn by seed and number, so how a search was run does not show in its trials."""
    plan = ("learning_rate=log_uniform:1e-4,1e-1", "batch_size=16,32,64", "--seed", "230")
    whole, in_parts = Project(tmp_path / "whole"), Project(tmp_path / "parts")
    assert whole.searches(*plan, "--trials", "7").code == 0
    assert in_parts.searches(*plan, "--trials", "2", "-j", "2").code == 0
    assert in_parts.searches("--trials", "7", "-j", "3").code == 0
    assert sorted(points(whole)) == list(range(1, 8))
    assert points(whole) == points(in_parts)
    other = Project(tmp_path / "other")
    other.searches(*plan[:-1], "231", "--trials", "7", "--dry-run")
    assert other.searches(*plan[:-1], "231", "--trials", "2").code == 0
    assert points(other)[1] != points(whole)[1]


def test_a_finite_space_is_searched_at_random_without_repeats(project: Project) -> None:
    """Asked for more trials than there are points, random search ends when all were tried."""
    done = project.searches("batch_size=int:1,3", "--trials", "9", "-j", "2", "--no-check")
    assert done.code == 0
    assert sorted(point["batch_size"] for point in points(project).values()) == [1, 2, 3]


def test_trials_run_side_by_side(project: Project) -> None:
    """With three slots all three trials are running before any of them has ended."""
    project.hold()
    with project.started_as(
        "search", "experiments/search", *THREE, "-j", "3", "--no-check", "--", "python", "train.py"
    ) as worker:
        assert sorted(project.wait_for_starts(3)) == list(ALL)
        assert set(project.trials().values()) == {"running"}
        project.release()
        assert worker.wait(30) == 0
    assert len(project.ended) == 3


def test_of_equals_the_lower_number_is_the_best_everywhere(project: Project) -> None:
    """The search, watch, best, show, the table and Python name one trial, not one each."""
    same = '{"accuracy": 0.5}'
    project.write(
        "same.py", f"import sys; open(sys.argv[2] + '/metrics.json', 'w').write('{same}')"
    )
    done = project.searches("learning_rate=0.3,0.1,0.2", command="python same.py")
    name = "learning_rate_0.3"
    assert f"Best: experiments/search/{name} (highest accuracy 0.5)" in done.out
    said = {
        command: project.modeldir(command, "experiments/search").lines
        for command in ("watch", "best", "show", "synthesize")
    }
    assert f"best: trial 1 ({name})  accuracy 0.5" in said["watch"]
    assert said["best"] == [f"experiments/search/{name}"]
    assert f"best     trial 1 ({name})  accuracy 0.5" in said["show"]
    rows = [line.split()[:2] for line in said["synthesize"] if "  learning_rate_" in line]
    assert rows == [["1", name], ["2", "learning_rate_0.1"], ["3", "learning_rate_0.2"]]
    best = Search(project.search).best()
    assert best is not None
    assert best.path.name == name


# -- Commands --------------------------------------------------------------------------------------


def test_a_script_that_takes_only_flags_gets_them_by_placeholders(project: Project) -> None:
    """`{learning_rate}` and `{model_dir}` are replaced, and then nothing is added."""
    project.write(
        "flags.py",
        "import json, sys\n"
        "name, lr, out = sys.argv[1:]\n"
        "with open(out + '/metrics_eval_best_weights.json', 'w') as file:\n"
        "    json.dump({'accuracy': 1 - float(lr)}, file)\n"
        "print(name, lr)\n",
    )
    done = project.searches(
        "learning_rate=0.1,1e-3",
        command="python flags.py --lr={learning_rate} {learning_rate} {model_dir}",
    )
    assert done.code == 0, done.err
    assert project.trials() == {
        "learning_rate_0.1": "completed",
        "learning_rate_0.001": "completed",
    }
    assert (project.search / "learning_rate_0.1" / "console.log").read_text() == "--lr=0.1 0.1\n"


def test_metrics_are_read_from_printed_lines(project: Project) -> None:
    """A script that only prints is ranked by its best line, and each line is a step."""
    project.write(
        "prints.py",
        "import sys\nprint('val acc:  0.00')\nprint('val acc: ' + sys.argv[1])\n"
        "print('val acc: 0')\nprint('best val acc: 0.9')\n",
    )
    done = project.searches(
        *THREE, "--metrics", "val acc: {accuracy}", command="python prints.py {learning_rate}"
    )
    assert done.code == 0, done.err
    assert "Best: experiments/search/learning_rate_0.1 (highest accuracy 0.1)" in done.out
    assert project.plan()["metrics"] == "val acc: {accuracy}"
    lines = reading.read_lines(project.search / "learning_rate_0.1" / "metrics.jsonl")
    assert [(line["step"], line["accuracy"]) for line in lines] == [(1, 0), (2, 0.1), (3, 0)]


def test_a_printed_line_that_never_comes_is_a_failure(project: Project) -> None:
    """A typo in --metrics must not leave trials that look completed and have no metrics."""
    project.write("prints.py", "print('accuracy is 0.5')\n")
    done = project.searches(
        "learning_rate=0.1", "--metrics", "val acc: {accuracy}", command="python prints.py"
    )
    assert done.code == 1
    assert project.trials() == {"learning_rate_0.1": "failed"}
    assert "val acc: {accuracy}" in done.out


@pytest.mark.parametrize(
    "command", ["sbatch job.sh", "/opt/pbs/bin/qsub job.sh", "bsub python train.py"]
)
def test_a_command_that_only_submits_is_refused(
    project: Project, command: str, snapshot: SnapshotAssertion
) -> None:
    """Each trial would look completed at once; the way that works is named instead."""
    before = project.tree()
    done = project.searches(*THREE, command=command)
    assert done.code == 2
    assert done.err == snapshot
    assert project.tree() == before


@pytest.mark.parametrize(
    "command",
    ["pyhton train.py", "python trian.py", "python train.py --lr {learning_rte}"],
)
def test_a_command_that_cannot_run_is_refused_before_anything_starts(
    project: Project, command: str, snapshot: SnapshotAssertion
) -> None:
    """An unknown program, a missing script, a placeholder that nothing fills."""
    before = project.tree()
    done = project.searches(*THREE, command=command)
    assert (done.code, done.out) == (2, "")
    assert said(done.err, project) == snapshot
    assert project.tree() == before


def test_a_shell_variable_is_no_placeholder(project: Project) -> None:
    """`${HOME}` is the shell's, also beside `{model_dir}`."""
    done = project.modeldir(
        "search", "experiments/search", "learning_rate=0.1", "--",
        "sh", "-c", 'python train.py --model_dir {model_dir} && echo "${GREETING}"',
        GREETING="hello",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert (project.search / "learning_rate_0.1/console.log").read_text().endswith("hello\n")


def test_without_a_command_it_says_how_to_give_one(
    project: Project, snapshot: SnapshotAssertion
) -> None:
    """Nobody has said how to train: not the command line, not the plan, not modeldir.toml."""
    done = project.modeldir("search", "experiments/search", *THREE)
    assert done.code == 2
    assert done.err == snapshot


def test_a_command_submits_workers_that_do_the_search(project: Project) -> None:
    """`--on command --submit` starts workers by another program, and they need nothing else."""
    submit = project.write(
        "bin/job-manager-submit", '#!/bin/sh\n"$@" >job.out 2>&1 &\necho Job 42\n'
    )
    submit.chmod(0o755)
    path = f"{submit.parent}{os.pathsep}{project.environment['PATH']}"
    done = project.searches(
        *THREE, "--on", "command", "--submit", "job-manager-submit {worker}", PATH=path
    )
    assert done.code == 0, done.err
    assert done.lines[0] == "1 worker submitted: job 42"
    printed = "  the output of --submit: experiments/search/.modeldir/jobs/"
    assert done.lines[1].startswith(printed)
    assert (project.path / done.lines[1].rpartition(" ")[2]).read_text() == "Job 42\n"
    from laboratory import wait_until

    wait_until(lambda: list(project.trials().values()) == ["completed"] * 3, "three trials")
    wait_until(lambda: "3 completed" in "\n".join(project.lines("job.out")), "the worker's end")


# -- Dry runs --------------------------------------------------------------------------------------


def test_a_dry_run_says_what_would_be_made_and_makes_nothing(
    project: Project, snapshot: SnapshotAssertion
) -> None:
    """Names, points and the command of the first trial; not one file is made or changed."""
    before = project.tree()
    done = project.searches("learning_rate=0.1,0.01", "batch_size=16,32", "-j", "2", "--dry-run")
    assert (done.code, done.err) == (0, "")
    assert done.out == snapshot
    assert project.tree() == before


def test_a_dry_run_of_one_trial_does_not_speak_of_all(project: Project) -> None:
    """One alone imports for itself."""
    told = [
        project.searches(values, "--dry-run").out
        for values in ("learning_rate=0.1", "learning_rate=0.1,0.2")
    ]
    assert ["modules that the first" in each for each in told] == [False, True]


def test_a_dry_run_refuses_a_metric_that_no_trial_has(project: Project) -> None:
    """As the search itself would."""
    project.searches("learning_rate=0.1")
    before = project.tree()
    done = project.searches("--maximize", "acuracy", "--dry-run")
    assert (done.code, done.out) == (2, "")
    assert done.err == (
        "error: experiments/search cannot be ranked:\n"
        "  acuracy: no completed trial has this metric\n"
        "    did you mean 'accuracy'?\nNothing was started.\n"
    )
    assert project.tree() == before


@pytest.mark.parametrize("name", ["acc_best", "acc", "val/acc"])
def test_a_part_of_a_metrics_path_is_a_hint(tmp_path: Path, name: str) -> None:
    """It names the whole path, and is never taken for it: nothing starts or is ranked."""
    write = 'open(DIR + "/metrics_eval_best_weights.json", "w").write(\'{"val/acc_best": 3}\')'
    script = f"import sys\nDIR = sys.argv[sys.argv.index('--model_dir') + 1]\n{write}\n"
    project = Project(tmp_path, script)
    project.searches("learning_rate=0.1")
    done = project.searches("learning_rate=0.1,0.2", "--maximize", name)
    assert f"  {name}: no completed trial has this metric\n" in done.err
    assert "    did you mean 'val/acc_best'?\nNothing was started.\n" in done.err
    best = project.modeldir("best", "experiments/search", "--metric", name)
    assert "did you mean 'val/acc_best'?" in best.err


def test_a_dry_run_counts_all_trials_also_those_that_it_does_not_show(project: Project) -> None:
    """Twenty are shown one by one; the count, and the time, is for all."""
    for domains, total in (
        (("learning_rate=log_uniform:1e-5,1e-1", "--sampler", "random", "--trials", "25"), 25),
        ((f"learning_rate={','.join(f'0.{n}' for n in range(1, 9))}", "batch_size=1,2,4,8"), 32),
    ):
        done = project.searches(*domains, "--dry-run")
        assert done.code == 0, done.err
        assert f"{total} trials would be made" in done.out
        assert f"and {total - 20} more" in done.out


def test_a_dry_run_says_what_auto_chose_and_what_other_folders_give(project: Project) -> None:
    """Both are decided before anything is made, and may be what somebody looks for."""
    project.params("experiments/first", learning_rate=0.5)
    words = ("search", "experiments/first", "learning_rate=0.1,0.2", "--", "python", "train.py")
    assert project.modeldir(*words).code == 0
    done = project.searches(
        "learning_rate=log_uniform:1e-5,1e-1", "--trials", "5", "--maximize", "accuracy",
        "--warm-start-from", "experiments/first", "--reuse", "experiments/first", "--dry-run",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert "sampler tpe, by auto: it learns from the first trial on" in done.out
    assert "warm_start_from ../first: " in done.out
    assert "reuse ../first: " in done.out


def test_a_search_whose_space_has_no_more_says_so(project: Project) -> None:
    """Three trials where thirty were asked for are no mistake, but a surprise."""
    done = project.searches(
        "batch_size=int:1,3", "--sampler", "random", "--trials", "30", "--no-check"
    )
    assert (
        "note: 3 configurations instead of 30: the sampler has no more configurations in this space"
        in done.lines
    )


def test_a_search_cannot_learn_from_itself(project: Project) -> None:
    """Its own trials count already."""
    for option in ("--warm-start-from", "--reuse"):
        done = project.searches("learning_rate=0.1,0.2", option, "experiments/search")
        assert done.code == 2
        assert "is the search's own folder" in done.err


def test_a_dry_run_names_trials_that_run_again(project: Project) -> None:
    """A trial that `retry` has marked counts, although the search has made all its trials."""
    project.searches("learning_rate=0.1")
    project.modeldir("retry", "experiments/search", "1")
    said = project.modeldir("search", "experiments/search", "--dry-run")
    assert "Would run again: trial 1 (learning_rate_0.1)" in said.out
    assert "for 1 trial, 1 at a time" in said.out
    assert "Nothing is left" not in said.out


def test_a_dry_run_of_a_search_that_has_begun_counts_what_is_there(
    project: Project, snapshot: SnapshotAssertion
) -> None:
    """Completed trials are left out; a renamed one is known; interrupted ones are said to go on."""
    project.searches("learning_rate=0.1,0.01")
    (project.search / "learning_rate_0.1").rename(project.search / "the_first")
    torn = project.search / "learning_rate_0.01" / "run.json"
    torn.write_text("{}")
    os.utime(torn, (0, 0))  # a power cut left it so
    (torn.parent / "metrics_eval_best_weights.json").unlink()
    before = project.tree()
    done = project.searches("learning_rate=0.001", "--dry-run")
    assert done.code == 0
    assert said(done.out, project) == snapshot
    assert project.tree() == before


# -- Failures --------------------------------------------------------------------------------------


def test_one_failed_trial_does_not_stop_the_others(
    project: Project, snapshot: SnapshotAssertion
) -> None:
    """The end counts, shows the last line of the traceback and the log's path, and what is next."""
    project.write("fail.learning_rate_0.01", "")
    done = project.searches(*THREE)
    assert done.code == 1
    assert said(done.out, project) == snapshot
    assert sorted(project.trials().values()) == ["completed", "completed", "failed"]


def test_a_failed_trial_runs_again_only_when_the_code_has_changed(
    project: Project, snapshot: SnapshotAssertion
) -> None:
    """The same code would fail again; its mended version gets its chance, once."""
    project.write("fail.learning_rate_0.01", "")
    project.searches(*THREE)
    assert project.searches().code == 1  # nothing ran, and one is still a failure
    assert len(project.started) == 3
    project.write("train.py", (project.path / "train.py").read_text() + "# mended\n")
    (project.path / "fail.learning_rate_0.01").unlink()
    done = project.searches()
    assert done.code == 0
    assert said(done.out, project) == snapshot
    assert project.started[3:] == ["learning_rate_0.01"]
    folder = project.search / "learning_rate_0.01"
    assert "it diverged" in (folder / "attempts/1/console.log").read_text()
    assert (folder / "console.log").read_text() == "trained learning_rate_0.01\n"


def test_trials_that_lacked_a_module_run_again_once_it_is_installed(
    project: Project, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The interpreter of the trials is asked; what stays missing, or is old, changes nothing."""
    libraries = tmp_path_factory.mktemp("libraries")
    project.environment["PYTHONPATH"] = str(libraries)
    script = (project.path / "train.py").read_text()
    project.write("train.py", script.replace("name = ", "import lacking.layers\nname = ", 1))
    assert "No module named 'lacking'" in project.searches("learning_rate=0.1,0.01").out
    assert "Nothing left to run" in project.searches().out
    (libraries / "lacking").mkdir()
    (libraries / "lacking" / "__init__.py").write_text("")
    assert "No module named 'lacking.layers'" in project.searches().out  # they ran once more
    tried = [*project.search.glob("*/run.2.json")]
    assert len(tried) == 2
    project.searches()
    assert not [*project.search.glob("*/run.3.json")]  # nothing was installed since
    (libraries / "lacking" / "layers.py").write_text("")
    done = project.searches()
    assert done.code == 0, done.out
    assert len(project.ended) == 2


def test_a_search_whose_metric_was_never_written_says_so(project: Project) -> None:
    """Exit code 0 without the metric that the search ranks by is no completed trial."""
    done = project.searches("learning_rate=0.1", "--maximize", "f1")
    assert done.code == 1
    assert (
        "trial 1 (learning_rate_0.1) failed (missing-metric): "
        "it completed but wrote no 'f1'; metrics found: accuracy, loss"
    ) in done.lines


def test_equal_metrics_at_different_values_are_pointed_out(project: Project) -> None:
    """The script may not use what the search varies."""
    done = project.searches("batch_size=16,32,64")
    assert "note: all 3 completed trials have the same metrics: does train.py use batch_size?" in (
        done.lines
    )


# -- Said again ------------------------------------------------------------------------------------


def test_said_again_completed_trials_are_left_alone(
    project: Project, snapshot: SnapshotAssertion
) -> None:
    """Not one of their files is written, and nothing runs."""
    project.searches(*THREE)
    before = project.tree()
    done = project.modeldir("search", "experiments/search")
    assert done.code == 0
    assert done.out == snapshot
    log = "experiments/search/search.log"
    changed = {name for name, at in project.tree().items() if before.get(name) != at}
    assert {name for name in changed if not name.startswith("experiments/search/.modeldir")} <= {
        log,
        "experiments/search",
    }
    assert len(project.started) == 3


def test_new_values_add_trials_and_the_change_is_said(
    project: Project, snapshot: SnapshotAssertion
) -> None:
    """Values given again are joined with the plan's: the grid grows by the new points alone."""
    project.searches("learning_rate=0.1,0.01", "batch_size=16,32")
    done = project.searches("learning_rate=0.01,0.001")
    assert done.code == 0
    assert said(done.out, project) == snapshot
    assert len(project.started) == len(set(project.started)) == 6
    assert project.plan()["space"] == {"learning_rate": [0.1, 0.01, 0.001], "batch_size": [16, 32]}


def test_another_domain_replaces_the_one_before_and_earlier_trials_stay(
    project: Project, snapshot: SnapshotAssertion
) -> None:
    """The total counts what lies in the new space, so the new domain is really searched."""
    project.searches("learning_rate=uniform:0.5,0.9", "--trials", "2")
    done = project.searches("learning_rate=uniform:0.1,0.2", "--trials", "2")
    assert done.code == 0
    assert [line for line in done.lines if line.startswith("plan")] == snapshot
    rates = [point["learning_rate"] for _, point in sorted(points(project).items())]
    assert len(rates) == 4
    assert all(0.5 <= rate <= 0.9 for rate in rates[:2])
    assert all(0.1 <= rate <= 0.2 for rate in rates[2:])


def test_a_plan_edited_to_vary_something_else_goes_on_beside_the_old_trials(
    project: Project,
) -> None:
    """What an earlier plan varied is no change of the base."""
    project.searches(*THREE)
    plan = project.plan()
    plan["space"] = {"batch_size": [16, 32]}
    project.write("experiments/search/search.json", json.dumps(plan))
    done = project.modeldir("search", "experiments/search")
    assert done.code == 0, done.err
    assert {"batch_size_16", "batch_size_32", *ALL} == project.trials().keys()


def test_a_changed_command_is_said(project: Project) -> None:
    """Trials of two commands are hardly comparable: who changes it should see it."""
    project.searches("learning_rate=0.1")
    done = project.searches("learning_rate=0.01", command="python train.py --epochs 3")
    assert "plan: command: python train.py -> python train.py --epochs 3" in done.lines


def test_changed_code_is_said(project: Project) -> None:
    """Trials of two versions of the code are hardly comparable either."""
    project.searches("learning_rate=0.1")
    assert not any("code" in line for line in project.searches("learning_rate=0.01").lines)
    project.write("model/net.py", "layers = 3\n")
    done = project.searches("learning_rate=0.001")
    assert done.code == 0
    assert "note: the code has changed since trials were made" in done.lines[1]


def test_an_interrupted_trial_runs_again_and_its_attempts_never_mix(project: Project) -> None:
    """What the first attempt left is set aside, so that nothing of it can be taken for the new."""
    project.write(
        "train.py",
        "import json, os, signal, sys\n"
        "folder = sys.argv[2]\n"
        "first = 'MODELDIR_ATTEMPT' in os.environ and os.environ['MODELDIR_ATTEMPT'] == '1'\n"
        "open('.started.txt', 'a').write('x\\n')\n"
        "assert first or not os.path.exists(folder + '/half.txt')\n"
        "json.dump({'accuracy': 0.9 if first else 0.5},\n"
        "          open(folder + '/metrics_eval_best_weights.json', 'w'))\n"
        "open(folder + '/half.txt', 'w').write('half')\n"
        "if first:\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n",
    )
    done = project.searches("learning_rate=0.1")
    assert done.code == 0, done.out
    folder = project.search / "learning_rate_0.1"
    assert project.started == ["x", "x"]
    assert read(folder / "metrics_eval_best_weights.json") == {"accuracy": 0.5}
    assert read(folder / "attempts/1/metrics_eval_best_weights.json") == {"accuracy": 0.9}
    assert (folder / "attempts/1/half.txt").exists()
    assert read(folder / "run.json")["status"] == "interrupted"
    assert read(folder / "run.2.json")["status"] == "completed"


def test_an_interrupted_trial_goes_on_from_its_weights_where_the_plan_says_how(
    project: Project,
) -> None:
    """`--resume '--restore_file last'` is added once weights are there, and nothing is moved."""
    project.write(
        "train.py",
        "import json, os, signal, sys\n"
        "folder = sys.argv[2]\n"
        "open('.started.txt', 'a').write(' '.join(sys.argv[3:]) + '\\n')\n"
        "if len(sys.argv) == 3:\n"
        "    open(folder + '/last.pth.tar', 'w').write('weights')\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "assert os.path.exists(folder + '/last.pth.tar')\n"
        "json.dump({'accuracy': 0.5}, open(folder + '/metrics_val_best_weights.json', 'w'))\n",
    )
    done = project.searches("learning_rate=0.1", "--resume", "--restore_file last")
    assert done.code == 0, done.out
    assert project.started == ["", "--restore_file last"]


def test_weights_of_a_failed_attempt_are_not_gone_on_from(project: Project) -> None:
    """Though the attempt that was to start afresh after it was killed before it had moved them."""
    project.write("fail.learning_rate_0.1", "")
    project.searches("learning_rate=0.1", "--resume", "--restore_file last")
    folder = project.search / "learning_rate_0.1"
    (folder / "last.pth.tar").write_text("weights")
    killed = {"process": None, "status": None, "resumes": False, "intent": None}
    project.write(
        "experiments/search/learning_rate_0.1/run.2.json",
        json.dumps({**read(folder / "run.json"), **killed, "attempt": 2}),
    )
    assert project.trials() == {folder.name: "interrupted"}
    (project.path / "fail.learning_rate_0.1").unlink()
    assert project.searches("learning_rate=0.1").code == 0
    assert read(folder / "run.3.json")["resumes"] is False
    assert (folder / "attempts/1/last.pth.tar").exists()


# -- The first-trial check -------------------------------------------------------------------------


def test_the_first_trial_check_stops_a_search_over_a_name_that_is_never_read(
    tmp_path: Path, snapshot: SnapshotAssertion
) -> None:
    """The first trial goes alone, and what it never read cannot be worth varying."""
    project = Project(tmp_path, WITH_PARAMS)
    done = project.searches("learning_rate=0.1,0.01", "batch_size=16,32", "-j", "2")
    assert done.code == 2
    assert (done.lines[-3:], done.err) == snapshot
    assert len(project.started) == 1


BY_ITSELF = """\
import json, os, sys, time
from modeldir import Params
params = Params(sys.argv[2] + "/params.json")
with open(".started.txt", "a") as file:
    file.write("x\\n")
def save(accuracy):
    with open(sys.argv[2] + "/metrics_eval_best_weights.json", "w") as file:
        json.dump({"accuracy": accuracy}, file)
"""
"""The beginning of a training that reads by `Params` and writes its metrics by itself."""


def test_a_metric_opens_no_door_to_who_reads_by_params(tmp_path: Path) -> None:
    """All that such a script has read is known at its end: it is heard then."""
    project = Project(tmp_path, BY_ITSELF + "save(0.1)\ntime.sleep(0.5)\nparams.learning_rate\n")
    done = project.searches("learning_rate=0.1,0.01", "batch_size=16,32", "-j", "2")
    assert done.code == 2
    assert "batch_size varies in this search, but train.py never read it" in done.out
    assert len(project.started) == 1


def test_the_doors_open_once_what_varies_was_read(tmp_path: Path) -> None:
    """Not only when the first trial ends. Why the others wait is in the log, since it was short."""
    end = "while os.path.exists('hold'):\n    time.sleep(0.005)\nsave(0.1)\n"
    project = Project(tmp_path, f"{BY_ITSELF}params.learning_rate\n{end}")
    project.hold()
    words = ("search", "experiments/search", *THREE, "-j", "3", "--", "python", "train.py")
    with project.started_as(*words) as worker:
        project.wait_for_starts(3)
        project.release()
        assert worker.stdout is not None
        said = worker.stdout.read().splitlines()
        assert worker.wait(LIMIT) == 0
    assert said[:2] == [
        "Grid search: 3 trials, 3 in parallel.",
        "started       1  learning_rate_0.1",
    ]
    assert not any("checking that" in line for line in said)
    log = (project.search / "search.log").read_text()
    assert "checking that train.py reads learning_rate: the first trial runs alone" in log


def test_a_metric_that_is_misspelled_is_noticed_at_the_first_metrics(tmp_path: Path) -> None:
    """While the first training runs, not after three of them; the line to type sets it right."""
    project = Project(tmp_path, BY_ITSELF + "params.learning_rate\nsave(0.1)\ntime.sleep(25)\n")
    done = project.searches("learning_rate=0.1,0.01", "--maximize", "acuracy")
    assert done.code == 2
    assert "train.py writes no 'acuracy': did you mean 'accuracy'? (it writes accuracy)" in done.out
    assert "--maximize accuracy" in done.out
    assert len(project.started) == 1
    project.write("train.py", BY_ITSELF + "params.learning_rate\nsave(0.1)\n")
    assert project.searches("--maximize", "accuracy").code == 0
    assert [*project.trials().values()] == ["completed", "completed"]


def test_a_metric_that_comes_only_at_the_end_may_be_called_as_nothing_else(tmp_path: Path) -> None:
    """Without a name nearby it is waited for; and with one `--no-check` waits."""
    script = BY_ITSELF + (
        "params.learning_rate\nsave(0.1)\ntime.sleep(1.5)\n"
        "json.dump({'bleu': 1.5, 'accuracies': 1.5},"
        " open(sys.argv[2] + '/metrics_eval_last_weights.json', 'w'))\n"
    )
    project = Project(tmp_path, script)
    assert project.searches("learning_rate=0.1,0.01", "--maximize", "bleu").code == 0
    words = ("search", "experiments/other", "learning_rate=0.1", "--maximize", "accuracies")
    project.params("experiments/other", learning_rate=0.5)
    done = project.modeldir(*words, "--no-check", "--", "python", "train.py")
    assert done.code == 0, done.out


def test_trials_that_have_the_metric_that_is_named_now_are_pointed_out(project: Project) -> None:
    """They failed for want of another one: whether they run again is the user's to say."""
    done = project.searches("learning_rate=0.1,0.01", "--maximize", "acuracy", "--no-check")
    assert done.code == 1
    assert "wrote no 'acuracy'; metrics found: accuracy, loss; did you mean 'accuracy'?" in done.out
    done = project.searches("--maximize", "accuracy")
    assert (
        "note: 2 trials have accuracy, but failed: another metric is missing; to run again: "
        "modeldir retry experiments/search"
    ) in done.lines


def test_without_the_first_trial_check_such_a_search_runs(tmp_path: Path) -> None:
    """--no-check is for scripts that read a name only for some values."""
    project = Project(tmp_path, WITH_PARAMS)
    done = project.searches("learning_rate=0.1,0.01", "batch_size=16,32", "--no-check", "-j", "2")
    assert done.code == 0
    assert len(project.started) == 4


def test_a_name_that_is_a_placeholder_needs_no_reading(tmp_path: Path) -> None:
    """The script gets it as an argument, so `Params` has nothing to tell."""
    project = Project(tmp_path, WITH_PARAMS)
    done = project.searches(
        "learning_rate=0.1,0.01",
        "batch_size=16,32",
        command="python train.py --model_dir {model_dir} {batch_size}",
    )
    assert done.code == 0, done.out
    assert len(project.started) == 4


def test_a_first_trial_that_fails_is_heard_as_a_failure(tmp_path: Path) -> None:
    """It broke before it could read: its own error is the news, not that it read nothing."""
    project = Project(
        tmp_path, WITH_PARAMS.replace("accuracy = 1", "raise ValueError('no data')\naccuracy = 1")
    )
    done = project.searches("learning_rate=0.1,0.01")
    assert done.code == 1
    assert "2 trials failed: ValueError: no data" in done.lines
    assert "never read" not in done.out
    assert len(project.started) == 2


def test_a_script_without_params_is_not_held_up_after_its_first_metric(project: Project) -> None:
    """It cannot tell what it read: the doors open, and the others run while it still does."""
    project.write(
        "train.py",
        "import json, os, sys, time\n"
        "folder = sys.argv[2]\n"
        "open('.started.txt', 'a').write('x\\n')\n"
        "json.dump({'accuracy': 0.5}, open(folder + '/metrics_eval_last_weights.json', 'w'))\n"
        "while os.path.exists('hold'):\n"
        "    time.sleep(0.005)\n",
    )
    project.hold()
    with project.started_as(
        "search", "experiments/search", *THREE, "-j", "3", "--", "python", "train.py"
    ) as worker:
        project.wait_for_starts(3)
        project.release()
        assert worker.wait(30) == 0


# -- Folders changed by hand -----------------------------------------------------------------------


def test_a_folder_removed_by_hand_is_made_again_under_a_new_number(project: Project) -> None:
    """A number is never used twice, also when what it named is gone."""
    project.searches("learning_rate=0.1,0.01")
    shutil.rmtree(project.search / "learning_rate_0.1")
    done = project.searches()
    assert done.code == 0
    assert project.started == ["learning_rate_0.1", "learning_rate_0.01", "learning_rate_0.1"]
    assert points(project) == {2: {"learning_rate": 0.01}, 3: {"learning_rate": 0.1}}


def test_a_renamed_trial_stays_the_same_trial(project: Project) -> None:
    """Identity is trial.json and the hyperparameters: a better name does not make it run again."""
    project.searches("learning_rate=0.1,0.01")
    (project.search / "learning_rate_0.01").rename(project.search / "the good one")
    done = project.searches("learning_rate=0.001")
    assert done.code == 0
    assert len(project.started) == 3
    assert sorted(points(project)) == [1, 2, 3]
    assert project.trials()["the good one"] == "completed"


def test_a_changed_base_stops_the_search(project: Project, snapshot: SnapshotAssertion) -> None:
    """By their names, trials of two bases look comparable; both ways on are named."""
    project.searches("learning_rate=0.1")
    project.params("experiments/search", learning_rate=0.5, batch_size=32, dropout=0.1)
    before = project.tree()
    done = project.searches("learning_rate=0.01")
    assert done.code == 2
    assert said(done.err, project) == snapshot
    assert project.tree() == before
    assert len(project.started) == 1


def test_with_rebase_the_search_goes_on_with_the_new_base(project: Project) -> None:
    """The old trials stay as they are; all points are tried again with the new base."""
    project.searches("learning_rate=0.1")
    project.params("experiments/search", learning_rate=0.5, batch_size=32)
    done = project.searches("learning_rate=0.01", "--accept-new-base")
    assert done.code == 0
    assert "base config changed (batch_size: 16 -> 32); new trials use the new one" in done.lines
    sizes = {
        path.name: read(path / "params.json")["batch_size"]
        for path in project.search.iterdir()
        if path.is_dir() and path.name[0] != "."
    }
    assert sizes == {"learning_rate_0.1": 16, "learning_rate_0.1__2": 32, "learning_rate_0.01": 32}
    assert project.searches().code == 0
    assert len(project.started) == 3


def test_a_search_below_another_is_no_trial_of_it(project: Project) -> None:
    """A folder with a plan of its own is a search: it is neither adopted nor run as a trial."""
    project.params("experiments/search/deeper", learning_rate=0.5, batch_size=16)
    project.write("experiments/search/deeper/search.json", '{"space": {"batch_size": [1, 2]}}')
    before = sorted((project.search / "deeper").iterdir())
    assert project.searches(*THREE).code == 0
    assert sorted(project.started) == list(ALL)
    assert sorted((project.search / "deeper").iterdir()) == before


def test_a_second_search_beside_the_first_does_not_touch_it(project: Project) -> None:
    """Two folders, two searches."""
    project.params("experiments/batch_size", learning_rate=0.5, batch_size=16)
    project.searches(*THREE)
    before = {n: t for n, t in project.tree().items() if n.startswith("experiments/search")}
    done = project.modeldir(
        "search", "experiments/batch_size", "batch_size=8,16", "--", "python", "train.py"
    )
    assert done.code == 0
    after = {n: t for n, t in project.tree().items() if n.startswith("experiments/search")}
    assert before == after
    assert len(project.trials("experiments/batch_size")) == 2


def test_a_tree_that_another_script_made_is_adopted(project: Project) -> None:
    """CS230's own script leaves trials without a record: they count, and are never run again."""
    for rate in (0.1, 0.01):
        project.params(
            f"experiments/search/learning_rate_{rate}", learning_rate=rate, batch_size=16
        )
        project.write(
            f"experiments/search/learning_rate_{rate}/metrics_val_best_weights.json",
            '{"accuracy": 0.97}',
        )
    before = project.tree()
    done = project.searches(*THREE)
    assert done.code == 0, done.err
    assert project.started == ["learning_rate_0.001"]
    assert "Best: experiments/search/learning_rate_0.001 (highest accuracy 0.999)" in done.out
    made = project.tree()
    assert all(
        made[name] == at
        for name, at in before.items()
        if "learning_rate_0." in name and not name.endswith(("0.1", "0.01"))
    )
    assert project.trials()["learning_rate_0.1"] == "untracked"


def test_a_search_copied_without_its_records_goes_on(project: Project, tmp_path: Path) -> None:
    """`trial.json` is enough to know each trial again, by its number."""
    project.searches("learning_rate=0.1,0.01")
    shutil.rmtree(project.search / ".modeldir")
    done = project.searches("learning_rate=0.001")
    assert done.code == 0
    assert len(project.started) == 3
    assert {n: p["learning_rate"] for n, p in points(project).items()} == {
        1: 0.1,
        2: 0.01,
        3: 0.001,
    }


# -- Mistakes --------------------------------------------------------------------------------------


def test_a_broken_plan_names_line_and_column(project: Project, snapshot: SnapshotAssertion) -> None:
    """A comma is missing in search.json."""
    project.write(
        "experiments/search/search.json", '{\n    "space": {"learning_rate": [0.1 0.01]}\n}\n'
    )
    done = project.searches()
    assert done.code == 2
    assert done.err == snapshot


@pytest.mark.parametrize("left", [b"", bytes(200)])
def test_a_plan_without_content_is_typed_again(project: Project, left: bytes) -> None:
    """A power cut left it so; what the trials have is there, and the same command goes on."""
    project.searches(*THREE, "--minimize", "loss")
    plan = project.search / "search.json"
    before = plan.read_bytes()
    plan.write_bytes(left)
    alone = project.modeldir("search", "experiments/search")
    assert alone.code == 2
    assert "there is nothing to search: no hyperparameter varies" in alone.err
    assert project.searches(*THREE, "--minimize", "loss").code == 0
    assert plan.read_bytes() == before
    assert len(project.started) == 3


def test_every_problem_of_a_plan_is_said_at_once(
    project: Project, snapshot: SnapshotAssertion
) -> None:
    """Nobody should have to mend a plan in eight rounds."""
    plan = {
        "space": {
            "learning_rate": {"log_uniform": [0, 0.1]},
            "batchsize": [16, 16],
            "batch_size": [],
        },
        "samplr": "grid",
        "sampler": "gird",
        "trials": 0,
        "seed": "230",
        "maximize": "accuracy",
        "minimize": "loss",
        "command": "python 'train.py",
        "metrics": "no placeholder",
        "resume": ["--restore_file"],
    }
    project.write("experiments/search/search.json", json.dumps(plan))
    done = project.modeldir("search", "experiments/search")
    assert done.code == 2
    assert done.err == snapshot


@pytest.mark.parametrize(
    "plan",
    ['["learning_rate"]', "null", "", '{"space": ["learning_rate"]}', '{"space": "learning_rate"}',
     '{"space": null}', '{"space": {"learning_rate": [0.1]}, "resume": null, "seed": null}'],
)  # fmt: skip
@pytest.mark.parametrize("words", [(), ("learning_rate=0.1",)])
def test_no_plan_however_odd_ends_in_a_traceback(
    project: Project, plan: str, words: tuple[str, ...]
) -> None:
    """Whatever lies in search.json: it runs, or one message says what is wrong with it."""
    project.write("experiments/search/search.json", plan)
    done = project.searches(*words, "--dry-run")
    assert done.code in {0, 2}
    assert "Traceback" not in done.err
    assert done.code == 0 or "search.json" in done.err


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("learning_rate",),
        ("=0.1",),
        ("learning_rate=0.1", "learning_rate=0.2"),
        ("learning_rate=0.1,,0.2",),
        ("learning_rat=0.1",),
        ("learning_rate=0.1", "-j", "0"),
        ("learning_rate=uniform:0,1", "--sampler", "grid"),
        ("learning_rate=0.1", "--trials", "0"),
    ],
)
def test_a_wrong_command_line_is_one_message(
    project: Project, words: tuple[str, ...], snapshot: SnapshotAssertion
) -> None:
    """What was found, what was expected, what to type; nothing is made."""
    before = project.tree()
    done = project.searches(*words)
    assert (done.code, done.out) == (2, "")
    assert said(done.err, project) == snapshot
    assert project.tree() == before


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ((), "command: "),
        (("-m", "caf\udce9"), "note: "),
        (("--metrics", "acc\udcff: {accuracy}"), "metrics: "),
        (("--resume", "--from \udcff"), "resume: "),
        (("--reuse", "other\udcff"), "reuse: "),
        (("--dry-run",), "command: "),
        (("--detach",), "command: "),
    ],
)
def test_what_is_not_utf_8_is_refused_before_anything_is_made(
    project: Project, words: tuple[str, ...], named: str
) -> None:
    """Else it would run, and its plan could not be read by the next command."""
    before = project.tree()
    command = "python train.py --data \udcff" if named == "command: " else "python train.py"
    done = project.searches("learning_rate=0.1", *words, command=command)
    assert (done.code, done.out) == (2, "")
    assert f"  {named}" in done.err
    assert "is not UTF-8" in done.err
    assert done.err.endswith("Nothing was started.\n")
    assert project.tree() == before


def test_a_search_below_a_folder_that_is_not_utf_8(tmp_path: Path) -> None:
    """What its plan says of folders is relative: it runs, and goes on."""
    project = Project(tmp_path / "caf\udce9")
    assert project.searches("learning_rate=0.1", "--no-check").code == 0
    assert project.searches("learning_rate=0.2", "--no-check").code == 0
    assert len(project.started) == 2


def test_a_folder_without_hyperparameters_cannot_be_searched(
    project: Project, snapshot: SnapshotAssertion
) -> None:
    """It is said how to make one."""
    (project.path / "empty").mkdir()
    texts = [
        project.modeldir("search", name, *THREE, "--", "python", "train.py").err
        for name in ("empty", "nowhere")
    ]
    assert texts == snapshot


WITHOUT_RIGHTS = """\
import ctypes, os, sys
ctypes.CDLL(None).prctl(24, 1, 0, 0, 0)  # root too shall be refused: PR_CAPBSET_DROP, DAC_OVERRIDE
os.execv(sys.executable, [sys.executable, "-m", "modeldir", *sys.argv[1:]])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="how root loses the right to write")
@pytest.mark.parametrize("words", [(), ("--dry-run",)], ids=["search", "dry-run"])
def test_a_folder_that_cannot_be_written_is_one_message(
    project: Project, words: tuple[str, ...]
) -> None:
    """A read-only folder is nobody's bug: no traceback, and a dry run even works."""
    project.search.chmod(0o555)
    command = ("search", "experiments/search", *THREE, *words, "--", "python", "train.py")
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_RIGHTS, *command],
        cwd=project.path,
        env=project.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    project.search.chmod(0o755)
    if words:
        assert (done.returncode, done.stderr) == (0, "")
    else:
        why = "experiments/search: the search cannot be recorded"
        assert done.returncode == 2
        assert done.stderr == (
            f"error: {why}: you have no permission to write there\nNothing was started.\n"
        )
    assert [path.name for path in project.search.iterdir()] == ["params.json"]


# -- Odd names and values --------------------------------------------------------------------------


def test_odd_values_reach_the_script_as_they_are(project: Project) -> None:
    """Spaces, quotes, semicolons, letters of any script, None, lists, true: by file and by flag."""
    values = [
        "a b",
        "it's",
        '"',
        "; touch pwned",
        "$(touch pwned)",
        "größe 模型",
        None,
        True,
        [64, 32],
        "-x",
        "",
    ]
    project.params("experiments/search", option="plain", learning_rate=0.1)
    project.write("experiments/search/search.json", json.dumps({"space": {"option": values}}))
    project.write(
        "flags.py",
        "import json, sys\n"
        "folder, value = sys.argv[1:]\n"
        "value = value.removeprefix('=')\n"
        "json.dump({'accuracy': 1}, open(folder + '/metrics_eval_best_weights.json', 'w'))\n"
        "json.dump([value, json.load(open(folder + '/params.json'))['option']],\n"
        "          open(folder + '/seen.json', 'w'))\n",
    )  # fmt: skip
    done = project.searches("-j", "2", command="python flags.py {model_dir} ={option}")
    assert done.code == 0, done.out + done.err
    seen = [json.loads(path.read_text()) for path in project.search.glob("*/seen.json")]
    assert sorted(repr(value) for _, value in seen) == sorted(map(repr, values))
    assert {flag for flag, value in seen if isinstance(value, str)} == {
        v for v in values if isinstance(v, str)
    }
    assert {repr(value): flag for flag, value in seen if not isinstance(value, str)} == {
        "None": "None", "True": "True", "[64, 32]": "[64,32]",
    }  # fmt: skip
    assert not (project.path / "pwned").exists()


def test_a_folder_with_an_odd_name_is_searched(tmp_path: Path) -> None:
    """Spaces, quotes, braces and letters of any script in the project's and the search's path."""
    project = Project(tmp_path / "my project; 'größe' {x}")
    name = "experiments/a search {learning_rate}"
    project.params(name, learning_rate=0.5, batch_size=16)
    done = project.modeldir("search", name, "learning_rate=0.1,0.01", "--", "python", "train.py")
    assert done.code == 0, done.out + done.err
    assert list(project.trials(name).values()) == ["completed", "completed"]
    assert project.modeldir("search", name).code == 0
    assert len(project.started) == 2


def test_nested_hyperparameters_are_varied_by_dotted_names(project: Project) -> None:
    """`model.depth` reaches into the nested part and leaves its neighbors alone."""
    project.params("experiments/search", learning_rate=0.1, model={"depth": 2, "width": 8})
    assert project.searches("model.depth=1,2").code == 0
    made = read(project.search / "model.depth_1" / "params.json")
    assert made == {"learning_rate": 0.1, "model": {"depth": 1, "width": 8}}


def test_a_name_that_would_be_too_long_is_the_trial_s_number(project: Project) -> None:
    """The other trials of the search are named by their values."""
    project.params("experiments/search", learning_rate=0.1, text="x")
    project.write(
        "experiments/search/search.json", json.dumps({"space": {"text": ["a", "b" * 120]}})
    )
    assert project.searches().code == 0
    assert project.trials() == {"text_a": "completed", "trial_0002": "completed"}


def test_values_whose_names_are_equal_get_folders_of_their_own(project: Project) -> None:
    """A name is for people: `a/b` and `a-b` are two trials all the same."""
    project.params("experiments/search", learning_rate=0.1, text="x")
    assert project.searches("text=a/b,a-b,a b,a_b").code == 0
    assert {p["text"] for p in points(project).values()} == {"a/b", "a-b", "a b", "a_b"}
    assert len(project.trials()) == 4


# -- Where the plan comes from ---------------------------------------------------------------------


def test_settings_come_from_the_project_file(project: Project) -> None:
    """modeldir.toml saves typing: the command, the metric, what to read from printed lines."""
    project.write("modeldir.toml", 'command = "python train.py"\nminimize = "loss"\n')
    done = project.modeldir("search", "experiments/search", *THREE)
    assert done.code == 0, done.err
    assert "Best: experiments/search/learning_rate_0.001 (lowest loss 0.001)" in done.out


def test_the_command_line_is_stronger_than_the_plan_and_the_plan_than_the_project(
    project: Project,
) -> None:
    """What is nearer to the user counts."""
    project.write("modeldir.toml", 'command = "python nowhere.py"\nminimize = "loss"\n')
    project.write(
        "experiments/search/search.json",
        json.dumps(
            {"space": {"learning_rate": [0.1]}, "maximize": "f1", "command": "python train.py"}
        ),
    )
    done = project.modeldir("search", "experiments/search", "--maximize", "accuracy")
    assert done.code == 0, done.out + done.err
    assert "Best: experiments/search/learning_rate_0.1 (highest accuracy 0.9)" in done.out
    assert "plan: maximize: f1 -> accuracy" in done.lines


def test_the_projects_settings_hold_wherever_the_command_is_said(
    project: Project, tmp_path: Path
) -> None:
    """A job begins in a folder of its own; what modeldir.toml says is still true there."""
    project.write("modeldir.toml", 'command = "python train.py"\nminimize = "loss"\n')
    project.modeldir("search", "experiments/search", "learning_rate=0.1")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    done = project.modeldir("search", str(project.search), "learning_rate=0.2", cwd=elsewhere)
    assert done.code == 0, done.err
    assert f"Best: {project.search}/learning_rate_0.1 (lowest loss 0.1)" in done.out
    assert project.started == ["learning_rate_0.1", "learning_rate_0.2"]


def test_a_hint_says_how_to_type_a_domain_whose_name_has_a_space() -> None:
    """Each problem keeps its own hyperparameter, whatever the name looks like."""
    problems = [
        ("lr: no", 'use {"log_uniform": [1, 2]}'),
        ("drop out: no", 'use {"uniform": ...}'),
    ]
    domains = {"lr": {"uniform": [1, 2]}, "drop out": {"log_uniform": [3, 4]}}
    error = with_typed_hints(SearchError("search.json cannot be searched:", problems), domains)
    assert [hint for _, hint in error.problems] == [
        "use lr=log_uniform:1,2",
        "use drop out=uniform:3,4",
    ]


def test_a_command_typed_again_runs_from_where_it_was_typed(
    project: Project, tmp_path: Path
) -> None:
    """A second copy of the project searches with its own code, and that is said."""
    project.searches("learning_rate=0.1")
    other = Project(tmp_path / "other")
    words = ("search", str(project.search), "learning_rate=0.2", "--", "python", "train.py")
    done = other.modeldir(*words)
    assert done.code == 0, done.err
    assert "plan: cwd: ../.. -> ../../other" in done.lines
    assert (project.started, other.started) == (["learning_rate_0.1"], ["learning_rate_0.2"])


def test_a_mistake_in_the_project_file_is_said(
    project: Project, snapshot: SnapshotAssertion
) -> None:
    """A key that it does not have, with the one that was meant."""
    project.write("modeldir.toml", 'comand = "python train.py"\n')
    done = project.modeldir("search", "experiments/search", *THREE)
    assert done.code == 2
    assert said(done.err, project) == snapshot


def test_the_current_folder_can_be_the_search(project: Project) -> None:
    """params.json beside train.py: a project that is one search."""
    project.params(".", learning_rate=0.5, batch_size=16)
    done = project.modeldir("search", ".", *THREE, "--", "python", "train.py")
    assert done.code == 0, done.err
    assert project.trials(".") == dict.fromkeys(ALL, "completed")


def test_trials_that_failed_by_the_command_run_again_when_it_is_mended(project: Project) -> None:
    """Also when only an argument was wrong: what was typed is part of the cause."""
    assert project.searches("learning_rate=0.1,0.01", command="python nothing.py").code == 2
    project.write("other.py", "raise SystemExit('bad argument')")
    assert project.searches("learning_rate=0.1,0.01", command="python other.py").code == 1
    assert set(project.trials().values()) == {"failed"}
    done = project.searches()
    assert done.code == 0, done.out
    assert set(project.trials().values()) == {"completed"}


STOPPED = "Stopped after 3 trials: all failed with the same error."
SAME_ERROR = "Stopping: the first 3 trials failed with the same error: "
NINE = "learning_rate=" + ",".join(f"0.{n}" for n in range(1, 10))


def test_a_search_whose_first_trials_fail_with_the_same_error_stops(project: Project) -> None:
    """Three show what nine would; the summary prints the error once, and what to type."""
    project.write("other.py", "raise SystemExit('bad argument')")
    done = project.searches(NINE, command="python other.py")
    assert done.code == 1
    assert list(project.trials().values()) == ["failed"] * 3
    assert done.lines[2].startswith("failed        1  learning_rate_0.1  bad argument")
    assert done.lines[6].startswith("failed        3  learning_rate_0.3  same error")
    assert done.lines[7:] == [
        "",
        "Stopped after 3 trials: all failed with the same error.",
        "",
        "  bad argument",
        "",
        "  see the log:       modeldir log experiments/search/learning_rate_0.3",
        "  after a fix:       modeldir search experiments/search   (failed trials run again)",
        "  to run them as is: modeldir retry experiments/search",
        "3 failed, 6 not started",
    ]


def test_a_search_that_stops_prints_how_many_trials_still_run(project: Project) -> None:
    """Their starts and ends are printed later, and must not look like new trials."""
    project.write(
        "other.py",
        "import os, sys, time\n"
        "third = 'experiments/search/learning_rate_0.4/run.json'\n"
        "while sys.argv[-1].endswith('0.1'):\n"
        "    if os.path.exists(third) and '\"failed\"' in open(third).read():\n"
        "        time.sleep(1)\n"
        "        break\n"
        "    time.sleep(0.05)\n"
        "raise SystemExit('bad argument')\n",
    )
    done = project.searches(NINE, "--no-check", "-j", "2", command="python other.py")
    at = done.lines.index(SAME_ERROR + "bad argument")
    assert done.lines[at + 1] == "  1 trial is still running and will finish."
    assert len(project.trials()) == 4


def test_errors_that_differ_only_in_the_trial_name_are_the_same(project: Project) -> None:
    for number in range(1, 10):
        project.write(f"fail.learning_rate_0.{number}", "")
    done = project.searches(NINE)
    assert f"{STOPPED}\n\n  ValueError: it diverged: learning_rate_0.3 " in done.out
    assert len(project.trials()) == 3


@pytest.mark.parametrize("max_retries", ["0", "1"])
def test_run_again_a_search_whose_first_trials_failed_continues(
    project: Project, max_retries: str
) -> None:
    """If something was fixed, the three failed trials run first and show whether it helps."""
    project.write("other.py", "raise SystemExit('bad argument')")
    project.searches(NINE, "--max-retries", max_retries, command="python other.py")
    project.write("other.py", "raise SystemExit('still bad')")
    done = project.searches(NINE, command="python other.py")
    assert f"{STOPPED}\n\n  still bad\n" in done.out
    assert len(project.trials()) == 3
    done = project.searches(NINE, command="python other.py")
    assert STOPPED not in done.out
    assert list(project.trials().values()) == ["failed"] * 9


def test_three_that_fail_each_in_its_way_stop_nothing(project: Project) -> None:
    """Nor do three that fail alike once one has gone well."""
    for value in ("0.2", "0.3", "0.4"):
        project.write(f"fail.learning_rate_{value}", "")
    project.searches("learning_rate=0.1,0.2,0.3,0.4,0.5")
    assert len(project.trials()) == 5
    odd = "import sys\n[][0] if sys.argv[2][-1] == '2' else 1 / 0"
    other = Project(project.path / "other", odd)
    other.searches("learning_rate=0.1,0.2,0.3,0.4,0.5", "--no-check")
    assert list(other.trials().values()) == ["failed"] * 5


def test_failures_that_differ_by_the_trial_s_own_words_are_alike(
    project: Project, snapshot: SnapshotAssertion
) -> None:
    """A path, a number, a quoted value: a typo is one in all trials. One paragraph tells of all."""
    project.write(
        "other.py",
        "import json, sys\n"
        "path = sys.argv[2] + '/params.json'\n"
        "rate = json.load(open(path))['learning_rate']\n"
        "raise ValueError(f'{path}: rate={rate} is too high for {str(rate)!r}')\n",
    )
    values = "learning_rate=" + ",".join(f"0.{n}" for n in range(1, 10))
    done = project.searches(values, command="python other.py")
    assert list(project.trials().values()) == ["failed"] * 3
    assert done.lines[-8:] == snapshot


def test_text_among_numbers_is_a_typing_error(project: Project) -> None:
    """The letter O for a zero would be in the plan for good."""
    done = project.searches("learning_rate=0.1,O.01")
    assert done.code == 2
    assert '"O.01" is a string, but params.json has the number' in done.err
    assert not (project.path / "experiments/search/search.json").exists()


def test_a_metric_that_no_trial_has_is_refused(project: Project) -> None:
    """With the nearest that they have."""
    project.searches(*THREE)
    done = project.searches("--maximize", "accuracyy")
    assert done.code == 2
    assert "did you mean 'accuracy'?" in done.err


@pytest.mark.parametrize("left", ["run.json", "metrics_val_best_weights.json"])
def test_a_trained_experiment_becomes_no_search(project: Project, left: str) -> None:
    """Its metrics would be in no table any more; where a search goes is said."""
    project.write(f"experiments/search/{left}", '{"accuracy": 0.9}')
    done = project.searches(*THREE, "--dry-run")
    assert done.code == 2
    assert "modeldir new experiments/search_search --from experiments/search" in done.err
    assert project.trials() == {}
    done = project.modeldir("search", "learning_rate=0.1,0.2", "--", "python", "train.py")
    assert "DIR is missing" in done.err  # and not a folder of that name


def test_metrics_of_unknown_direction_are_asked_about_until_it_is_known(tmp_path: Path) -> None:
    """The search, its table and report, `watch` and `best` name the option to type."""
    write = 'open(DIR + "/metrics_eval_best_weights.json", "w").write(\'{"fitness": 3}\')'
    project = Project(
        tmp_path, f"import sys\nDIR = sys.argv[sys.argv.index('--model_dir') + 1]\n{write}\n"
    )
    done = project.searches("learning_rate=0.1,0.2")
    question, answers = (
        "is higher or lower better for fitness?",
        "--maximize fitness   or --minimize",
    )
    first, last = (at for at, line in enumerate(done.lines) if line.endswith(question))
    assert "completed     2" not in "\n".join(done.lines[:first])
    assert done.lines[first + 1].startswith("  To rank: modeldir search experiments/search --max")
    assert answers in done.lines[last + 1]
    table = project.modeldir("results", "experiments/search")
    assert table.lines[0] == f"search: 2 experiments, not ranked: {question}"
    watched = project.modeldir("watch", "experiments/search")
    assert watched.lines[1] == f"not ranked: {question}"
    to_type = f"modeldir search experiments/search {answers} fitness"
    assert watched.lines[2] == f"to rank: {to_type}"
    project.modeldir("results", "experiments/search", "--html", "report.html")
    assert f"Not ranked: {question} To rank: {to_type}" in (tmp_path / "report.html").read_text()
    best = project.modeldir("best", "experiments/search")
    assert best.code == 1
    assert answers in best.err
    assert question not in project.searches("--maximize", "fitness").out
    assert "highest first" in project.modeldir("results", "experiments/search").lines[0]


def test_lines_that_look_like_metrics_are_proposed_at_the_end_too(tmp_path: Path) -> None:
    """The last line of the screen has the pattern for this script, not one for any script."""
    project = Project(tmp_path, "print('epoch 1: val_acc=0.5'); print('epoch 2: val_acc=0.6')")
    done = project.searches("learning_rate=0.1,0.2")
    end = done.out[done.out.index("nothing to compare") :]
    assert "--metrics 'epoch {step}: val_acc={val_acc}'" in end
    assert "{accuracy}" not in end


def test_a_best_trial_that_has_diverged_is_said(tmp_path: Path) -> None:
    """It ranks by its best step, as others do; that its last value is NaN stands beside it."""
    script = (
        "import json, sys\n"
        "lr = json.load(open(sys.argv[2] + '/params.json'))['learning_rate']\n"
        "print('epoch 1: loss=', 0.1 if lr > 1 else 0.5)\n"
        "print('epoch 2: loss=', float('nan') if lr > 1 else 0.4)\n"
    )
    project = Project(tmp_path, script)
    pattern = ("--metrics", "epoch {step}: loss= {loss}")
    healthy = project.searches("learning_rate=0.01,0.02", *pattern)
    assert "lowest loss 0.4)" in healthy.out
    assert "diverged" not in healthy.out
    done = project.searches("learning_rate=5,0.01,0.02", *pattern)
    assert "lowest loss 0.1)" in done.out
    assert "has diverged: its last loss is NaN, and its best is from before" in done.out


def test_a_search_without_metrics_says_so(tmp_path: Path) -> None:
    """It ran well, and nothing can be compared; the way out that is told leads out."""
    project = Project(tmp_path, "print('hi: 3')")
    done = project.searches("learning_rate=0.1,0.2")
    assert done.code == 0
    assert "note: no metrics were found" in done.out
    (line,) = [line for line in done.lines if "modeldir retry" in line]
    assert line.endswith(" again: modeldir retry experiments/search/*_*")
    (line,) = [line for line in done.lines if "--metrics 'accuracy: {accuracy}'" in line]
    assert line.startswith("  modeldir search experiments/search --metrics")
    done = project.searches("--metrics", "hi: {accuracy}")
    assert "metrics: read from 2 trials that had ended" in done.out
    assert "Nothing left to run: 2 completed. Best:" in done.out
    trials = [str(path) for path in project.search.glob("*_*")]
    assert project.modeldir("retry", *trials).code == 0
    assert project.searches().out.count("accuracy 3") == 3  # two trials, and the best


def test_a_folder_with_a_leading_dash_is_searched_and_the_lines_to_copy_work(
    tmp_path: Path,
) -> None:
    """No program takes the folder `-x` for an option: neither the script nor the next command."""
    script = (
        "import argparse, json, os\n"
        "parser = argparse.ArgumentParser()\n"
        "parser.add_argument('--model_dir')\n"
        "folder = parser.parse_args().model_dir\n"
        "with open(os.path.join(folder, 'metrics_eval_best_weights.json'), 'w') as file:\n"
        "    json.dump({'accuracy': 0.5}, file)\n"
    )
    project = Project(tmp_path, script)
    project.params("-x", learning_rate=0.5)
    done = project.modeldir("search", "./-x", "learning_rate=0.1", "--", "python", "train.py")
    assert done.code == 0, done
    assert "modeldir results ./-x" in done.out
    assert "modeldir search ./-x" in project.modeldir("retry", "./-x/learning_rate_0.1").out
    assert project.modeldir("search", "./-x").code == 0
