"""Made by MLflow 3.17: python make_mlflow.py. The folder mlruns/ is that of older releases, which the
current one writes when MLFLOW_ALLOW_FILE_STORE (or an older MLflow) is used.
"""

import os
import shutil
import sqlite3
import sys
import time
from pathlib import Path

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
import mlflow
from mlflow.entities import Metric, Param

here = Path(__file__).parent / "mlflow"
shutil.rmtree(here, ignore_errors=True)
here.mkdir()


def fill(uri):
    client = mlflow.MlflowClient(tracking_uri=uri)
    home = client.create_experiment("digits", artifact_location="file:///home/user/mlartifacts/1")
    for number, rate in enumerate([0.1, 0.01, 1.0, 0.5]):
        run = client.create_run(home, start_time=1_700_000_000_000 + number, run_name=f"run {number}")
        key = run.info.run_id
        params = [Param("lr", str(rate)), Param("optimizer", "adam"), Param("layers", "[8, 16]")]
        metrics = [
            Metric(name, value, 1_700_000_000_000 + step * 1000, step)
            for step in range(3)
            for name, value in (("val_acc", 0.5 + step / 10 - rate), ("train_loss", 1 / (step + 1)))
        ]
        if number == 2:
            metrics.append(Metric("val_acc", float("nan"), 1_700_000_009_000, 3))
        client.log_batch(key, metrics, params)
        if number != 3:  # the last one was killed
            status = "FAILED" if number == 2 else "FINISHED"
            client.set_terminated(key, status, end_time=1_700_000_010_000)
    gone = client.create_run(home, run_name="gone")
    client.delete_run(gone.info.run_id)


fill(f"sqlite:///{here / 'mlflow.db'}")
connection = sqlite3.connect(here / "mlflow.db")
# What a run does not need is left out of the fixture: a fresh database is a megabyte of tables.
keep = {"experiments", "runs", "params", "metrics", "latest_metrics", "tags", "experiment_tags", "alembic_version"}
connection.execute("PRAGMA foreign_keys=OFF")
for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type='table'").fetchall():
    if name not in keep:
        connection.execute(f'DROP TABLE "{name}"')
connection.execute("UPDATE experiments SET artifact_location = '/home/user/mlartifacts'")
connection.execute("UPDATE runs SET artifact_uri = '/home/user/mlartifacts'")
connection.commit()
connection.execute("VACUUM")
connection.close()
fill(f"file://{here / 'mlruns'}")
for path in here.rglob("meta.yaml"):
    path.write_text(path.read_text().replace(str(here), "/home/user/project"))
