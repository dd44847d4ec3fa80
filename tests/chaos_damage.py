"""What a power cut, a reboot, a reused pid or a clock does to a search's files while nobody runs.

Each function breaks one thing at random and says so in the ledger; False if there was nothing to
break. The files are those of docs/reference/files.md; nothing that a user wrote is touched.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Iterable
from pathlib import Path

from chaos_audit import Ledger, every_file, trial_folders
from modeldir._system import processes, reading
from modeldir.experiment import attempts

Damage = Callable[[Path, Ledger, random.Random], bool]


def cut_off(search: Path) -> list[attempts.Attempt]:
    """The latest attempts that have no end: their supervisors were killed."""
    last = [attempts.latest(folder) for folder in trial_folders(search)]
    return [run for run in last if run is not None and run.record and run.end is None]


def tear_run_file(search: Path, ledger: Ledger, chance: random.Random) -> bool:
    """A run file is half, also that of a trial that had ended: it has to run again."""
    folder = _some(trial_folders(search), chance)
    run = attempts.latest(folder) if folder else None
    if folder is None or run is None or not run.path.stat().st_size:
        return False
    ledger.tear(run.path, _part_of(run.path, chance))
    ledger.attempts.add((folder.name, run.number))
    ledger.may_repeat.add(folder.name)
    return True


def tear_claim(search: Path, ledger: Ledger, chance: random.Random) -> bool:
    """A claim is half; its trial's folder says all that it said."""
    return _tear_identity(search, (search / ".modeldir" / "trials").glob("*.json"), ledger, chance)


def tear_trial_file(search: Path, ledger: Ledger, chance: random.Random) -> bool:
    """A trial's `trial.json` is half."""
    return _tear_identity(search, search.glob("*/trial.json"), ledger, chance)


def tear_params(search: Path, ledger: Ledger, chance: random.Random) -> bool:
    """A trial's `params.json` is half: its claim has all that it said."""
    return _tear_identity(search, search.glob("*/params.json"), ledger, chance)


def tear_roster(search: Path, ledger: Ledger, chance: random.Random) -> bool:
    """The entry of a worker that is dead, or a request to stop, is half."""
    found = [*(search / ".modeldir" / "workers").glob("*.json")]
    return _tear([*found, *(search / ".modeldir" / "stops").glob("*.json")], ledger, chance)


def tear_lines(search: Path, ledger: Ledger, chance: random.Random) -> bool:
    """Events and metrics by step end in half a line."""
    return _tear(search.glob("*/*.jsonl"), ledger, chance)


def tear_metrics(search: Path, ledger: Ledger, chance: random.Random) -> bool:
    whole = [path for path in search.glob("*/metrics_*.json") if path.stat().st_size]
    path = _some(sorted(whole), chance)
    if path is None:
        return False
    ledger.tear(path, _part_of(path, chance))
    ledger.metrics.add(path.parent.name)
    return True


def leave_temporary(search: Path, ledger: Ledger, chance: random.Random) -> bool:
    """A writer died before its rename."""
    folder = _some([search, search / ".modeldir" / "trials", *trial_folders(search)], chance)
    if folder is None:
        return False
    (folder / f".tmp-{chance.randrange(1 << 15)}-{chance.randrange(1 << 40):012x}").write_text("{")
    return True


def reboot(search: Path, ledger: Ledger, chance: random.Random) -> bool:
    """The machine was started again, and the pids of what was cut off are other processes'."""
    runs = cut_off(search)
    for run in runs:
        ledger.strangers.add((run.folder.name, run.number))
        _replace_processes(run, {"boot": "00000000-0000-4000-8000-000000000000", "pid": 1})
    return bool(runs)


def reuse_pids(search: Path, ledger: Ledger, chance: random.Random) -> bool:
    """The pids of what was cut off are now those of a process that lives: this one."""
    runs = cut_off(search)
    for run in runs:
        ledger.strangers.add((run.folder.name, run.number))
        _replace_processes(run, {"pid": os.getpid()})
    return bool(runs)


def jump_clock(search: Path, ledger: Ledger, chance: random.Random) -> bool:
    """What lies in a trial's folder is from 2001, or from 2040."""
    folder = _some(trial_folders(search), chance)
    moment = chance.choice([1_000_000_000, 2_210_000_000])
    for path in every_file(folder) if folder else ():
        os.utime(path, (moment, moment))
    return folder is not None


ALL: dict[str, Damage] = {
    "half a run file": tear_run_file,
    "half a claim": tear_claim,
    "half a trial.json": tear_trial_file,
    "half a params.json": tear_params,
    "half an entry of a worker": tear_roster,
    "half a line": tear_lines,
    "half a metrics file": tear_metrics,
    "a temporary file": leave_temporary,
    "a reboot": reboot,
    "reused pids": reuse_pids,
    "a clock that jumped": jump_clock,
}


def _some(paths: list[Path], chance: random.Random) -> Path | None:
    return chance.choice(paths) if paths else None


def _part_of(path: Path, chance: random.Random) -> int:
    """Less than a file's size; nothing at all is what most power cuts leave."""
    return chance.choice([0, chance.randrange(path.stat().st_size)])


def _tear_identity(
    search: Path, paths: Iterable[Path], ledger: Ledger, chance: random.Random
) -> bool:
    """Tear one of the three files that say what a trial is; of the same trial never two. So it is
    written again, and excuses nothing. A trial whose folder was not made yet has only its claim.
    """
    whole = {path: _name_of(path) for path in sorted(paths)}
    made = {path.parent.name for path in search.glob("*/trial.json")} - ledger.identities
    left = [path for path, name in whole.items() if name in made]
    path = _some([path for path in left if path.stat().st_size], chance)
    if path is None:
        return False
    os.truncate(path, _part_of(path, chance))
    ledger.identities.add(whole[path])
    return True


def _name_of(path: Path) -> str:
    """The name of the trial that a claim or a file in its folder speaks of."""
    if path.name[0].isdigit():
        return str(reading.read_object(path).get("name", ""))
    return path.parent.name


def _tear(paths: Iterable[Path], ledger: Ledger, chance: random.Random) -> bool:
    path = _some(sorted(path for path in paths if path.stat().st_size), chance)
    if path is None:
        return False
    ledger.tear(path, _part_of(path, chance))
    return True


def _replace_processes(run: attempts.Attempt, changes: dict[str, object]) -> None:
    record = reading.read_object(run.path)
    for key in ("supervisor", "process", "worker"):
        known = processes.from_json(record.get(key))
        if known is not None:
            record[key] = {**known.to_json(), **changes}
    run.path.write_text(json.dumps(record))
