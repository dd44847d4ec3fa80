"""A worker in the protocol's model: it reads the run files, judges them, and orders an attempt.

`steps` follows the worker's loop: `Scheduler.next_trial`, `experiment.status`, `liveness.is_alive`
and `Worker._start`, in the windows between what it reads and what it looks at next. What it orders:
`model_supervisor.py`.
"""

from __future__ import annotations

from collections.abc import Iterator

from model_explorer import Step
from model_world import (
    DEAD,
    DEAD_AT,
    FINAL,
    GONE,
    REPORTED,
    Content,
    File,
    Record,
    Rules,
    Run,
    Setting,
    Worker,
    World,
    change,
    change_worker,
    is_alive,
    is_found,
    kill_command,
    run_of,
)

Steps = Iterator[Step[World]]


def steps(rules: Rules, setting: Setting, world: World, index: int) -> Steps:
    """Yield the next steps of a worker."""
    worker = world.workers[index]
    if world.cut_off and setting.hosts[index] == 0 and worker.step not in ("waits", GONE):
        return
    if worker.step == "looks":
        yield from _reads(setting, world, index)
    elif worker.step == "judges":
        yield from _judges(rules, setting, world, index)
    elif worker.step == "reads again":
        yield from _reads_again(rules, setting, world, index)
    elif worker.step in ("orders", "orders in doubt"):
        yield from _orders(rules, setting, world, index)
    elif worker.step == "waits":
        yield from _notices(rules, world, index)
    elif worker.step == GONE:
        yield from _begins(rules, setting, world, index)


def _begins(rules: Rules, setting: Setting, world: World, index: int) -> Steps:
    """Run the same command again; it ends what dead supervisors have left: `left_by_others`."""
    after = change_worker(world, index, Worker())
    for run in world.runs:
        if run.is_dead and run.host == setting.hosts[index] and is_found(rules, world, run):
            after = kill_command(after, run)
    yield Step(f"the command of worker {index} is run again", after)


# -- Reading: `attempts.latest`, `files.read_object` -----------------------------------------------


def seen(setting: Setting, world: World, index: int, number: int) -> list[Content]:
    """Return what a worker, or a supervisor of it, may read in a run file: with a cache that is
    also what was there before.
    """
    file = world.files[number - 1]
    older = sorted(file.older, key=str) if is_late(setting, index, file) else []
    return [file.now, *(content for content in older if content != file.now)]


def is_late(setting: Setting, index: int, file: File) -> bool:
    """Whether a worker may still see a run file as it was."""
    return setting.caches and setting.mounts[index] != file.mount and bool(file.older)


def _reads(setting: Setting, world: World, index: int) -> Steps:
    """Read the latest run file that is seen."""
    for number in range(setting.most, 0, -1):
        contents = seen(setting, world, index, number)
        for content in contents:
            if content != "absent":
                worker = world.workers[index]._replace(step="judges", number=number, read=content)
                words = f"worker {index} reads run file {number}: {_told(content)}"
                yield Step(words, change_worker(world, index, worker))
        if "absent" not in contents:
            return
    worker = world.workers[index]._replace(step="orders", number=0)
    yield Step(f"worker {index} sees no run file", change_worker(world, index, worker))


def _told(content: Content) -> str:
    if isinstance(content, Record):
        return content.end or "no end"
    return content


# -- Judging: `experiment.status`, `liveness.is_alive`, `heartbeat.Observer` -----------------------


def _judges(rules: Rules, setting: Setting, world: World, index: int) -> Steps:
    """Decide whether the attempt that was read has ended, lives, or is dead."""
    worker, read = world.workers[index], world.workers[index].read
    is_here = isinstance(read, Record) and read.host == setting.hosts[index]
    who = f"worker {index}"
    if isinstance(read, Record) and read.end:
        is_final = read.end in FINAL
        yield _goes(world, index, "knows the end" if is_final else "orders", f"{who} knows the end")
    elif read == "torn" and not rules.doubts_torn:
        yield _goes(world, index, "orders", f"{who} takes a torn file for a dead attempt")
    elif is_here and isinstance(read, Record) and is_alive(rules, world, read):
        yield _goes(world, index, "looks", f"{who} sees that it runs")
        yield _goes(world, index, GONE, f"{who} leaves: nothing is left to start")
    elif isinstance(read, Record) and _sees_all(rules, setting, read, index):
        next_step = "reads again" if rules.reads_again else "orders"
        yield _goes(world, index, next_step, f"{who} sees that its processes are dead")
    elif world.files[worker.number - 1].silent >= DEAD_AT:
        yield _goes(world, index, "orders in doubt", f"{who} has heard no heartbeat for 120 s")
    else:
        yield _goes(world, index, "looks", f"{who} cannot know whether it runs")


