"""Hyperparameters: load, check, update, save and compare them.

Start reading at `params.py` (`Params`). `params_files.py` reads and writes JSON, YAML and TOML;
`usage.py` notes which hyperparameters a script read.
"""

from __future__ import annotations

from modeldir._system.lazy import attributes

TYPE_CHECKING = False

if TYPE_CHECKING:
    from modeldir.params.params import Params, lock, report_reads, unlocked
    from modeldir.params.schema import Schema
    from modeldir.params.update_checks import ParamsWarning

__all__ = ["Params", "ParamsWarning", "Schema", "lock", "report_reads", "unlocked"]

_HOMES = {
    "modeldir.params.params": ("Params", "lock", "unlocked", "report_reads"),
    "modeldir.params.schema": ("Schema",),
    "modeldir.params.update_checks": ("ParamsWarning",),
}
_public = attributes(__name__, _HOMES)


def __getattr__(name: str) -> object:
    if name not in {"_revived", "_Tree"}:
        return _public(name)
    # Pickles of `Params` refer to these two here, so that modules in the package can be renamed.
    from modeldir.params import params  # noqa: PLC0415

    return getattr(params, name)
