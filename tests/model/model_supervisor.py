"""One attempt in the protocol's model: its supervisor and its command, step by step.

`steps` gives what a supervisor may do next; it follows `worker/supervisor.py` from the order to the
recorded end, in the windows between two system calls. What kills it: `model_machine.py`.
"""

from __future__ import annotations

from collections.abc import Iterator

from model_explorer import Step
from model_worker import is_late, last_begun, seen
from model_world import (
    DEAD_AT,
    FINAL,
    REPORTED,
    Content,
    Record,
    Rules,
    Run,
    Setting,
    World,
    change,
    change_worker,
    kill_command,
    let_run,
    put,
    write,
)

Steps = Iterator[Step[World]]


def steps(rules: Rules, setting: Setting, world: World, run: Run) -> Steps:
    """Yield the next steps of an attempt's supervisor and command."""
    who = f"supervisor {run.number}.{run.id}"
    if run.command == "runs" and run.step == "watches":
        yield Step(f"the command of {who} ends well", change(world, run, command="left"))
    can_write = not (world.cut_off and run.host == 0)
    if run.step not in _STEPS or not (can_write or run.step in AT_ONCE):
        return
    looks = run.step == "watches" or (run.step == "starts" and rules.looks_before_start)
    if run.late and looks:
        yield from _beats(setting, world, run, who)
    else:
        yield from _STEPS[run.step](rules, setting, world, run, who)


# -- Owning the folder: `_Attempt._owns_folder` ----------------------------------------------------


def _beats(setting: Setting, world: World, run: Run, who: str) -> Steps:
    """Beat the heartbeat, which is late; only then look for a later attempt."""
    own = world.files[run.number - 1]
    beaten = put(world, run.number, own._replace(silent=0, older=own.older | {own.now}))
    after = change(beaten, run, step=LOOKS + run.step, late=False)
    yield Step(f"{who} beats its heartbeat, which is late", after)


def _looks(_rules: Rules, setting: Setting, world: World, run: Run, who: str) -> Steps:
    """Look for a later attempt (`attempts.is_superseded`): then kill the command, write nothing."""
    if has_later(world, run):
        yield Step(f"{who} finds a later attempt and stops", stop(world, run))
    else:
        after = change(world, run, step=run.step.removeprefix(LOOKS))
        yield Step(f"{who} finds no later attempt", after)


LOOKS = "looks, then "
"""Comes before the step that is only taken if the folder is still the supervisor's own."""


AT_ONCE = ("tethers", "opens the gate", LOOKS + "starts", LOOKS + "watches")
"""Steps that no slow disk can hold up."""


def has_later(world: World, run: Run) -> bool:
    """Whether a later attempt than this one has begun."""
    return any(file.now != "absent" for file in world.files[run.number :])


def stop(world: World, run: Run) -> World:
    """Kill the command and write nothing more."""
    return _leave(kill_command(world, run), run)


# -- Publishing: `attempts.begin` and `files.publish` ----------------------------------------------


def _publishes(_rules: Rules, setting: Setting, world: World, run: Run, who: str) -> Steps:
    """Take the attempt's name, as `files.publish` does: with all its bytes, or (`create`, the old
    way without hard links) empty at first.
    """
    if world.files[run.number - 1].now != "absent":
        yield Step(f"{who} finds the attempt taken", _leave(world, run))
    elif setting.creates:
        after = change(
            write(world, run.number, "torn", _mount(setting, run)), run, step="fills the file"
        )
        yield Step(f"{who} creates its run file, empty", after)
    else:
        yield from _fills(_rules, setting, world, run, who)


def _fills(_rules: Rules, setting: Setting, world: World, run: Run, who: str) -> Steps:
    after = _write(setting, world, run)
    next_step = "takes over" if run.doubt else "starts"
    yield Step(f"{who} publishes its run file", change(after, run, step=next_step))


def _mount(setting: Setting, run: Run) -> int:
    return setting.mounts[run.worker]


def _write(
    setting: Setting, world: World, run: Run, *, names_command: bool = False, end: str = ""
) -> World:
    """Write the whole run file, as `attempts.begin` and `attempts.rewrite` do."""
    mount = _mount(setting, run)
    doubt = run.doubt and not names_command
    record = Record(run.id, run.host, mount, names_command, end, doubt)
    return write(world, run.number, record, mount)


