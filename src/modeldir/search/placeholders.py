"""The placeholders of a command: `{lr}`, `{flags}`, `{amp:--amp/--no-amp}`, `{model_dir}`, `{out}`.

`trial_command.fill` calls `filled` for each trial; `trial_command.check_command` calls `problems`
before the first. A value becomes one word or several, and never passes a shell, except inside
`sh -c '...'`, where it is quoted. Braces in printed lines (`--metrics`):
`metrics/printed_lines.py`.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from typing import Any

from modeldir import space
from modeldir.errors import did_you_mean
from modeldir.params import plain_values

FLAGS, MODEL_DIR, OUT, PROJECT = "flags", "model_dir", "out", "project"
_STYLES = ("-", "--no-", "--=", "=")
_NAME = r"\{([A-Za-z_][\w.-]*)(?::([-=][^{}\s]*))?\}"
_PLACE = re.compile(rf"(?<!\$)(?:{_NAME}|\{{({_NAME})\}})")
"""A placeholder: its name, and what follows a colon. `${NAME}` is the shell's, and the third group
is of `{{name}}`, which stands for `{name}` itself."""
_SHELLS = frozenset({"sh", "bash", "dash", "zsh", "ksh", "ash"})
_OUTSIDE = (
    "put the command into a script file and pass the value as an argument, or write the placeholder"
    " outside"
)
_SUBSTITUTED = re.compile(r"""\$\((?![^)]*\bcase\b)[^()'"\\`#<]*\)|`[^()'"\\`#<]*`""")
"""A short command in a shell's line whose end is certain: `$(date +%s)`."""
_READS_PARAMS = re.compile(r"--model[_-]dir|params\.(json|yaml|yml|toml)")
_PLAIN_IN_HYDRA = re.compile(r"[A-Za-z_./][\w./@%?-]*")


def _places(text: str) -> Iterator[re.Match[str]]:
    return (match for match in _PLACE.finditer(text) if match[3] is None)


def names(command: str) -> frozenset[str]:
    """Return the names of all placeholders but `{project}`, which is the same in each trial."""
    return frozenset(match[1] for match in _places(command)) - {PROJECT}


def are_in(command: str) -> bool:
    """Whether a command has a placeholder, so that its script needs no `--model_dir`."""
    return bool(names(command))


def escaped(text: str) -> str:
    """Return words in which nothing is a placeholder: `{lr}` becomes `{{lr}}`."""
    return _PLACE.sub(lambda match: match[0] if match[3] else f"{{{match[0]}}}", text)


def made_by(command: str) -> str:
    """Return the folder to make in a trial's before this command starts; "" where it uses none."""
    return OUT if OUT in names(command) else ""


def passed(command: str, known: Iterable[str]) -> frozenset[str]:
    """Return which of the known hyperparameters a command passes to its script as arguments."""
    placed = names(command)
    return frozenset(known if FLAGS in placed else (n for n in known if _is_placed(n, placed)))


def bare(command: str, known: Iterable[str]) -> frozenset[str]:
    """Return which of the known hyperparameters a command cannot leave out: `{lr}`."""
    placed = frozenset(match[1] for match in _places(command) if match[2] is None) - {FLAGS}
    return frozenset(name for name in known if _is_placed(name, placed))


def passes_null(command: str) -> bool:
    """Whether `{flags:=}` passes null to the script, which other forms of `{flags}` leave out."""
    return any(
        match[1] == FLAGS and "=" in (match[2] or "").split("/") for match in _places(command)
    )


def not_passed(command: str, varied: Iterable[str]) -> list[tuple[str, str | None]]:
    """Find searched hyperparameters that never reach the script, each with a hint.

    Its trials would all train the same. A script that gets `--model_dir` may read `params.json`.
    """
    placed, varied = names(command), list(varied)
    passes_values = bool(placed - {MODEL_DIR, OUT})
    reads_params = MODEL_DIR in placed and (not passes_values or _READS_PARAMS.search(command))
    if not placed or reads_params:
        return []
    found: list[tuple[str, str | None]] = []
    for name in (each for each in varied if each not in passed(command, varied)):
        hint = f"add --{name} {{{name}}}, or {{flags}} for all hyperparameters"
        if MODEL_DIR in placed:
            hint += "; if the script reads params.json: --model_dir {model_dir}"
        found.append((f"{name}: the command does not pass it to the script", hint))
    return found


