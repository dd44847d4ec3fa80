"""Figures: drawn of real folders, written, opened again, and searched for what a reader reads."""

from __future__ import annotations

import itertools
import json
import math
import shutil
import struct
import subprocess
import sys
import warnings
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pytest
from syrupy.assertion import SnapshotAssertion

import forest
import modeldir
from modeldir import ModeldirError
from modeldir.commands import main
from modeldir.experiment import attempts
from modeldir.results import plots
from modeldir.results.plots import style

EVAL = "metrics_eval_best_weights.json"
KINDS = list(plots.KINDS)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def search(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty trials of eight hyperparameters, some failed, with learning curves."""
    return forest.grow(tmp_path_factory.mktemp("plots") / "search", 60)


def made(name: str, values: dict[str, Any], *, state: str = "completed", **scores: object) -> Path:
    """An experiment as a search leaves it."""
    folder = Path("tree") / name
    folder.mkdir(parents=True)
    (folder / "params.json").write_text(json.dumps(values))
    attempt = attempts.begin(folder, 1, {"supervisor": None, "process": None})
    assert attempt is not None
    attempts.rewrite(attempt, {"status": state, "started": "2026-11-23T10:00:00+00:00"})
    if scores:
        (folder / EVAL).write_text(json.dumps(scores))
    return folder


def words(path: Path) -> set[str]:
    """The texts of an SVG."""
    found = ET.parse(path).iter("{http://www.w3.org/2000/svg}text")
    return {"".join(each.itertext()).strip() for each in found}


def points_of(path: Path) -> float:
    """The width of an SVG in points."""
    return float(ET.parse(path).getroot().attrib["width"].removesuffix("pt"))


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_a_figure_one_column_wide_with_text_as_text(search: Path, kind: str) -> None:
    """An SVG is as wide as a column of a paper, 3.3 inches, and its text can be selected."""
    assert main(["plot", str(search), "--kind", kind, "-o", "figure.svg"]) == 0
    assert points_of(Path("figure.svg")) == pytest.approx(3.3 * 72)
    told = words(Path("figure.svg"))
    assert any("accuracy" in text for text in told)
    wanted = {"curves": "step", "history": "best so far"}.get(kind, "learning_rate")
    assert any(wanted in text for text in told), told


@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="poppler-utils is not installed")
@pytest.mark.parametrize("kind", KINDS)
def test_a_pdf_can_be_searched_and_its_fonts_are_embedded(search: Path, kind: str) -> None:
    """There is no Type 3 font, which journals refuse, and words can be found."""
    assert main(["plot", str(search), "--kind", kind, "-o", "figure.pdf"]) == 0
    text = subprocess.run(
        ["pdftotext", "figure.pdf", "-"], capture_output=True, text=True, check=True
    )
    assert "accuracy" in text.stdout
    fonts = subprocess.run(["pdffonts", "figure.pdf"], capture_output=True, text=True, check=True)
    assert "CID TrueType" in fonts.stdout
    assert "Type 3" not in fonts.stdout


def test_a_png_is_as_wide_as_was_asked_for(search: Path) -> None:
    """It has 300 dots per inch; the width is in inches, millimeters or TeX's points."""
    for width, inches in (("3.3in", 3.3), ("85mm", 85 / 25.4), ("246pt", 246 / 72.27), ("7", 7.0)):
        assert main(["plot", str(search), "-o", "figure.png", "--width", width]) == 0
        (pixels,) = struct.unpack(">I", Path("figure.png").read_bytes()[16:20])
        assert abs(pixels - 300 * inches) <= 1


def test_several_kinds_are_a_file_each(search: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By name, or all; without a file name they are named after the search."""
    assert main(["plot", str(search), "--kind", "slice,history", "-o", "paper.svg"]) == 0
    assert capsys.readouterr().out.split() == ["paper_slice.svg", "paper_history.svg"]
    assert main(["plot", str(search), "--kind", "all"]) == 0
    assert capsys.readouterr().out.split() == [f"search_{kind}.pdf" for kind in KINDS]
    assert all(Path(f"search_{kind}.pdf").stat().st_size > 5000 for kind in KINDS)


def test_the_same_trials_give_the_same_bytes(search: Path) -> None:
    """A figure under version control changes only if the results do."""
    for name in ("one", "two"):
        plots.save(search, ["slice"], f"{name}.svg")
        plots.save(search, ["slice"], f"{name}.pdf")
    assert Path("one.svg").read_bytes() == Path("two.svg").read_bytes()
    assert Path("one.pdf").read_bytes() == Path("two.pdf").read_bytes()


def test_in_python_it_is_a_figure_that_keeps_its_text(search: Path) -> None:
    """`modeldir.plot` returns a figure, shows nothing, and changes no setting of the user."""
    before = dict(mpl.rcParams)
    figure = modeldir.plot(search, "pair", x=["dropout", "optimizer"], metric="loss")
    figure.savefig("own.svg")
    assert dict(mpl.rcParams) == before
    assert {"dropout", "optimizer", "loss ↓", "adam", "sgd", "rmsprop"} <= words(Path("own.svg"))
    pyplot: Any = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or not pyplot.get_fignums()


def test_a_domain_that_was_declared_logarithmic_is_drawn_so(search: Path) -> None:
    """A uniform range is not logarithmic, and options have the order of the search config."""
    figure = modeldir.plot(search, "slice", width=7)
    scales = {axes.get_xlabel(): axes.get_xscale() for axes in figure.axes if axes.get_xlabel()}
    assert scales["learning_rate"] == scales["weight_decay"] == scales["hidden_units"] == "log"
    assert scales["dropout"] == scales["num_layers"] == "linear"
    plots.save(search, ["slice"], "wide.svg", width=7)
    (axes,) = [axes for axes in figure.axes if axes.get_xlabel() == "optimizer"]
    figure.canvas.draw()
    assert [label.get_text() for label in axes.get_xticklabels()] == ["adam", "sgd", "rmsprop"]


def test_what_failed_or_diverged_does_not_squash_the_axes() -> None:
    """NaN, infinity, a loss of 1e30 and a trial without any: the others fill the figure, and what
    is beyond is marked at the edge.
    """
    for place in range(12):
        made(f"t{place}", {"lr": 0.01 * (place + 1), "b": place % 3}, loss=0.3 + 0.01 * place)
    made("far", {"lr": 0.5}, loss=1e30)
    made("nan", {"lr": 0.6}, state="failed", loss=math.nan)
    made("inf", {"lr": 0.7}, loss=math.inf)
    made("failed", {"lr": 0.8}, state="failed")
    figure = modeldir.plot("tree", "slice")
    low, high = figure.axes[0].get_ylim()
    assert 0.2 < low < 0.3
    assert 0.41 < high < 1
    history = modeldir.plot("tree", "history")
    assert history.axes[0].get_ylim()[1] < 1
    plots.save("tree", KINDS[1:], "odd.svg")
    assert {"failed", "beyond the axis", "best so far"} <= words(Path("odd_history.svg"))


@pytest.mark.parametrize("kind", KINDS)
def test_numbers_at_the_ends_of_the_range_of_floats_are_drawn(kind: str) -> None:
    """Metrics and hyperparameters whose sums and ratios overflow, next to usual ones."""
    for place, value in enumerate([1.7e308, -1.7e308, 5e-324, 1e-300, 3.0, 4.0]):
        folder = made(
            f"t{place}", {"lr": value, "width": 10 ** (90 * place), "b": place}, loss=value
        )
        lines = [{"step": step, "time": 1.0, "loss": value + step} for step in range(3)]
        (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    plots.save("tree", [kind], "drawn.svg")
    assert words(Path("drawn.svg"))


def test_where_draws_a_part() -> None:
    """The condition works as for the table; an unknown name is an error."""
    for place in range(8):
        made(f"t{place}", {"lr": place + 1, "name": "ab"[place % 2]}, accuracy=place / 10)
    figure: Any = modeldir.plot("tree", "slice", where='name == "a" and lr < 6')
    drawn = figure.axes[0].collections[0].get_offsets()
    assert sorted(x for x, _ in drawn) == [1, 3, 5]
    assert main(["plot", "tree", "--where", "nam == 1"]) == 2


@pytest.mark.parametrize("kind", ["slice", "history", "parallel", "importance"])
def test_two_trials_are_enough(kind: str) -> None:
    """Every kind can be drawn; the importance says how many trials it needs."""
    made("a", {"lr": 0.1, "name": "x"}, accuracy=0.5)
    made("b", {"lr": 0.2, "name": "y"}, accuracy=0.5)
    plots.save("tree", [kind], "few.svg")
    if kind == "importance":
        assert any("too few trials" in text for text in words(Path("few.svg")))


def test_of_one_trial_the_history_is_drawn_and_the_others_say_why_not(
    snapshot: SnapshotAssertion,
) -> None:
    """With one trial nothing varies, so the other kinds explain why they cannot be drawn."""
    made("a", {"lr": 0.1}, accuracy=0.5)
    plots.save("tree", ["history"], "one.svg")
    said = {}
    for kind in ("slice", "pair", "parallel", "importance", "curves"):
        with pytest.raises(ModeldirError) as caught:
            plots.save("tree", [kind], "one.svg")
        said[kind] = str(caught.value)
    assert said == snapshot


@pytest.mark.parametrize(
    "words_",
    [
        ("--kind", "slices"),
        ("--metric", "acuracy"),
        ("--x", "lerning_rate"),
        ("--kind", "history", "--x", "dropout"),
        ("--width", "wide"),
        ("--width", "1mm"),
        ("-o", "figure.gif"),
        ("-o", "figure"),
        ("-o", "nowhere/figure.pdf"),
    ],
    ids=" ".join,
)
def test_what_cannot_be_drawn_says_what_to_type(
    search: Path,
    words_: tuple[str, ...],
    snapshot: SnapshotAssertion,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The error has a hint, and no file is written."""
    assert main(["plot", str(search), *words_]) == 2
    assert capsys.readouterr().err == snapshot
    assert list(Path().iterdir()) == []


def test_of_all_kinds_those_are_drawn_that_can_be(capsys: pytest.CaptureFixture[str]) -> None:
    """The reasons for the others are printed; it is an error if no kind can be drawn."""
    made("a", {"lr": 0.1}, accuracy=0.5)
    made("b", {"lr": 0.2}, accuracy=0.6)
    assert main(["plot", "tree", "--kind", "all", "-o", "figure.svg"]) == 0
    said = capsys.readouterr()
    kinds = ("parallel", "importance", "slice", "history")
    assert said.out.split() == [f"figure_{kind}.svg" for kind in kinds]
    assert "a pair plot needs two" in said.err
    assert "metrics.jsonl" in said.err
    Path("empty").mkdir()
    assert main(["plot", "empty", "--kind", "all"]) == 2


def test_a_tree_without_metrics_or_trials_says_so(
    capsys: pytest.CaptureFixture[str], snapshot: SnapshotAssertion
) -> None:
    """The error names what is missing."""
    Path("empty").mkdir()
    said = [str(main(["plot", "empty"])), capsys.readouterr().err]
    made("a", {"lr": 0.1})
    said += [str(main(["plot", "tree"])), capsys.readouterr().err]
    made("b", {"lr": 0.2}, fitness=1.0)
    said += [str(main(["plot", "tree"])), capsys.readouterr().err]
    assert said == snapshot
    assert main(["plot", "tree", "--metric", "fitness", "--kind", "history"]) == 0


def test_repeats_are_a_mean_with_a_band() -> None:
    """One curve of three seeds: mean and band are those of its values; one point in a slice, with
    its standard deviation.
    """
    for lr in (0.1, 0.2):
        for place, by in enumerate((-0.1, 0.0, 0.1)):
            values = {"lr": lr, "seed": place}
            folder = made(f"{lr}_{place}", values, accuracy=lr + by)
            (folder / "trial.json").write_text(json.dumps({"number": place, "repeat": place + 1}))
            lines = ({"step": s, "accuracy": 0.5 * lr + s * lr + by} for s in range(4))
            (folder / "metrics.jsonl").write_text("".join(json.dumps(x) + "\n" for x in lines))
    figure: Any = modeldir.plot("tree", "curves")
    lines_ = [line for line in figure.axes[0].get_lines() if len(line.get_xdata()) == 4]
    assert len(lines_) == 2
    assert list(lines_[0].get_ydata()) == pytest.approx([0.1, 0.3, 0.5, 0.7])
    (band, _) = figure.axes[0].collections
    edges = band.get_paths()[0].vertices
    assert min(edges[:, 1]) == pytest.approx(0.0)
    assert max(edges[:, 1]) == pytest.approx(0.8)
    plots.save("tree", ["slice", "curves"], "seeds.svg")
    assert "lr 0.2" in words(Path("seeds_curves.svg"))


def test_a_trial_that_lacks_a_hyperparameter_is_not_dropped() -> None:
    """Its line goes below the axis, through the label `none`."""
    for place in range(6):
        extra = {"momentum": 0.1 * place} if place % 2 else {}
        made(f"t{place}", {"lr": place + 1, **extra}, accuracy=place / 10)
    figure: Any = modeldir.plot("tree", "parallel")
    (lines,) = figure.axes[0].collections
    assert len(lines.get_segments()) == 6
    plots.save("tree", ["parallel"], "some.svg")
    assert "none" in words(Path("some.svg"))


def test_hostile_names_are_text() -> None:
    """Mathematics, markup, control characters and a very long one; two that differ in the middle of
    nothing stay two.
    """
    names = ["$\\frac{x", "<b>&amp;", "a\x1b[31mb\nc", "x" * 5000, "x" * 4999 + "y", "é漢"]
    for place, name in enumerate(names * 2):
        values = {"$\\name_{": name, "size": place, "10 MB": 10**400 if place == 3 else place}
        made(f"t{place}", values, accuracy=place / 20)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # no font here has all of these glyphs
        plots.save("tree", ["slice", "parallel", "importance", "history"], "hostile.svg")
    told = words(Path("hostile_slice.svg"))
    assert "$\\name_{" in told
    assert "$\\frac{x" in told
    assert sum(text.startswith("xxx") for text in told) == 2
    assert "\x1b" not in Path("hostile_slice.svg").read_text()


def test_many_points_are_an_image_in_the_file(tmp_path: Path) -> None:
    """More than 2,000 marks are stored as an image, which keeps the file small."""
    many = forest.grow(tmp_path / "many", 2600, curves=0)
    plots.save(many, ["slice"], "2600.svg")
    root = ET.parse("2600.svg").getroot()
    assert len(list(root.iter("{http://www.w3.org/2000/svg}image"))) >= 8
    assert Path("2600.svg").stat().st_size < 2_500_000
    assert "learning_rate" in words(Path("2600.svg"))


def test_colors_of_values_keep_their_order_in_gray() -> None:
    """The lightness of the colors rises evenly from the best to the worst value."""
    shades = mpl.colormaps[style.COLORMAP]
    gray = [0.2126 * r + 0.7152 * g + 0.0722 * b for r, g, b, _ in map(shades, range(256))]
    assert all(b > a for a, b in itertools.pairwise(gray))
    assert len({dashes for _, dashes in style.LINES}) == len(style.LINES)


def test_limits_hold_the_best_and_cut_what_is_far_worse() -> None:
    """In both directions; a few values and equal values have a margin too."""
    poor = style.limits([0.9, 0.91, 0.92, 0.93, 0.1], "maximize")
    assert 0.1 < poor.low < 0.9
    assert poor.high > 0.93
    lucky = style.limits([0.5, 0.51, 0.52, 0.53, 0.99], "maximize")
    assert lucky.high > 0.99
    alike = style.limits([0.5], None)
    assert alike.low < 0.5 < alike.high
    logs = style.limits([1e-3, 1e-2, 1.0], "minimize", log=True)
    assert (logs.log, logs.low < 1e-3, logs.high > 1) == (True, True, True)


def test_without_matplotlib_the_extra_is_named(search: Path, tmp_path: Path) -> None:
    """The error names the extra to install, and `modeldir` itself imports no matplotlib."""
    (tmp_path / "matplotlib.py").write_text("raise ImportError('not here')\n")
    code = "import sys; from modeldir.commands import main; sys.exit(main(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", code, "plot", str(search)],
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 2
    assert "pip install 'modeldir[plots]'" in done.stderr
    assert done.stderr.endswith("Nothing was drawn.\n")
    code = "import sys, modeldir, modeldir.results.plots; print('matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
