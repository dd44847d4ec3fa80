"""Look whether a module that a failed trial lacked has been installed since.

`retries.py` asks, so that a trial runs again after `pip install`. The interpreter of the trial's
own command answers: it may have other libraries than the one that runs modeldir.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

_LACKED = (
    r"(?:.*: )?No module named '?([A-Za-z_][\w.]*)",
    r"ImportError: cannot import name '.+' from '([A-Za-z_][\w.]*)'",
)
_TIMEOUT = 20.0
_CODE = """\
import importlib.util, os, sys
spec = importlib.util.find_spec(sys.argv[1])
if spec is not None:
    places = [spec.origin] if spec.has_location else list(spec.submodule_search_locations or [])
    places += map(os.path.dirname, list(places))
    times = [os.lstat(each).st_ctime for each in places if os.path.lexists(each)]
    sites = [each for each in sys.path if os.path.basename(each).endswith("-packages")]
    times += [os.stat(each).st_mtime for each in sites if os.path.isdir(each)]
    print(max(times, default=0.0))
"""


def lacked_by(line: object) -> str | None:
    """Return the package that an error says is missing, or has an old version.

    >>> lacked_by("ModuleNotFoundError: No module named 'timm.layers'")
    'timm'
    """
    found = (re.match(pattern, line) for pattern in _LACKED) if isinstance(line, str) else ()
    return next((match[1].partition(".")[0] for match in found if match), None)


def installed_at(package: str, command: Sequence[str], cwd: Path) -> float | None:
    """Return when a package was installed that is found now (Unix time); None if it is not found.

    Something else that was installed later counts too: the package itself may have been changed.
    """
    import subprocess  # noqa: PLC0415 - only after such a failure

    if not os.path.basename(command[0]).startswith("python"):
        return None
    try:
        done = subprocess.run(
            [command[0], "-c", _CODE, package],
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT,
            check=True,
        )
        return float(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
