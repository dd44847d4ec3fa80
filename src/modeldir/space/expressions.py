"""Evaluate constraints such as `"batch_size * accumulate <= 512"`, without `eval`.

`constraints` imports this module if there is a constraint. The rule: everything that is not on a
list of allowed syntax is an error: other calls, attributes, indices, and numbers with thousands of
digits.
"""

from __future__ import annotations

import ast
import keyword
import math
import operator
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from modeldir.space.problems import ConstraintError, Problem, shown

LONGEST = 1000
"""Characters of a constraint. Nobody writes more by hand."""
_DEEPEST = 50
_BITS = 1024
"""No integer may have more bits than the largest float, so that nothing takes long."""


class _NoNumberError(Exception):
    """The result is no number, as of a division by zero: nothing to compare."""


class Expression:
    """An expression that was read. ConstraintError if it cannot be read."""

    def __init__(self, text: str) -> None:
        self._tree = _parsed(text)

    def names(self) -> tuple[str, ...]:
        found: dict[str, None] = {}
        try:
            _look_through(self._tree, found, 0)
        except RecursionError:  # a name with hundreds of dots
            raise _too_deep() from None
        if not isinstance(self._tree, (ast.Compare, ast.BoolOp)) and not _is_answer(self._tree):
            raise ConstraintError(
                "is not a comparison",
                "a constraint is true or false: batch_size * accumulate <= 512",
            )
        return tuple(found)

    def holds(self, values: Mapping[str, Any], *, lenient: bool) -> bool:
        try:
            answer = _value(self._tree, _Blanks(values) if lenient else values)
        except _NoNumberError:
            return False
        if answer is None and lenient:
            return False
        if not isinstance(answer, bool):
            raise ConstraintError(f"is {_shown(answer)}, neither true nor false")
        return answer


class _Blanks(dict[str, Any]):
    """Values of which some may be missing. A comparison with a missing value is not true."""


# -- What is allowed -------------------------------------------------------------------------------

_WORDS = frozenset({"and", "or", "not", "in", "True", "False", "None", "is", "if", "else", "for"})
"""Python's words that a constraint may contain, so that they are no wrong names."""
_PLAIN = {"true": True, "false": False, "null": None}
"""JSON's words. Python's own are constants already."""


def _parsed(text: str) -> ast.expr:
    if len(text) > LONGEST:
        raise ConstraintError(f"has more than {LONGEST} characters", "write several constraints")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about syntax that is an error below anyway
            return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ConstraintError(*_misspelled(text, error)) from None


def _misspelled(text: str, error: Exception) -> Problem:
    for wrong, right in (("&&", "and"), ("||", "or")):
        if wrong in text:
            return f"{wrong} cannot be used in a constraint", f"write {right}"
    bare = text.replace("==", "").replace("<=", "").replace(">=", "").replace("!=", "")
    if "=" in bare:
        return "a single = is not a comparison", "write == for equal, <= or >= for a bound"
    if not text.strip():
        return "is empty", "write what must hold: batch_size * accumulate <= 512"
    taken = [word for word in re.findall(r"\w+", text) if keyword.iskeyword(word)]
    if strange := [word for word in taken if word not in _WORDS]:
        return (
            f"{strange[0]} is a reserved word of Python",
            f'if it is a hyperparameter, write params["{strange[0]}"]',
        )
    place = getattr(error, "offset", None)
    if isinstance(place, int) and 0 < place <= len(text.strip()):
        rest = text.strip()[place - 1 :]
        return f"cannot be read from {rest[:20]!r} on", None
    return "cannot be read: something is missing at its end, or is not closed", None


