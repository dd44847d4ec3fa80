"""Run the trials of a search: worker, slots, leases, spawner and supervisor.

Commands make a `Worker` (`worker.py`, start reading there); `runnable_search.py` adds `run` to the
public `Search`. From the loop to the process of one trial:

    worker.py        the loop: take a slot, take the next trial, start it, wait for what happens
    slots.py         what one trial gets: GPUs, threads, a port (visible_gpus.py, leases.py)
    start_builder.py the command and environment of an attempt, as a `Start` (start_order.py)
    spawner.py       the small process that forks supervisors
    supervisor.py    keeps one attempt, and records its end (end_status.py, early_stopping.py)
    preload/         forks trials from a process that has imported what they need

`signals.py` and `worker_limits.py` say when no more trials start. `running_trials.py` and
`trials_elsewhere.py` watch those that run. `worker_messages.py`, `worker_log.py` and
`end_reports.py` report.

The rule that must not break: any process here may be killed at any moment, and no trial is lost or
runs twice. The order of statements in `supervisor.py` ensures that.
"""
