"""`modeldir confirm`: the best of a search again with new seeds, and what that says. Real runs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from scipy import stats
from syrupy.assertion import SnapshotAssertion

from laboratory import Project, Said, kill, read, wait_until
from modeldir import Search
from modeldir.errors import ModeldirError, SearchError
from modeldir.experiment import experiment
from modeldir.results import confirmation, finalists
from modeldir.results.confirmation import Confirmation, Measured
from modeldir.results.finalists import Finalist, Finalists
from modeldir.results.report.page_data import page_data
from modeldir.results.synthesize import read_tree
from modeldir.results.table_columns import advised

NOISY = """\
import json, os, random, sys, time
folder = sys.argv[sys.argv.index("--model_dir") + 1]
with open(os.path.join(folder, "params.json")) as file:
    params = json.load(file)
with open(".started.txt", "a") as file:
    file.write(os.path.basename(folder) + "\\n")
while os.path.exists("hold"):
    time.sleep(0.005)
noise = random.Random(repr((params["seed"], params["learning_rate"]))).gauss(0, NOISE)
good = {0.5: 0.5, 0.1: 0.7, 0.01: 0.9, 0.001: 0.88}[params["learning_rate"]]
if params["learning_rate"] == 0.001 and os.path.exists("fail") and params["seed"] % 2:
    raise SystemExit("it diverged")
with open(os.path.join(folder, "metrics_eval_best_weights.json"), "w") as file:
    json.dump({"accuracy": good + noise, "loss": 1 - good - noise}, file)
"""
"""A training whose accuracy depends on its learning rate, and on its seed by NOISE."""

SEARCH = "experiments/search"
RATES = "learning_rate=0.1,0.01,0.001"


def noisy(tmp_path: Path, noise: float = 0.005, **base: Any) -> Project:
    project = Project(tmp_path, NOISY.replace("NOISE", repr(noise)))
    project.params(SEARCH, **{"learning_rate": 0.5, "batch_size": 16, "seed": 230, **base})
    return project


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.chdir(tmp_path)
    return noisy(tmp_path)


def confirm(project: Project, *words: str) -> Said:
    return project.modeldir("confirm", SEARCH, *words)


def test_the_best_is_run_again_with_new_seeds_and_compared(
    project: Project, snapshot: SnapshotAssertion
) -> None:
    """The best two and the base, three seeds each, as many trainings; the whole answer."""
    assert project.searches(RATES, "-j", "2").code == 0
    before = len(project.started)
    said = confirm(project, "--top", "2", "--repeats", "3")
    assert said.code == 0, said.err
    assert len(project.started) - before == 9
    assert said.out.partition("\n\n")[2] == snapshot
    assert "advice:" not in said.out  # by Welch's test: beside the answer it is another one
    assert not advised(read_tree(project.search / "confirm"))
    seeds = {read(path)["seed"] for path in project.search.glob("confirm/*/params.json")}
    assert seeds == {1230, 1231, 1232}
    assert "worker" in (project.search / "confirm/search.log").read_text()


def test_the_report_has_the_answer(project: Project) -> None:
    """In the same words; of what cannot be read a line that says so."""
    project.searches(RATES)
    target = project.search / "report.html"
    assert page_data(read_tree(project.search), target)["confirmed"] == []
    confirm(project, "--top", "1", "--repeats", "2")
    told = confirmation.to_words(confirmation.of(Path(SEARCH)))
    found = page_data(read_tree(SEARCH), target)["confirmed"]
    assert ["\n".join(lines) for lines in found] == [told]
    (project.search / "confirm/confirm.json").write_text('{"named": 1')
    assert "it has no confirmation yet" in page_data(read_tree(SEARCH), target)["confirmed"][0][0]


def test_the_machine_s_options_are_those_of_the_search(project: Project) -> None:
    """`-j 2` of the search's last worker holds, until another is typed."""
    project.searches(RATES, "-j", "2")
    confirm(project, "--top", "1", "--repeats", "2")
    log = project.search / "confirm/search.log"
    assert log.read_text().splitlines()[0].endswith("-j 2")
    confirm(project, "--repeats", "3", "-j", "1")
    assert [line for line in log.read_text().splitlines() if line.endswith("-j 1")]


