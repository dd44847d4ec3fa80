"""Which options of a script name the folder or the file that it writes to, by their names.

`proposal.py` asks, and tries with the script's parser that the option takes a path.
"""

from __future__ import annotations

import re

_FOLDERS = (
    "output_dir", "out_dir", "save_dir", "model_dir", "log_dir", "logging_dir", "checkpoint_dir",
    "checkpoints_dir", "ckpt_dir", "logs_dir", "outputs_dir", "models_dir", "exp_dir",
    "experiment_dir", "run_dir", "work_dir", "result_dir", "results_dir",
    "default_root_dir", "hydra.run.dir", "output_folder", "out_folder", "save_folder",
    "log_folder", "results_folder", "output_path", "out_path", "save_path", "log_path",
    "results_path", "outf", "output", "out", "save", "save_to", "save_model_dir", "snapshot_dir",
    "tensorboard_dir", "tb_dir", "sample_dir", "summary_dir", "exp_path",
)  # fmt: skip
_FILES = (
    "save", "save_path", "save_to", "save_file", "output", "out", "output_file", "out_file",
    "outfile", "output_path", "out_path", "log_file", "logfile", "log_path", "results_file",
    "metrics_file", "save_model_path", "checkpoint_path",
)  # fmt: skip
_READ_TOO = frozenset({"checkpointdir", "checkpointsdir", "ckptdir", "snapshotdir"})
"""Without a default they may also be where a script reads from."""
_ENDING = re.compile(r"\.[A-Za-z]\w{0,11}$")


def placed(name: str, value: object) -> str | None:
    """Return what an option gets in a command, e.g. `{model_dir}`; None if it is no output.

    >>> placed("save-dir", "runs"), placed("save", "runs/net.pt"), placed("model.width", 8)
    ('{model_dir}', '{model_dir}/net.pt', None)
    """
    if not isinstance(value, (str, type(None))):
        return None
    bare = _bare(name)
    file = (value or "").rpartition("/")[2]
    if _ENDING.search(file):
        return f"{{model_dir}}/{file}" if bare in _BARE_FILES else None
    if value is None and bare in _READ_TOO:
        return None
    return "{model_dir}" if bare in _BARE_FOLDERS else None


def rank(name: str) -> int:
    """Return how well a name says that it is the folder of the whole run; 0 is best."""
    return [_bare(each) for each in (*_FOLDERS, *_FILES)].index(_bare(name))


def _bare(name: str) -> str:
    last = name if name == "hydra.run.dir" else name.lstrip("-").rpartition(".")[2]
    return re.sub(r"[-_]", "", last.lower())


_BARE_FOLDERS = frozenset(map(_bare, _FOLDERS))
_BARE_FILES = frozenset(map(_bare, _FILES))