def _leave(world: World, run: Run) -> World:
    """Report to the worker that nothing is to be done, and be free."""
    if run.watched:
        world = change_worker(world, run.worker, world.workers[run.worker]._replace(step="looks"))
    return change(world, run, step=REPORTED, watched=False, command="")


# -- Taking over from another host: `_Attempt._take_over` ------------------------------------------


def _takes_over(rules: Rules, setting: Setting, world: World, run: Run, who: str) -> Steps:
    """Look whether the owner before has moved since it was given up; if so, wait two heartbeats
    for it to see this attempt.
    """
    before = world.files[run.number - 2]
    has_moved = before.silent < DEAD_AT
    if has_moved or rules.always_waits:
        yield Step(f"{who} waits for the owner before", change(world, run, step="waits 2"))
    if not rules.always_waits and (not has_moved or is_late(setting, run.worker, before)):
        yield from _waited(rules, setting, world, run, who)


def _waited(rules: Rules, setting: Setting, world: World, run: Run, who: str) -> Steps:
    """Read the end of the attempt before, which may have come meanwhile; then begin or withdraw."""
    contents = seen(setting, world, run.worker, run.number - 1)
    if rules.hands_on_doubt and (contents[0] == "absent" or _in_doubt(contents[0])):
        contents = [last_begun(world, run.number - 1)]
    for content in contents:
        if isinstance(content, Record) and content.end in FINAL:
            after = write(world, run.number, "absent", _mount(setting, run))
            yield Step(f"{who} reads a recorded end and withdraws", _leave(after, run))
        else:
            yield Step(f"{who} takes the trial over", change(world, run, step="starts"))


def _in_doubt(content: Content) -> bool:
    return isinstance(content, Record) and content.doubt


# -- Starting: `_Attempt._run_command` -------------------------------------------------------------


def _starts(rules: Rules, setting: Setting, world: World, run: Run, who: str) -> Steps:
    """Make the command's process: a fork (`preload/child.py`), which waits at a gate, or
    `start_program`, whose child has the token in its environment.
    """
    if setting.forked and rules.has_gate:
        after = change(world, run, step="tethers", command="waits")
        yield Step(f"{who} forks its command, which waits at the gate", after)
    else:
        after = let_run(world, run, step="tethers", marked=not setting.forked)
        yield Step(f"{who} starts its command, which runs", after)


def _tethers(_rules: Rules, _setting: Setting, world: World, run: Run, who: str) -> Steps:
    """Have the kernel end the command with this process: `processes.Tether.fasten`."""
    next_step = "opens the gate" if run.command == "waits" else "watches"
    after = change(world, run, step=next_step, tethered=run.has_command)
    yield Step(f"{who} tethers its command", after)


def _opens(_rules: Rules, _setting: Setting, world: World, run: Run, who: str) -> Steps:
    """Write to the pipe on which the command waits."""
    if run.command == "waits":
        after = let_run(world, run, step="watches")
        yield Step(f"{who} opens the gate: its command runs", after)
    else:
        yield Step(f"{who} finds its command dead", change(world, run, step="watches"))


# -- Waiting, and the end: `_Attempt._wait`, `_owns_folder`, `_finish` -----------------------------


def _watches(_rules: Rules, setting: Setting, world: World, run: Run, who: str) -> Steps:
    """Wait for the command, and record which process it is: `_Attempt._record_process`."""
    own = world.files[run.number - 1].now
    if not run.has_command:
        yield from _ends(setting, world, run, who)
    elif isinstance(own, Record) and not own.names_command:
        after = _write(setting, world, run, names_command=True)
        yield Step(f"{who} records its command", after)


def _ends(setting: Setting, world: World, run: Run, who: str) -> Steps:
    """Write the end. A command that was killed from outside has failed."""
    end = {"left": "completed", "given up": "interrupted"}.get(run.command, "failed")
    after = _write(setting, world, run, names_command=True, end=end)
    yield Step(f"{who} records that it {end}", change(after, run, step="reports"))


def _reports(_rules: Rules, _setting: Setting, world: World, run: Run, who: str) -> Steps:
    yield Step(f"{who} reports the end", _leave(world, run))


_STEPS = {
    "publishes": _publishes,
    "fills the file": _fills,
    "takes over": _takes_over,
    "waits 0": _waited,
    "starts": _starts,
    "tethers": _tethers,
    "opens the gate": _opens,
    "watches": _watches,
    LOOKS + "starts": _looks,
    LOOKS + "watches": _looks,
    "reports": _reports,
}
