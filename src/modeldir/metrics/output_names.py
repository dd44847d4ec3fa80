"""Which entries of a trial's folder may hold metrics that a script has left, by their names.

`file_watch` asks whether to look at all, and `left_files` what to read. modeldir's own files never
hold such metrics; which of those hold metrics: `metric_files.classify`.
"""

from __future__ import annotations

import os
import re

from modeldir.metrics import metric_files

_TABLES = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".log", ".txt")
_OURS = frozenset({
    "params.json", "trial.json", "origin.json", "search.json", "events.jsonl", "console.log",
    "train.log", metric_files.METRICS_LINES,
})  # fmt: skip
_RUN_FILE = re.compile(r"(?:.+\.)?run(?:\.\d+)?\.json|.+\.console\.log")
_NO_OUTPUT = frozenset({"attempts", "__pycache__", "node_modules"})


def may_have_metrics(name: str, depth: int) -> bool:
    """Return whether a file's name allows metrics in it; modeldir's own files do not count."""
    if not name.endswith(_TABLES):
        return "tfevents" in name
    if name.startswith("."):
        return False
    is_ours = name in _OURS or _RUN_FILE.fullmatch(name) or metric_files.classify(name)
    return depth > 0 or not is_ours


def is_folder_of_files(entry: os.DirEntry[str]) -> bool:
    """Return whether an entry is a folder that may have a script's output; no link is followed."""
    try:
        is_folder = entry.is_dir(follow_symlinks=False)
    except OSError:
        return False
    return is_folder and not entry.name.startswith(".") and entry.name not in _NO_OUTPUT
