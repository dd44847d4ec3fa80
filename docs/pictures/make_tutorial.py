# ruff: noqa: INP001, E402, I001, PLR0913, PLR2004 - a script, not the package, with the tests' own helpers
"""Draw all pictures of the tutorial, and `search.svg` for the README, from the tutorial's own runs.

    python docs/pictures/make_tutorial.py             all pictures, in about three minutes
    python docs/pictures/make_tutorial.py command     the pictures of one chapter

It makes the tutorial's project in a temporary folder, runs the commands of the chapters there and
draws what they show and leave. Nothing in the pictures is made up.
"""

from __future__ import annotations

import base64
import json
import re
import shutil
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SOURCES = ROOT / "docs_src/tutorial"
sys.path[:0] = [str(HERE), str(ROOT / "tests"), str(SOURCES)]

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from browsers import chromium

import spirals
import terminal
from terminal import Recording

# Colors that the SVG replaces by those of its theme, light or dark: see `save`.
TEXT, GRID, GROUND = "#1f2328", "#d0d7de", "#fefefe"
BLUE, ORANGE, GREEN = "#0072b2", "#d55e00", "#009e73"
THEME = {
    TEXT: ("fg", TEXT, "#e6edf3"),
    GRID: ("grid", GRID, "#3d444d"),
    GROUND: ("bg", "#ffffff", "#0d1117"),
    BLUE: ("blue", BLUE, "#56b4e9"),
    ORANGE: ("orange", ORANGE, "#f0a35e"),
    GREEN: ("green", GREEN, "#3fd0a0"),
}
BASE = "experiments/base_model"


def main(names: list[str]) -> None:
    """Make the project, run the chapters with these names (or all), draw."""
    chapters = {
        "spirals": draw_spirals,
        "logging": logging_chapter,
        "params": params_chapter,
        "experiment": experiment_chapter,
        "loop": loop_chapter,
        "command": command_chapter,
        "readme": readme,
        "space": space_chapter,
        "results": results_chapter,
        "trust": trust_chapter,
        "own": own_project_chapter,
    }
    needs = {"results": {"command", "space"}, "trust": {"space"}}
    wanted = set(names or chapters).union(*(needs.get(name, set()) for name in names))
    style()
    with tempfile.TemporaryDirectory() as place:
        project = Path(place, "spirals")
        Path(project, BASE).mkdir(parents=True)
        shutil.copy(SOURCES / "params.json", project / BASE)
        shutil.copy(SOURCES / "spirals.py", project)
        use(project, "train_4.py")
        quietly(project, f"python train.py --model_dir {BASE}")
        for name, chapter in chapters.items():
            if name in wanted:
                chapter(project)


# -- The chapters ----------------------------------------------------------------------------------


def draw_spirals(_: Path) -> None:
    """The data, and what a trained network makes of it."""
    data = spirals.load_data()
    rng = np.random.default_rng(230)
    net = spirals.Net(64, rng)
    for _ in range(400):
        net.train_epoch(data["train"], 0.01, 1e-5, 4, rng)
    points, arms = data["train"]
    colors = np.array([BLUE, ORANGE, GREEN])
    axis = np.linspace(-4.6, 4.6, 231)
    plane = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    regions = net.forward(plane)[1].argmax(axis=1).reshape(len(axis), -1)
    _, (left, right) = plt.subplots(1, 2, figsize=(7.2, 3.5))
    right.contourf(axis, axis, regions, levels=[-0.5, 0.5, 1.5, 2.5], colors=colors, alpha=0.3)
    for axes, title in ((left, "the training set: 180 points"), (right, "what a network learned")):
        for arm, marker in enumerate("o^s"):
            here = points[arms == arm]
            axes.scatter(*here.T, s=14, color=colors[arm], marker=marker, linewidths=0)
        axes.set(title=title, xticks=[], yticks=[], xlim=(-4.6, 4.6), ylim=(-4.6, 4.6), aspect=1)
    save("tutorial_spirals", "Three spiral arms of points, and the regions a network learned.")


