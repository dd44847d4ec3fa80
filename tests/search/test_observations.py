"""What a search tells its sampler and what it makes of it: values, notes, repeats, other folders,
several metrics. Real folders; the training is a loop in this process.
"""

from __future__ import annotations

import importlib.util
import json
import math
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
from syrupy.assertion import SnapshotAssertion

import modeldir
from laboratory import WITH_PARAMS, Project, read
from modeldir import Search, Trial, TrialPruned, save_metrics
from modeldir.commands import main
from modeldir.errors import SearchError
from modeldir.experiment import experiment
from modeldir.monitor.summary import WorkerOutcome, summary
from modeldir.results.synthesize import synthesize
from modeldir.samplers import Observation, Proposal
from modeldir.testing import FakeSampler

RATES: dict[str, Any] = {"learning_rate": [0.1, 0.01, 0.001]}
RANGE: dict[str, Any] = {"learning_rate": {"log_uniform": [1e-5, 1e-1]}}
WIDE: dict[str, Any] = {**RANGE, "batch_size": {"int": [8, 256]}}
BEST = "metrics_eval_best_weights.json"


class Recorder:
    """A sampler of somebody's own: the fake, over the points of the test, its last one kept."""

    points: ClassVar[list[dict[str, Any]]] = [
        {"learning_rate": rate} for rate in (0.1, 0.01, 0.001, 0.0001)
    ]
    last: ClassVar[FakeSampler]

    def __init__(self, space: object, seed: int, objectives: object) -> None:
        del space, seed, objectives
        self.fake = FakeSampler(self.points)
        Recorder.last = self.fake

    def ask(self, number: int) -> Proposal | None:
        found = self.fake.ask(number)
        return found and Proposal(found.configuration, {"asked": number})

    def tell(self, observation: Observation) -> None:
        self.fake.tell(observation)


OWN = f"{__name__}:Recorder"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project with a seed in its base, and its folder as the current one."""
    found = Project(tmp_path)
    found.params("experiments/search", learning_rate=0.5, batch_size=16, seed=230)
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("MODELDIR")]:
        monkeypatch.delenv(name)
    return found


def score(trial: Trial) -> dict[str, float]:
    """Best at a learning rate of 0.01; the seed makes a small difference."""
    rate, seed = trial.params.learning_rate, trial.params.seed
    loss = abs(math.log10(rate) + 2) + 0.001 * (seed % 7)
    return {"accuracy": 1 / (1 + loss), "loss": loss, "size": trial.params.batch_size}


Scores = Callable[[Trial], Mapping[str, float]]


def run(search: Search, by: Scores = score, most: int = 1000) -> list[str]:
    """The loop; the names of the trials that it ran."""
    names = []
    for trial in search:
        with trial:
            save_metrics(by(trial), trial.model_dir / BEST)
        names.append(trial.name)
        if len(names) >= most:
            break
    return names


def points(path: str) -> list[dict[str, Any]]:
    search = Search(path)
    search.trials.refresh()
    return [dict(record.configuration) for record in search.trials]


# -- Telling ---------------------------------------------------------------------------------------


def test_the_sampler_hears_how_each_trial_stands(project: Project) -> None:
    """First that it is there, then its end with the plan's metric, once each."""
    search = Search("experiments/search", RANGE, sampler=OWN, trials=2, maximize="accuracy")
    run(search)
    search.scheduler.next_trial()
    heard = [(o.number, o.status, sorted(o.values)) for o in Recorder.last.told]
    assert heard == [
        (1, "pending", []), (1, "completed", ["accuracy"]),
        (2, "pending", []), (2, "completed", ["accuracy"]),
    ]  # fmt: skip


def test_failed_and_pruned_trials_are_told_as_such(project: Project) -> None:
    """With the value and the step at which one was pruned; NaN never gets in."""
    search = Search("experiments/search", RANGE, sampler=OWN, trials=3, maximize="accuracy")
    for number, trial in enumerate(search, 1):
        with trial:
            if number == 1:
                with modeldir.start(trial.model_dir) as run:
                    run.log(4, accuracy=0.25)
                    raise TrialPruned
            if number == 2:
                save_metrics({"accuracy": math.nan}, trial.model_dir / BEST)
            if number == 3:
                raise ValueError("it broke")
    search.scheduler.next_trial()
    last = {o.number: o for o in Recorder.last.told}
    assert (last[1].status, dict(last[1].values), last[1].notes["step"]) == (
        "pruned", {"accuracy": 0.25}, 4,
    )  # fmt: skip
    assert (last[2].status, dict(last[2].values)) == ("failed", {})
    assert (last[3].status, dict(last[3].values)) == ("failed", {})