def _is_placed(name: str, placed: frozenset[str]) -> bool:
    parts = name.split(".")
    return any(".".join(parts[:count]) in placed for count in range(1, len(parts) + 1))


def problems(
    words: Sequence[str], hyperparameters: Mapping[str, Any]
) -> list[tuple[str, str | None]]:
    """Find placeholders that cannot be filled in, each with a hint."""
    there = {*plain_values.flatten(hyperparameters), *hyperparameters}
    known = {*there, MODEL_DIR, OUT, FLAGS, PROJECT}
    found: list[tuple[str, str | None]] = []
    scripts = _shell_scripts(words)
    for place, word in enumerate(words):
        for match in _places(word):
            if place in scripts and _around(match) is None:
                problem = f"{match[0]}: cannot be quoted after $(, a backtick, << or # in a shell"
                found.append((problem, _OUTSIDE))
            elif match[1] not in known:
                hint = did_you_mean(match[1], sorted(known - {FLAGS, OUT, PROJECT}))
                found.append((f"{{{match[1]}}}: no such hyperparameter", hint))
            elif match[1] == FLAGS:
                found += _wrong_flags(word, match)
            elif match[1] in {MODEL_DIR, OUT, PROJECT} & there:
                problem = f"{match[0]}: stands for a folder, but is a hyperparameter's name too"
                found.append((problem, "pass the hyperparameter with {flags}, or rename it"))
            elif match[2] is not None and not match[2].startswith("-"):
                found.append((f"{match[0]}: {match[2]} is no flag", f"{{{match[1]}:--{match[1]}}}"))
    return found


def _wrong_flags(word: str, match: re.Match[str]) -> list[tuple[str, str | None]]:
    found: list[tuple[str, str | None]] = []
    wrong = [style for style in (match[2] or "-").split("/") if style not in _STYLES]
    if wrong:
        found.append((f"{match[0]}: {wrong[0]!r} is unknown", f"known: {' '.join(_STYLES)}"))
    before, after = word[: match.start()][-1:], word[match.end() :][:1]
    if before.strip() or after.strip():
        found.append((f"{word}: {match[0]} is several words", "put a space before and after it"))
    return found


def filled(
    words: Sequence[str],
    hyperparameters: Mapping[str, Any],
    model_dir: str,
    inactive: Container[str] = (),
    project: str = "",
) -> tuple[str, ...]:
    """Return the words of a command with the values of one trial in place of its placeholders.

    `{flags}` leaves out the `inactive` hyperparameters, and `{project}` is a folder.
    """
    flat = plain_values.flatten(hyperparameters)
    out = os.path.join(model_dir, OUT)
    folders = {MODEL_DIR: model_dir, OUT: out, **({PROJECT: project} if project else {})}
    values = {**hyperparameters, **flat, **folders}
    placed = frozenset(match[1] for word in words for match in _places(word)) - {FLAGS}
    rest = {
        name: value
        for name, value in flat.items()
        if not _is_placed(name, placed) and name not in inactive
    }

    def several(match: re.Match[str]) -> list[str] | None:
        """Return the words for `{flags}` or an on/off flag; None for a placeholder of one value."""
        if match[1] == FLAGS:
            styles = (match[2] or "").split("/")
            return [word for item in rest.items() for word in _flag(*item, styles)]
        if match[2] is None or match[1] not in values:
            return None
        on, _, off = match[2].partition("/")
        return _option(on, values[match[1]], off)

    def inside(match: re.Match[str]) -> str:
        if match[3] is not None:
            return match[3]
        found = several(match)
        if found is not None:
            return shlex.join(found)
        return text(values[match[1]]) if match[1] in values else match[0]

    def in_shell(match: re.Match[str]) -> str:
        is_one = match[3] is None and match[1] in values and several(match) is None
        return _quoted_in_shell(inside(match), match) if is_one else inside(match)

    scripts = _shell_scripts(words)
    made: list[str] = []
    for place, word in enumerate(words):
        whole = _PLACE.fullmatch(word)
        found = several(whole) if whole is not None and whole[3] is None else None
        fill = in_shell if place in scripts else inside
        made += [_PLACE.sub(fill, word)] if found is None or place in scripts else found
    return tuple(made)