def test_workers_are_placed_as_those_of_a_search(project: Project) -> None:
    """Two in the background: the command leaves; said again none is missing; at the end it has the
    answer, though the search itself was run by a job manager.
    """
    project.searches(RATES)
    submit = "sh -c 'exec \"$@\" >>submitted.txt 2>&1 & echo $!' sh {worker}"
    project.searches(RATES, "--on", "command", "--submit", submit, "--status", "ps -p {job}")
    project.hold()
    words = ("--top", "1", "--repeats", "3")
    said = confirm(project, *words, "--on", "local", "--workers", "2")
    assert said.code == 0, said.err
    assert said.out.count("runs without this terminal") == 2
    assert "No answer yet: 6 training runs have not ended." in said.lines[-1]
    project.wait_for_starts(3 + 2)
    again = confirm(project)
    assert "already there: 2 workers run" in again.lines
    project.release()
    said = confirm(project, "--wait")
    assert said.code == 0, said.err
    assert "Test: paired t-test" in said.out
    assert len(project.started) == 3 + 6


def test_a_job_manager_s_workers_confirm_too(project: Project) -> None:
    """`--on command` with the submitting line that the search had: nothing of it is typed again."""
    submit = "sh -c 'exec \"$@\" >>submitted.txt 2>&1 & echo $!' sh {worker}"
    words = ("--on", "command", "--submit", submit, "--status", "ps -p {job}", "--wait")
    said = project.searches(RATES, *words)
    assert said.code == 0, said.err
    said = confirm(project, "--top", "1", "--repeats", "2", "--wait")
    assert said.code == 0, said.err
    assert "1 worker submitted: job " in said.out
    assert "Test: paired t-test" in said.out


def test_said_again_it_says_the_answer_and_runs_nothing(project: Project) -> None:
    """And more seeds, or more of the best, are added to what is there."""
    project.searches(RATES)
    first = confirm(project, "--top", "1", "--repeats", "2")
    count, tree = len(project.started), project.tree()
    again = confirm(project)
    assert (again.code, len(project.started)) == (0, count)
    assert first.out.endswith(again.out.lstrip("\n"))
    assert project.tree() == tree
    assert confirm(project, "--top", "2", "--repeats", "3").code == 0
    assert len(project.started) - count == 9 - 4


def test_fewer_seeds_than_there_are_are_not_taken_away(project: Project) -> None:
    """To look at only some of the results would be choosing among them."""
    project.searches(RATES)
    confirm(project, "--top", "1", "--repeats", "3")
    assert "over 3 seeds" in confirm(project, "--repeats", "2").out


def test_the_search_is_not_disturbed(project: Project, snapshot: SnapshotAssertion) -> None:
    """Its trials, its table, its best, what its sampler learns and what others learn from it are
    as they were; what is in `confirm` is read where that is asked for.
    """
    project.searches(RATES)
    rows = [found.name for found in read_tree(project.search).experiments]
    best = project.modeldir("best", SEARCH).out
    confirm(project, "--top", "2", "--repeats", "2")
    assert [found.name for found in read_tree(project.search).experiments] == rows
    assert [found.name for found in read_tree(project.path / "experiments").experiments] == [
        f"search/{name}" for name in rows
    ]
    assert project.modeldir("best", SEARCH).out == best
    assert project.searches(RATES).lines[0] == snapshot(name="nothing is left")
    search = Search(SEARCH)
    search.prepare()
    assert [trial.name for trial in search.trials] == rows[::-1] or len(search.trials) == 3
    other = project.params("experiments/other", learning_rate=0.5, batch_size=16, seed=230).parent
    news = project.modeldir(
        "search", str(other), RATES, "--reuse", SEARCH, "--", "python", "train.py"
    )
    assert "3" in news.out
    assert "confirm" not in news.out
    assert len(read_tree(project.search / "confirm").experiments) == 6


def test_killed_it_goes_on_where_it_was(project: Project) -> None:
    """The whole command is killed while two trainings run: each is run to its end once."""
    project.searches(RATES)
    project.hold()
    before = len(project.started)
    with project.started_as("confirm", SEARCH, "--top", "2", "--repeats", "2") as process:
        project.wait_for_starts(before + 1)
        kill(process.pid)
        process.wait()
    project.release()
    folder = project.search / "confirm"
    name = project.started[-1]
    wait_until(lambda: experiment.status(folder / name).state == "completed", "its end")
    done = confirm(project)
    assert done.code == 0, done.err
    assert "Test: paired t-test" in done.out
    assert len(project.started) - before == 6


