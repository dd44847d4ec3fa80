"""The report in a real Chromium: what a reader sees, clicks, types and drags."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver.common.keys import Keys

from browsers import Reader, chromium
from forest import grow
from modeldir.results.report import write_report
from modeldir.results.synthesize import read_tree

SEVERAL = {"maximize": "accuracy", "minimize": "loss"}


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """One browser for all tests of this file: each opens a page of its own."""
    with chromium(tmp_path_factory.mktemp("profile")) as made:
        yield made


@pytest.fixture(scope="module")
def search(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search with 60 trials and its report."""
    folder = grow(tmp_path_factory.mktemp("report") / "rates", 60)
    write_report(folder)
    return folder


@pytest.fixture
def page(reader: Reader, search: Path) -> Reader:
    """The report, open."""
    reader.open(search / "report.html")
    return reader


def numbers(texts: list[str]) -> list[float]:
    """Cells as numbers; what is none left out."""
    return [float(text.lstrip("★ ")) for text in texts if text not in {"\N{EN DASH}", ""}]


# -- As it opens -----------------------------------------------------------------------------------


def test_it_opens_from_a_file_and_asks_for_nothing(page: Reader, search: Path) -> None:
    """There is no console message and no request except for the file; the best trial is right."""
    assert page.said() == []
    assert {url for url in page.requests() if not url.endswith("/rates/report.html")} == set()
    best = read_tree(search).best()
    assert best is not None
    assert page.cells("experiment")[0] == best.name
    assert best.name in page.text("#summary")
    assert page.text("#details h2") == f"trial {best.number} ({best.name})"
    assert page.shown() == 60


def test_only_what_varies_is_a_column(page: Reader) -> None:
    """Constant hyperparameters are listed once below the table; the menu adds them."""
    assert "num_epochs 20" in page.text("#fixed")
    assert "num_epochs" not in page.text(".heads")
    page.click("#columns summary")
    page.js(
        "[...document.querySelectorAll('#columns label')]"
        ".find(e => e.title === 'num_epochs').querySelector('input').click()"
    )
    page.settle()
    assert set(page.cells("num_epochs")) == {"20"}


def test_a_header_sorts_and_the_failed_stay_below(page: Reader) -> None:
    """It sorts by the metric's direction, then the other way; failed ones are never on top."""
    accuracies = numbers(page.cells("accuracy"))
    assert accuracies == sorted(accuracies, reverse=True)
    page.head("loss")
    losses = numbers(page.cells("loss"))
    assert losses == sorted(losses)
    page.head("loss")
    losses = numbers(page.cells("loss"))
    assert losses == sorted(losses, reverse=True)
    assert set(page.cells("status")) == {"● completed"}
    page.press(Keys.END)
    assert {"✕ failed", "✂ pruned"} & set(page.cells("status"))
    page.head("learning_rate")
    rates = numbers(page.cells("learning_rate"))
    assert rates == sorted(rates)


# -- Filters ---------------------------------------------------------------------------------------


def test_a_filter_is_typed(page: Reader, search: Path) -> None:
    """Comparisons, and, or, and brackets select the same trials as the folders do."""
    found = [each for each in read_tree(search).experiments if each.hyperparameters]
    page.type(
        "learning_rate < 0.01 and (optimizer = adam or optimizer = sgd) and not status = failed"
    )
    wanted = [
        each
        for each in found
        if (each.hyperparameters or {})["learning_rate"] < 0.01
        and (each.hyperparameters or {})["optimizer"] in {"adam", "sgd"}
        and each.status.state != "failed"
    ]
    assert page.shown() == len(wanted) > 0
    page.type(
        '1e-5 <= learning_rate < 0.01 and optimizer in ["adam", "sgd"] and status != "failed"'
    )
    assert page.shown() == len(wanted)
    page.type("optimizer not in (adam, sgd)")
    assert page.shown() == sum(
        (each.hyperparameters or {})["optimizer"] == "rmsprop" for each in found
    )
    page.driver.refresh()  # it is in the address, so a link shows the same
    page.settle()
    assert (
        page.js("return document.getElementById('query').value") == "optimizer not in (adam, sgd)"
    )
    assert page.shown() < 60
    page.type("trial_000001")
    assert page.cells("experiment") == ["trial_000001"]
    page.click("#clear")
    assert page.shown() == 60


