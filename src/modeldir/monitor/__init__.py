"""How a search or an experiment is doing, live: what `watch` and a running search show.

`SearchMonitor` (`search.py`) and `ExperimentMonitor` (`experiment.py`) read folders and return
snapshots (`status.py`). `progress.py` prints them: as lines in a pipe, or as a live view
(`live_lines.py`, `live_screen.py`). `summary.py` has the last lines of a search. To understand
the line of a
running trial, start with `LiveTraining` in `experiment.py`.
"""