def test_notes_come_back(project: Project) -> None:
    """What a sampler notes is in the trial's folder, and told to the one that is made next."""
    run(Search("experiments/search", RANGE, sampler=OWN, trials=2, maximize="accuracy"))
    told = read(project.search / "learning_rate_0.1" / "trial.json")
    assert told["notes"] == {"asked": 1}
    Search("experiments/search").scheduler.next_trial()
    assert [dict(o.notes) for o in Recorder.last.told] == [{"asked": 1}, {"asked": 2}]


@pytest.mark.parametrize("name", ["random", "sobol", "tpe", "cmaes", "nsga2"])
def test_a_killed_search_goes_on_as_if_nothing_had_happened(project: Project, name: str) -> None:
    """Bit for bit: one process for all trials, or a new one for each."""
    options = {"tpe": {"startup": 3}, "nsga2": {"population": 4}}.get(name, {})
    sampler: Any = {name: options} if options else name
    project.params("experiments/other", learning_rate=0.5, batch_size=16, seed=230)
    given: dict[str, Any] = {"sampler": sampler, "trials": 12, "minimize": "loss", "seed": 3}
    run(Search("experiments/search", WIDE, **given))
    while run(Search("experiments/other", WIDE, **given), most=1):
        pass
    assert points("experiments/other") == points("experiments/search")
    assert len(points("experiments/other")) == 12
    notes = [read(project.search / p.name / "trial.json").get("notes") for p in trials(project)]
    again = [
        read(project.path / "experiments/other" / p.name / "trial.json").get("notes")
        for p in trials(project)
    ]
    assert notes == again


def trials(project: Project) -> Iterator[Path]:
    return project.search.glob("learning_rate_*")


def test_running_trials_of_other_workers_are_told(project: Project) -> None:
    """A second worker's sampler knows of the first one's trial before that has a value."""
    first = Search("experiments/search", RANGE, sampler=OWN, trials=4, maximize="accuracy")
    trial = first.ask()
    assert trial is not None
    with trial:
        second = Search("experiments/search")
        second.prepare()
        second.scheduler.next_trial(frozenset({trial.number}))
        assert ("running", 1) in [(o.status, o.number) for o in Recorder.last.told]


def test_a_metric_that_is_chosen_later_is_learned(project: Project) -> None:
    """The first trial shows which there are; from then on values are told."""
    search = Search("experiments/search", RANGE, sampler=OWN, trials=3)
    run(search)
    search.scheduler.next_trial()
    assert dict(Recorder.last.told[-1].values)["accuracy"] > 0
    assert project.plan()["maximize"] == "accuracy"


# -- Auto ------------------------------------------------------------------------------------------


def test_what_auto_chose_is_said_and_kept(project: Project) -> None:
    """Printed when it is new, written into the plan, and chosen anew for another plan."""
    search = Search("experiments/search", RANGE, trials=5)
    news = search.prepare()
    written = project.plan()["auto"]
    assert written["sampler"] == search.plan.sampler == "sobol"
    assert news == [f"plan: sampler sobol, by auto: {written['why']}"]
    assert Search("experiments/search").prepare() == []
    grown = Search("experiments/search", trials=50)
    assert grown.plan.sampler == "tpe"
    assert f"plan: sampler tpe, by auto: {grown.plan.auto}" in grown.prepare()