def logging_chapter(project: Path) -> None:
    """Ctrl-C, and the end of the log."""
    use(project, "train_2.py")
    while True:  # until Ctrl-C does not come in the middle of NumPy: a short traceback
        recording = Recording(project, 92, 30)
        recording.run("python train.py --model_dir experiments/first", interrupts=["epoch 200"])
        if "site-packages" not in terminal.plain(recording.everything()):
            break
        shutil.rmtree(project / "experiments/first")
    recording.run("tail -n 3 experiments/first/train.log")
    draw("tutorial_1_log", recording, "python train.py, and Ctrl-C")


def params_chapter(project: Path) -> None:
    """Mistakes, and how they are reported."""
    use(project, "train_3.py")
    recording = Recording(project, 92, 40)
    session = [
        "import sys; sys.tracebacklimit = 0  # only the last line of an error",
        "from modeldir import Params",
        f'params = Params("{BASE}/params.json")',
        'params.update({"learning_rate": 0.01})',
        "params.learing_rate",
        'params.update({"learning_rate": "0.01"})',
    ]
    recording.type("python")
    recording.python(session)
    draw("tutorial_2_typo", recording, "two mistakes")


def experiment_chapter(project: Path) -> None:
    """Two experiments."""
    use(project, "train_4.py")
    quietly(project, f"python train.py --model_dir {BASE}")  # by the same code
    quietly(project, f"modeldir new experiments/faster --from {BASE} learning_rate=0.01")
    quietly(project, "python train.py --model_dir experiments/faster")
    recording = Recording(project, 80, 20)
    recording.run(f"modeldir diff {BASE} experiments/faster")
    draw("tutorial_3_diff", recording, "modeldir diff")


def loop_chapter(project: Path) -> None:
    """Ctrl-C in the second training run of a loop, which then begins again."""
    use(project, "train_4.py")
    shutil.copy(SOURCES / "loop.py", project)
    cue = r"rate 0\.01\b.*epoch 200"
    recording = Recording(project, 92, 20)
    recording.run("python loop.py", slowly=True, interrupts=[cue])
    recording.run("python loop.py", slowly=True, until="epoch 200")
    animate("tutorial_4_loop", recording, "python loop.py", 92, 20, seconds=16)


def command_chapter(project: Path) -> None:
    """A search as it runs, and one that was interrupted."""
    use(project, "train_4.py")
    quietly(project, f"modeldir new experiments/learning_rate --from {BASE}")
    command = "learning_rate=0.1,1,0.01,0.001 -j 2 -- python train.py"
    recording = Recording(project, 98, 21)
    recording.run(f"modeldir search experiments/learning_rate {command}", slowly=True)
    animate("tutorial_5_search", recording, "modeldir search", 98, 21, seconds=14)
    quietly(project, f"modeldir new experiments/again --from {BASE}")
    command = "learning_rate=0.1,0.03,0.01,0.003,0.001"
    recording = Recording(project, 100, 26)
    line = f"modeldir search experiments/again {command} -j 2 -- python train.py"
    recording.run(line, slowly=True, interrupts=["completed.*completed", 0.8])
    recording.run("modeldir search experiments/again -j 2", slowly=True)
    animate("tutorial_5_resume", recording, "Ctrl-C twice, and resumed", 100, 26, seconds=16)


def readme(project: Path) -> None:
    """A search and its table, in 12 seconds."""
    quietly(project, "rm -rf experiments/learning_rate")
    quietly(project, f"modeldir new experiments/learning_rate --from {BASE}")
    command = "learning_rate=0.1,0.01,0.001 -j 2 -- python train.py"
    recording = Recording(project, 98, 25)
    recording.run(f"modeldir search experiments/learning_rate {command}", slowly=True)
    recording.run("modeldir results experiments/learning_rate", slowly=True)
    animate("search", recording, "one folder per trial", 98, 25, seconds=12)


