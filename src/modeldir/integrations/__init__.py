"""Callbacks for other frameworks: they log to the run, stop a pruned trial and resume.

Each module is for one framework, imports it, and is imported by nobody but users' scripts:

    from modeldir.integrations.lightning import ModeldirCallback, last_checkpoint

A callback logs to the run that the script has started with `modeldir.start`. Without one, it starts
the run of the trial that the script belongs to. Outside modeldir it does nothing. `_current` holds
the code that the modules share. Metrics that a script prints need no callback: see `metrics`.
"""
