"""From the options of a script to a params file and a command that passes every value on.

`commands/adopt.py` calls `propose`. Nothing is believed of an option: each way to write it is
tried with the script's own parser, which has to return the same values as for the user's command.
An option that cannot be written so is left to the script. Placeholders: `search/placeholders.py`.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from modeldir._system import escaping
from modeldir.adopt import output_options
from modeldir.adopt.ask import Offer, Option, Script
from modeldir.params import nested
from modeldir.search import placeholders

_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_STYLES = ("", ":-", ":--no-", ":-/--no-", ":--=", ":=")
_RESERVED = frozenset({placeholders.FLAGS, placeholders.MODEL_DIR, placeholders.OUT})
_SHELLS = frozenset({"sh", "bash", "dash", "zsh"})
_FOLDER = "{model_dir}"
_SOMEWHERE = "modeldir-adopt/output"
"""A path to try output options with; nothing is made there."""


@dataclass(frozen=True)
class Proposal:
    """Everything that `modeldir adopt` writes and prints.

    Attributes:
        script: its path, as it sees it.
        library: what reads the script's options.
        hyperparameters: by dotted name, with the script's defaults.
        command: the command with placeholders.
        outputs: how each output option is written, the folder of the run first.
        left_out: options that keep the script's default: no way to write them was found.
    """

    script: str
    library: str
    hyperparameters: Mapping[str, Any]
    command: str
    outputs: tuple[str, ...]
    left_out: tuple[str, ...]

    @property
    def params(self) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for name, value in self.hyperparameters.items():
            section, key = nested.locate_or_create(values, name)
            section[key] = value
        return values


@dataclass(frozen=True)
class _Written:
    """An option as a hyperparameter, and the placeholder that passes it on."""

    name: str
    value: Any
    word: str
    flag: str
    option: Option

    def words(self, value: Any) -> tuple[str, ...]:
        return placeholders.filled([self.word], {self.name: value}, "")

    @property
    def current(self) -> tuple[str, ...]:
        return self.words(self.value)


def propose(script: Script, command: Sequence[str]) -> Proposal:
    return _Proposing(script, command).propose()


@dataclass
class _Proposing:
    """The options of one script, while they are tried."""

    script: Script
    command: Sequence[str]
    offer: Offer = field(init=False)
    base: Mapping[str, Any] = field(init=False)
    unstable: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        self.offer, self.base = self.script.offer, self.script.offer.values
        again = self.script.parse(self.offer.words) or {}
        self.unstable = frozenset(
            key for key, value in self.base.items() if again.get(key, self) != value
        )

    def propose(self) -> Proposal:
        outputs = self._outputs()
        is_output = {option.key for option, _ in outputs}
        wanted = [each for each in _written(self.offer) if each.option.key not in is_output]
        works = self._that_work(_without_sections(wanted))
        works = self._typed(works)
        tail = _tail(works)
        place = [word for _, word in outputs]
        kept = self._kept(works, [option for option, _ in outputs])
        passed = {each.option.key for each in works} | is_output
        return Proposal(
            script=self.offer.script,
            library=self.offer.library,
            hyperparameters={each.name: each.value for each in works},
            command=_command(self.command, self.offer, kept, [*tail, *place]),
            outputs=tuple(place),
            left_out=tuple(
                _flag(option)
                for option in self.offer.options
                if option.key not in passed and self.base.get(option.key) not in (None, [], {})
            ),
        )

    # -- Which options can be written ---------------------------------------------------------

    def _that_work(self, wanted: Sequence[_Written]) -> list[_Written]:
        """Return the options that the script's parser reads back as they are, all together."""
        together = [word for each in wanted for word in each.current]
        if not self._agrees(together):
            wanted = [each for each in wanted if self._agrees(each.current)]
            fitting: list[_Written] = []
            for each in wanted:  # some exclude each other
                words = [word for one in (*fitting, each) for word in one.current]
                if not each.current or self._agrees(words):
                    fitting.append(each)
            wanted = fitting
        return [each for each in wanted if self._can_be_switched(each)]

    def _agrees(self, words: Sequence[str]) -> bool:
        return self._same(self.script.parse([*self.offer.words, *words]))

    def _same(
        self, values: Mapping[str, Any] | None, without: frozenset[str] = frozenset()
    ) -> bool:
        if values is None:
            return False
        ignored = self.unstable | without
        return all(values.get(key, self) == self.base[key] for key in {*self.base} - ignored)

    def _can_be_switched(self, each: _Written) -> bool:
        """Whether an on/off option can be on and off: `store_true` with default True cannot."""
        if not isinstance(each.value, bool):
            return True
        words = [*self.offer.words]
        if each.option.kind in {"true", "false", "on_off"}:
            flags = (*each.option.flags, *each.option.off)
            words = [word for word in words if word not in flags]
        values = self.script.parse([*words, *each.words(not each.value)])
        return values is not None and values.get(each.option.key) != self.base[each.option.key]

    def _typed(self, works: Sequence[_Written]) -> list[_Written]:
        """Return hyperparameters with the types that the parser gives them: 1 becomes 1.0."""
        together = [word for each in works for word in each.current]
        values = self.script.parse([*self.offer.words, *together]) or {}
        return [
            replace(each, value=value)
            if type(each.value) is int and isinstance(value := values.get(each.option.key), float)
            else each
            for each in works
        ]

    # -- The output folder --------------------------------------------------------------------

    def _outputs(self) -> list[tuple[Option, str]]:
        """Return the options that say where to write, and the words that pass a path in a trial."""
        for option in self.offer.options:
            if _is_placed(self.base.get(option.key)):
                return []  # the user has placed it, and the words stay where they are
        found = [
            (output_options.rank(_flag(option)), index, option, place)
            for index, option in enumerate(self.offer.options)
            if (place := self._place(option)) is not None and self._takes_path(option)
        ]
        # Hugging Face wants an empty folder, and the trial's has params.json.
        folder = "{out}" if self.offer.library == "HfArgumentParser" else _FOLDER
        words: list[tuple[Option, str]] = []
        for _, _, option, place in sorted(found, key=lambda each: each[:2]):
            if not words or self.base[option.key] is not None:
                words.append((option, _place_word(option, place.replace(_FOLDER, folder))))
        return words

    def _place(self, option: Option) -> str | None:
        if option.kind not in {"store", "assign", "override"} or option.key not in self.base:
            return None
        return output_options.placed(_flag(option), self.base[option.key])

    def _takes_path(self, option: Option) -> bool:
        words = _place_word(option, _SOMEWHERE).split(" ")
        values = self.script.parse([*self.offer.words, *words])
        return values is not None and values.get(option.key) == _SOMEWHERE

    # -- The user's own words -----------------------------------------------------------------

    def _kept(self, works: Sequence[_Written], outputs: Sequence[Option]) -> list[str]:
        """Return the user's arguments without the options that are hyperparameters now."""
        arguments, kept = list(self.offer.arguments), list(self.offer.words)
        places = _places(arguments, kept)
        if places is None:
            return arguments
        flags = {flag for each in works for flag in (*each.option.flags, *each.option.off)}
        flags |= {flag for option in outputs for flag in option.flags}
        flags = {flag.replace("_", "-") for flag in flags}  # some libraries take both
        ignored = frozenset(option.key for option in outputs)
        added = [word for each in works for word in each.current]
        added += [w for each in outputs for w in _place_word(each, _SOMEWHERE).split(" ")]
        removed: set[int] = set()
        start = 0
        while start < len(kept):
            stop = next(
                (
                    stop
                    for stop in _stops(kept, start, flags)
                    if self._same(
                        self.script.parse(
                            [
                                *(w for i, w in enumerate(kept[:start]) if i not in removed),
                                *kept[stop:],
                                *added,
                            ]
                        ),
                        ignored,
                    )
                ),
                start,
            )
            removed |= {*range(start, stop)}
            start = max(stop, start + 1)
        gone = {places[index] for index in removed}
        return [word for index, word in enumerate(arguments) if index not in gone]


