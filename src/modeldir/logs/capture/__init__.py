"""Capture what a process prints, for its log. Start reading at `choose_method`.

The usual method starts the log writer, a separate process (`sidecar`). This file imports nothing,
because the log writer has to start at once.
"""
