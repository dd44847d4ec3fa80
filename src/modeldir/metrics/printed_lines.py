"""Find metrics in printed lines, by the patterns of `--metrics`: `epoch {step}: loss {loss}`.

`collector` calls `parse_line` for each line of `console.log`. The rule: a number that is not
exactly where the pattern has its `{name}`, or that is only a part of a number, must not be found.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from modeldir._system.escape_sequences import without_escapes
from modeldir.errors import MetricsError
from modeldir.metrics.metric_files import NUMBER

STEPS = frozenset({"step", "epoch"})
"""The names in a pattern that stand for the step, not for a metric."""

_PLACEHOLDER = r"\{([^\W\d][\w/.@-]*)\}"
_VALUE = rf"(?:[-+]?[0-9]{{1,3}}(?:,[0-9]{{3}})+(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?|{NUMBER})"
_KIND = r"(?:tensor|Tensor|array|Array|(?:\w+\.)?float\d*)"
_WRAPPED = rf"{_KIND}\(\[?\s*{_VALUE}\s*\]?(?:,\s*\w+=[^()]*)?\)"
"""A number as PyTorch, NumPy and JAX print it: `tensor(0.25, device='cuda:0')`."""
_WHOLE = r"(?![0-9_]|\.[0-9])"
"""After a number: not in the middle of a longer one."""
_BEST = re.compile(r"\bbest\b[\s:=,(-]*$", re.IGNORECASE)


@dataclass(frozen=True)
class LinePattern:
    """A text with `{name}` in the places of numbers, ready for searching lines.

    `key` is a word that each matching line has, as bytes: most lines need no other look.
    """

    text: str
    names: tuple[str, ...]
    expression: re.Pattern[str]
    key: bytes

    @property
    def has_step(self) -> bool:
        """Whether the lines say which step they belong to."""
        return not STEPS.isdisjoint(self.names)


def compile_pattern(pattern: str) -> LinePattern:
    """Compile a pattern of `--metrics`. Only `{name}` is special; all else is matched as text."""
    pieces = re.split(_PLACEHOLDER, pattern.strip())
    literals, names = pieces[0::2], tuple(pieces[1::2])
    if not names:
        raise _error(pattern, "has no {name} that says where the number is")
    if len(set(names)) < len(names):
        raise _error(pattern, "has the same {name} twice")
    if "" in literals[1:-1]:
        raise _error(pattern, "has two {names} with nothing between them")
    expression = _literal(literals[0])
    for text in literals[1:]:
        whole = _WHOLE if text.startswith(",") else rf"{_WHOLE}(?!,[0-9])"
        # Numbers are often padded, as in "loss:   0.25". Two ways to match spaces would be slow.
        padding = "" if expression.endswith(r"\s+") else r"\s*"
        expression += rf"{padding}({_WRAPPED}|{_VALUE}){whole}{_literal(text)}"
    if re.match(r"\w", literals[0]):
        expression = rf"(?<!\w){expression}"  # 'loss: {loss}' must not match "val_loss: 0.5"
    words = sorted((word for text in literals for word in text.split()), key=len)
    key = words[-1].encode(errors="replace") if words else b""
    return LinePattern(pattern, names, re.compile(expression), key)


def compile_patterns(patterns: Sequence[str]) -> tuple[LinePattern, ...]:
    """Compile several patterns, of which one at least must have the name of a metric."""
    found = tuple(map(compile_pattern, patterns))
    if found and all(STEPS.issuperset(each.names) for each in found):
        raise _error(found[0].text, "has only a step, and no {name} of a metric")
    return found


def have_step(patterns: Sequence[str]) -> bool:
    """Whether one of the patterns finds the step that a line belongs to."""
    return any(compile_pattern(each).has_step for each in patterns)


def parse_line(patterns: Sequence[LinePattern], line: str) -> dict[str, float]:
    """Return the numbers of the first pattern that matches a line; empty if none does.

    Of a progress bar the last state counts. A "best" directly before the match means that the line
    repeats an earlier value, so it does not count.
    """
    for state in reversed(without_escapes(line).split("\r")):
        for pattern in patterns:
            match = pattern.expression.search(state)
            if match is not None and not _BEST.search(state, 0, match.start()):
                return dict(zip(pattern.names, map(_number, match.groups()), strict=True))
    return {}


def _number(text: str) -> float:
    found = re.search(_VALUE, text.partition("(")[2] or text)
    assert found is not None
    return float(found[0].replace(",", ""))


def _literal(text: str) -> str:
    return r"\s+".join(re.escape(word) for word in re.split(r"\s+", text))


def _error(pattern: str, reason: str) -> MetricsError:
    hint = "write it as the line is printed: --metrics 'epoch {step}: val acc {accuracy}'"
    return MetricsError(f"--metrics {pattern!r}:", [(reason, hint)], state="")