def _stops(words: Sequence[str], start: int, flags: set[str]) -> Iterator[int]:
    """Yield where an option with its values may end, the longest first; nothing for other words."""
    flag, _, _ = words[start].partition("=")
    if flag.replace("_", "-") not in flags:
        return
    end = start + 1
    while end < len(words) and not words[end].startswith("-"):
        end += 1
    yield from range(end, start, -1)


def _places(arguments: Sequence[str], words: Sequence[str]) -> list[int] | None:
    """Return where each word stands among the arguments; None if they are others."""
    places: list[int] = []
    start = 0
    for word in words:
        if word not in arguments[start:]:
            return None
        places.append(arguments.index(word, start))
        start = places[-1] + 1
    return places


# -- How an option is written -----------------------------------------------------------------


def _flag(option: Option) -> str:
    """Return the flag to use: the one named as its value, else the first long one."""
    long = [flag for flag in option.flags if flag.startswith("--")] or [*option.flags]
    return next((flag for flag in long if flag.lstrip("-") == option.key), long[0])


def _joined(options: Sequence[Option]) -> Iterator[Option]:
    """Yield one option for each value: `--amp` and `--no-amp` are two ways to set one.

    Beside an option with a value (`--amp True`), flags for the same are left out.
    """
    of_value: dict[str, list[Option]] = {}
    for option in options:
        of_value.setdefault(option.key, []).append(option)
    for several in of_value.values():
        by_kind = {option.kind: option for option in several}
        if {*by_kind} == {"true", "false"}:
            off = by_kind["false"].flags
            yield replace(by_kind["true"], kind="on_off", off=off)
        else:
            with_value = [each for each in several if each.kind not in {"true", "false"}]
            yield from with_value[:1] or several