def test_a_wrong_filter_says_what_is_wrong(page: Reader) -> None:
    """The message has the nearest name, and the shown trials stay."""
    page.type("learning_rat < 1")
    assert "did you mean 'learning_rate'?" in page.text("#complaint")
    assert page.shown() == 60
    page.type("learning_rate < much")
    assert "'much' is no number" in page.text("#complaint")
    page.type("(dropout > 0.1")
    assert "a bracket that is not closed" in page.text("#complaint")
    page.type("0.1 < 0.2")
    assert "no name in '0.1 < 0.2'" in page.text("#complaint")
    page.type("learning_rate < dropout + 1")
    assert "'+': nothing is computed here" in page.text("#complaint")
    page.type("")
    assert not page.one("#complaint").is_displayed()


def test_a_confirmation_stands_in_its_own_words(reader: Reader, tmp_path: Path) -> None:
    """The page has the lines of `modeldir confirm`, or why they cannot be read."""
    folder = grow(tmp_path / "s", 3)
    write_report(folder)
    reader.open(folder / "report.html")
    assert not reader.one("#card-confirmed").is_displayed()
    (folder / "confirm").mkdir()
    (folder / "confirm/confirm.json").write_text("{")
    write_report(folder)
    reader.open(folder / "report.html")
    assert "it has no confirmation yet" in reader.text("#confirmed pre")


def test_a_status_is_hidden_by_its_button(page: Reader) -> None:
    """The button tells screen readers that it is off."""
    before = page.shown()
    page.js("document.querySelectorAll('#statuses button')[0].click()")
    page.settle()
    assert page.shown() < before
    assert page.one("#statuses button").get_attribute("aria-pressed") == "false"
    page.click("#clear")
    assert page.shown() == before


def test_a_drag_along_an_axis_filters_everything(page: Reader) -> None:
    """The pointer draws a range, moves it, adds another, and a click beside it removes it."""
    page.head("learning_rate")
    page.drag("learning_rate", 0.1, 0.5)
    first = page.shown()
    rates = numbers(page.cells("learning_rate"))
    assert 0 < first < 60
    assert 1e-5 < min(rates) <= max(rates) < 1e-2
    assert "learning_rate" in page.text("#brushes")
    page.drag("optimizer", 0.1, 0.2)
    assert 0 < page.shown() < first
    assert set(page.cells("optimizer")) == {"adam"}
    page.drag("optimizer", 0.9, 0.9)
    assert page.shown() == first
    page.drag("learning_rate", 0.3, 0.7)  # it is moved, not drawn anew
    moved = numbers(page.cells("learning_rate"))
    assert min(moved) > min(rates)
    assert max(moved) > 1e-3
    page.click("#brushes button")
    assert page.shown() == 60
    assert page.said() == []


# -- One and several experiments -------------------------------------------------------------------


def test_arrows_choose_and_space_marks_for_the_comparison(page: Reader) -> None:
    """The keyboard is enough to compare three trials; equal values are listed once."""
    rows = zip(page.cells("trial")[1:3], page.cells("experiment")[1:3], strict=True)
    second, third = (f"trial {number} ({name})" for number, name in rows)
    page.press(" ", Keys.ARROW_DOWN)
    assert page.text("#details h2") == second
    assert "(best: " in page.text("#details")
    page.press(" ", Keys.ARROW_DOWN, " ")
    assert page.text("#details h2") == third
    table = page.text("#compare")
    assert second in table
    assert third in table
    assert "≠" in table
    assert "The same in all: " in table
    assert "num_epochs 20" in table
    page.click("#unmark")
    assert not page.one("#card-compare").is_displayed()