def _shell_scripts(words: Sequence[str]) -> frozenset[int]:
    """Return the places of the words that a shell reads as a script: the one after `sh -c`."""
    found: set[int] = set()
    for start, word in enumerate(words):
        place = start + 1
        while os.path.basename(word) in _SHELLS and place < len(words) and words[place][:1] == "-":
            option = words[place]
            if re.fullmatch(r"-[A-Za-z]*c[A-Za-z]*", option):
                found.add(place + 1)
                break
            place += 2 if re.fullmatch(r"-[A-Za-z]*[oO]", option) else 1  # `-o pipefail`
    return frozenset(found)


def _quoted_in_shell(value: str, match: re.Match[str]) -> str:
    """Return a value as one word for a shell, in the quotation marks around its placeholder."""
    around = _around(match)
    if around == "'":
        return value.replace("'", "'\"'\"'")
    return re.sub(r'([\\"$`])', r"\\\1", value) if around else shlex.quote(value)


def _around(match: re.Match[str]) -> str | None:
    """Return the quotation mark around a placeholder; None where a value cannot be quoted safely.

    That is after `$(`, a backtick or `<<`, and in a comment, which a line break in a value ends.
    """
    before, around, place = match.string[: match.start()], "", 0
    while place < len(before):
        mark = before[place]
        if around in {"'", mark}:
            around = "" if mark == around else around
        elif mark == "\\":
            place += 1
        elif closed := _SUBSTITUTED.match(before, place):
            place = closed.end() - 1
        elif mark == "`" or before.startswith("$(" if around else ("$(", "<<"), place):
            return None
        elif not around and mark in {"'", '"'}:
            around = mark
        elif not around and mark == "#" and (not place or before[place - 1] in " \t\n;&|()<>"):
            place = before.find("\n", place)
            if place < 0:
                return None
        place += 1
    return around


def text(value: object) -> str:
    """Return a value as an argument: lists and objects as JSON, all else as Python shows it."""
    return space.value_text(value) if isinstance(value, (str, list, dict)) else str(value)


def _flag(name: str, value: object, styles: Sequence[str]) -> list[str]:
    name = name.replace("_", "-") if "-" in styles else name
    if "=" in styles:
        return [f"{name}={_in_hydra(value)}"]
    if "--=" in styles:
        return [] if value is None else [f"--{name}={text(value)}"]
    return _option(f"--{name}", value, f"--no-{name}" if "--no-" in styles else "")


def _option(flag: str, value: object, off: str) -> list[str]:
    if value is None:
        return []
    if isinstance(value, bool):
        return [flag] if value else [off] * bool(off)
    if isinstance(value, list):
        return [flag, *map(text, value)]
    word = text(value)
    return [f"{flag}={word}"] if word.startswith("-") else [flag, word]


def _in_hydra(value: object) -> str:
    if isinstance(value, list):
        return f"[{','.join(map(_in_hydra, value))}]"
    if isinstance(value, dict):
        return f"{{{','.join(f'{key}:{_in_hydra(each)}' for key, each in value.items())}}}"
    if not isinstance(value, str):
        return "null" if value is None else text(value).lower()
    reserved = value.lower() in {"true", "false", "null", "nan", "inf"}
    if _PLAIN_IN_HYDRA.fullmatch(value) and not reserved:
        return value
    escaped = re.sub(r"(\\*)'", r"\1\1\\'", value)
    return f"'{escaped}'"