def _written(offer: Offer) -> Iterator[_Written]:
    names: set[str] = set()
    for option in _joined(offer.options):
        flag = _flag(option)
        is_short = len(flag.lstrip("-")) == 1
        name = (option.key if is_short else flag.lstrip("-")).replace("-", "_")
        usable = _NAME.fullmatch(name) and name not in _RESERVED and name not in names
        if not usable or option.key not in offer.values:
            continue
        value = _value(option, offer.values[option.key])
        if value is _ABSENT or _is_placed(value):
            continue
        names.add(name)
        yield _Written(name, value, _word(option, name, flag, value), flag, option)


_ABSENT = object()


def _value(option: Option, value: Any) -> Any:
    if option.kind == "false":
        return not value
    if option.kind == "true":
        return bool(value)
    is_list = isinstance(value, list)
    if (is_list or isinstance(value, dict)) and option.raw is not None and option.raw:
        return option.raw  # `--sizes 64,32`, which the script splits
    if isinstance(value, dict) or (is_list and not _is_flat(value)) or value == []:
        return _ABSENT
    texts = [each for each in (value if is_list else [value]) if isinstance(each, str)]
    return value if all(map(escaping.is_utf8, texts)) else _ABSENT


def _is_flat(values: Sequence[Any]) -> bool:
    return not any(isinstance(value, (list, dict, type(None))) for value in values)


def _word(option: Option, name: str, flag: str, value: Any) -> str:
    if option.kind == "override":
        return f"{{flags{_STYLES[-1]}}}"
    off = option.off or tuple(each for each in option.flags if each.startswith("--no-"))
    if option.kind == "on_off":
        on = next((each for each in option.flags if each not in off), flag)
        return f"{{{name}:{on}/{off[0]}}}" if off else f"{{{name}:{on}}}"
    is_switch = option.kind in {"true", "false"}
    is_assigned = option.kind == "assign" and value is not None
    if not is_switch and (is_assigned or isinstance(value, bool)):
        return f"{flag}={{{name}}}"
    return f"{{{name}:{flag}}}"


def _place_word(option: Option, path: str) -> str:
    flag = _flag(option)
    return f"{flag}={path}" if option.kind in {"assign", "override"} else f"{flag} {path}"


def _without_sections(wanted: Sequence[_Written]) -> list[_Written]:
    """Leave out `model` beside `model.width`: one name cannot be a value and a section."""
    names = [each.name for each in wanted]
    return [each for each in wanted if not any(name.startswith(f"{each.name}.") for name in names)]


def _tail(works: Sequence[_Written]) -> list[str]:
    """Return the placeholders that pass everything on: `{flags}` for most, and the others."""

    def covered(style: str) -> list[_Written]:
        return [each for each in works if _is_covered(each, style)]

    if not works:
        return []
    style = max(_STYLES, key=lambda style: len(covered(style)))
    rest = [each.word for each in works if each not in covered(style)]
    return [*rest, f"{{flags{style}}}"] if covered(style) else rest


def _is_covered(each: _Written, style: str) -> bool:
    values = [each.value]
    if isinstance(each.value, bool) or each.option.kind == "on_off":
        values = [True, False]
    elif each.value is None:
        values = ["value"]
    flags = f"{{flags{style}}}"
    if each.value is None and each.option.kind == "assign" and style == ":--=":
        return each.flag == f"--{each.name}"
    return all(
        placeholders.filled([flags], {each.name: value}, "") == each.words(value)
        for value in values
    )


# -- The command ------------------------------------------------------------------------------


def _command(
    command: Sequence[str], offer: Offer, kept: Sequence[str], added: Sequence[str]
) -> str:
    """Return the user's command with fewer arguments of its own, and with placeholders."""
    place, typed = _shell_line(command), f" {shlex.join(offer.arguments)}"
    if place is not None:
        line = command[place].rstrip()
        if offer.arguments and line.endswith(typed):
            line = " ".join([line.removesuffix(typed), *map(shlex.quote, kept)])
        line = " ".join([placeholders.escaped(line), *added])
        words = [*map(_literal, command[:place]), shlex.quote(line)]
        return " ".join([*words, *map(_literal, command[place + 1 :])])
    count = len(offer.arguments)
    own = [*command]
    if tuple(command[len(command) - count :]) == offer.arguments:
        own = [*command[: len(command) - count], *kept]
    return " ".join([*map(_literal, own), *added])


def _shell_line(command: Sequence[str]) -> int | None:
    """Return the place of the line in `sh -c 'LINE'`."""
    if os.path.basename(command[0]) not in _SHELLS:
        return None
    place = next((i for i, word in enumerate(command) if re.fullmatch(r"-\w*c", word)), None)
    return None if place is None or place + 1 >= len(command) else place + 1


def _literal(word: str) -> str:
    """Quote a word of the user, and keep braces that would be placeholders.

    `{model_dir}` and `{out}` are ours: the user has placed them.
    """
    if _is_placed(word):
        return word if _PLAIN.fullmatch(word) else shlex.quote(word)
    return shlex.quote(placeholders.escaped(word))


_PLAIN = re.compile(r"[\w./=:{}@%+,-]+")


def _is_placed(word: object) -> bool:
    return isinstance(word, str) and not placeholders.names(word).isdisjoint(_RESERVED)