def space_chapter(project: Path) -> None:
    """Scales; grid and random; parallel coordinates."""
    rng = np.random.default_rng(230)
    _, axes = plt.subplots(2, 1, figsize=(7.2, 2.4), sharex=True)
    draws = {
        "evenly": rng.uniform(1e-4, 1e-1, 20),
        "log scale": 10 ** rng.uniform(-4, -1, 20),
    }
    for row, (name, values), color in zip(axes, draws.items(), (ORANGE, BLUE), strict=True):
        row.scatter(values, np.zeros(20), s=60, color=color, alpha=0.6, linewidths=0)
        row.set(xscale="log", xlim=(8e-5, 1.25e-1), yticks=[], ylabel=name)
        row.grid(axis="x")
    axes[0].set_title("20 learning rates, drawn between 0.0001 and 0.1")
    axes[1].set_xlabel("learning rate")
    save("tutorial_6_scale", "Twenty draws, evenly and on a log scale.")

    quietly(project, f"modeldir new experiments/grid --from {BASE}")
    quietly(
        project,
        "modeldir search experiments/grid learning_rate=0.1,0.01,0.001"
        " weight_decay=1e-7,1e-6,1e-5 -j 2 -- python train.py",
    )
    quietly(project, f"modeldir new experiments/random --from {BASE}")
    quietly(
        project,
        "modeldir search experiments/random learning_rate=log_uniform:1e-4,1e-1"
        " weight_decay=log_uniform:1e-7,1e-5 --sampler random --trials 9 --seed 1 -j 2"
        " -- python train.py",
    )
    _, grid = plt.subplots(2, 2, figsize=(7.2, 5), sharex=True, sharey="row", height_ratios=[1, 2])
    for column, (name, color) in enumerate((("grid", ORANGE), ("random", BLUE))):
        found = sorted(trials(project / "experiments" / name), key=lambda row: row["learning_rate"])
        rates = [row["learning_rate"] for row in found]
        decays = [row["weight_decay"] for row in found]
        above, below = grid[:, column]
        above.plot(rates, [row["accuracy"] for row in found], "o-", color=color, ms=5, lw=1.2)
        above.set(title=f"{name} search: {len(set(rates))} learning rates in {len(rates)} trials")
        below.scatter(rates, decays, s=45, color=color, linewidths=0)
        for rate in set(rates):
            below.axvline(rate, color=color, lw=0.7, alpha=0.5, zorder=0)
        below.set(xscale="log", yscale="log", xlim=(8e-5, 1.4e-1), ylim=(6e-8, 1.7e-5))
        below.set(xlabel="learning rate")
    grid[0, 0].set_ylabel("accuracy")
    grid[1, 0].set_ylabel("weight decay")
    save("tutorial_6_grid_random", "Nine trials as a grid, and nine at random.")

    quietly(project, "modeldir search experiments/random --trials 20 -j 2")
    draw_parallel(trials(project / "experiments/random"))


def draw_parallel(found: list[dict[str, Any]]) -> None:
    """Each trial a line over learning rate, weight decay and accuracy."""
    _, axes = plt.subplots(figsize=(7.2, 3.4))
    scales = {
        "learning rate": (lambda row: np.log10(row["learning_rate"]), -4, -1),
        "weight decay": (lambda row: np.log10(row["weight_decay"]), -7, -5),
        "accuracy": (lambda row: row["accuracy"], 0.3, 0.95),
    }
    best = sorted(found, key=lambda row: -row["accuracy"])
    for row in reversed(best):
        heights = [(value(row) - low) / (high - low) for value, low, high in scales.values()]
        good = row in best[:5]
        axes.plot(
            range(3), heights, color=BLUE if good else GRID, lw=2 if good else 1.2,
            zorder=3 if good else 2,
        )  # fmt: skip
    for x, (name, (_, low, high)) in enumerate(scales.items()):
        axes.plot([x, x], [0, 1], color=TEXT, lw=1)
        shown = [f"{10.0**v:g}" for v in (low, high)] if low < 0 else [f"{low:g}", f"{high:g}"]
        axes.text(x, -0.04, shown[0], ha="center", va="top")
        axes.text(x, 1.03, shown[1], ha="center", va="bottom")
        axes.text(x, 1.14, name, ha="center", va="bottom", weight="bold")
    axes.set(ylim=(-0.12, 1.25), xlim=(-0.3, 2.3))
    axes.axis("off")
    axes.text(2.06, 0.86, "the best five", color=BLUE)
    save("tutorial_6_parallel", "Twenty trials in parallel coordinates, the best five in blue.")


