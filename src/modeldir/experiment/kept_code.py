"""Keep the code and the environment of a single run, for its run file.

`modeldir run` and `start()` call `kept`, and import this module only then, because hashing and
copying are slow to import. A search keeps both by `search/code_state`, once a second.
"""

from __future__ import annotations

import os
from pathlib import Path

from modeldir.experiment import code_snapshots, environments


def kept(project: Path, folder: Path, program: str | None = None) -> dict[str, str | None]:
    """Keep the code and the environment of a training run; return their names for its run file.

    Args:
        project: the folder in which it runs.
        folder: its experiment. A trial keeps both in the folder of its search.
        program: the path of its interpreter; None for that of this process.
    """
    folder = Path(os.path.abspath(folder))
    store = folder.parent if (folder.parent / "search.json").is_file() else folder
    return {
        "snapshot": code_snapshots.Keeper(project, store).keep(),
        "environment": environments.keep(program, project, store),
    }
