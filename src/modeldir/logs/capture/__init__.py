"""Capture what a process prints, for its log. Start reading at `choose_method`.

The usual method starts a separate process, the `log_writer`. This file imports nothing, because
that has to start at once.
"""