def test_a_dry_run_makes_nothing(project: Project, snapshot: SnapshotAssertion) -> None:
    """Not even the folder."""
    project.searches(RATES)
    tree = project.tree()
    said = confirm(project, "--dry-run")
    assert said.code == 0
    assert said.out == snapshot
    assert project.tree() == tree


def test_the_base_may_be_the_best(tmp_path: Path) -> None:
    """Then it is the first, and nobody is compared with it twice."""
    project = noisy(tmp_path, learning_rate=0.01)
    project.searches(RATES)
    said = confirm(project, "--top", "2", "--repeats", "2")
    assert "The base, the best of the search," in said.out
    assert len(list((project.search / "confirm").glob("learning*"))) == 4
    alone = project.modeldir("confirm", SEARCH, "--top", "1")
    assert (alone.code, "nothing to compare it with" in alone.err) == (2, True)


def test_a_search_with_repeats_is_confirmed_by_points(project: Project) -> None:
    """The mean of the repeats names the best; none of their seeds is used again."""
    project.searches(RATES, "--repeats", "2")
    confirm(project, "--top", "1", "--repeats", "2")
    told = read(project.search / "confirm/confirm.json")
    assert [finalist["name"] for finalist in told["named"]] == [
        "learning_rate_0.01",
        "base",
    ]
    seeds = {read(path)["seed"] for path in project.search.glob("confirm/*/params.json")}
    assert seeds == {1231, 1232}


def test_failures_are_told_and_not_passed_over(project: Project) -> None:
    """A configuration that fails with some seeds is worse than the mean of the others."""
    project.searches(RATES)
    project.write("fail", "")
    said = confirm(project, "--top", "2", "--repeats", "4")
    assert said.code == 1
    assert "trial 3 (learning_rate_0.001) failed with 2 of 4 seeds" in said.out


def test_a_seed_that_is_not_used_is_told(tmp_path: Path, snapshot: SnapshotAssertion) -> None:
    """Without noise there is no test, and none is made up."""
    project = noisy(tmp_path, noise=0)
    project.searches(RATES)
    said = confirm(project, "--top", "1", "--repeats", "2")
    assert said.out.partition("\n\n")[2] == snapshot


@pytest.mark.parametrize(
    "base", [{"seed": None}, {"seed": "a"}, {}], ids=["null", "text", "missing"]
)
def test_without_a_seed_nothing_is_started(
    tmp_path: Path, base: dict[str, Any], snapshot: SnapshotAssertion
) -> None:
    """It says what to write into params.json."""
    project = Project(tmp_path)
    project.params(SEARCH, **{"learning_rate": 0.5, "batch_size": 16, **base})
    project.searches(RATES)
    tree = project.tree()
    said = confirm(project)
    assert said.code == 2
    assert said.err == snapshot
    assert project.tree() == tree


@pytest.mark.parametrize(
    "words",
    [("--top", "0"), ("--repeats", "1"), ("--maximize", "acuracy"), ("--estimate", "--dry-run")],
    ids="_".join,
)
def test_what_makes_no_sense_is_refused(
    project: Project, words: tuple[str, ...], snapshot: SnapshotAssertion
) -> None:
    """Before anything is made."""
    project.searches(RATES)
    said = confirm(project, *words)
    assert said.code == 2
    assert said.err == snapshot
    assert not (project.search / "confirm").exists()


def test_before_anything_has_ended_there_is_nothing_to_confirm(
    project: Project, snapshot: SnapshotAssertion
) -> None:
    """A search that never ran, a folder that is none, and another's folder of that name."""
    assert confirm(project).err == snapshot(name="no trial")
    assert project.modeldir("confirm", "experiments/nowhere").err == snapshot(name="no folder")
    base = project.params("experiments/base", learning_rate=0.5, batch_size=16, seed=230).parent
    (base / "metrics_eval_best_weights.json").write_text('{"accuracy": 0.5}')
    assert project.modeldir("confirm", "experiments/base").err == snapshot(name="no search")
    project.searches(RATES)
    assert project.modeldir("confirm", "experiments").err == snapshot(name="searches")
    (project.search / "confirm").mkdir()
    (project.search / "confirm/mine.txt").touch()
    said = confirm(project)
    assert said.code == 2
    assert said.err == snapshot(name="another's")
    assert not [*project.search.glob(".tmp*")]


