"""Run train.py for every learning rate, several at a time, and collect the results in a CSV file.

Written by a language model for the request: "Write a script that runs train.py for each learning
rate, two at a time. A failed run must not stop the others. If I run it again, finished runs should
be skipped. Keep the logs and write a table."
"""

import argparse
import csv
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--parent_dir", type=Path, default=Path("experiments/learning_rate"))
parser.add_argument("--data_dir", default="data")
parser.add_argument("--learning_rates", type=float, nargs="+")
parser.add_argument("--jobs", type=int, default=2)


def run_one(args, params, learning_rate):
    """Train one configuration, unless an earlier run has completed it."""
    model_dir = args.parent_dir / f"learning_rate_{learning_rate}"
    result_path = model_dir / "result.json"
    if result_path.exists():
        result = json.loads(result_path.read_text())
        if result["status"] == "completed":
            print(f"[skip] {model_dir.name}")
            return result

    model_dir.mkdir(parents=True, exist_ok=True)
    own = {**params, "learning_rate": learning_rate}
    (model_dir / "params.json").write_text(json.dumps(own, indent=4))
    print(f"[start] {model_dir.name}")
    command = [sys.executable, "train.py", "--model_dir", str(model_dir)]
    command += ["--data_dir", args.data_dir]
    with open(model_dir / "train.log", "w") as log:
        done = subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, check=False)

    metrics_path = model_dir / "metrics_eval_best_weights.json"
    completed = done.returncode == 0 and metrics_path.exists()
    result = {"name": model_dir.name, "learning_rate": learning_rate}
    result["status"] = "completed" if completed else f"failed ({done.returncode})"
    result["accuracy"] = json.loads(metrics_path.read_text())["accuracy"] if completed else None
    result_path.write_text(json.dumps(result, indent=4))
    print(f"[done] {model_dir.name}: {result['status']}")
    return result


def main():
    args = parser.parse_args()
    params = json.loads((args.parent_dir / "params.json").read_text())
    with ThreadPoolExecutor(max_workers=args.jobs) as pool:
        results = list(pool.map(lambda lr: run_one(args, params, lr), args.learning_rates))
    results.sort(key=lambda result: result["accuracy"] or 0, reverse=True)
    with open(args.parent_dir / "results.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=["name", "learning_rate", "status", "accuracy"])
        writer.writeheader()
        writer.writerows(results)
    failed = sum(result["status"] != "completed" for result in results)
    print(f"{len(results) - failed} completed, {failed} failed")


if __name__ == "__main__":
    main()
