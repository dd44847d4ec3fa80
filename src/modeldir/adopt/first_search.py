"""Choose what to search first in an unknown script: a hyperparameter, and its values.

`commands/adopt.py` prints it as the next line to type. The names are those that people give.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_LEARNING_RATES = (
    "learning_rate", "lr", "base_lr", "init_lr", "initial_lr", "lr0", "max_lr", "lr_init", "eta",
    "step_size", "blr",
)  # fmt: skip
_BY_TENS = ("weight_decay", "wd", "l2", "alpha", "reg", "temperature")
_BY_TWOS = (
    "batch_size", "hidden_size", "hidden_dim", "hidden", "width", "dim", "n_embd", "d_model",
    "num_layers", "n_layers", "n_layer", "layers", "depth", "num_epochs", "epochs", "max_epochs",
    "max_iters", "steps",
)  # fmt: skip
_TENS = (10, 1, 0.1)
_NOT_FIRST = ("seed", "port", "worker", "gpu", "device", "rank", "interval", "freq", "every")


def first_search(hyperparameters: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return a name and values to type, by dotted name; None if there is no number to search.

    >>> first_search({"epochs": 5, "optim.lr": 0.001})
    ('optim.lr', '0.01,0.001,0.0001')
    >>> first_search({"seed": 1, "dropout": 0.0, "name": "a"})
    ('dropout', '0.0,0.2,0.5')
    """
    return next(_domains(hyperparameters), None)


def _domains(hyperparameters: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    numbers = {
        name: value
        for name, value in hyperparameters.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool)
    }
    set_ones = {name: value for name, value in numbers.items() if value}
    for name in _named(set_ones, _LEARNING_RATES):
        yield name, _by(set_ones[name], _TENS)
    for name in _named(hyperparameters, _LEARNING_RATES):
        if hyperparameters[name] is None:
            yield name, "0.1,0.01,0.001"
    for name in _named(set_ones, _BY_TENS):
        yield name, _by(set_ones[name], _TENS)
    yield from ((name, "0.0,0.2,0.5") for name in numbers if "dropout" in _last(name))
    others = (name for name in set_ones if not any(word in _last(name) for word in _NOT_FIRST))
    for name in (*_named(set_ones, _BY_TWOS), *others):
        yield name, _by(set_ones[name], (1, 2))
    yield from ((name, "0,1,2") for name in _named(numbers, ("seed",)))


def _named(values: Mapping[str, Any], names: tuple[str, ...]) -> list[str]:
    """Return the names whose last part is in a list, in the order of the list."""
    return [name for last in names for name in values if _last(name) == last]


def _last(name: str) -> str:
    return name.rpartition(".")[2].lower()


def _by(value: float, factors: tuple[float, ...]) -> str:
    if isinstance(value, int) and all(factor >= 1 for factor in factors):
        return ",".join(str(int(value * factor)) for factor in factors)
    return ",".join(f"{value * factor:.6g}" for factor in factors)
