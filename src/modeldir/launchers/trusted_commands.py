"""Remember which command lines and addresses this user lets job records use.

A job record lies in the search's folder, which another user may have made. `_job_states` calls
`not_allowed` before a launcher uses a line of a record; `launched_jobs` calls `allow` when this
user submits with a line, and `watch --allow` and `stop --allow` when the user types one. The rule:
a line from a folder is never used because the folder says so.

The file is `modeldir/trusted_commands` in the user's state folder, one JSON object a line: a digest
of the line, and the inode of the search's folder. In a copy of the folder nothing is allowed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from modeldir._system import files, user_files
from modeldir._system.shell import quoted, quoted_line

_FILE = "trusted_commands"


def allow(search: Path, lines: Iterable[str]) -> bool:
    """Remember that job records of this search may use these lines. False if that is impossible."""
    missing = not_allowed(search, lines)
    if not missing:
        return True
    path = user_files.state_file(_FILE)
    if path is None or not user_files.make_folder_of(path):
        return False
    with contextlib.suppress(OSError):
        for line in missing:
            files.append_line(path, _entry(search, line))
        os.chmod(path, 0o600)
    return not not_allowed(search, lines)


def not_allowed(search: Path, lines: Iterable[str]) -> list[str]:
    """Return those lines that job records of this search may not use."""
    wanted = [*dict.fromkeys(lines)]
    if not wanted:
        return []
    path = user_files.state_file(_FILE)
    known = (user_files.read(path) if path else b"").splitlines()
    return [line for line in wanted if json.dumps(_entry(search, line)).encode() not in known]


def command_to_allow(search: Path, lines: Sequence[str]) -> str:
    """Return the command by which the user allows these lines."""
    options = (f"--allow={quoted(line)}" for line in lines)
    return " ".join([quoted_line(["modeldir", "watch", search]), *options])


def _entry(search: Path, line: str) -> dict[str, object]:
    digest = hashlib.sha256(line.encode("utf-8", "surrogatepass")).hexdigest()
    return {"sha256": digest, "folder": os.stat(search).st_ino}