def results_chapter(project: Path) -> None:
    """Three learning curves, and the report."""
    quietly(
        project,
        f"modeldir new experiments/large --from {BASE} learning_rate=0.003 hidden_units=512"
        " batch_size=8 num_epochs=1000",
    )
    quietly(project, "modeldir run experiments/large -q -- python train.py")
    shown = {
        "diverged": ("learning_rate/learning_rate_0.1", "learning rate 0.1"),
        "too slow": ("learning_rate/learning_rate_0.001", "learning rate 0.001"),
        "overfitting": ("large", "512 hidden units, 1,000 epochs"),
    }
    _, panels = plt.subplots(1, 3, figsize=(9, 3), sharey=True)
    for axes, (name, (folder, note)) in zip(panels, shown.items(), strict=True):
        lines = steps(project / "experiments" / folder)
        for key, color, label in (("train/loss", BLUE, "training"), ("loss", ORANGE, "validation")):
            values = np.array([line[key] for line in lines])
            width = max(1, len(values) // 50)  # smoothed: the trend is what matters
            smooth = np.convolve(values, np.ones(width) / width, "valid")
            axes.plot(values, color=color, lw=0.5, alpha=0.3)
            axes.plot(np.arange(len(smooth)) + width / 2, smooth, color=color, lw=2, label=label)
        axes.axhline(np.log(3), color=TEXT, lw=0.8, ls=":")
        axes.set(title=f"{name}\n{note}", xlabel="epoch", ylim=(0, 2))
        axes.grid(axis="y")
    panels[0].text(390, np.log(3) - 0.04, "guessing: log 3", ha="right", va="top", fontsize=8)
    panels[0].set_ylabel("loss")
    panels[2].legend(frameon=False)
    save("tutorial_7_curves", "Loss over epochs: diverged, too slow, overfitting.")

    quietly(project, "modeldir results experiments/random --html report.html")
    with chromium(project.parent / "profile") as reader:
        reader.open(project / "report.html", width=1300, height=1500)
        clip = {"x": 0, "y": 0, "width": 1300, "height": 1500, "scale": 0.85}
        how = {"format": "webp", "quality": 78, "clip": clip}
        made = reader.driver.execute_cdp_cmd("Page.captureScreenshot", how)
        (HERE / "tutorial_7_report.webp").write_bytes(base64.b64decode(made["data"]))


def trust_chapter(project: Path) -> None:
    """Several seeds of the best two, and of the base."""
    quietly(project, "modeldir confirm experiments/random --top 2 --repeats 5 -j 2")
    searched = sorted(trials(project / "experiments/random"), key=lambda row: -row["accuracy"])
    rows = trials(project / "experiments/random/confirm")
    _, axes = plt.subplots(figsize=(7.2, 2.9))
    names = ["the best", "the second", "base config"]
    rates = [searched[0]["learning_rate"], searched[1]["learning_rate"], 0.001]
    for y, (name, rate) in enumerate(zip(names, rates, strict=True)):
        values = np.array([row["accuracy"] for row in rows if row["learning_rate"] == rate])
        assert len(values) == 5, (name, rate, rows)
        heights = y + np.linspace(-0.16, 0.16, 5)  # one above the other, where some are equal
        axes.scatter(values, heights, s=45, color=BLUE, alpha=0.6, linewidths=0, zorder=3)
        axes.plot([values.mean()] * 2, [y - 0.3, y + 0.3], color=BLUE, lw=2.5, zorder=4)
        if y < 2:
            axes.scatter(
                searched[y]["accuracy"], y, s=80, color=ORANGE, marker="x", linewidths=2.5, zorder=5
            )
    axes.scatter([], [], s=45, color=BLUE, alpha=0.6, linewidths=0, label="a new seed")
    axes.plot([], [], color=BLUE, lw=2.5, label="mean of five seeds")
    axes.scatter([], [], s=80, color=ORANGE, marker="x", linewidths=2.5, label="in the search")
    axes.set(yticks=range(3), yticklabels=names, ylim=(2.6, -0.6), xlabel="accuracy")
    axes.grid(axis="x")
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(0.16, 0.55))
    save("tutorial_8_seeds", "Accuracy of three configurations with five new seeds each.")


