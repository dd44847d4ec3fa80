"""How a search or an experiment is doing, live: what `watch` and a running search show.

`search.py` and `experiment.py` read folders and return snapshots (`snapshots.py`). `progress.py`
prints them: as lines in a pipe, or as a live view (`live_lines.py`, `live_screen.py`).
"""
