"""Other ways to make one table of a tree: `python alternatives.py WAY TREE [STORE]`."""

from __future__ import annotations

import json
import os
import sys


def cs230(tree: str) -> None:
    """Walk, `json.load` the metrics and print them, as CS230's `synthesize_results.py` does.

    CS230 hands the rows to tabulate; here they are joined as Markdown, which costs less.
    """
    metrics: dict[str, dict[str, float]] = {}

    def aggregate(folder: str) -> None:
        file = os.path.join(folder, "metrics_eval_best_weights.json")
        if os.path.isfile(file):
            with open(file) as opened:
                metrics[folder] = json.load(opened)
        for name in os.listdir(folder):
            if os.path.isdir(os.path.join(folder, name)):
                aggregate(os.path.join(folder, name))

    aggregate(tree)
    headers = metrics[next(iter(metrics))].keys()
    rows = [[folder, *(values[name] for name in headers)] for folder, values in metrics.items()]
    for row in [["", *headers], *rows]:
        print("| " + " | ".join(map(str, row)) + " |")


def pandas(tree: str) -> None:
    """Make a frame from a list of dicts, sort and print it, as in a notebook."""
    import pandas as pd

    rows = []
    with os.scandir(tree) as folders:
        for folder in folders:
            if folder.is_dir() and os.path.exists(f"{folder.path}/params.json"):
                row = {"experiment": folder.name}
                for name in ("params.json", "metrics_eval_best_weights.json"):
                    with open(f"{folder.path}/{name}") as opened:
                        row.update(json.load(opened))
                rows.append(row)
    frame = pd.DataFrame(rows).sort_values("accuracy", ascending=False)
    frame.to_csv(sys.stdout, index=False)


def mlflow(_: str, store: str) -> None:
    """Call `search_runs` on the same values in a file store."""
    os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
    import mlflow as flow

    flow.set_tracking_uri(f"file://{os.path.abspath(store)}")
    frame = flow.search_runs(
        experiment_names=["tree"], order_by=["metrics.accuracy DESC"], max_results=10_000_000
    )
    frame.to_csv(sys.stdout, index=False)


def log_mlflow(tree: str, store: str) -> None:
    """Log every folder of the tree as a run."""
    os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
    import mlflow as flow

    flow.set_tracking_uri(f"file://{os.path.abspath(store)}")
    flow.set_experiment("tree")
    for name in sorted(os.listdir(tree)):
        if not os.path.exists(f"{tree}/{name}/params.json"):
            continue
        with flow.start_run(run_name=name):
            with open(f"{tree}/{name}/params.json") as opened:
                flow.log_params(json.load(opened))
            with open(f"{tree}/{name}/metrics_eval_best_weights.json") as opened:
                flow.log_metrics(json.load(opened))


WAYS = {"cs230": cs230, "pandas": pandas, "mlflow": mlflow, "log-mlflow": log_mlflow}

if __name__ == "__main__":
    WAYS[sys.argv[1]](*sys.argv[2:])
