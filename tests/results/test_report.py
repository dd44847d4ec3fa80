"""The data of the report, read from folders, and the commands that write it."""

from __future__ import annotations

import base64
import gzip
import json
import os
import re
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from scipy import stats

import modeldir
from forest import SPACE, grow
from laboratory import THREE, Project
from modeldir.errors import FolderError
from modeldir.results.experiment_tree import read_tree, read_trees
from modeldir.results.report import (
    axis_scales,
    curves,
    encoding,
    failures,
    live_report,
    page,
    page_data,
)
from modeldir.search.importance import importance, importances, omega_squared

if TYPE_CHECKING:
    from syrupy.assertion import SnapshotAssertion


def write(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def trial(folder: Path, params: object, run: object = None, **metrics: object) -> Path:
    """An experiment with metrics, and with a run file if given."""
    write(folder / "params.json", params)
    if metrics:
        write(folder / "metrics_eval_best_weights.json", metrics)
    if run is not None:
        write(folder / "run.json", run)
    return folder


def told(folder: Path) -> dict[str, Any]:
    """Return the data of the page about a folder."""
    return page_data.page_data(read_tree(folder), folder / "report.html")


def column(found: dict[str, Any], name: str) -> dict[str, Any]:
    return next(each for each in found["columns"] if each["name"] == name)


def data_in(text: str) -> Any:
    """The data of a page, as its script reads them."""
    match = re.search(r'id="data">(.*?)</script>', text, re.DOTALL)
    assert match is not None
    packed = match[1].strip()
    if packed.startswith("{"):
        return json.loads(packed)
    return json.loads(gzip.decompress(base64.b64decode(packed)))


# -- Columns ---------------------------------------------------------------------------------------


def test_numbers_stay_numbers_beside_a_null_and_a_text(tmp_path: Path) -> None:
    """One "auto" or null among numbers stays a string, and the other values keep their axis."""
    for place, rate in enumerate([0.1, 0.2, None, "auto", 0.3]):
        trial(tmp_path / str(place), {"rate": rate, "kind": "a" if place else None}, accuracy=0.5)
    found = told(tmp_path)
    assert column(found, "rate")["v"] == [0.1, 0.2, "null", "auto", 0.3]
    assert column(found, "kind")["dict"] == ["a", "null"]


def test_a_missing_hyperparameter_drops_no_trial(tmp_path: Path) -> None:
    """A missing value is null, which differs from a null in the file."""
    trial(tmp_path / "a", {"x": 1, "dropout": 0.5}, accuracy=0.5)
    trial(tmp_path / "b", {"x": 2}, accuracy=0.5)
    found = told(tmp_path)
    assert found["n"] == 2
    assert column(found, "dropout")["v"] == [0.5, None]
    assert column(found, "dropout")["varies"]


def test_metrics_that_are_not_finite_are_kept_as_words(tmp_path: Path) -> None:
    """JSON has no NaN, so it is stored as a string."""
    for name, value in [("a", "nan"), ("b", "inf"), ("c", 0.123456789)]:
        trial(tmp_path / name, {"x": name}, loss=value)
    assert column(told(tmp_path), "loss")["v"] == ["nan", "inf", 0.123457]


def test_two_columns_never_have_one_name(tmp_path: Path) -> None:
    """A hyperparameter with the name of a metric gets a number, also in the importance."""
    for place in range(12):
        trial(tmp_path / str(place), {"loss": "mse" if place % 2 else "l1"}, loss=place % 2)
    found = told(tmp_path)
    assert [(each["name"], each["kind"]) for each in found["columns"]] == [
        ("loss", "metric"), ("loss #2", "hyper"),
    ]  # fmt: skip
    assert found["importance"]["of"]["loss"][0][0] == "loss #2"
    assert encoding.labels(["a", "a #2", "a"]) == ["a", "a #2", "a #3"]


def test_long_texts_are_cut_with_a_word_and_stay_apart(tmp_path: Path) -> None:
    """Two strings that differ after the cut are two categories."""
    for name in "ab":
        trial(tmp_path / name, {"text": "x" * 10_000_000 + name}, accuracy=0.5)
    found = column(told(tmp_path), "text")
    assert found["dict"] == ["x" * 200 + "… (10,000,001 characters)"] * 2
    assert found["i"] == [0, 1]


def test_the_order_of_a_declared_list_is_kept() -> None:
    """Declared options come in their order, other values after them."""
    coded = encoding.categories(["large", "small", None, "other"], ["small", "large", "unused"])
    assert coded == {"dict": ["small", "large", "other"], "i": [1, 0, -1, 2]}


# -- Axes ------------------------------------------------------------------------------------------


def test_the_declared_domain_decides_the_axis(tmp_path: Path) -> None:
    """A log_uniform range is logarithmic and as wide as declared, even with few values."""
    grow(tmp_path / "s", 5)
    found = told(tmp_path / "s")
    rate, dropout = column(found, "learning_rate"), column(found, "dropout")
    assert (rate["log"], rate["low"], rate["high"]) == (True, 1e-5, 1)
    assert (dropout["log"], dropout["low"], dropout["high"]) == (False, 0, 0.7)


@pytest.mark.parametrize(
    ("values", "log"),
    [
        ([0.1, 0.01, 0.001], True),
        ([16, 32, 64, 128, 256, 512, 1024], True),
        ([0.0007, 0.1, 0.2, 0.35, 0.5, 0.7], False),
        ([0.0, 0.1, 100.0], False),
        ([1e-300, 1e300, 1.0], True),
        ([5.0, 5.0], False),
    ],
)
def test_without_one_the_values_decide(values: list[float], log: bool) -> None:  # noqa: FBT001
    """The axis is logarithmic if that spreads the values more evenly."""
    assert axis_scales.looks_logarithmic(values) is log


def test_several_plans_give_the_widest_domain() -> None:
    """Two searches in one tree have different ranges."""
    found = axis_scales.declared_ranges(
        [
            {"space": {"x": {"log_uniform": [0.01, 0.1]}, "k": ["a"]}},
            {"space": {"x": {"log_uniform": [0.001, 0.05]}, "k": ["b", "a"]}},
            {"space": "broken"},
        ]
    )
    assert found["x"] == axis_scales.DeclaredRange(log=True, low=0.001, high=0.1)
    assert found["k"].options == ("a", "b")


# -- What mattered ---------------------------------------------------------------------------------


def test_omega_squared_is_what_the_textbook_says() -> None:
    """Three groups with means 1, 2 and 6: SSB 42, MSW 1, SST 48, so (42 - 2) / (48 + 1)."""
    groups = [[0.0, 1.0, 2.0], [1.0, 2.0, 3.0], [5.0, 6.0, 7.0]]
    sums = [(len(each), sum(each), sum(x * x for x in each)) for each in groups]
    assert omega_squared(sums) == pytest.approx(40 / 49)


def test_what_matters_is_first_and_chance_explains_nothing(tmp_path: Path) -> None:
    """With 300 trials the learning rate explains most and the activation nothing."""
    grow(tmp_path / "s", 300)
    rows = told(tmp_path / "s")["importance"]["of"]["accuracy"]
    names = [name for name, *_ in rows]
    shares = {name: (share, low, high) for name, share, low, high, _ in rows}
    assert names[0] == "learning_rate"
    assert set(names) == set(SPACE)
    assert shares["learning_rate"][1] > 0.7
    assert shares["activation"][1] == 0.0
    assert shares["activation"][2] < 0.1


def test_an_optimum_inside_its_range_takes_some_parts_to_be_seen() -> None:
    """With two halves no difference can be seen: there are too few trials, not no effect."""

    def share(count: int) -> float | None:
        xs = [place / (count - 1) for place in range(count)]
        return importance("x", xs, [-((x - 0.5) ** 2) for x in xs]).share

    assert share(19) is None
    few = share(20)
    assert few is not None
    assert few > 0.5


def test_few_trials_say_nothing() -> None:
    """Nine trials, one value per trial, or one value alone give no share, only the count."""
    nine = importance("x", list(range(9)), [float(each) for each in range(9)])
    assert (nine.share, nine.count) == (None, 9)
    own = importance("name", [f"t{each}" for each in range(40)], [float(x) for x in range(40)])
    assert own.share is None
    assert importance("x", [1] * 40, [float(x) for x in range(40)]).share is None
    found = importances(
        {"few": [1, *[None] * 39], "x": list(range(40))}, [float(x) for x in range(40)]
    )
    assert [each.name for each in found] == ["x", "few"]


@pytest.mark.parametrize("count", [12, 20])
def test_the_interval_of_few_is_as_wide_as_it_must_be(count: int) -> None:
    """With 12 trials the jackknife has 12 parts, so Student's t has 11 degrees of freedom."""
    values = ["adam", "sgd"] * (count // 2)
    metric = [float(each % 2) + each / count for each in range(count)]
    places = stats.rankdata(metric) - 1
    shares = [
        omega_squared(
            [
                (len(left), sum(left), sum(x * x for x in left))
                for each in ("adam", "sgd")
                if (left := [places[n] for n in range(count) if values[n] == each and n != out])
            ]
        )
        for out in range(count)
    ]
    error = (count - 1) ** 0.5 * statistics.pstdev(shares)
    found = importance("optimizer", values, metric)
    assert found.share is not None
    assert found.share - found.low == pytest.approx(stats.t.ppf(0.975, count - 1) * error)


def test_one_training_that_diverged_changes_little() -> None:
    """Ranks are used, so a loss of 1e30 is only the last one."""
    values, metric = list(range(100)), [abs(x - 50.0) for x in range(100)]
    calm = importance("x", values, metric).share
    metric[10] = 1e30
    wild = importance("x", values, metric).share
    assert calm is not None
    assert wild is not None
    assert abs(calm - wild) < 0.1


def test_an_adaptive_sampler_is_named(tmp_path: Path) -> None:
    """Readers have to know that its trials are in good regions. Random samplers are not named."""
    grow(tmp_path / "tpe", 3, sampler="tpe")
    grow(tmp_path / "random", 3)
    assert told(tmp_path / "tpe")["adaptive"] == ["tpe"]
    assert told(tmp_path / "random")["adaptive"] == []


# -- Curves ----------------------------------------------------------------------------------------


def test_few_trials_show_all_curves_and_many_the_best_and_a_spread() -> None:
    """For 10,000 trials these are the 60 best ones and 60 of the others."""
    assert curves.chosen([3, 1], [2]) == [1, 2, 3]
    ranked = list(range(10_000))
    some = curves.chosen(ranked, [])
    assert some[:60] == ranked[:60]
    assert len(some) == 120
    assert some[-1] > 9_800


def test_thinning_loses_no_spike() -> None:
    """The least and the greatest value of a long curve are kept."""
    pairs = [(float(step), 0.5) for step in range(10_000)]
    pairs[4321], pairs[8765] = (4321.0, 99.0), (8765.0, -99.0)
    kept_ = curves.thinned(pairs, 160)
    assert len(kept_) <= 160
    assert (4321.0, 99.0) in kept_
    assert (8765.0, -99.0) in kept_
    assert kept_ == sorted(kept_)


def test_a_curve_is_read_as_the_folders_have_it(tmp_path: Path) -> None:
    """Training metrics keep their prefix; after a restart the later value counts."""
    lines = [
        {"step": 0, "val/accuracy": 0.1, "accuracy": 0.9, "train/loss": 3},
        {"step": 1, "val/accuracy": 0.2, "train/loss": 2},
        {"step": 1, "val/accuracy": 0.25, "train/loss": "nan"},
    ]
    text = "\n".join(map(json.dumps, lines)) + '\n{"step": 2, "val/accu'
    (tmp_path / "metrics.jsonl").write_text(text)
    found = curves.read_curves(tmp_path)
    assert found["accuracy"] == {0.0: 0.1, 1.0: 0.25}
    assert str(found["train/loss"][1.0]) == "nan"
    (tmp_path / "metrics.jsonl").write_text(json.dumps(lines[0]))
    assert curves.curves({7: tmp_path}, ["accuracy"]) == {"names": [], "of": {}}


def test_a_very_long_log_is_read_in_part(tmp_path: Path) -> None:
    """For 40,000 steps some are read, from the first to the last."""
    lines = (f'{{"step": {step:06}, "loss": 0.5}}'.replace(" 0", " 1") for step in range(40_000))
    (tmp_path / "metrics.jsonl").write_text("\n".join(lines))
    found = curves.read_curves(tmp_path)["loss"]
    assert 1000 < len(found) < 6000


# -- Failures and origins --------------------------------------------------------------------------


def test_what_failed_alike_is_one_line(tmp_path: Path) -> None:
    """Trials with the same error are one group; three of them show their last lines."""
    for number in range(5):
        run = {"attempt": 1, "status": "failed", "failure": "error",
               "last_line": f"ValueError: width={number} is too much"}  # fmt: skip
        trial(tmp_path / str(number), {"x": number}, run)
        (tmp_path / str(number) / "console.log").write_text(
            f"\x1b[31mepoch {number}\x1b[0m\nends\n"
        )
    trial(tmp_path / "m", {"x": 9}, {"attempt": 1, "status": "failed", "failure": "killed"})
    groups = failures.failed(read_tree(tmp_path).experiments)
    assert [(each["class"], len(each["of"])) for each in groups] == [("error", 5), ("killed", 1)]
    assert list(groups[0]["tails"].values()) == [[f"epoch {n}", "ends"] for n in range(3)]
    assert groups[1]["words"] == "it printed nothing"


def test_provenance_tells_what_there_are_several_of(
    tmp_path: Path, snapshot: SnapshotAssertion
) -> None:
    """Commands, commits, code, hosts, versions and dates are sorted by frequency."""
    grow(tmp_path / "s", 30)
    assert told(tmp_path / "s")["provenance"] == snapshot


def test_a_command_is_the_same_for_each_folder(tmp_path: Path) -> None:
    """The folder in the command of a single run is replaced by a placeholder."""
    for name in "ab":
        words = ["python", "train.py", "--model_dir", f"experiments/{name}"]
        trial(tmp_path / name, {"x": name}, {"attempt": 1, "status": "completed", "command": words})
    assert told(tmp_path)["provenance"][0] == [
        "command",
        ["python train.py --model_dir {model_dir}"],
    ]


def test_somebody_else_s_tree_is_reported_too(tmp_path: Path) -> None:
    """Folders with only params.json and metrics, as CS230's scripts make them, have a report."""
    write(tmp_path / "params.json", {"x": 0})
    for place, accuracy in enumerate([0.7, 0.9]):
        write(tmp_path / f"x_{place}/params.json", {"x": place})
        write(tmp_path / f"x_{place}/metrics_val_best_weights.json", {"accuracy": accuracy})
    found = told(tmp_path)
    assert found["names"] == ["x_0", "x_1"]
    assert found["objectives"] == [["accuracy", "max"]]
    assert found["status"]["dict"] == ["untracked"]


def test_links_lead_from_the_page_to_the_folders(tmp_path: Path) -> None:
    """The links are relative to the page, wherever it is."""
    trial(tmp_path / "s/a", {"x": 1}, accuracy=0.5)
    tree = read_tree(tmp_path / "s")
    assert page_data.page_data(tree, tmp_path / "s/report.html")["folder"] == "."
    assert page_data.page_data(tree, tmp_path / "pages/of/it.html")["folder"] == "../../s"


# -- The page --------------------------------------------------------------------------------------


def test_nothing_in_the_data_ends_the_script(tmp_path: Path) -> None:
    """There is no "<" in the data, and all markup is that of the page."""
    trial(tmp_path / "<b>", {"</script><script>alert(1)": "<!--<script>"}, accuracy=0.5)
    trial(tmp_path / "b", {"</script><script>alert(1)": "%%DATA%%"}, accuracy=0.4)
    text = page.page(told(tmp_path))
    assert text.count("<script") == 2
    assert text.count("</script>") == 2
    assert "&lt;b&gt;" in text
    assert data_in(text)["names"] == ["<b>", "b"]


def test_the_page_may_run_and_ask_for_nothing_but_its_own(tmp_path: Path) -> None:
    """The policy names its script and styles by hashes, and no address."""
    trial(tmp_path / "a", {"x": 1}, accuracy=0.5)
    text = page.page(told(tmp_path))
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
    assert policy is not None
    assert policy[1].startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy[1]
    assert "http://" not in text.replace("http-equiv", "")
    assert "https://" not in text
    assert not re.search(r"\beval\b|new Function|innerHTML|document\.write", text)


def test_the_same_folders_give_the_same_page(tmp_path: Path) -> None:
    """Only the time of the report differs: compressed data have no date."""
    grow(tmp_path / "s", 120)
    one, two = told(tmp_path / "s"), told(tmp_path / "s")
    one["made"] = two["made"]
    assert page.page(one) == page.page(two)
    assert len(page.packed(one)) < page.LONGEST_PLAIN
    assert data_in(page.page(one)) == one


def test_without_scripts_there_are_twenty_rows(tmp_path: Path) -> None:
    """The best completed experiments come first, failed ones last."""
    grow(tmp_path / "s", 40)
    tree = read_tree(tmp_path / "s")
    best = tree.best()
    assert best is not None
    still = page.page(told(tmp_path / "s")).partition("<noscript>")[2].partition("</noscript>")[0]
    rows = re.findall(r"<tr><td>(.*?)</td><td>(.*?)</td>", still)
    assert len(rows) == 20
    assert rows[0] == (str(best.number), best.name)


@pytest.mark.parametrize("metrics", [{}, {"foo": 1.5}])
def test_a_tree_without_a_metric_has_a_page(tmp_path: Path, metrics: dict[str, float]) -> None:
    """Trials may be pending, or their metrics may have no known direction."""
    trial(tmp_path / "a", {"x": 1}, **metrics)
    found = told(tmp_path)
    assert found["objectives"] == []
    assert "<td>a</td>" in page.page(found)


# -- Who writes it ---------------------------------------------------------------------------------


def test_it_is_written_in_python(tmp_path: Path) -> None:
    """`modeldir.write_report(folder, path)`; by default report.html in the folder."""
    trial(tmp_path / "s/a", {"x": 1}, accuracy=0.5)
    assert modeldir.write_report(tmp_path / "s") == tmp_path / "s/report.html"
    assert modeldir.write_report(tmp_path / "s", tmp_path) == tmp_path / "report.html"
    assert data_in((tmp_path / "report.html").read_text())["title"] == "s"


def test_a_page_that_cannot_be_written_is_told(
    tmp_path: Path, snapshot: SnapshotAssertion, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says where, why, and that no report was made."""
    monkeypatch.chdir(tmp_path)
    trial(Path("s/a"), {"x": 1}, accuracy=0.5)
    with pytest.raises(FolderError) as error:
        modeldir.write_report("s", "nowhere/report.html")
    assert str(error.value) == snapshot


def test_synthesize_writes_it_beside_the_table(tmp_path: Path) -> None:
    """`--html FILE` leaves the table as it is and prints the path on standard error."""
    project = Project(tmp_path)
    project.modeldir("search", "experiments/search", *THREE, "--", "python", "train.py")
    bare = project.modeldir("synthesize", "experiments/search", "--format", "csv")
    said = project.modeldir(
        "synthesize", "experiments/search", "--format", "csv", "--html", "r.html"
    )
    assert said.code == 0
    assert said.out == bare.out
    assert re.fullmatch(r"report:  r\.html \(0\.\d MB\): open it in a browser\n", said.err)
    assert data_in((tmp_path / "r.html").read_text())["n"] == 3


def test_a_report_of_some_rows_has_their_experiments(tmp_path: Path) -> None:
    """`--where` with `--html`: what the table has, each repeat of it too, and the title says so. A
    mean decides of repeats as in the table.
    """
    project = Project(tmp_path)
    search = tmp_path / "s"
    write(search / "search.json", {"maximize": "accuracy", "repeats": 2, "space": {"x": [1, 2]}})
    for number, (x, seed, accuracy) in enumerate(
        [(1, 230, 0.5), (1, 231, 0.9), (2, 230, 0.2), (2, 231, 0.3)]
    ):
        folder = trial(search / f"x_{x}__seed_{seed}", {"x": x, "seed": seed}, accuracy=accuracy)
        write(
            folder / "trial.json",
            {"number": number, "repeat": seed - 230, "configuration": {"x": x}},
        )
    words = ("s", "--where", "accuracy > 0.6", "--html", "r.html")
    said = project.modeldir("synthesize", *words)
    assert said.code == 0, said.err
    found = data_in((tmp_path / "r.html").read_text())
    assert found["names"] == ["x_1__seed_230", "x_1__seed_231"]
    assert found["title"] == "s, where accuracy > 0.6"


def test_a_report_groups_what_the_table_groups(tmp_path: Path) -> None:
    """`--group seed` with `--html` makes one row of them in the page too."""
    project = Project(tmp_path)
    for folder in ("a", "b"):
        for seed in range(2):
            trial(
                tmp_path / folder / f"seed_{seed}", {"x": folder, "seed": seed}, accuracy=seed / 2
            )
    said = project.modeldir("synthesize", "a", "b", "--group", "seed", "--html", "r.html")
    assert said.code == 0, said.err
    found = data_in((tmp_path / "r.html").read_text())
    assert found["names"] == ["a/seed_0", "a/seed_1", "b/seed_0", "b/seed_1"]
    assert found["groups"] == [0, 0, 1, 1]
    project.modeldir("synthesize", "a", "b", "--html", "r.html")
    assert data_in((tmp_path / "r.html").read_text())["groups"] is None


def test_the_report_begins_with_the_advice(tmp_path: Path) -> None:
    """It has the sentences of the terminal, except for a selection of experiments."""
    search = tmp_path / "s"
    write(search / "search.json", {"maximize": "accuracy", "space": {"x": {"uniform": [0, 1]}}})
    for number in range(10):
        x = 0.55 + number / 20
        folder = trial(search / f"x_{number}", {"x": x}, accuracy=x)
        write(folder / "trial.json", {"number": number, "configuration": {"x": x}})
    project = Project(tmp_path)
    project.modeldir("synthesize", "s", "--html", "r.html")
    (told,) = data_in((tmp_path / "r.html").read_text())["advice"]
    assert "upper end" in told
    project.modeldir("synthesize", "s", "--where", "x > 0.5", "--html", "r.html")
    assert data_in((tmp_path / "r.html").read_text())["advice"] == []


def test_a_report_of_several_folders_is_called_as_the_table_is(tmp_path: Path) -> None:
    """Its title does not depend on the current folder."""
    for name in "ab":
        trial(tmp_path / name / "e", {"x": name}, accuracy=0.5)
    tree = read_trees([tmp_path / "a", tmp_path / "b"])
    assert page_data.page_data(tree, tmp_path / "r.html")["title"] == "a and b"


def test_a_note_is_in_the_report_as_in_the_table(tmp_path: Path) -> None:
    """A note of `modeldir run -m` is there too."""
    project = Project(tmp_path)
    project.params("e", learning_rate=0.1)
    said = project.modeldir("run", "e", "-m", "a wider net", "--", "python", "-c", "pass")
    assert said.code == 0, said.err
    assert column(told(tmp_path / "e"), "note")["dict"] == ["a wider net"]


def test_of_nothing_there_is_no_report(tmp_path: Path) -> None:
    """A folder without experiments gives the usual message and exit code, and no file."""
    project = Project(tmp_path)
    (tmp_path / "empty").mkdir()
    said = project.modeldir("synthesize", "empty", "--html", "r.html")
    assert said.code == 1
    assert not (tmp_path / "r.html").exists()


def test_watch_writes_it_as_trials_end(tmp_path: Path) -> None:
    """It is written at the start and at the end, and no temporary file remains."""
    project = Project(tmp_path)
    project.modeldir("search", "experiments/search", *THREE, "--", "python", "train.py")
    said = project.modeldir("watch", "experiments/search", "--html", "r.html")
    assert said.code == 0
    assert "report:  r.html" in said.err
    assert data_in((tmp_path / "r.html").read_text())["n"] == 3
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".tmp")]


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def watched(tmp_path: Path) -> Callable[[str], int]:
    """Add a trial to a search. Return how many trials a page has."""

    def how_many(name: str) -> int:
        if name:
            trial(tmp_path / "s" / name, {"x": name}, accuracy=0.5)
        return int(data_in((tmp_path / "r.html").read_text())["n"]) if not name else 0

    return how_many


def test_a_kept_report_is_written_seldom(tmp_path: Path, watched: Callable[[str], int]) -> None:
    """Only after a trial has ended and after five seconds; the last one is always written."""
    clock = Clock()
    watched("a")
    one = live_report.LiveReport(tmp_path / "s", tmp_path / "r.html", clock=clock)
    watched("b")
    clock.now += 60
    one.refresh()
    assert watched("") == 1
    one.trial_ended()
    one.refresh()
    assert watched("") == 2
    watched("c")
    one.trial_ended()
    clock.now += live_report.SHORTEST_INTERVAL / 2
    one.refresh()
    assert watched("") == 2
    one.refresh(last=True)
    assert watched("") == 3


def test_a_page_whose_folder_has_gone_ends_no_watching(
    tmp_path: Path, watched: Callable[[str], int]
) -> None:
    """The error is kept in `problem`; when the folder is back, so is the page."""
    watched("a")
    (tmp_path / "p").mkdir()
    one = live_report.LiveReport(tmp_path / "s", tmp_path / "p/r.html", clock=Clock())
    os.rename(tmp_path / "p", tmp_path / "q")
    one.refresh(last=True)
    assert one.problem is not None
    assert "cannot be written" in one.problem
    os.rename(tmp_path / "q", tmp_path / "p")
    one.refresh(last=True)
    assert one.problem is None
