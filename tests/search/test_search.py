"""The search from Python: the loop, ask and tell, the command form, and what all of them share."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion

import modeldir
from laboratory import Project, read
from modeldir import Search, TrialPruned, save_metrics
from modeldir.errors import ParamsError, SearchError
from modeldir.experiment import attempts
from modeldir.experiment.experiment import Experiment, status

RATES: dict[str, Any] = {"learning_rate": [0.1, 0.01, 0.001]}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project, with its folder as the current one."""
    found = Project(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", found.environment["PATH"])
    for name in [name for name in os.environ if name.startswith("MODELDIR")]:
        monkeypatch.delenv(name)
    return found


def train(trial: modeldir.Trial, **more: float) -> None:
    """What the body of a loop does: it leaves metrics in the trial's folder."""
    accuracy = 1 - trial.params.learning_rate
    save_metrics({"accuracy": accuracy, **more}, trial.model_dir / "metrics_eval_best_weights.json")


def points(search: Search) -> list[dict[str, Any]]:
    found = Search(search.path)
    found.trials.refresh()
    return [dict(record.configuration) for record in found.trials]


# -- The loop --------------------------------------------------------------------------------------


def test_the_loop_runs_each_trial_in_this_process(project: Project) -> None:
    """The same files as the command's: folders, plan, recorded ends."""
    seen = []
    for trial in Search("experiments/search", RATES):
        with trial:
            seen.append((trial.number, trial.name, trial.configuration, trial.params.batch_size))
            assert status(trial.model_dir).state == "running"
            train(trial)
        assert trial.status == "completed"
    assert seen == [
        (1, "learning_rate_0.1", {"learning_rate": 0.1}, 16),
        (2, "learning_rate_0.01", {"learning_rate": 0.01}, 16),
        (3, "learning_rate_0.001", {"learning_rate": 0.001}, 16),
    ]
    assert set(project.trials().values()) == {"completed"}
    assert project.plan()["maximize"] == "accuracy"
    record = read(project.search / "learning_rate_0.1/run.json")
    assert record["process"]["pid"] == os.getpid()
    assert record["duration"] >= 0


def test_said_again_the_loop_has_nothing_to_do(project: Project) -> None:
    """And with a new value it does that one alone."""
    for space in (RATES, None, {"learning_rate": [0.5]}):
        ran = 0
        for trial in Search("experiments/search", space):
            with trial:
                train(trial)
                ran += 1
        assert ran == {str(RATES): 3, "None": 0}.get(str(space), 1)


def test_a_failure_in_the_body_is_recorded_and_the_loop_goes_on(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its traceback is told where it happened."""
    states = []
    for trial in Search("experiments/search", RATES):
        with trial:
            if trial.params.learning_rate == 0.01:
                raise ValueError("it diverged")
            train(trial)
        states.append(trial.status)
    assert states == ["completed", "failed", "completed"]
    assert capsys.readouterr().err.rstrip().endswith("ValueError: it diverged")
    failed = status(project.search / "learning_rate_0.01")
    assert (failed.failure, failed.last_line) == ("error", "ValueError: it diverged")


def test_a_prune_in_the_body_is_no_failure(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    """It leaves quietly, whether the body raised it or a `start` within caught it."""
    states = []
    for trial in Search("experiments/search", RATES, maximize="accuracy"):
        with trial:
            if trial.number == 1:
                raise TrialPruned("no hope")
            with modeldir.start(trial.model_dir) as run:
                run.log(1, accuracy=0.5)
                if trial.number == 2:
                    raise TrialPruned("none either")
        states.append(trial.status)
    assert states == ["pruned", "pruned", "completed"]
    assert "Traceback" not in capsys.readouterr().err


def test_a_ctrl_c_in_the_body_ends_the_loop_and_the_trial_runs_again(project: Project) -> None:
    """It is recorded as interrupted, and its leavings are set aside."""

    def loop() -> None:
        for trial in Search("experiments/search", RATES):
            with trial:
                (trial.model_dir / "half.txt").write_text("half")
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        loop()
    assert project.trials()["learning_rate_0.1"] == "interrupted"
    names = []
    for trial in Search("experiments/search"):
        with trial:
            names.append(trial.name)
            assert not (trial.model_dir / "half.txt").exists()
            train(trial)
    assert names[0] == "learning_rate_0.1"
    assert len(names) == 3
    assert (project.search / "learning_rate_0.1/attempts/1/half.txt").exists()


def test_a_trial_without_the_metric_of_the_search_has_failed(project: Project) -> None:
    """As under a supervisor."""
    for trial in Search("experiments/search", {"learning_rate": [0.1]}, maximize="f1"):
        with trial:
            train(trial)
    found = status(project.search / "learning_rate_0.1")
    assert (found.state, found.failure) == ("failed", "missing-metric")


def test_a_trial_whose_metric_is_no_number_has_failed(project: Project) -> None:
    """As under a supervisor; the others go on."""
    space = {"learning_rate": [0.1, 0.01]}
    for trial in Search("experiments/search", space, maximize="accuracy"):
        with trial:
            train(trial, accuracy=float("nan") if trial.params.learning_rate > 0.05 else 0.9)
    found = status(project.search / "learning_rate_0.1")
    assert (found.state, found.failure) == ("failed", "nan")
    assert project.trials()["learning_rate_0.01"] == "completed"


def test_the_environment_is_as_it_was_after_each_trial(project: Project) -> None:
    """What `start` needs is there within the block, and nowhere else."""
    before = dict(os.environ)
    for trial in Search("experiments/search", {"learning_rate": [0.1]}):
        assert dict(os.environ) == before
        with trial:
            assert os.environ["MODELDIR_ATTEMPT"] == "1"
            train(trial)
        assert dict(os.environ) == before


def test_start_in_the_body_records_into_the_trials_attempt(project: Project) -> None:
    """No second run file, no set-aside of what the loop has just begun."""
    for trial in Search("experiments/search", {"learning_rate": [0.1, 0.2]}):
        with trial, modeldir.start(trial.model_dir) as run:
            assert run.attempt == 1
            run.log(1, accuracy=0.5)
    folder = project.search / "learning_rate_0.1"
    assert status(folder).state == "completed"
    assert not (folder / "run.2.json").exists()
    assert not (folder / "attempts").exists()
    assert Experiment(folder).scores().best == {"accuracy": 0.5}


def test_two_loops_share_a_search(project: Project) -> None:
    """Each trial runs once, and neither loop ends in an error."""
    project.write(
        "loop.py",
        "import sys\n"
        "from modeldir import Search, save_metrics\n"
        "space = {'learning_rate': [n / 100 for n in range(1, 13)]}\n"
        "for trial in Search('experiments/search', space):\n"
        "    with trial:\n"
        "        open('.started.txt', 'a').write(trial.name + '\\n')\n"
        "        save_metrics({'accuracy': 1}, trial.model_dir / 'metrics_eval.json')\n",
    )
    loops = [
        subprocess.Popen([sys.executable, "loop.py"], cwd=project.path, env=project.environment)
        for _ in range(3)
    ]
    assert [loop.wait(60) for loop in loops] == [0, 0, 0]
    assert sorted(set(project.started)) == sorted(project.started)
    assert list(project.trials().values()) == ["completed"] * 12


def test_a_loop_killed_in_a_trial_is_taken_up_again(project: Project) -> None:
    """Kill -9: the trial counts as interrupted at once, since its process is gone."""
    project.write(
        "loop.py",
        "import os, signal\n"
        "from modeldir import Search\n"
        "for trial in Search('experiments/search', {'learning_rate': [0.1, 0.2]}):\n"
        "    with trial:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n",
    )
    subprocess.run([sys.executable, "loop.py"], check=False, env=project.environment)
    assert project.trials() == {"learning_rate_0.1": "interrupted"}
    names = []
    for trial in Search("experiments/search"):
        with trial:
            train(trial)
            names.append(trial.name)
    assert names == ["learning_rate_0.1", "learning_rate_0.2"]


# -- Ask and tell ----------------------------------------------------------------------------------


def test_ask_and_tell_serve_other_loops(project: Project) -> None:
    """Whoever has a loop of their own asks for trials and tells their metrics."""
    search = Search("experiments/search", RATES, maximize="accuracy")
    one, two = search.ask(), search.ask()
    assert one is not None
    assert two is not None
    assert project.trials() == {"learning_rate_0.1": "running", "learning_rate_0.01": "running"}
    search.tell(two, {"accuracy": 0.9})
    search.tell(one, {"accuracy": 0.8})
    three = search.ask()
    assert three is not None
    search.tell(three, {"loss": 0.1})
    assert search.ask() is None
    assert project.trials() == {
        "learning_rate_0.1": "completed",
        "learning_rate_0.01": "completed",
        "learning_rate_0.001": "failed",
    }
    best = search.best()
    assert best is not None
    assert (best.path.name, best.metric, best.value) == ("learning_rate_0.01", "accuracy", 0.9)


def test_what_was_asked_for_and_never_told_runs_again(project: Project) -> None:
    """The process that asked is gone: nobody else will run it."""
    code = (
        "from modeldir import Search; Search('experiments/search', {'learning_rate': [0.1]}).ask()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=project.environment)
    assert project.trials() == {"learning_rate_0.1": "interrupted"}
    trial = Search("experiments/search").ask()
    assert trial is not None
    assert trial.name == "learning_rate_0.1"


def test_random_search_is_the_same_by_every_door(project: Project, tmp_path: Path) -> None:
    """The loop, ask and tell, the command: the same seed, the same points."""
    space = {"learning_rate": {"log_uniform": [1e-4, 0.1]}, "batch_size": {"int": [1, 64]}}
    settings: dict[str, Any] = {"trials": 4, "seed": 230, "maximize": "accuracy"}
    loop = Search("experiments/search", space, **settings)
    for trial in loop:
        with trial:
            train(trial)
    for name in ("asked", "run"):
        project.params(f"experiments/{name}", learning_rate=0.5, batch_size=16)
    asked = Search("experiments/asked", space, **settings)
    while (asked_trial := asked.ask()) is not None:
        asked.tell(asked_trial, {"accuracy": 1})
    run = Search("experiments/run", space, **settings)
    assert run.run("python train.py", jobs=2, quiet=True).exit_code == 0
    assert len(points(loop)) == 4
    assert points(loop) == points(asked) == points(run)


# -- The command form ------------------------------------------------------------------------------


def test_a_command_is_run_from_python(project: Project, capfd: pytest.CaptureFixture[str]) -> None:
    """It prints as `modeldir search` does, and returns how it went."""
    project.write("fail.learning_rate_0.01", "")
    outcome = Search("experiments/search", RATES).run(["python", "train.py"], jobs=2)
    assert (dict(outcome.ended), outcome.exit_code) == ({"completed": 2, "failed": 1}, 1)
    assert outcome.failed == ("learning_rate_0.01",)
    said = capfd.readouterr()
    assert said.out.splitlines()[-1] == "Compare them: modeldir results experiments/search"
    assert said.err == ""


def test_quietly_nothing_is_printed(project: Project, capfd: pytest.CaptureFixture[str]) -> None:
    """For programs that search within a larger work."""
    outcome = Search("experiments/search", RATES, command="python train.py").run(quiet=True)
    assert dict(outcome.ended) == {"completed": 3}
    assert capfd.readouterr() == ("", "")


def test_it_runs_from_a_process_with_threads_and_from_a_thread(project: Project) -> None:
    """A notebook has threads: no fork of it is safe, and signals are not ours to take."""
    outcomes = []

    def search() -> None:
        outcomes.append(
            Search("experiments/search", RATES).run("python train.py", jobs=2, quiet=True)
        )

    thread = threading.Thread(target=search)
    thread.start()
    thread.join(60)
    assert [dict(outcome.ended) for outcome in outcomes] == [{"completed": 3}]


def test_a_search_object_can_be_run_again(project: Project) -> None:
    """In a notebook the cell is run twice; the second time only what failed before is looked at."""
    search = Search("experiments/search", RATES)
    assert dict(search.run("python train.py", quiet=True).ended) == {"completed": 3}
    assert search.best() is not None
    assert dict(search.run("python train.py", quiet=True).ended) == {}
    assert len(project.started) == 3


def test_without_a_command_it_says_so(project: Project) -> None:
    """Nobody has said how to train."""
    with pytest.raises(SearchError, match="no command says how to train"):
        Search("experiments/search", RATES).run(quiet=True)


# -- Best ------------------------------------------------------------------------------------------


def test_there_is_no_best_before_there_is_a_metric(project: Project) -> None:
    """And asking makes nothing."""
    search = Search("experiments/search", RATES)
    assert search.best() is None
    assert not (project.search / ".modeldir").exists()


@pytest.mark.parametrize(
    ("settings", "winner"),
    [({}, "learning_rate_0.001"), ({"maximize": "loss"}, "learning_rate_0.1"),
     ({"minimize": "loss"}, "learning_rate_0.001")],
)  # fmt: skip
def test_the_best_is_best_in_the_metrics_own_direction(
    project: Project, settings: dict[str, Any], winner: str
) -> None:
    """By default accuracy, high, else as it was said; and never a failed trial, nor NaN."""
    for trial in Search(
        "experiments/search", {"learning_rate": [0.1, 0.01, 0.001, 0.5, 0.6]}, **settings
    ):
        with trial:
            train(trial, loss=float("nan") if trial.number == 4 else trial.params.learning_rate)
            if trial.number == 4:
                save_metrics({"accuracy": float("nan"), "loss": float("nan")},
                             trial.model_dir / "metrics_eval_best_weights.json")  # fmt: skip
            if trial.number == 5:
                raise ValueError("it has metrics, and has failed")
    best = Search("experiments/search").best()
    assert best is not None
    assert best.path.name == winner


def test_test_metrics_are_never_ranked_by(project: Project) -> None:
    """Who chooses by the test set has none any more."""
    for trial in Search("experiments/search", {"learning_rate": [0.1, 0.2]}):
        with trial:
            train(trial)
            save_metrics(
                {"accuracy": trial.params.learning_rate}, trial.model_dir / "metrics_test_best.json"
            )
    best = Search("experiments/search").best()
    assert best is not None
    assert (best.path.name, best.value) == ("learning_rate_0.1", 0.9)


# -- Plans that meet -------------------------------------------------------------------------------


def test_two_who_add_values_at_the_same_time_both_get_them(project: Project) -> None:
    """Both had read the plan before either wrote it."""
    one = Search("experiments/search", {"learning_rate": [0.1]})
    two = Search("experiments/search", {"learning_rate": [0.2]})
    one.prepare()
    two.prepare()
    assert project.plan()["space"] == {"learning_rate": [0.1, 0.2]}
    numbers: list[int] = []
    while (turn := two.scheduler.next_trial(frozenset(numbers))) is not None:
        numbers.append(turn.record.number)
    assert points(two) == [{"learning_rate": 0.1}, {"learning_rate": 0.2}]


def test_a_chosen_metric_does_not_undo_what_others_wrote_into_the_plan(project: Project) -> None:
    """The first trial ends, the metric is settled, and the plan had grown meanwhile."""
    search = Search("experiments/search", {"learning_rate": [0.1]})
    trial = search.ask()
    assert trial is not None
    plan = {**project.plan(), "space": {"learning_rate": [0.1, 0.2]}, "seed": 7}
    project.write("experiments/search/search.json", json.dumps(plan))
    with trial:
        train(trial)
    assert search.scheduler.settle_metric(search.trials[1]) == ("accuracy", "maximize")
    assert project.plan() == {**plan, "maximize": "accuracy"}
    grown = search.ask()
    assert grown is not None
    assert grown.name == "learning_rate_0.2"


def test_a_plan_that_is_written_just_now_is_waited_for(project: Project) -> None:
    """An editor empties the file before it writes: that is no plan without a space."""
    search = Search(project.search, space={"learning_rate": [0.1]}, command="python train.py")
    search.prepare()
    path = project.search / "search.json"
    text = path.read_text()
    path.write_text("")
    first = search.scheduler.next_trial()
    assert first is not None
    path.write_text(text.replace("0.1", "0.1, 0.2"))
    second = search.scheduler.next_trial(frozenset({first.record.number}))
    assert second is not None
    assert second.record.configuration == {"learning_rate": 0.2}


def test_asking_for_the_next_trial_changes_nothing_until_it_runs(project: Project) -> None:
    """A worker that dies between asking and starting has used nothing up."""
    search = Search("experiments/search", RATES)
    search.prepare()
    first = search.scheduler.next_trial()
    other = Search("experiments/search")
    other.prepare()
    assert other.scheduler.next_trial() == first


def test_a_trial_made_ahead_is_the_next_one(project: Project) -> None:
    """Nothing else is made for it, and nobody has to wait for it to be made."""
    search = Search("experiments/search", RATES)
    search.prepare()
    search.scheduler.make_ahead(frozenset())
    assert [path.name for path in project.search.glob("l*")] == ["learning_rate_0.1"]
    search.scheduler.make_ahead(frozenset())
    assert len(search.trials) == 1
    turn = search.scheduler.next_trial()
    assert turn is not None
    assert (turn.record.number, turn.attempt) == (1, 1)
    assert len(search.trials) == 1


@pytest.mark.parametrize("what", ["begun elsewhere", "removed", "another plan"])
def test_a_trial_made_ahead_is_looked_at_before_it_runs(project: Project, what: str) -> None:
    """Much may happen while a slot is busy: then the next trial is chosen anew."""
    search = Search("experiments/search", RATES)
    search.prepare()
    search.scheduler.make_ahead(frozenset())
    folder = project.search / "learning_rate_0.1"
    if what == "begun elsewhere":
        assert attempts.begin(folder, 1, {"process": None}) is not None
    elif what == "removed":
        shutil.rmtree(folder)
    else:
        Search("experiments/search", {"learning_rate": [0.5]}).prepare()
    turn = search.scheduler.next_trial()
    assert turn is not None
    found = {
        "begun elsewhere": ("learning_rate_0.1", 2),
        "removed": ("learning_rate_0.01", 1),
        "another plan": ("learning_rate_0.1", 1),
    }
    assert (turn.record.name, turn.attempt) == found[what]


def test_who_makes_a_trial_ahead_keeps_no_trouble_of_the_plan_to_himself(project: Project) -> None:
    """The base was changed, and the plan at the same time: whoever starts a trial is told."""
    search = Search("experiments/search", RATES)
    search.prepare()
    assert search.scheduler.next_trial() is not None
    base = read(project.search / "params.json")
    (project.search / "params.json").write_text(json.dumps({**base, "batch_size": 99}))
    os.utime(project.search / "search.json", ns=(1, 1))
    search.scheduler.make_ahead(frozenset({1}))
    assert len(search.trials) == 1
    with pytest.raises(SearchError, match="base config changed"):
        search.scheduler.next_trial(frozenset({1}))


def test_interrupted_trials_go_first(project: Project) -> None:
    """Before anything new is begun."""
    search = Search("experiments/search", RATES)
    for trial in search:
        with trial:
            train(trial)
        if trial.number == 2:
            break
    (project.search / "learning_rate_0.01/run.json").write_text('{"status": "interrupted"}')
    turn = Search("experiments/search").scheduler.next_trial()
    assert turn is not None
    assert (turn.record.name, turn.attempt) == ("learning_rate_0.01", 2)


def test_a_trial_that_takes_all_down_with_it_goes_last(project: Project) -> None:
    """Three times nobody was left to record its end: it must not end each worker in turn."""
    search = Search("experiments/search", RATES)
    search.prepare()
    turn = search.scheduler.next_trial()
    assert turn is not None
    folder = search.trials.path(turn.record)
    for number, following in ((1, 1), (2, 1), (3, 2)):
        assert attempts.begin(folder, number, {"process": None}) is not None
        again = Search("experiments/search")
        again.prepare()
        after = again.scheduler.next_trial()
        assert after is not None
        assert after.record.number == following
    for trial in Search("experiments/search"):
        with trial:
            train(trial)
    assert {
        path.name: attempts.numbers(os.listdir(path)) for path in project.search.glob("l*")
    } == {
        "learning_rate_0.1": [1, 2, 3, 4],
        "learning_rate_0.01": [1],
        "learning_rate_0.001": [1],
    }


def test_the_plan_is_left_alone_where_nothing_changed(project: Project) -> None:
    """A file written by hand keeps its form as long as nobody changes what it says."""
    space = '"space":\n {"learning_rate": {"uniform": [0, 1]}}'
    text = f'{{{space},\n "sampler": "random", "trials": 1, "maximize": "accuracy"}}\n'
    path = project.write("experiments/search/search.json", text)
    for trial in Search("experiments/search"):
        with trial:
            train(trial)
    assert path.read_text() == text


# -- Mistakes --------------------------------------------------------------------------------------


def test_mistakes_are_errors_that_a_caller_can_catch(
    project: Project, snapshot: SnapshotAssertion
) -> None:
    """One tree: SearchError for what cannot be searched, ParamsError for what cannot be read."""
    with pytest.raises(SearchError) as refused:
        Search("experiments/search", {"learning_rat": [0.1], "batch_size": []}, sampler="bayes")
    assert str(refused.value) == snapshot
    with pytest.raises(SearchError):
        Search("nowhere", RATES)
    project.write("experiments/search/search.json", "{")
    with pytest.raises(ParamsError):
        Search("experiments/search")


def test_a_changed_base_stops_the_loop_before_anything_runs(project: Project) -> None:
    """And `accept_new_base=True` goes on beside the old trials."""
    for trial in Search("experiments/search", {"learning_rate": [0.1]}):
        with trial:
            train(trial)
    project.params("experiments/search", learning_rate=0.5, batch_size=99)
    with pytest.raises(SearchError, match="the base config changed"):
        next(iter(Search("experiments/search", {"learning_rate": [0.2]})))
    names = []
    for trial in Search("experiments/search", {"learning_rate": [0.2]}, accept_new_base=True):
        with trial:
            train(trial)
            names.append((trial.name, trial.params.batch_size))
    assert names == [("learning_rate_0.1__2", 99), ("learning_rate_0.2", 99)]


def test_a_base_that_only_spells_a_number_otherwise_has_not_changed(project: Project) -> None:
    """16 and 16.0 are one value."""
    for trial in Search("experiments/search", {"learning_rate": [0.1]}):
        with trial:
            train(trial)
    project.write("experiments/search/params.json", '{"batch_size": 16.0, "learning_rate": 5e-1}')
    assert Search("experiments/search").prepare() == []


def test_a_search_says_what_it_is(project: Project) -> None:
    """In a notebook, and so do its trials."""
    search = Search("experiments/search", RATES)
    trial = search.ask()
    assert repr(search) == "Search('experiments/search')"
    assert repr(trial) == "Trial('experiments/search/learning_rate_0.1')"


# -- Several workers -------------------------------------------------------------------------------


def test_what_is_left_counts_what_another_worker_has_made(project: Project) -> None:
    """Two that are interrupted together would else tell of more trials than the plan has."""
    here = Search("experiments/search", RATES)
    here.prepare("true")
    assert (here.scheduler.remaining(), here.scheduler.left()) == (3, 3)
    assert Search("experiments/search").scheduler.next_trial() is not None
    assert here.scheduler.left() == 3
    assert (len(here.scheduler.pending()), here.scheduler.remaining()) == (1, 2)


def test_a_trial_that_takes_its_host_down_each_time_waits_for_all_others(project: Project) -> None:
    """After three attempts without an end: else it would end each worker that comes."""
    search = Search("experiments/search", RATES)
    search.prepare("true")
    deadly = search.scheduler.next_trial()
    assert deadly is not None
    folder = search.trials.path(deadly.record)
    for number in (1, 2, 3):
        again = search.scheduler.next_trial()
        assert again is not None
        assert (again.record.number, again.attempt) == (1, number)
        assert attempts.begin(folder, number, {}) is not None
    others: list[int] = []
    for _ in range(2):
        turn = search.scheduler.next_trial(frozenset(others))
        assert turn is not None
        others.append(turn.record.number)
    assert others == [2, 3]
    last = search.scheduler.next_trial(frozenset(others))
    assert last is not None
    assert (last.record.number, last.attempt) == (1, 4)
