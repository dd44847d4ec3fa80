"""What MLflow's own client finds in a database: experiments, runs, and the history of metrics."""

import json
import sys

import mlflow

client = mlflow.MlflowClient(tracking_uri=sys.argv[1])
found = {}
for experiment in client.search_experiments():
    for run in client.search_runs([experiment.experiment_id]):
        history = {
            name: [[m.step, m.value if m.value == m.value else "nan"] for m in client.get_metric_history(run.info.run_id, name)]
            for name in run.data.metrics
        }
        found.setdefault(experiment.name, {})[run.info.run_name] = {
            "status": run.info.status,
            "params": run.data.params,
            "tags": run.data.tags,
            "history": history,
            "start": run.info.start_time,
            "end": run.info.end_time,
        }
print(json.dumps(found))
