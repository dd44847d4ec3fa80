"""Choose rows of a table by a condition: `learning_rate > 0.001 and model_version == "baseline"`.

`synthesize --where` calls it. The rule: a condition never runs Python; `space.expressions`
evaluates it. This module resolves the names of columns and decides about rows without a value.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from modeldir.errors import ModeldirError
from modeldir.space.constraints import Constraint
from modeldir.space.problems import ConstraintError

_PIECE = re.compile(
    r"""(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')"""
    r"|`(?P<quoted>[^`]+)`"
    r"|(?P<at>[^\W\d][\w.]*@\w+(?:=[\w.+-]+)?)"
)
"""Finds what is not plain Python: a name in backticks, a metric at a step. Skips strings."""
_SHOWN = 200
_EXAMPLE = 'learning_rate > 0.001 and model_version == "baseline"'


@dataclass(frozen=True)
class Filter:
    """A condition as the user typed it, over the names of columns."""

    text: str
    constraint: Constraint

    @property
    def names(self) -> tuple[str, ...]:
        return self.constraint.names


def parse(text: str) -> Filter:
    constraint = Constraint(_PIECE.sub(_as_python, text), lenient=True)
    found = Filter(text, constraint)
    try:
        found.names  # noqa: B018 - it is parsed here
    except ConstraintError as error:
        raise _refused(text, error) from None
    return found


def _as_python(found: re.Match[str]) -> str:
    """Replace `val/loss` in backticks, and `loss@last`, by the evaluator's form: params["..."]."""
    name = found["quoted"] or found["at"]
    return found[0] if name is None else f"params[{json.dumps(name, ensure_ascii=False)}]"


def matching(found: Filter, rows: Sequence[Mapping[str, object]]) -> list[bool]:
    """Return for each row whether the condition holds; not for values of another type."""
    answers: list[bool] = []
    problem: ConstraintError | None = None
    count = 0
    for row in rows:
        try:
            answers.append(found.constraint.holds(row))
            count += 1
        except ConstraintError as error:
            answers.append(False)
            problem = problem or error
    if problem is not None and count == 0:
        raise _refused(found.text, problem)
    return answers


def _refused(text: str, error: ConstraintError) -> ModeldirError:
    problem = _as_typed(error.problem)
    hint = _as_typed(error.hint or "") or f"as in --where '{_EXAMPLE}'"
    shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
    return ModeldirError(f"--where {shown!r}:", [(problem, hint)], "")


def _as_typed(words: str) -> str:
    """Rewrite the evaluator's message: it is about columns here, not about hyperparameters."""
    words = re.sub(r"""params\[(["'])(.*?)\1\]""", r"`\2`", words)
    words = words.replace("a constraint", "a condition").replace("hyperparameter", "column")
    return words.replace("batch_size * accumulate <= 512", _EXAMPLE).replace(
        "write several constraints", "write a shorter one"
    )
