"""The machine in the protocol's model: kills, what the kernel and the spawner do then, and time.

`steps` gives all steps of the whole model. Harm is what comes from outside, at any moment: a kill
of any process, or a host that is cut off from the folder. Each harm is counted.
"""

from __future__ import annotations

from collections.abc import Iterator

import model_supervisor
import model_worker
from model_explorer import Model, Step
from model_supervisor import AT_ONCE, has_later, stop
from model_worker import last_begun
from model_world import (
    DEAD,
    DEAD_AT,
    FINAL,
    GIVEN_UP_AT,
    GONE,
    REPORTED,
    Record,
    Rules,
    Run,
    Setting,
    Worker,
    World,
    begin,
    change,
    change_worker,
    is_over,
    kill_command,
    put,
    wrong,
)

Steps = Iterator[Step[World]]


def model_of(rules: Rules, setting: Setting, only: str | None = None) -> Model[World]:
    """Return the model of a protocol in a setting; `only` is the one property to check."""
    return Model(
        begin(setting),
        lambda world: steps(rules, setting, world),
        lambda world: [each for each in wrong(rules, world) if only in (None, each)],
        is_over,
    )


def steps(rules: Rules, setting: Setting, world: World) -> Steps:
    """Yield all steps that may follow."""
    for step in _all_steps(rules, setting, world):
        ended = step.after.ended or _has_ended(step.after)
        yield step._replace(after=step.after._replace(ended=ended))


def _has_ended(world: World) -> bool:
    """Whether the latest attempt that has begun has a final end."""
    return last_begun(world, len(world.files)).end in FINAL


def _all_steps(rules: Rules, setting: Setting, world: World) -> Steps:
    for index in range(len(world.workers)):
        yield from model_worker.steps(rules, setting, world, index)
    for run in world.runs:
        yield from model_supervisor.steps(rules, setting, world, run)
        yield from _after_death(world, run)
    yield from _time(world)
    if world.cut_off:
        yield Step("host 0 sees the folder again", world._replace(cut_off=False))
    if world.harms:
        harmed = world._replace(harms=world.harms - 1)
        for words, after in _harm(setting, harmed):
            yield Step(words, after, harm=True)


# -- After a death: the kernel, the gate, the spawner ----------------------------------------------


def _after_death(world: World, run: Run) -> Steps:
    """Do what happens by itself after a supervisor has died."""
    if run.step != DEAD:
        return
    who = f"supervisor {run.number}.{run.id}"
    if run.command == "waits":
        after = change(world, run, command="killed")
        yield Step(f"the command of {who} reads end-of-file at the gate and leaves", after)
    if run.spawner:  # `spawner._reap`, `_end_orphans`
        after = change(kill_command(world, run), run, step=REPORTED)
        yield Step(f"the spawner ends what dead {who} left, and reports it", after)


# -- Harm ------------------------------------------------------------------------------------------


def _harm(setting: Setting, world: World) -> Iterator[tuple[str, World]]:
    for index, worker in enumerate(world.workers):
        if worker.step != GONE and "worker" in setting.kills:
            yield f"KILL worker {index}", _without_worker(world, index)
    groups = sorted({(run.worker, run.watched) for run in world.runs if run.spawner})
    for group in groups if "spawner" in setting.kills else ():
        yield f"KILL the spawner of worker {group[0]}", _without_spawner(world, *group)
    for run in world.runs:
        who = f"supervisor {run.number}.{run.id}"
        if not run.is_dead and "supervisor" in setting.kills:
            after = change(world, run, step=DEAD)
            if run.tethered:  # the kernel does it before anybody can see the supervisor dead
                after = kill_command(after, run)
            yield f"KILL {who}", after
        if run.has_command and "command" in setting.kills:
            yield f"KILL the command of {who}", change(world, run, command="killed")
    if not world.cut_off and "network" in setting.kills:
        yield "host 0 is cut off from the folder", world._replace(cut_off=True)


def _without_worker(world: World, index: int) -> World:
    for run in world.runs:
        if run.worker == index and run.watched:
            world = change(world, run, watched=False)
    return change_worker(world, index, Worker(GONE))


def _without_spawner(world: World, index: int, watched: bool) -> World:  # noqa: FBT001
    for run in world.runs:
        if (run.worker, run.watched) == (index, watched):
            world = change(world, run, spawner=False)
    if watched:
        worker = world.workers[index]._replace(has_spawner=False)
        world = change_worker(world, index, worker)
    return world


# -- Time: caches expire, heartbeats, `_give_up` ---------------------------------------------------


def _time(world: World) -> Steps:
    """Let time pass, enough for all caches to forget. Supervisors that wait for their command beat
    their heartbeats, if they see the folder. Others are late: a slow disk holds them up, or they
    are
    dead.
    """
    after = world
    for number, file in enumerate(world.files, 1):
        lasting = file.now == "absent" or (isinstance(file.now, Record) and file.now.end)
        silent = 0 if lasting else min(DEAD_AT, file.silent + 1)
        after = put(after, number, file._replace(older=frozenset(), silent=silent))
    for run in world.runs:
        if run.step in WAITS:
            after = change(after, run, step=WAITS[run.step])
        if not run.is_dead and is_owner(world, run):
            after = _beat(after, run)
    if after != world and not any(run.step in AT_ONCE for run in world.runs):
        yield Step("time passes", after)


WAITS = {"waits 2": "waits 1", "waits 1": "waits 0"}


def _beat(world: World, run: Run) -> World:
    """Let a supervisor beat its heartbeat, and look; or give up when it could not for too long."""
    is_waiting = run.step == "watches" or run.step in WAITS
    file = world.files[run.number - 1]
    if is_waiting and not (world.cut_off and run.host == 0):
        beaten = put(world, run.number, file._replace(silent=0))
        return stop(beaten, run) if has_later(world, run) else change(beaten, run, late=False)
    if run.step == "watches" and run.has_command and file.silent >= GIVEN_UP_AT:
        world = change(world, run, command="given up")
    return change(world, run, late=True)


def is_owner(world: World, run: Run) -> bool:
    """Whether an attempt has a run file."""
    now = world.files[run.number - 1].now
    return isinstance(now, Record) and now.owner == run.id