def test_failures_show_their_last_lines(page: Reader) -> None:
    """They are grouped by class with a count, and shown at the failed trial itself."""
    page.js("document.querySelectorAll('#failed details').forEach((each) => { each.open = true; })")
    text = page.text("#card-failed")
    assert "Failures: " in text
    assert "Traceback (most recent call last)" in text
    page.js("document.querySelector('#failed p button').click()")
    page.settle()
    assert "✕ failed" in page.text("#details")
    assert "Traceback" in page.text("#details")


def test_what_mattered_is_told_with_its_method_and_interval(page: Reader) -> None:
    """The learning rate is first, because the made-up accuracy depends on it most."""
    text = page.text("#importance")
    assert text.startswith("learning_rate")
    assert "omega squared" in text
    assert "95 % interval" in text


# -- Colours, sizes, paper -------------------------------------------------------------------------


def test_dark_and_light(page: Reader, search: Path) -> None:
    """The page follows the system and the button, and so do the drawings."""
    ground = "return getComputedStyle(document.body).backgroundColor"
    drawn = "return document.getElementById('history').toDataURL()"
    light = page.js(ground), page.js(drawn)
    page.open(search / "report.html", dark=True)
    dark = page.js(ground), page.js(drawn)
    assert light[0] != dark[0]
    assert light[1] != dark[1]
    page.click("#theme")
    assert (page.js(ground), page.js(drawn)) == light
    page.js("localStorage.clear()")


@pytest.mark.parametrize("width", [320, 390, 800])
def test_a_phone_shows_it_without_scrolling_sideways(
    reader: Reader, search: Path, width: int
) -> None:
    """Even on the narrowest one; the table scrolls by itself."""
    reader.open(search / "report.html", width=width, height=800)
    assert reader.js("return document.documentElement.scrollWidth") <= width
    assert reader.said() == []


def test_it_prints(page: Reader) -> None:
    """In light colors, with the drawings; afterwards the page is as before."""
    page.prefer(dark=True)
    page.settle()
    before = page.js("return document.documentElement.dataset.theme")
    made = page.driver.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})
    assert base64.b64decode(made["data"]).startswith(b"%PDF")
    page.until("return document.documentElement.dataset.theme === 'dark'")
    assert before == "dark"


def test_without_scripts_it_is_a_table(reader: Reader, search: Path) -> None:
    """A preview or a mail shows the first twenty experiments."""
    off = "Emulation.setScriptExecutionDisabled"
    reader.driver.execute_cdp_cmd(off, {"value": True})
    try:
        reader.driver.get((search / "report.html").as_uri())
        text = reader.one("noscript").text
    finally:
        reader.driver.execute_cdp_cmd(off, {"value": False})
    best = read_tree(search).best()
    assert best is not None
    assert best.name in text
    assert "These are the first 20 of 60 experiments." in text


# -- Repeats, several metrics ----------------------------------------------------------------------