def test_a_pruner_is_a_reason_for_auto_to_choose_again(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Gaussian process learns of whole trainings alone: with a pruner, `tpe` takes its place."""
    everything = frozenset({"optuna", "scipy", "torch", "cmaes"})
    monkeypatch.setattr("modeldir.samplers.auto.installed", lambda: everything)
    monkeypatch.setattr("modeldir.samplers.gp.GP.find_problems", lambda *_: ())  # no PyTorch here
    whole = Search("experiments/search", RANGE, trials=20)
    whole.prepare()
    assert project.plan()["auto"]["sampler"] == whole.plan.sampler == "gp"
    stopped = Search("experiments/search", pruner="asha")
    assert stopped.plan.sampler == "tpe"
    assert f"plan: sampler tpe, by auto: {stopped.plan.auto}" in stopped.prepare()


def test_a_sampler_with_options_is_kept_as_it_was_given(project: Project) -> None:
    """In the file as an object, in words as it is typed."""
    search = Search("experiments/search", RANGE, sampler={"tpe": {"startup": 5}}, trials=5)
    search.prepare()
    assert project.plan()["sampler"] == {"tpe": {"startup": 5}}
    assert Search("experiments/search", sampler="random").prepare() == [
        "plan: sampler: tpe:startup=5 -> random"
    ]


# -- Repeats ---------------------------------------------------------------------------------------


def test_repeats_differ_in_their_seed(project: Project) -> None:
    """One point after the other; the first repeat has the base's own seed."""
    names = run(Search("experiments/search", RATES, repeats=2, maximize="accuracy"))
    assert names == [
        "learning_rate_0.1__seed_230", "learning_rate_0.1__seed_231",
        "learning_rate_0.01__seed_230", "learning_rate_0.01__seed_231",
        "learning_rate_0.001__seed_230", "learning_rate_0.001__seed_231",
    ]  # fmt: skip
    told = read(project.search / names[1] / "trial.json")
    assert (told["repeat"], told["configuration"]) == (2, {"learning_rate": 0.1, "seed": 231})
    assert read(project.search / names[1] / "params.json")["seed"] == 231
    done = Search("experiments/search")
    done.prepare()
    assert done.scheduler.remaining() == 0


def test_a_search_gets_its_repeats_later(project: Project) -> None:
    """What has run counts as the first; `--trials` counts points."""
    run(Search("experiments/search", RANGE, sampler="random", trials=2, maximize="accuracy"))
    again = Search("experiments/search", repeats=3)
    again.prepare()
    assert again.scheduler.remaining() == 4
    run(again)
    seeds = sorted(read(path / "params.json")["seed"] for path in trials(project))
    assert seeds == [230, 230, 231, 231, 232, 232]
    assert run(Search("experiments/search")) == []


def test_what_waits_for_its_repeats_is_not_read_again(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each next trial read the metrics of all points that still lack one, twice: half a second for
    a thousand of them.
    """
    run(Search("experiments/search", RANGE, sampler="random", trials=8, maximize="accuracy"))
    search = Search("experiments/search", repeats=2)
    search.prepare()
    read, scores = list[Path](), experiment.scores

    def counted(path: Path) -> experiment.Scores:
        read.append(path)
        return scores(path)

    monkeypatch.setattr(experiment, "scores", counted)
    for _ in range(3):
        assert search.scheduler.next_trial(frozenset(range(1, 100))) is not None
    assert len(read) < 12  # the points of the three; all eight, twice for each, would be 48


def test_the_sampler_learns_the_mean_of_the_repeats(project: Project) -> None:
    """One observation a point; it has not ended before all of them have."""
    search = Search("experiments/search", RANGE, sampler=OWN, trials=2, repeats=2, minimize="loss")
    run(search)
    search.scheduler.next_trial()
    told = [(o.number, o.status, dict(o.values)) for o in Recorder.last.told if o.number == 1]
    each = [
        read(project.search / f"learning_rate_0.1__seed_{s}" / BEST)["loss"] for s in (230, 231)
    ]
    assert told[0] == (1, "pending", {})
    assert (1, "running", {"loss": each[0]}) in told
    number, status, values = told[-1]
    assert (number, status) == (1, "completed")
    assert values["loss"] == pytest.approx(sum(each) / 2)
    assert Recorder.last.asked[-1] <= 5


def test_best_is_the_best_mean(project: Project) -> None:
    """Not the luckiest repeat: that one has a bad brother."""
    lucky = {(0.1, 230): 0.99, (0.1, 231): 0.1, (0.01, 230): 0.8, (0.01, 231): 0.7}

    def by(trial: Trial) -> dict[str, float]:
        return {"accuracy": lucky[trial.params.learning_rate, trial.params.seed]}

    search = Search("experiments/search", {"learning_rate": [0.1, 0.01]}, repeats=2)
    run(search, by)
    best = search.best()
    assert best is not None
    assert best.path.name == "learning_rate_0.01__seed_230"
    assert best.value == pytest.approx(0.75)
    results = synthesize("experiments/search")
    assert results.best == best.path


def test_the_table_shows_repeats_together(project: Project, snapshot: SnapshotAssertion) -> None:
    """Mean, standard deviation, count; and apart, where that is asked for. The CSV has each."""
    run(Search("experiments/search", RATES, repeats=3, maximize="accuracy"))
    together = synthesize("experiments/search")
    names = ("experiment", "accuracy", "accuracy std", "repeats")
    shown = [together.table.column(name) for name in names]
    assert [*zip(*shown, strict=True)] == snapshot(name="together")
    apart = synthesize("experiments/search", apart=True)
    assert len(apart) == 9
    assert apart.table.headers() == snapshot(name="apart")
    assert len((project.search / "results.csv").read_text().splitlines()) == 10
    synthesize("experiments/search")
    assert len((project.search / "results.md").read_text().splitlines()) == 7


def test_show_says_the_mean_by_which_a_repeat_is_the_best(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    """As the search's last line does: its own value alone would contradict it."""
    search = Search("experiments/search", RATES, repeats=3, maximize="accuracy")
    run(search)
    best = search.best()
    assert best is not None
    assert main(["show", "experiments/search"]) == 0
    (line,) = [each for each in capsys.readouterr().out.splitlines() if each.startswith("best")]
    assert best.path.name in line
    assert f"accuracy {best.value:.6g} (the mean of its repeats)" in line


def test_repeats_need_a_seed_to_vary(project: Project, snapshot: SnapshotAssertion) -> None:
    """Each mistake with what to do, before anything is started."""
    messages = []
    several: tuple[tuple[dict[str, Any], dict[str, Any], int], ...] = (
        ({"learning_rate": 0.1}, RATES, 3),
        ({"learning_rate": 0.1, "seed": "x"}, RATES, 3),
        ({"learning_rate": 0.1, "seed": 1}, {**RATES, "seed": [1, 2]}, 3),
        ({"learning_rate": 0.1, "seed": 1}, RATES, 0),
    )
    for base, domains, repeats in several:
        project.params("experiments/search", **base)
        with pytest.raises(SearchError) as caught:
            Search("experiments/search", domains, repeats=repeats)
        messages.append(str(caught.value))
    assert "\n".join(messages) == snapshot


def test_a_seed_that_is_not_used_is_pointed_out(project: Project) -> None:
    """Three repeats with the same metrics are three times the same training."""
    project.write("train.py", PLAIN)
    done = project.searches("learning_rate=0.1,0.01", "--repeats", "2")
    assert done.code == 0
    assert (
        "all seeds of a configuration give the same metrics: train.py does not use `seed`"
        in done.out
    )


PLAIN = """\
import json, sys
folder = sys.argv[sys.argv.index("--model_dir") + 1]
rate = json.load(open(folder + "/params.json"))["learning_rate"]
json.dump({"accuracy": 1 - rate}, open(folder + "/metrics_eval_best_weights.json", "w"))
"""


# -- Other folders ---------------------------------------------------------------------------------


def elsewhere(project: Project, **given: Any) -> None:
    """A finished search beside the other."""
    project.params("experiments/first", learning_rate=0.5, batch_size=16, seed=230)
    run(Search("experiments/first", **given))


def test_what_was_completed_elsewhere_is_not_run_again(project: Project) -> None:
    """It counts as done, is told, and stands in the table by its own path; `best` may name it."""
    elsewhere(project, space={"learning_rate": [0.1, 0.01, 0.5]}, maximize="accuracy")
    search = Search("experiments/search", RATES, reuse="experiments/first", maximize="accuracy")
    news = search.prepare()
    assert (
        "reuse ../first: 2 experiments not run again; "
        "1 outside this space or with another base config" in news
    )
    assert search.scheduler.remaining() == 1
    assert run(search) == ["learning_rate_0.001"]
    assert project.plan()["reuse"] == ["../first"]
    results = synthesize("experiments/search")
    assert results.table.column("experiment") == (
        "../first/learning_rate_0.01", "learning_rate_0.001", "../first/learning_rate_0.1",
    )  # fmt: skip
    assert results.best == Path("experiments/first/learning_rate_0.01")
    assert run(Search("experiments/search")) == []


def test_the_search_names_a_reused_experiment_as_its_best(project: Project) -> None:
    """As `modeldir best` does: by `Search.best`, in its front and in the last lines."""
    elsewhere(project, space={"learning_rate": [0.1, 0.01]}, maximize="accuracy")
    there = Path("experiments/first/learning_rate_0.01")
    search = Search("experiments/search", RATES, reuse="experiments/first", maximize="accuracy")
    run(search)
    best = search.best()
    assert best is not None
    assert best.path == there
    assert search.front() == [there]
    assert f"Best: {there} (highest accuracy" in "\n".join(
        summary(search, WorkerOutcome({"completed": 1}))
    )
    assert project.modeldir("best", "experiments/search").out.strip() == str(there)


def test_where_all_is_reused_the_search_still_has_a_best(project: Project) -> None:
    """It says how many are done elsewhere, and which of them is best."""
    elsewhere(project, space=RATES, maximize="accuracy")
    done = project.searches("learning_rate=0.1,0.01", "--reuse", "experiments/first")
    assert done.code == 0
    assert "Nothing left to run: 2 done elsewhere (--reuse)" in done.out
    assert "Best: experiments/first/learning_rate_0.01 (highest accuracy" in done.out


def test_a_trial_without_metrics_is_not_told_as_if_it_had_some(project: Project) -> None:
    """It would fail without a word; the trial stays open, and may be told as what it is."""
    search = Search("experiments/search", RATES, maximize="accuracy")
    trial = search.ask()
    assert trial is not None
    with pytest.raises(SearchError, match=r"has no metrics, and the search ranks by 'accuracy'"):
        search.tell(trial)
    search.tell(trial, {"accuracy": 0.5})
    assert project.trials()["learning_rate_0.1"] == "completed"


def test_a_folder_above_the_search_names_the_others_in_it_alone(project: Project) -> None:
    """`--warm-start-from experiments` and `--reuse experiments` hold its own trials too. Counted
    twice, and only at the next start, they changed what a restart proposes and what is left.
    """
    elsewhere(project, space=RANGE, sampler="random", trials=4, maximize="accuracy")
    given: Any = {"sampler": "tpe", "trials": 14, "maximize": "accuracy"}
    whole = run(Search("experiments/search", RANGE, warm_start_from="experiments", **given))
    shutil.rmtree("experiments/search")
    project.params("experiments/search", learning_rate=0.5, batch_size=16, seed=230)
    again = run(
        Search("experiments/search", RANGE, warm_start_from="experiments", **given), most=12
    )
    assert [*again, *run(Search("experiments/search"))] == whole

    project.params("experiments/repeated", learning_rate=0.5, batch_size=16, seed=230)
    run(Search("experiments/repeated", RATES, repeats=2, reuse="experiments", maximize="accuracy"))
    grown = Search("experiments/repeated", {"learning_rate": [1.0]})
    grown.prepare()
    assert grown.scheduler.remaining() == len(run(grown)) == 2


def test_an_experiment_of_its_own_is_not_retried_as_a_search(project: Project) -> None:
    """What runs it again is another command."""
    project.params("experiments/alone", learning_rate=0.5)
    done = project.modeldir("retry", "experiments/alone")
    assert done.code == 2
    assert "modeldir run experiments/alone" in done.err


def test_of_another_base_nothing_is_reused(project: Project) -> None:
    """A training of other fixed values is another training."""
    elsewhere(project, space=RATES, maximize="accuracy")
    project.params("experiments/search", learning_rate=0.5, batch_size=32, seed=230)
    assert len(run(Search("experiments/search", RATES, reuse="experiments/first"))) == 3


def test_only_folders_that_are_named_teach(project: Project) -> None:
    """Their rows come first, without numbers, and leave their points free."""
    elsewhere(project, space=RATES, maximize="accuracy")
    alone = Search("experiments/search", RANGE, sampler=OWN, trials=4, maximize="accuracy")
    alone.prepare()
    assert Recorder.last.told == []
    search = Search("experiments/search", warm_start_from=["experiments/first"])
    assert "warm_start_from ../first: 3 experiments used" in search.prepare()
    assert [o.number for o in Recorder.last.told] == [None, None, None]
    assert all(o.values["accuracy"] > 0 for o in Recorder.last.told)
    assert run(search, most=1) == ["learning_rate_0.1"]


def test_rows_outside_the_space_are_counted_out(project: Project) -> None:
    """They cannot teach where to go within it."""
    elsewhere(project, space={"learning_rate": [0.1, 0.2, 0.01]}, maximize="accuracy")
    search = Search(
        "experiments/search", RANGE, sampler=OWN, trials=4, maximize="accuracy",
        warm_start_from="experiments/first",
    )  # fmt: skip
    words = (
        "warm_start_from ../first: 2 experiments used; "
        "1 outside this space or with another base config"
    )
    assert words in search.prepare()


def test_folders_that_cannot_teach_are_refused(
    project: Project, snapshot: SnapshotAssertion
) -> None:
    """One that is not there, one with other metrics, and no metric to learn; all at once."""
    elsewhere(project, space=RATES, maximize="accuracy")
    messages = []
    several: tuple[dict[str, Any], ...] = (
        {"warm_start_from": ["experiments/first", "experiments/frist"], "reuse": "nowhere",
         "maximize": "f1"},
        {"warm_start_from": "experiments/first"},
    )  # fmt: skip
    for given in several:
        with pytest.raises(SearchError) as caught:
            Search("experiments/search", RANGE, **given).prepare()
        messages.append(str(caught.value))
    assert "\n".join(messages) == snapshot
    assert not (project.search / "search.json").exists()


# -- Several metrics -------------------------------------------------------------------------------


def test_several_metrics_have_a_front_and_no_best(
    project: Project, snapshot: SnapshotAssertion
) -> None:
    """The table marks what no other trial beats in all of them; `best` says what to type."""
    search = Search(
        "experiments/search", {"learning_rate": [0.1, 0.01, 0.001], "batch_size": [16, 32]},
        maximize="accuracy", minimize="size",
    )  # fmt: skip
    run(search)
    plan = project.plan()
    assert (plan["maximize"], plan["minimize"]) == ("accuracy", "size")
    assert search.best() is None
    assert [path.name for path in search.front()] == ["learning_rate_0.01__batch_size_16"]
    results = synthesize("experiments/search")
    assert results.best is None
    columns = [results.table.column(name) for name in ("experiment", "pareto", "accuracy", "size")]
    assert [*zip(*columns, strict=True)][:2] == snapshot(name="table")
    said = project.modeldir("best", "experiments/search")
    assert (said.out, said.code) == ("", 1)
    assert said.err == snapshot(name="best")
    shown = project.modeldir("show", "experiments/search").out
    assert "accuracy, highest first; size, lowest first" in shown
    assert "front   trial 3 (learning_rate_0.01__batch_size_16)" in shown
    by_one = project.modeldir("best", "experiments/search", "--minimize", "size")
    assert by_one.out.strip() == "experiments/search/learning_rate_0.1__batch_size_16"


def test_all_metrics_are_told(project: Project) -> None:
    """A sampler for several metrics needs all of them."""
    search = Search(
        "experiments/search", RANGE, sampler=OWN, trials=1, maximize=["accuracy"],
        minimize=["loss", "size"],
    )  # fmt: skip
    run(search)
    search.scheduler.next_trial()
    assert sorted(Recorder.last.told[-1].values) == ["accuracy", "loss", "size"]


def test_the_space_that_is_written_is_read_again(project: Project) -> None:
    """Options, repeats and metrics from the file are those that were given."""
    given: dict[str, Any] = {
        "sampler": {"nsga2": {"population": 4}}, "maximize": "accuracy", "minimize": "loss",
        "repeats": 2, "trials": 3,
    }  # fmt: skip
    first = Search("experiments/search", RANGE, **given)
    first.prepare()
    text = (project.search / "search.json").read_text()
    second = Search("experiments/search")
    second.prepare()
    assert second.plan == first.plan
    assert (project.search / "search.json").read_text() == text
    assert json.loads(text)["repeats"] == 2


def test_who_only_looks_needs_no_package(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder may be copied to a machine without Optuna: best, table and retry work there."""
    run(Search("experiments/search", RANGE, sampler={"tpe": {"startup": 1}}, trials=2))
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "optuna" else real(name)
    )
    there = Search("experiments/search")
    assert there.best() is not None
    assert synthesize("experiments/search").best == there.best().path  # type: ignore[union-attr]
    with pytest.raises(SearchError, match="tpe needs optuna, which is not installed"):
        there.prepare()
    with pytest.raises(SearchError, match="tpe needs optuna, which is not installed"):
        Search("experiments/search", trials=5)


# -- By the command line ---------------------------------------------------------------------------


def test_the_command_line_says_the_same_as_python(project: Project) -> None:
    """Options of a sampler, repeats, several metrics, other folders; trainings two at once."""
    project.write("train.py", SEEDED)
    elsewhere(project, space=RATES, maximize="accuracy", minimize="loss")
    done = project.searches(
        "learning_rate=log_uniform:1e-4,1e-1", "--sampler", "tpe:startup=2", "--trials", "5",
        "--repeats", "2", "--maximize", "accuracy", "--minimize", "loss",
        "--warm-start-from", "experiments/first", "-j", "2",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert "warm_start_from ../first: 3 experiments used" in done.out
    assert "10 completed" in done.out
    assert "Pareto front by accuracy and loss: " in done.out
    plan = project.plan()
    assert plan["sampler"] == {"tpe": {"startup": 2}}
    assert (plan["repeats"], plan["warm_start_from"]) == (2, ["../first"])
    seeds = sorted(read(path / "params.json")["seed"] for path in trials(project))
    assert seeds == [230] * 5 + [231] * 5
    taken_out = project.searches("--warm-start-from", "none", "--trials", "5")
    assert 'plan: warm_start_from: ["../first"] removed' in taken_out.out


def test_a_dry_run_shows_the_repeats(project: Project) -> None:
    """Each as the trial that it would be; nothing is made."""
    done = project.searches("learning_rate=0.1,0.01", "--repeats", "2", "--dry-run")
    assert done.code == 0, done.err
    for rate in ("0.1", "0.01"):
        for seed in (230, 231):
            assert f"learning_rate_{rate}__seed_{seed}" in done.out
    assert "4 trials would be made" in done.out
    assert [*trials(project)] == []


@pytest.mark.parametrize(
    "options",
    [{"sampler": OWN}, {"target": 0.9}, {"max_retries": 1}, {"repeats": 2}],
    ids=["a sampler that learns", "stop at", "max_retries", "repeats"],
)
def test_a_trial_that_hangs_on_others_is_not_made_ahead(
    project: Project, options: dict[str, Any]
) -> None:
    """How those that run will end may say that it is another one, or that it is none."""
    search = Search("experiments/search", RATES, maximize="accuracy", trials=3, **options)
    search.prepare()
    search.scheduler.make_ahead(frozenset())
    assert not [*project.search.glob("l*")]


def test_a_seed_that_is_never_read_stops_the_search_at_once(project: Project) -> None:
    """A script that tells what it reads need not run three times before that is known."""
    project.write("train.py", WITH_PARAMS)
    done = project.searches("learning_rate=0.1,0.01", "--repeats", "2")
    assert done.code == 2
    assert "seed varies in this search, but train.py never read it" in done.out + done.err


SEEDED = """\
import json, sys
folder = sys.argv[sys.argv.index("--model_dir") + 1]
params = json.load(open(folder + "/params.json"))
loss = params["learning_rate"] + params["seed"] / 1e6
with open(folder + "/metrics_eval_best_weights.json", "w") as file:
    json.dump({"accuracy": 1 - loss, "loss": loss}, file)
"""
