"""The state of the protocol's model: one trial's run files, its workers, its attempts.

A worker takes the trial (`model_worker.py`), a supervisor runs one attempt (`model_supervisor.py`),
the machine kills, forgets and waits (`model_machine.py`). Each function there names the code that
it stands for. Start reading at `World`; `Rules` is what differs between the old and the new
protocol, and `Setting` is what happens in one exploration. Claims: `model_claims.py`.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

Odd = Literal["absent", "torn"]
"""A file that is not there; one that is empty, or of which a reader sees half."""
FINAL = ("completed", "failed")
"""The ends that are not run again."""


class Record(NamedTuple):
    """A run file as it reads: whose attempt it is, and how it ended.

    `names_command`: the file names the command's process, by which anybody can find it. `doubt`: it
    takes over from an attempt that only a heartbeat calls dead, and has not begun its command.
    """

    owner: int
    host: int
    mount: int
    names_command: bool = False
    end: str = ""
    doubt: bool = False


Content: TypeAlias = "Record | Odd"


class File(NamedTuple):
    """A run file.

    Attributes:
        now: what it holds.
        older: what readers with a cache may still see; `mount` is where it was written, and sees
            what is true.
        silent: for how long no heartbeat came; see `GIVEN_UP_AT` and `DEAD_AT`.
    """

    now: Content = "absent"
    older: frozenset[Content] = frozenset()
    mount: int = 0
    silent: int = 0


GIVEN_UP_AT, DEAD_AT = 2, 3
"""When an owner that cannot beat its heartbeat ends its command (90 s), and when others take it for
dead (120 s): `heartbeat.BEATS_TO_GIVE_UP`, `BEATS_TO_DEATH`.
"""


class Run(NamedTuple):
    """An attempt: a supervisor and its command. `step` is what the supervisor does next.

    Attributes:
        id: its token; the smallest that is free.
        number: which attempt it is to be.
        doubt: only a heartbeat says that the attempt before it is dead.
        spawner: the spawner that forked it lives.
        watched: its worker waits for its end.
        command: `waits` (at the gate), `runs` (the user's code), `left` (it ended by itself),
            `killed`, `given up` (killed by its supervisor), or nothing yet.
        late: its heartbeat was due to beat, and it could not or did not.
        tethered: the kernel kills the command when the supervisor ends.
        marked: the attempt's token is in its environment, where the next command finds it.
    """

    id: int
    number: int
    host: int
    worker: int
    step: str
    doubt: bool = False
    spawner: bool = True
    watched: bool = True
    command: str = ""
    late: bool = False
    tethered: bool = False
    marked: bool = False

    @property
    def has_command(self) -> bool:
        return self.command in ("waits", "runs")

    @property
    def is_dead(self) -> bool:
        return self.step in (DEAD, REPORTED)


DEAD, REPORTED = "dead", "dead and reported"
"""A supervisor that was killed; then one that its spawner has reported to the worker."""


class Worker(NamedTuple):
    """A worker of the search. `step` is what it does next, with what it has read: a run file's
    number and content.
    """

    step: str = "looks"
    number: int = 0
    read: Content = "absent"
    has_spawner: bool = True


GONE = "gone"
"""The step of a worker that was killed."""


class World(NamedTuple):
    """All that the protocol consists of. `ended` and `wrong` are only for the properties: whether a
    final end was recorded, and what was done that must not be.
    """

    files: tuple[File, ...]
    runs: tuple[Run, ...]
    workers: tuple[Worker, ...]
    harms: int
    cut_off: bool = False
    ended: bool = False
    wrong: str = ""


class Rules(NamedTuple):
    """A protocol: what the new one does and the old one did not.

    Attributes:
        has_gate: a forked command waits until its supervisor has tethered it.
        in_session: the command is in its supervisor's session, so the run file names it from the
            beginning.
        looks_before_start: a supervisor whose heartbeat is late looks for a later attempt just
        before
            it starts its command.
        doubts_torn: a run file that reads torn is read again, and is dead only by its heartbeat.
        doubts_mounts: a run file that was written through another mount may be read late, so its
            attempt is dead only by its heartbeat.
        reads_again: when its processes are dead, a run file is read once more.
        always_waits: a takeover waits for the owner before, though it saw no heartbeat.
        hands_on_doubt: an attempt that died in doubt, before its command ran, counts as not begun.
    """

    has_gate: bool = False
    in_session: bool = False
    looks_before_start: bool = False
    doubts_torn: bool = False
    doubts_mounts: bool = False
    reads_again: bool = False
    always_waits: bool = False
    hands_on_doubt: bool = False


OLD = Rules()
NEW = Rules(*[True] * len(Rules._fields))


class Setting(NamedTuple):
    """What happens in one exploration.

    Attributes:
        hosts: the host of each worker.
        mounts: the mount through which each worker sees the folder; those of one host may differ.
        forked: trials start as forks of a process that has imported for them.
        creates: a run file is created and then written, as it was without hard links. Else it is
            complete before it is visible: see `model_publishing.py`.
        caches: what is written through one mount is seen later through another.
        harms: how often something is killed or cut off.
        kills: what is: a `worker`, a `spawner`, a `supervisor`, a `command`; the `network` of host
            0 is not killed, but lost for a while.
        most: the highest attempt that is followed.
    """

    hosts: tuple[int, ...] = (0,)
    mounts: tuple[int, ...] = (0, 1)
    forked: bool = True
    creates: bool = False
    caches: bool = False
    harms: int = 1
    kills: tuple[str, ...] = ("worker", "spawner", "supervisor", "command")
    most: int = 3


def begin(setting: Setting) -> World:
    """Return the world in which nothing has happened: a trial without an attempt."""
    files = (File(),) * setting.most
    return World(files, (), (Worker(),) * len(setting.hosts), setting.harms)


# -- Changes ---------------------------------------------------------------------------------------


def write(world: World, number: int, content: Content, mount: int) -> World:
    """Change a run file at once; readers with a cache may see what was there before, or half."""
    old = world.files[number - 1]
    older = old.older | {old.now}
    if content != "absent" and old.now != "absent":
        older |= {"torn"}  # the old size with the new bytes
    return put(world, number, File(content, older, mount))


def put(world: World, number: int, file: File) -> World:
    """Replace what is known of a run file."""
    files = list(world.files)
    files[number - 1] = file
    return world._replace(files=tuple(files))


def change(world: World, run: Run, **changes: object) -> World:
    """Change an attempt, known by its id. It is forgotten once nothing of it is left and nobody
    waits for it.
    """
    rest = [other for other in world.runs if other.id != run.id]
    now = [other for other in world.runs if other.id == run.id]
    new = [other._replace(**changes) for other in now]  # type: ignore[arg-type]
    left = [other for other in new if other.watched or other.has_command or not other.is_dead]
    return world._replace(runs=tuple(sorted([*rest, *left])))


def change_worker(world: World, index: int, worker: Worker) -> World:
    """Replace a worker."""
    workers = list(world.workers)
    workers[index] = worker
    return world._replace(workers=tuple(workers))


def run_of(world: World, owner: int) -> Run | None:
    """Return the attempt that a run file names as its owner, if anything of it is left."""
    return next((run for run in world.runs if run.id == owner), None)


def kill_command(world: World, run: Run) -> World:
    """End a command: what was killed runs nothing any more."""
    return change(world, run, command="killed")


def let_run(world: World, run: Run, **changes: object) -> World:
    """Let a command run the user's code, and note what this breaks."""
    problem = ""
    if any(other.command == "runs" for other in world.runs):
        problem = OVERLAP
    elif world.ended:
        problem = RUN_AGAIN
    return change(world, run, command="runs", **changes)._replace(wrong=problem)


# -- Properties ------------------------------------------------------------------------------------

OVERLAP = "two attempts' commands run at once"
RUN_AGAIN = "a trial whose end was recorded runs again"
LOST = "a recorded end is lost"
NOT_FOUND = "an orphan runs that nobody can find"
UNTOLD = "a command runs in an attempt that counts as interrupted"


def is_found(rules: Rules, world: World, run: Run) -> bool:
    """Whether a process of this host can find an attempt's command: `liveness.leftover_processes`,
    `liveness.command_process`.
    """
    now = world.files[run.number - 1].now
    is_named = isinstance(now, Record) and now.owner == run.id
    is_named = is_named and (rules.in_session or (isinstance(now, Record) and now.names_command))
    return is_named or run.marked


def wrong(rules: Rules, world: World) -> list[str]:
    """Return the properties that a state violates."""
    problems = [world.wrong] if world.wrong else []
    if world.ended and not any(_has_ended(file.now) for file in world.files):
        problems.append(LOST)
    for run in world.runs:
        if run.step == DEAD and not run.spawner and run.command == "runs":
            now = world.files[run.number - 1].now
            if not is_found(rules, world, run):
                problems.append(NOT_FOUND)
            elif isinstance(now, Record) and not is_alive(rules, world, now):
                problems.append(UNTOLD)
    return problems


def is_alive(rules: Rules, world: World, record: Record) -> bool:
    """Whether a process that a run file names lives on this host: `liveness.is_alive`."""
    run = run_of(world, record.owner)
    is_named = rules.in_session or record.names_command
    return run is not None and (not run.is_dead or (run.has_command and is_named))


def _has_ended(content: Content) -> bool:
    return isinstance(content, Record) and content.end in FINAL


def is_over(world: World) -> bool:
    """Whether the trial's end is recorded and nothing of it is left; or the last attempt that is
    followed has begun.
    """
    return (world.ended and not world.runs) or world.files[-1].now != "absent"
