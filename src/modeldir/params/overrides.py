"""Hyperparameters on a script's own command line: `python train.py optimizer.lr=3e-4`.

The words are `name=value`, `++name=value` (add) and `~name` (delete); all others are left to
argparse. Start at `cli`; `changed` applies words to plain values, for `modeldir new`. The rule:
nothing is changed unless every word can be applied.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from typing import Any

from modeldir.errors import ParamsError, Problem, did_you_mean
from modeldir.params.nested import Plain, dotted, has, is_section, locate, preview
from modeldir.params.params import refuse_if_locked, replace_values, shown
from modeldir.params.plain_values import peek
from modeldir.params.strict_json import parse_value
from modeldir.params.update_checks import Fit, misfit

_NAME = re.compile(r"\+{0,2}[^\W\d][\w.\-]*=|~[^\W\d][\w.\-]*(=|$)")
"""The beginning of a word that may be a change: no option, no path, no URL."""


def cli(params: Any, argv: Sequence[str] | None = None) -> list[str]:
    """Apply the `name=value` words of the command line; return the other words, for argparse.

    A value is read by what it replaces: `model_version=2` is the string "2" if the file has a
    string, `learning_rate=1e-3` a number if the file has a number. `++name=value` adds a new
    hyperparameter, `~name` deletes one. A mistake ends the script as argparse would: with a message
    and exit code 2, and nothing is changed.

    Args:
        params: the hyperparameters to change.
        argv: the words, by default those that the script was started with.

    >>> from modeldir import Params
    >>> params = Params({"optimizer": {"lr": 0.1}})
    >>> cli(params, ["--model_dir", "D", "optimizer.lr=3e-4"]), params.optimizer.lr
    (['--model_dir', 'D'], 0.0003)
    """
    try:
        refuse_if_locked(params)
        data, others = changed(peek(params), sys.argv[1:] if argv is None else argv, shown(params))
    except ParamsError as error:
        sys.stderr.write(f"error: {error}\n")
        raise SystemExit(2) from None
    replace_values(params, data)
    return others


def changed(data: Plain, argv: Sequence[str], where: str) -> tuple[Plain, list[str]]:
    """Return a copy of the values, changed by the words, and the words that change nothing."""
    line = _Line(data, where or "these hyperparameters")
    others = line.take(argv)
    if line.fit.problems:
        head = f"{line.where} cannot be overridden:"
        raise ParamsError(head, line.fit.problems, "Nothing was changed.")
    return line.fit.data, others


class _Line:
    def __init__(self, data: Plain, where: str) -> None:
        self.where = where
        self.fit = Fit(data, "", ())
        self._given: set[str] = set()

    def take(self, argv: Sequence[str]) -> list[str]:
        words = list(argv)
        end = words.index("--") if "--" in words else len(words)
        others = []
        for place_, word in enumerate(words[:end]):
            behind_option = place_ > 0 and _is_option(words[place_ - 1])
            if self._is_change(word, behind_option=behind_option):
                self._apply(word)
            else:
                others.append(word)
        return others + words[end:]

    def _is_change(self, word: str, *, behind_option: bool) -> bool:
        """Return whether a word is a change; after an option, only a known name makes it one."""
        name = word.partition("=")[0]
        if "=" in word and has(self.fit.data, name):
            return True
        return _NAME.match(word) is not None and not behind_option

    def _apply(self, word: str) -> None:
        name, equals, text = word.partition("=")
        bare = name if has(self.fit.data, name) else name.lstrip("+~")
        if bare in self._given:
            self._refuse(f"{bare}: given twice", "keep one of them")
            return
        self._given.add(bare)
        if bare == name or name.startswith("++"):
            self._set(bare, text, add=bare != name)
        elif name.startswith("+"):
            self._refuse(f"{word}: write two + to add a hyperparameter", f"++{bare}={text}")
        elif equals:
            self._refuse(
                f"{word}: write no value to delete a hyperparameter", f"~{bare}   or: {bare}={text}"
            )
        else:
            self._delete(bare)

    def _set(self, name: str, text: str, *, add: bool) -> None:
        if not has(self.fit.data, name):
            if add and (broken := _broken_json(f"++{name}", text)):
                self._refuse(*broken)
            elif add:
                self.fit.take({name: parse_value(text)})
            else:
                self._unknown(name, f"to add it: ++{name}={text}")
            return
        holder, key = locate(self.fit.data, name)
        old = holder[key]
        problem = _unreadable(name, text, old)
        if problem:
            self._refuse(*problem)
        else:
            self.fit.take({name: read(text, old)})

    def _delete(self, name: str) -> None:
        if has(self.fit.data, name):
            holder, key = locate(self.fit.data, name)
            del holder[key]
        else:
            self._unknown(name, None)

    def _unknown(self, name: str, else_: str | None) -> None:
        known = list(dotted(self.fit.data))
        inside = next((each for each in known if each.endswith(f".{name}")), None)
        hint = f"did you mean {inside!r}?" if inside else did_you_mean(name, known)
        head, _, rest = name.rpartition(".")
        if head and has(self.fit.data, head):
            holder, key = locate(self.fit.data, head)
            if not is_section(holder[key]):
                self._refuse(f"{name}: {head} is {preview(holder[key])}, it has no {rest}", hint)
                return
        self._refuse(f"{name}: not in {self.where}", "  ".join(filter(None, (hint, else_))))

    def _refuse(self, problem: str, hint: str | None) -> None:
        self.fit.problems.append(Problem(problem, hint))


def _is_option(word: str) -> bool:
    return len(word) > 1 and word[0] == "-" and "=" not in word


def read(text: str, old: Any) -> Any:
    """Return a word's value, by what it replaces: a string needs no quotes and is no number."""
    if isinstance(old, str) and text != "null":
        return parse_value(text) if re.fullmatch(r'".*"', text, re.DOTALL) else text
    return parse_value(text)


