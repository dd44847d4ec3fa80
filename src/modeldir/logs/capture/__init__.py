"""Capture what a process prints, for its log.

Start reading at `choose_method`, which picks one of the `methods`. The usual one replaces
descriptors 1 and 2 (`descriptors`, `channels`) and starts the log writer, a separate process
(`sidecar`, with `buffer`, `passthrough` and `exit_status`). `streams` and `notebook` are for places
where only Python's stream objects can be captured. `logging_setup` makes log records print.

This file imports nothing, because the log writer has to start at once.
"""