def _sees_all(rules: Rules, setting: Setting, read: Record, index: int) -> bool:
    """Whether a worker sees the processes that a run file names, and what they have written."""
    is_here = read.host == setting.hosts[index]
    return is_here and (read.mount == setting.mounts[index] or not rules.doubts_mounts)


def _goes(world: World, index: int, step: str, words: str) -> Step[World]:
    worker = world.workers[index]._replace(step=step)
    if step in ("looks", "knows the end", GONE):
        worker = Worker(step, has_spawner=worker.has_spawner)
    return Step(words, change_worker(world, index, worker))


def _reads_again(rules: Rules, setting: Setting, world: World, index: int) -> Steps:
    """Read the file once more now that its processes are dead: they write nothing any more. If the
    attempt never began its command, the one before it counts.
    """
    worker, who = world.workers[index], f"worker {index}"
    for content in seen(setting, world, index, worker.number):
        if content != worker.read:
            yield _goes(world, index, "looks", f"{who} finds the run file changed, and reads again")
        elif isinstance(content, Record) and content.doubt and rules.hands_on_doubt:
            yield _goes(world, index, "orders in doubt", f"{who} reads that it took over in doubt")
        else:
            yield _goes(world, index, "orders", f"{who} reads the same again")


# -- Ordering: `Worker._start`, `Spawner.start` ----------------------------------------------------


def _orders(rules: Rules, setting: Setting, world: World, index: int) -> Steps:
    """End what is left of a dead attempt, then have the spawner fork a supervisor."""
    worker = world.workers[index]
    if worker.number >= setting.most:
        yield _goes(world, index, "looks", f"worker {index} goes beyond what is followed")
        return
    if not worker.has_spawner:
        gone = change_worker(world, index, Worker(GONE))
        yield Step(f"worker {index} leaves: its spawner was killed", gone)
        return
    doubt = worker.step == "orders in doubt"
    if doubt and rules.hands_on_doubt and last_begun(world, worker.number).end in FINAL:
        words = f"worker {index} reads how the last attempt that began has ended"
        yield _goes(world, index, "knows the end", words)
        return
    if isinstance(worker.read, Record) and not doubt and not worker.read.end:
        world = _kill_leftovers(rules, world, worker.read)
    run = Run(_free_id(world), worker.number + 1, setting.hosts[index], index, "publishes", doubt)
    waiting = change_worker(world, index, Worker("waits", has_spawner=True))
    after = waiting._replace(runs=tuple(sorted((*world.runs, run))))
    yield Step(
        f"worker {index} has attempt {run.number} started by supervisor {run.number}.{run.id}",
        after,
    )


def _kill_leftovers(rules: Rules, world: World, record: Record) -> World:
    """Kill the command of a dead attempt, if it is found: `liveness.kill_leftover_processes`."""
    run = run_of(world, record.owner)
    if run is not None and is_found(rules, world, run):
        return kill_command(world, run)
    return world


def last_begun(world: World, number: int) -> Record:
    """Return the last attempt up to a number that did not stop before its command, in doubt."""
    contents = (file.now for file in reversed(world.files[:number]))
    records = (each for each in contents if isinstance(each, Record) and not each.doubt)
    return next(records, Record(-1, -1, -1))


def _free_id(world: World) -> int:
    used = {run.id for run in world.runs}
    for file in world.files:
        used |= {known.owner for known in (file.now, *file.older) if isinstance(known, Record)}
    for worker in world.workers:
        used |= {worker.read.owner} if isinstance(worker.read, Record) else set()
    return next(number for number in range(99) if number not in used)


# -- Noticing: `Worker._ended`, `RunningTrial.command_to_wait_for` ---------------------------------


def _notices(rules: Rules, world: World, index: int) -> Steps:
    """Learn that a supervisor is gone: from its spawner, or from its process if that is dead."""
    for run in world.runs:
        is_gone = run.step == REPORTED or (run.step == DEAD and not run.spawner)
        if run.watched and run.worker == index and is_gone:
            after = kill_command(world, run) if is_found(rules, world, run) else world
            after = change(after, run, watched=False)
            yield _goes(
                after,
                index,
                "looks",
                f"worker {index} notices that supervisor {run.number}.{run.id} is gone",
            )