def write(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def test_repeats_are_one_row_and_may_be_apart(reader: Reader, tmp_path: Path) -> None:
    """They show mean ± standard deviation and are ranked by the mean; a checkbox shows each."""
    for number, (rate, seed, accuracy) in enumerate(
        [(0.1, 1, 0.9), (0.1, 2, 0.5), (0.01, 1, 0.8), (0.01, 2, 0.78)], 1
    ):
        trial = tmp_path / "s" / f"learning_rate_{rate}__seed_{seed}"
        write(trial / "params.json", {"learning_rate": rate, "seed": seed})
        write(trial / "trial.json", {"number": number, "repeat": seed, "configuration": {}})
        write(trial / "metrics_eval_best_weights.json", {"accuracy": accuracy})
    reader.open(write_report(tmp_path / "s"))
    assert reader.cells("experiment") == [
        "learning_rate_0.01  \N{MULTIPLICATION SIGN}2",
        "learning_rate_0.1  \N{MULTIPLICATION SIGN}2",
    ]
    assert reader.cells("accuracy")[0] == "★ 0.79 ± 0.014"
    assert "best accuracy 0.79 ± 0.014 of learning_rate_0.01, 2 repeats" in reader.text("#summary")
    assert reader.text("#advice") == ""
    reader.click("#grouped")
    assert len(reader.cells("experiment")) == 4
    assert reader.said() == []


def test_a_long_name_loses_its_middle(reader: Reader, tmp_path: Path) -> None:
    """Its ends distinguish it from others, and it never hides the metrics."""
    search = tmp_path / "s"
    write(search / "search.json", {"maximize": "accuracy", "space": {"x": {"uniform": [0, 1]}}})
    for number in range(9):
        x = 0.0001 if number == 8 else 0.65 + number / 20
        trial = search / f"learning_rate_0.000301104__weight_decay_{x}__hidden_units_{number}"
        write(trial / "params.json", {"x": x, "width": 2 ** (number % 3)})
        write(trial / "trial.json", {"number": number, "configuration": {"x": x}})
        write(trial / "metrics_eval_best_weights.json", {"accuracy": x})
    reader.open(write_report(search))
    assert reader.js("return document.querySelectorAll('#advice li').length") == 1
    name = reader.cells("experiment")[0]
    assert name.startswith("learning_r")
    assert name.endswith("_units_7")
    assert "…" in name
    assert len(name) < 25  # in a usual window, the values need the room
    reader.open(write_report(search), width=1700)
    name = reader.cells("experiment")[0]
    assert name.startswith("learning_rate_0.")
    assert name.endswith("hidden_units_7")
    assert reader.said() == []


def test_the_first_column_is_the_trial_s_number(reader: Reader, tmp_path: Path) -> None:
    """In each order the number stays with its trial, and the rows can be sorted by it."""
    reader.open(write_report(grow(tmp_path / "s", 12)))
    pairs = dict(zip(reader.cells("trial"), reader.cells("experiment"), strict=True))
    assert pairs == {str(number): f"trial_{number:06d}" for number in range(1, 13)}
    reader.click('.heads button[title="trial"]')
    assert reader.cells("trial") == [str(number) for number in range(1, 13)]


def test_several_metrics_have_a_front(reader: Reader, tmp_path: Path) -> None:
    """The Pareto front comes first, marked, and the trade-off is drawn."""
    for name, accuracy, loss in [("a", 0.9, 0.5), ("b", 0.8, 0.1), ("c", 0.7, 0.6)]:
        write(tmp_path / "s" / name / "params.json", {"width": ord(name)})
        write(
            tmp_path / f"s/{name}/metrics_eval_best_weights.json",
            {"accuracy": accuracy, "loss": loss},
        )
    write(tmp_path / "s/params.json", {"width": 1})
    write(tmp_path / "s/search.json", SEVERAL)
    reader.open(write_report(tmp_path / "s"))
    assert reader.cells("#") == ["◆ 1", "◆ 2", "3"]
    assert reader.one("#card-tradeoff").is_displayed()
    reader.type("front = yes")
    assert reader.shown() == 2


# -- Little ----------------------------------------------------------------------------------------


def test_of_little_there_is_a_page_too(reader: Reader, tmp_path: Path) -> None:
    """No trial, a pending one, only failures, or one value show a sentence instead of a drawing."""
    (tmp_path / "none").mkdir()
    write(tmp_path / "waits/a/params.json", {"x": 1})
    for name in "ab":
        write(tmp_path / f"fails/{name}/params.json", {"x": name})
        write(tmp_path / f"fails/{name}/run.json", {"attempt": 1, "status": "failed"})
        write(tmp_path / f"alike/{name}/params.json", {"x": 1})
        write(tmp_path / f"alike/{name}/metrics_eval_best_weights.json", {"loss": 0.5})
    for name, count in [("none", 0), ("waits", 1), ("fails", 2), ("alike", 2)]:
        reader.open(write_report(tmp_path / name))
        reader.picture(tmp_path / "picture.png")  # so everything comes into sight
        assert reader.said() == []
        assert len(reader.cells("experiment")) == count
    assert "No hyperparameter varies" in reader.text("#card-slices")


# -- Hostile values --------------------------------------------------------------------------------

SCRIPT = "</script><script>document.title='owned'</script>"
IMAGE = "<img src=x onerror=\"document.title='owned'\">"


def hostile(folder: Path) -> None:
    """Experiments whose names, values, metrics and logs are markup, escapes and megabytes."""
    for place, name in enumerate(
        [IMAGE, "a%%STYLE%%b", "javascript:alert(1)", "reversed\u202etxt"]
    ):
        trial = folder / name
        values: dict[str, Any] = {
            "<script>": SCRIPT if place else "plain",
            IMAGE: place,
            "long": "x" * 10_000_000 if place else "y",
            "constructor": place,
            "__proto__": f"\x1b[31m{place}",
            "tail": '=HYPERLINK("http://x")' if place else "z",
        }
        write(trial / "params.json", values)
        write(trial / "metrics_eval_best_weights.json", {"<b>accuracy</b>": place, "toString": 1.5})
        run = {"attempt": 1, "status": "failed", "failure": SCRIPT, "last_line": SCRIPT}
        write(trial / "run.json", run if place == 3 else {"attempt": 1, "status": "completed"})
        (trial / "console.log").write_text(f"{SCRIPT}\n\x1b[2J{IMAGE}\n")
        lines = [{"step": step, "toString": step, SCRIPT: step} for step in range(3)]
        (trial / "metrics.jsonl").write_text("\n".join(map(json.dumps, lines)))


def test_hostile_values_are_text(reader: Reader, tmp_path: Path) -> None:
    """Nothing in a folder becomes markup, and a string of 10 MB is cut."""
    hostile(tmp_path / "<s>")
    path = write_report(tmp_path / "<s>")
    assert path.stat().st_size < 400_000
    reader.open(path)
    assert reader.said() == []
    assert reader.js("return document.title") == "<s>: report"
    assert reader.js("return document.querySelectorAll('img').length") == 0
    assert reader.js("return document.scripts.length") == 2
    assert IMAGE in reader.text("#grid")
    assert "<script>" in reader.text(".heads")
    reader.press(Keys.END)
    assert "(10,000,000 characters)" in reader.text("#details")
    reader.type("`<script>` ~ owned")
    assert reader.shown() == 3
    reader.type("constructor > 1 and __proto__ ~ 31m")
    assert reader.shown() == 2
    assert all(
        not link.startswith("javascript:")
        for link in reader.js("return [...document.links].map(a => a.href)")
    )
    assert reader.said() == []


# -- Many ------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.timeout(600)  # 50,000 files are made, and read
@pytest.mark.parametrize("count", [20, 1000, 10_000])
def test_pictures_at_any_size(reader: Reader, tmp_path: Path, count: int) -> None:
    """Light and dark, wide and narrow, nothing on the console; a drag filters thousands too.

    `MODELDIR_PICTURES=FOLDER` keeps them, to be looked at.
    """
    path = write_report(grow(tmp_path / "search", count, curves=200))
    assert path.stat().st_size < 2_000_000
    kept = Path(os.environ.get("MODELDIR_PICTURES", tmp_path))
    kept.mkdir(exist_ok=True)
    for width in (1500, 390):
        for dark in (False, True):
            reader.open(path, width=width, height=900, dark=dark)
            name = f"report_{count}_{width}_{'dark' if dark else 'light'}"
            assert len(reader.picture(kept / f"{name}.png")) > 40_000
            assert reader.said() == []
    reader.open(path)
    assert reader.shown() == count
    reader.drag("learning_rate", 0.3, 0.7)
    assert 0 < reader.shown() < count