def _unreadable(name: str, text: str, old: Any) -> Problem | None:
    if text == "None":
        hint = f"write {name}=null"
        if old is None or isinstance(old, str):
            hint += f", or '{name}=\"None\"' for the string"
        return Problem(f"{name}=None: did you mean null?", hint)
    if text == "" and not isinstance(old, str):
        return Problem(f"{name}=: the value is missing", f"write {name}={preview(old)}, or null")
    value = read(text, old)
    if isinstance(value, str) and not isinstance(old, str):
        return _not_a_string(name, text, old) or _broken_json(name, text)
    return None


_NUMBER = r"[+-]?(NaN|nan|Infinity|inf|[\d_]*\.?[\d_]+([eE][+-]?\d+)?)"


def _broken_json(name: str, text: str) -> Problem | None:
    """Return what is wrong with a word that looks like broken JSON: an open list, a bad number."""
    if not isinstance(parse_value(text), str) or text[:1] == '"':
        return None
    if text[:1] not in {"[", "{"} and not re.fullmatch(_NUMBER, text):
        return None
    problem = f"{name}={text}: expected JSON, or a string"
    if text[:1] == "[":
        return Problem(problem, f"write '{name}={preview(_words(text))}'")
    return Problem(problem, f"for the string: '{name}={preview(text)}'")


def _words(text: str) -> list[Any]:
    """Return the values between the brackets of a list as Python or a shell writes it."""
    words = (word.strip() for word in text.strip("[]() ").split(","))
    return [parse_value(word.strip("'") or word) for word in words if word]


def _not_a_string(name: str, text: str, old: Any) -> Problem | None:
    problem = misfit(old, text, name)
    if problem is None:
        return None
    words = _words(text)
    if isinstance(old, list | tuple):
        return Problem(problem[0], f"write '{name}={preview(words)}'")
    if len(words) > 1 and all(misfit(old, word, name) is None for word in words):
        return Problem(problem[0], f"to try all of them: modeldir search DIR {name}={text}")
    return problem