def _name_of(node: ast.expr) -> str | None:
    """Return the hyperparameter that a node names: `batch_size`, `model.width`, `params["a-b"]`."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        outer = _name_of(node.value)
        return None if outer is None else f"{outer}.{node.attr}"
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
        is_params = isinstance(node.value, ast.Name) and node.value.id == "params"
        return node.slice.value if is_params and isinstance(node.slice.value, str) else None
    return None


def _look_through(node: ast.AST, names: dict[str, None], depth: int) -> None:
    """Collect the names of an expression, and check that all of it is allowed."""
    if depth > _DEEPEST:
        raise _too_deep()
    if isinstance(node, ast.expr) and (name := _name_of(node)) is not None:
        if not (isinstance(node, ast.Name) and name in _PLAIN):
            names.setdefault(name)
        return
    for part in _parts_of(node):
        _look_through(part, names, depth + 1)


def _too_deep() -> ConstraintError:
    return ConstraintError(f"is more than {_DEEPEST} deep", "write several constraints")


def _parts_of(node: ast.AST) -> Sequence[ast.AST]:
    if isinstance(node, ast.Constant):
        if node.value is None or isinstance(node.value, (bool, int, float, str)):
            if isinstance(node.value, float) and not math.isfinite(node.value):
                raise _too_large()
            _bounded(node.value)
            return ()
    elif isinstance(node, (ast.List, ast.Tuple)):
        return node.elts
    elif isinstance(node, ast.BoolOp):
        return node.values
    elif isinstance(node, ast.UnaryOp) and type(node.op) in _SIGNS:
        return (node.operand,)
    elif isinstance(node, ast.BinOp) and type(node.op) in _OPERATIONS:
        return (node.left, node.right)
    elif isinstance(node, ast.Compare) and all(type(each) in _COMPARISONS for each in node.ops):
        return (node.left, *node.comparators)
    elif isinstance(node, ast.Call) and _is_known_call(node):
        return node.args
    raise ConstraintError(*_refused(node))


def _is_known_call(node: ast.Call) -> bool:
    known = isinstance(node.func, ast.Name) and node.func.id in _FUNCTIONS
    return known and bool(node.args) and not node.keywords


def _refused(node: ast.AST) -> Problem:
    what = ast.unparse(node)
    what = what if len(what) <= 40 else f"{what[:37]}..."  # noqa: PLR2004 - part of a line
    if isinstance(node, ast.Call):
        known = ", ".join(_FUNCTIONS)
        return f"{what} cannot be called here", f"available: {known}"
    if isinstance(node, (ast.Subscript, ast.Attribute)):
        return f"{what} is not a hyperparameter", "name it as in params.json: model.width"
    allowed = "allowed: + - * / // % **, comparisons, and, or, not, in, min, max, abs"
    return f"{what} is not allowed", allowed


# -- Computing -------------------------------------------------------------------------------------


def _is_answer(node: ast.expr) -> bool:
    """Return whether an expression without a comparison may still be true or false."""
    if isinstance(node, ast.UnaryOp):
        return isinstance(node.op, ast.Not)
    return _name_of(node) is not None


def _value(node: ast.expr, values: Mapping[str, Any]) -> Any:
    if isinstance(node, ast.Constant):
        return node.value
    if (name := _name_of(node)) is not None:
        if name not in values and name not in _PLAIN:
            raise ConstraintError(f"{name[:60]} is not known")
        return values[name] if name in values else _PLAIN[name]
    if isinstance(node, ast.Compare):
        return _compared(node, values)
    if isinstance(node, ast.BoolOp):
        return _decided(node, values)
    if isinstance(node, ast.BinOp):
        left, right = _number(node.left, values), _number(node.right, values)
        return _computed(_OPERATIONS[type(node.op)], left, right)
    if isinstance(node, ast.UnaryOp):
        if isinstance(node.op, ast.Not):
            return not _truth(node.operand, values)
        return _SIGNS[type(node.op)](_number(node.operand, values))
    if isinstance(node, (ast.List, ast.Tuple)):
        return [_value(each, values) for each in node.elts]
    assert isinstance(node, ast.Call)
    assert isinstance(node.func, ast.Name)
    return _called(node.func.id, [_value(each, values) for each in node.args])


def _compared(node: ast.Compare, values: Mapping[str, Any]) -> bool:
    try:
        return _comparison(node, values)
    except _NoNumberError:
        if isinstance(values, _Blanks):
            return False
        raise


def _comparison(node: ast.Compare, values: Mapping[str, Any]) -> bool:
    left = _value(node.left, values)
    for comparison, expression in zip(node.ops, node.comparators, strict=True):
        right = _value(expression, values)
        is_in = isinstance(comparison, (ast.In, ast.NotIn))
        if is_in and not isinstance(right, (list, tuple)):
            raise ConstraintError(
                f"looks for {_shown(left)} in {_shown(right)}", "in needs a list: x in [1, 2]"
            )
        try:
            if not _COMPARISONS[type(comparison)](left, right):
                return False
        except TypeError:
            if isinstance(values, _Blanks) and (left is None or right is None):
                return False
            problem = f"compares {_shown(left)} with {_shown(right)}"
            raise ConstraintError(problem, "compare numbers, or strings with == and in") from None
        left = right
    return True


def _decided(node: ast.BoolOp, values: Mapping[str, Any]) -> bool:
    if isinstance(node.op, ast.And):
        return all(_truth(each, values) for each in node.values)
    return any(_truth(each, values) for each in node.values)


def _truth(node: ast.expr, values: Mapping[str, Any]) -> bool:
    value = _value(node, values)
    if value is None and isinstance(values, _Blanks):
        return False
    if not isinstance(value, bool):
        hint = f"compare it: {ast.unparse(node)} > 0"
        raise ConstraintError(f"takes {_shown(value)} for true or false", hint)
    return value


def _number(node: ast.expr, values: Mapping[str, Any]) -> int | float:
    value = _value(node, values)
    if value is None and isinstance(values, _Blanks):
        raise _NoNumberError
    return _checked(value)


def _checked(value: Any) -> int | float:
    if not isinstance(value, (int, float)):
        raise ConstraintError(f"computes with {_shown(value)}", "it needs numbers there")
    return value


def _computed(operation: Callable[[Any, Any], Any], left: float, right: float) -> Any:
    try:
        value = operation(left, right)
    except (ZeroDivisionError, OverflowError):
        raise _NoNumberError from None
    return _bounded(value)


def _bounded(value: Any) -> Any:
    """Return a number, unless it is infinite, complex, or has thousands of digits."""
    if isinstance(value, int) and value.bit_length() > _BITS:
        raise _too_large()
    if isinstance(value, complex) or (isinstance(value, float) and not math.isfinite(value)):
        raise _NoNumberError
    return value


def _power(base: float, exponent: float) -> Any:
    whole = isinstance(base, int) and isinstance(exponent, int)
    if whole and exponent > 0 and int(base).bit_length() * exponent > _BITS:
        raise _too_large()
    return base**exponent


def _too_large() -> ConstraintError:
    return ConstraintError("has a number of more than 300 digits", "compare logarithms or roots")


def _called(name: str, arguments: list[Any]) -> Any:
    if name == "abs":
        if len(arguments) != 1:
            raise ConstraintError(f"gives abs {len(arguments)} values", "it takes one")
        return abs(_checked(arguments[0]))
    if len(arguments) == 1 and isinstance(arguments[0], (list, tuple)):
        arguments = list(arguments[0])
    if not arguments:
        raise _NoNumberError
    return _FUNCTIONS[name](map(_checked, arguments))


def _shown(value: object) -> str:
    return shown(value, 40)


_OPERATIONS: Mapping[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: _power,
}
_SIGNS: Mapping[type, Callable[[Any], Any]] = {
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Not: operator.not_,
}
_COMPARISONS: Mapping[type, Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.In: lambda value, values: value in values,
    ast.NotIn: lambda value, values: value not in values,
}
_FUNCTIONS: Mapping[str, Callable[[Any], Any]] = {"min": min, "max": max, "abs": abs}