def own_project_chapter(project: Path) -> None:
    """A script that only prints."""
    shutil.copy(SOURCES / "train_flags.py", project)
    recording = Recording(project, 92, 20)
    line = (
        "modeldir search experiments/printed learning_rate=0.1,0.01 -j 2 \\\n"
        '    --metrics "best val accuracy: {accuracy}" \\\n'
        "    -- python train_flags.py {flags} --out {model_dir}"
    )
    recording.run(line)
    draw("tutorial_9_printed", recording, "a script that only prints")


# -- Helpers ---------------------------------------------------------------------------------------


def use(project: Path, version: str) -> None:
    """Make a chapter's script the project's `train.py`."""
    shutil.copy(SOURCES / version, project / "train.py")


def quietly(project: Path, line: str) -> None:
    """Run a command that is not in a picture."""
    Recording(project, 100, 30).run(line, hidden=True)


def steps(folder: Path) -> list[dict[str, Any]]:
    """Return the lines of a trial's metrics.jsonl."""
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def trials(search: Path) -> list[dict[str, Any]]:
    """Return the hyperparameters and best metrics of each completed trial."""
    found = []
    for path in sorted(search.glob("*/metrics_eval_best_weights.json")):
        params = json.loads((path.parent / "params.json").read_text())
        found.append({**params, **json.loads(path.read_text())})
    return found


def draw(name: str, recording: Recording, title: str) -> None:
    """Write what a recording shows at its end."""
    screen = recording.everything()
    columns = max(60, max(sum(len(text) for text, _ in row) for row in screen) + 1)
    terminal.still(HERE / f"{name}.svg", screen, title, terminal.plain(screen), columns)
    print(f"--- {name}\n{terminal.plain(screen)}")  # noqa: T201 - a script


def animate(
    name: str, recording: Recording, title: str, columns: int, rows: int, *, seconds: float
) -> None:
    """Write a recording that takes at most so many seconds."""
    text = terminal.plain(recording.everything())
    path = HERE / f"{name}.svg"
    terminal.animate(path, recording, title, text, columns, rows, seconds=seconds)
    print(f"--- {name}\n{text}")  # noqa: T201 - a script


def style() -> None:
    """Set how matplotlib draws."""
    mpl.use("svg")
    mpl.rcParams.update({
        "svg.fonttype": "none", "svg.hashsalt": "modeldir", "font.size": 10,
        "font.family": ["sans-serif"], "figure.facecolor": GROUND, "axes.facecolor": GROUND,
        "savefig.facecolor": GROUND, "text.color": TEXT, "axes.labelcolor": TEXT,
        "axes.edgecolor": GRID, "axes.titlesize": 10, "xtick.color": TEXT, "ytick.color": TEXT,
        "grid.color": GRID, "grid.linewidth": 0.6, "figure.constrained_layout.use": True,
        "axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True,
    })  # fmt: skip
    warnings.simplefilter("ignore", UserWarning)


def save(name: str, description: str) -> None:
    """Write the figure as an SVG with a light and a dark theme."""
    path = HERE / f"{name}.svg"
    plt.savefig(path, metadata={"Date": None, "Title": description})
    plt.close("all")
    text = path.read_text()
    for color, (variable, _, _) in THEME.items():
        text = re.sub(color, f"var(--{variable})", text, flags=re.IGNORECASE)
    light = "".join(f"--{v}:{day};" for v, day, _ in THEME.values())
    dark = "".join(f"--{v}:{night};" for v, _, night in THEME.values())
    rules = f"svg{{{light}}}@media(prefers-color-scheme:dark){{svg{{{dark}}}}}"
    rules += "text{fill:var(--fg)}"
    text = text.replace("<defs>", f"<style>{rules}</style><defs>", 1)
    path.write_text(re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE))
    print(f"--- {name}")  # noqa: T201 - a script


if __name__ == "__main__":
    main(sys.argv[1:])