def test_several_metrics_need_one_that_is_named(
    project: Project, snapshot: SnapshotAssertion
) -> None:
    """And the one that was named is kept for the next time."""
    project.searches(RATES, "--maximize", "accuracy", "--minimize", "loss")
    said = confirm(project)
    assert said.code == 2
    assert said.err == snapshot
    assert confirm(project, "--minimize", "loss", "--top", "1", "--repeats", "2").code == 0
    assert "by lowest loss" in confirm(project).out


def test_a_changed_base_is_another_question(project: Project, snapshot: SnapshotAssertion) -> None:
    """Old runs are not compared with new ones of another base."""
    project.searches(RATES)
    confirm(project, "--top", "1", "--repeats", "2")
    project.params(SEARCH, learning_rate=0.5, batch_size=32, seed=230)
    said = confirm(project)
    assert said.code == 2
    assert said.err == snapshot


def test_nested_values_and_lists_are_run_again_as_they_were(tmp_path: Path) -> None:
    """A dotted name, a list and null are values like others."""
    project = noisy(tmp_path, model={"widths": [8], "norm": None})
    space = {"learning_rate": [0.1, 0.01], "model.widths": [[8], [16, 16]], "model.norm": [None, 1]}
    plan = {"space": space, "maximize": "accuracy", "command": "python train.py"}
    project.write(f"{SEARCH}/search.json", json.dumps(plan))
    assert project.modeldir("search", SEARCH).code == 0
    assert confirm(project, "--top", "5", "--repeats", "2").code == 0
    made = [read(path) for path in project.search.glob("confirm/*/params.json")]
    assert len(made) == 12
    assert {json.dumps(each["model"]) for each in made} >= {
        '{"widths": [8], "norm": null}', '{"widths": [16, 16], "norm": 1}'
    }  # fmt: skip


def test_trials_of_a_script_of_one_s_own_are_confirmed_by_a_command(project: Project) -> None:
    """A tree without a plan: the command is typed, and kept in `confirm`."""
    for rate in (0.1, 0.01):
        folder = f"{SEARCH}/rate_{rate}"
        project.params(folder, learning_rate=rate, batch_size=16, seed=230)
        done = ["python", "train.py", "--model_dir", folder]
        assert project.modeldir("run", folder, "--", *done).code == 0
    none = confirm(project)
    assert (none.code, "no command says how to train" in none.err) == (2, True)
    said = confirm(project, "--top", "1", "--repeats", "2", "--", "python", "train.py")
    assert said.code == 0, said.err
    assert "Test: paired t-test" in confirm(project, "--repeats", "3").out


# -- What the numbers say --------------------------------------------------------------------------


def measured(
    values: Mapping[str, list[float]], way: Any = "maximize", base: str = "base"
) -> Confirmation:
    members = [
        Finalist(name, {"lr": place}, 0.9, place, name == base) for place, name in enumerate(values)
    ]
    seeds = tuple(range(max(map(len, values.values()))))
    named = Finalists(Path("experiments/x"), ("accuracy", way), tuple(members), seeds)
    each = (
        Measured(finalist, dict(enumerate(found)))
        for finalist, found in zip(members, values.values(), strict=True)
    )
    return Confirmation(named, tuple(each))


FIRST = [0.95, 0.94, 0.96, 0.95, 0.93]
CLOSE = [0.94, 0.95, 0.955, 0.94, 0.935]
POOR = [0.80, 0.79, 0.82, 0.80, 0.80]


def test_intervals_are_those_of_scipy_corrected_for_their_number() -> None:
    """Two comparisons: each at 97.5 %, so that both hold with 95 %."""
    found = measured({"a": FIRST, "b": CLOSE, "base": POOR})
    assert found.level == pytest.approx(0.975)
    for other, values in zip(found.others, (CLOSE, POOR), strict=True):
        expected = stats.ttest_rel(FIRST, values).confidence_interval(0.975)
        lead = found.lead(other)
        assert lead is not None
        assert (lead.low, lead.high) == pytest.approx((expected.low, expected.high))


