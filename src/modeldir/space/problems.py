"""Problems of a search space, and a value as the messages show it.

`parsing` collects them into one `SpaceError`. A problem is a line and a hint, never a finished
message.
"""

from __future__ import annotations

import json
from typing import TypeAlias

Problem: TypeAlias = "tuple[str, str | None]"


class DomainError(Exception):
    def __init__(self, *problems: Problem) -> None:
        super().__init__(*problems)
        self.problems = problems


class ConstraintError(Exception):
    def __init__(self, problem: str, hint: str | None = None) -> None:
        super().__init__(problem)
        self.problem, self.hint = problem, hint


def shown(value: object, longest: int = 60) -> str:
    """Return a value as the user would write it, cut to `longest` characters."""
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        text = repr(value)
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")  # so that it can be printed
    return text if len(text) <= longest else f"{text[: longest - 3]}..."
