"""Make one page of a search's trials: `make_page.py modeldir|hiplot|plotly SEARCH FILE`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

METRICS = ("accuracy", "loss")


def rows(search: Path) -> list[dict[str, object]]:
    """Return the trials that have metrics, from their files."""
    found = []
    for trial in sorted(search.glob("trial_*")):
        scores = trial / "metrics_eval_best_weights.json"
        if scores.exists():
            params = json.loads((trial / "params.json").read_text())
            params.pop("num_epochs")
            found.append({**params, **json.loads(scores.read_text()), "trial": trial.name})
    return found


def by_modeldir(search: Path, path: Path) -> None:
    from modeldir import write_report

    write_report(search, path)


def by_hiplot(search: Path, path: Path) -> None:
    import hiplot

    experiment = hiplot.Experiment.from_iterable(rows(search))
    for name in ("learning_rate", "weight_decay"):
        experiment.parameters_definition[name].type = hiplot.ValueType.NUMERIC_LOG
    path.write_text(experiment.to_html())


def by_plotly(search: Path, path: Path) -> None:
    """Make parallel coordinates, a slice for each hyperparameter, and a table."""
    import math

    import plotly.graph_objects as go
    from plotly.io import to_html

    found = rows(search)
    names = [name for name in found[0] if name not in {*METRICS, "trial"}]
    accuracy = [row["accuracy"] for row in found]

    def axis(name: str) -> dict[str, object]:
        values = [row[name] for row in found]
        if isinstance(values[0], str):
            kinds = sorted(set(values))
            return {"label": name, "values": [kinds.index(v) for v in values], "ticktext": kinds,
                    "tickvals": list(range(len(kinds)))}  # fmt: skip
        log = min(values) > 0 and max(values) / min(values) > 50
        return {"label": name, "values": [math.log10(v) for v in values] if log else values}

    line = {"color": accuracy, "colorscale": "Viridis"}
    figures = [go.Figure(go.Parcoords(line=line, dimensions=[*map(axis, names), axis("accuracy")]))]
    for name in names:
        x = [row[name] for row in found]
        figures.append(go.Figure(go.Scattergl(x=x, y=accuracy, mode="markers", marker={"size": 3})))
    head = list(found[0])
    cells = [[row[name] for row in found] for name in head]
    figures.append(go.Figure(go.Table(header={"values": head}, cells={"values": cells})))
    parts = [to_html(f, full_html=False, include_plotlyjs=not k) for k, f in enumerate(figures)]
    path.write_text("<!doctype html><meta charset=utf-8>" + "\n".join(parts))


if __name__ == "__main__":
    tool, search, path = sys.argv[1:]
    {"modeldir": by_modeldir, "hiplot": by_hiplot, "plotly": by_plotly}[tool](
        Path(search), Path(path)
    )