def test_of_a_loss_the_lower_is_better() -> None:
    """The lead is positive, whichever way the metric goes."""
    high, low = (
        measured({"a": FIRST, "base": POOR}),
        measured({"a": POOR, "base": FIRST}, "minimize"),
    )
    one, other = high.lead(high.others[0]), low.lead(low.others[0])
    assert one is not None
    assert other is not None
    assert one.mean > 0
    assert other == one


@pytest.mark.parametrize(
    "values",
    [
        {"a": FIRST, "b": CLOSE, "base": POOR},
        {"a": POOR, "b": FIRST, "base": CLOSE},
        {"a": FIRST, "base": FIRST},
        {"a": [0.5, 0.6], "base": [0.25, 0.35]},
        {"a": [0.5, 0.6, 0.7], "base": [0.1]},
        {"base": FIRST, "b": POOR, "c": CLOSE},
    ],
    ids=["beats", "beaten", "same", "alike", "few", "base first"],
)
def test_the_answer_is_in_plain_words(
    values: dict[str, list[float]], snapshot: SnapshotAssertion
) -> None:
    """Who beats whom, by how much, by which test; and what is not known."""
    assert "\n".join(confirmation.answer(measured(values))) == snapshot


def test_in_a_narrow_terminal_no_line_is_torn(snapshot: SnapshotAssertion) -> None:
    """Columns whose numbers the answer has, or that it needs least, are left out of the table."""
    found = measured({"a_long_configuration": FIRST, "base": POOR, "c": CLOSE})
    assert (
        confirmation.to_words(found, 100).splitlines()[2:7]
        == (confirmation.to_words(found).splitlines()[2:7])
    )
    named = "+1 column: the first is better by (a wider terminal has it)"
    assert named in confirmation.to_words(found, 80).splitlines()
    told = confirmation.to_words(found, 60)
    assert max(map(len, told.splitlines())) <= 60
    assert told == snapshot


def test_an_answer_that_cannot_be_given_yet_says_how_it_goes_on() -> None:
    """No mean of half the runs is compared."""
    found = measured({"a": FIRST, "base": POOR})
    open_ = replace(found.measured[1], open=(7,))
    [told] = confirmation.answer(replace(found, measured=(found.measured[0], open_)))
    assert told == (
        "No answer yet: 1 training run has not ended. To continue, or to see the answer: "
        "modeldir confirm experiments/x"
    )


def test_a_confirmation_is_read_from_its_folder_alone(project: Project) -> None:
    """For whoever shows results: the same as the command said; an error where there is none."""
    project.searches(RATES)
    with pytest.raises(SearchError, match="it has no confirmation yet"):
        confirmation.of(project.search)
    said = confirm(project, "--top", "1", "--repeats", "2")
    told = confirmation.to_words(confirmation.of(Path(SEARCH)))
    assert told in said.out


def test_seeds_do_not_leave_the_numbers_that_libraries_take(project: Project) -> None:
    """NumPy and PyTorch refuse seeds of more than 32 bits."""
    project.params(SEARCH, learning_rate=0.5, batch_size=16, seed=2**31 - 2)
    project.searches(RATES)
    found = finalists.choose(project.search)
    assert max(found.seeds) < 2**31
    assert 2**31 - 2 not in found.seeds


def test_a_trial_with_another_s_weights_is_no_finalist(project: Project) -> None:
    """Its hyperparameters alone do not make it again."""
    project.searches(RATES)
    path = project.search / "learning_rate_0.01/trial.json"
    path.write_text(json.dumps({**read(path), "parent": {"number": 1}}))
    with pytest.raises(ModeldirError, match="began with the weights of another"):
        finalists.choose(project.search)


def test_moved_with_its_search_it_says_the_same(project: Project) -> None:
    """Nothing in it knows where it lay."""
    project.searches(RATES)
    before = confirm(project, "--top", "1", "--repeats", "2").out.partition("\n\n")[2]
    shutil.move(project.search, project.path / "experiments/moved")
    after = project.modeldir("confirm", "experiments/moved").out.lstrip("\n")
    assert before.endswith(after.partition("\n\n")[2].replace("experiments/moved", SEARCH))
