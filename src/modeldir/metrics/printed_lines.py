"""Find metrics in printed lines, by the pattern of `--metrics`: `val acc: {accuracy}`.

The worker calls `parse_line` for each line of `console.log` if a script writes no metric files. A
number that is not exactly where the pattern has its `{name}` must not be found.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from modeldir.errors import MetricsError
from modeldir.metrics.metric_files import NUMBER

_PLACEHOLDER = r"\{([^\W\d][\w/.@-]*)\}"
_ESCAPE_SEQUENCE = r"\x1b\[[0-9;?]*[A-Za-z]"  # colors and cursor movements


@dataclass(frozen=True)
class LinePattern:
    """A text with `{name}` in the places of numbers, ready for searching lines."""

    text: str
    names: tuple[str, ...]
    expression: re.Pattern[str]


def compile_pattern(pattern: str) -> LinePattern:
    """Compile the pattern of `--metrics`. Only `{name}` is special; all else is matched as text."""
    pieces = re.split(_PLACEHOLDER, pattern.strip())
    literals, names = pieces[0::2], tuple(pieces[1::2])
    if not names:
        raise _error(pattern, "has no {name} that says where the number is")
    if len(set(names)) < len(names):
        raise _error(pattern, "has the same {name} twice")
    if "" in literals[1:-1]:
        raise _error(pattern, "has two {names} with nothing between them")
    number = rf"\s*({NUMBER})"  # numbers are often padded, as in "loss:   0.25"
    expression = number.join(_literal(text) for text in literals)
    if re.match(r"\w", literals[0]):
        expression = rf"(?<!\w){expression}"  # 'loss: {loss}' must not match "val_loss: 0.5"
    return LinePattern(pattern, names, re.compile(expression))


def parse_line(pattern: LinePattern | str, line: str) -> dict[str, float]:
    """Return the numbers in the pattern's places of a line, in the last state of a progress bar."""
    if isinstance(pattern, str):
        pattern = compile_pattern(pattern)
    shown = re.sub(_ESCAPE_SEQUENCE, "", line) if "\x1b" in line else line
    for state in reversed(shown.split("\r")):
        if match := pattern.expression.search(state):
            return dict(zip(pattern.names, map(float, match.groups()), strict=True))
    return {}


def _literal(text: str) -> str:
    return r"\s+".join(re.escape(word) for word in re.split(r"\s+", text))


def _error(pattern: str, reason: str) -> MetricsError:
    hint = "write it as the line is printed: --metrics 'val acc: {accuracy}'"
    return MetricsError(f"--metrics {pattern!r}:", [(reason, hint)], state="")
