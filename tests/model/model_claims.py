"""The model of claims: workers give the configurations of a grid their numbers and folders.

`model_of` is explored by the tests and by `check_model.py`. The steps follow `Scheduler._new`,
`Trials.refresh`, `Trials.claim` and `TrialFolders.make`, in the windows between a claim and its
folder. How a trial then runs: `model_world.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from model_explorer import Model, Step

GRID = ("a", "b")
TORN = "torn"
"""A claim of which a reader sees half, or nothing yet."""
TWICE = "a configuration has two numbers"


class Rules(NamedTuple):
    """A protocol of claims.

    Attributes:
        waits: a worker reads an incomplete claim again, for longer than a cache keeps it.
        creates: a claim is created and then written, as it was without hard links.
    """

    waits: bool
    creates: bool


OLD = Rules(waits=False, creates=False)
OLD_WITHOUT_LINKS = Rules(waits=False, creates=True)
NEW = Rules(waits=True, creates=False)


class Worker(NamedTuple):
    """A worker: what it does next, and with which number and configuration."""

    step: str = "looks"
    number: int = 0
    point: str = ""


class World(NamedTuple):
    """The claims by number (the configuration, or `TORN`), the numbers of the folders that are
    made, and by number the worker whose claim the others may still see torn or not at all.
    """

    claims: tuple[str, ...]
    made: frozenset[int]
    late: frozenset[tuple[int, int]]
    workers: tuple[Worker, ...]
    harms: int


def model_of(rules: Rules, *, caches: bool, workers: int = 2, harms: int = 1) -> Model[World]:
    """Return the model of a protocol; with `caches`, claims are seen later by other workers."""
    first = World((), frozenset(), frozenset(), (Worker(),) * workers, harms)
    return Model(first, lambda world: _steps(rules, world, caches=caches), _wrong, _is_over)


def _wrong(world: World) -> list[str]:
    points = [point for point in world.claims if point != TORN]
    return [TWICE] if len(points) > len({*points}) else []


def _is_over(world: World) -> bool:
    """Whether each configuration has a number, and each number its folder."""
    return {*GRID} <= {*world.claims} and len(world.made) == len(world.claims)


def _steps(rules: Rules, world: World, *, caches: bool) -> Iterator[Step[World]]:
    for index, worker in enumerate(world.workers):
        if worker.step == "looks":
            yield from _looks(rules, world, index)
        elif worker.step == "claims":
            yield _claims(rules, world, index, caches=caches)
        elif worker.step == "fills":
            claims = _with(world.claims, worker.number, worker.point)
            after = _next(world._replace(claims=claims), index, worker._replace(step="makes"))
            yield Step(f"worker {index} writes claim {worker.number}", after)
        elif worker.step == "makes":
            after = _next(world._replace(made=world.made | {worker.number}), index, Worker())
            yield Step(f"worker {index} makes the folder of claim {worker.number}", after)
        else:
            yield Step(f"the command of worker {index} is run again", _next(world, index, Worker()))
        if world.harms and worker.step != "gone":
            killed = _next(world._replace(harms=world.harms - 1), index, Worker("gone"))
            yield Step(f"KILL worker {index}", killed, harm=True)
    if world.late:
        yield Step("time passes", world._replace(late=frozenset()))


def _looks(rules: Rules, world: World, index: int) -> Iterator[Step[World]]:
    """Read the claims (`Trials.refresh`), make a folder that is missing, or choose what is next."""
    for claims in _views(world, index):
        if TORN in claims and rules.waits:
            continue  # `Claims.read` reads it again, until it is complete
        seen = [number for number, point in enumerate(claims, 1) if point != TORN]
        missing = [number for number in seen if number not in world.made]
        left = [point for point in GRID if point not in claims]
        if missing:
            words = f"worker {index} finds claim {missing[0]} without a folder"
            yield Step(words, _next(world, index, Worker("makes", missing[0])))
        elif left:
            worker = Worker("claims", len(claims) + 1, left[0])
            words = f"worker {index} reads claims {list(claims)} and chooses {left[0]}"
            yield Step(words, _next(world, index, worker))


def _views(world: World, index: int) -> list[tuple[str, ...]]:
    """Return the lists of claims that a worker may see."""
    late = [number for number, writer in world.late if writer != index]
    views = [world.claims]
    for number in late:
        views.append(_with(world.claims, number, TORN))
        views.append(world.claims[: number - 1])
    return views


def _claims(rules: Rules, world: World, index: int, *, caches: bool) -> Step[World]:
    """Publish the claim (`Claims.publish`); if its number is taken, look again."""
    worker = world.workers[index]
    if worker.number <= len(world.claims):
        words = f"worker {index} finds number {worker.number} taken"
        return Step(words, _next(world, index, Worker()))
    late = world.late | ({(worker.number, index)} if caches else set())
    content, step = (TORN, "fills") if rules.creates else (worker.point, "makes")
    after = world._replace(claims=(*world.claims, content), late=late)
    words = f"worker {index} {'creates' if rules.creates else 'publishes'} claim {worker.number}"
    return Step(words, _next(after, index, worker._replace(step=step)))


def _next(world: World, index: int, worker: Worker) -> World:
    workers = list(world.workers)
    workers[index] = worker
    return world._replace(workers=tuple(workers))


def _with(claims: tuple[str, ...], number: int, point: str) -> tuple[str, ...]:
    return (*claims[: number - 1], point, *claims[number:])
