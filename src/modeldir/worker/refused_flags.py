"""The hint for a script that refuses a flag: `--model_dir`, or one that `{flags}` wrote.

`first_trial_check.py` asks when the first trial has failed. It reads what the script printed, and
the script's own text for the names of its flags; it runs nothing. Placeholders:
`search/placeholders.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from modeldir._system.escape_sequences import without_escapes
from modeldir.errors import did_you_mean
from modeldir.search import placeholders

_REFUSALS = (
    r"unrecogni[sz]ed (?:arguments?|options?|flags?)|no such option"
    r"|unknown (?:command[ -]line )?(?:flags?|options?|arguments?)"
    r"|unexpected (?:argument|option)|could not consume arg"
    r"|not used by the HfArgumentParser|invalid option"
)
_REFUSED = re.compile(rf"(?i)(?:{_REFUSALS})\b[^\n]*")
_REQUIRED = re.compile(r"(?i)(?:arguments are required|missing option)[^\n]*")
_IN_USAGE = re.compile(r"(?<![\w-])(--?[A-Za-z][\w.-]*)")
_IN_SOURCE = re.compile(r"""["']--([A-Za-z][\w.-]*)[/"']|DEFINE_\w+\(\s*["'](\w+)["']""")
_HYDRA = re.compile(r"\[overrides \.\.\.\]|--hydra-help")
_FOLDERS = (
    "out", "output", "out_dir", "outdir", "output_dir", "output_path", "save", "save_dir",
    "savedir", "save_path", "log_dir", "logdir", "run_dir", "work_dir", "workdir", "exp_dir",
    "results_dir", "result_dir", "checkpoint_dir", "ckpt_dir", "default_root_dir",
)  # fmt: skip
_STYLES = {
    "typer": "-/--no-",
    "tyro": "-/--no-",
    "absl": "--=",
    "fire": "--=",
    "jsonargparse": "--=",
    "LightningCLI": "--=",
    "HfArgumentParser": "--=",
    "simple_parsing": "--=",
}
"""How a script that uses a library reads on/off flags, by a word in its text."""
_CONFIGURATOR = re.compile(r"configurator\.py|assert not arg\.startswith\(['\"]--")
"""Scripts like nanoGPT's, which read only `--name=value`."""
_SHOWN = 12
"""Flags that a hint names."""


def hint(
    output: str, source: str, command: str, script: str, hyperparameters: Mapping[str, object]
) -> tuple[str, str] | None:
    """Return what the script refuses, and a command that works; None if it refuses no flag.

    Args:
        output: the end of what the script printed.
        source: the script's text; empty if it is unknown.
        command: the search's, with placeholders.
        script: its name.
        hyperparameters: of the trial, by dotted name.
    """
    output = without_escapes(output)
    flags = _flags(output, source)
    refused = _refused(output, [*hyperparameters, placeholders.MODEL_DIR])
    if not placeholders.are_in(command):
        only_equals = "AssertionError" in output and _CONFIGURATOR.search(output + source)
        style = "--=" if only_equals else _style(hyperparameters, flags, output, source)
        if refused != placeholders.MODEL_DIR and not only_equals:
            required = " ".join(_REQUIRED.findall(output))
            if not any(f"--{_spelled(name, flags)}" in required for name in hyperparameters):
                return None
        return _instead_of_model_dir(
            command, script, hyperparameters, flags, output=output, style=style
        )
    if refused is None:
        return None
    has = "" if not flags else f"; its flags: {_listed(flags)}"
    names = [name for name in hyperparameters if _spelled(name, flags) == _dashed(name)]
    if refused in map(_dashed, names) or (refused in names and _dashed(refused) != refused):
        new = re.sub(r"\{flags(?::([^}]*))?\}", _with_dashes, command)
        if new != command:
            return f"{script} has --{_dashed(refused)}, not --{refused}", new
    near = did_you_mean(refused, flags)
    return f"{script} has no --{refused}{f' ({near})' if near else has}", ""


def _refused(output: str, known: Iterable[str]) -> str | None:
    """Return the first known name that the script says it does not know."""
    found = " ".join(match[0] for match in _REFUSED.finditer(output))
    for name in known:
        if re.search(rf"(?<![\w.-])-{{0,2}}{re.escape(name)}(?![\w.-])", found):
            return name
    return None


def _flags(output: str, source: str) -> list[str]:
    """Return the script's long flags: from the usage that it has printed, else from its text."""
    usage = re.search(r"(?is)usage:(.*?)(?:\berror\b|\Z)", output)
    printed = _IN_USAGE.findall(usage[1]) if usage else []
    found = [each[2:] for each in printed if each.startswith("--") and each != "--help"]
    if not found or {each for each in printed if not each.startswith("--")} - {"-h"}:
        found += [one or other for one, other in _IN_SOURCE.findall(source)]
    names = [each for each in dict.fromkeys(found) if each != "model_dir"]
    return [each for each in names if not each.startswith("no-") or each[3:] not in names]


def _instead_of_model_dir(  # noqa: PLR0913 - what is known of a script
    command: str,
    script: str,
    hyperparameters: Mapping[str, object],
    flags: Sequence[str],
    *,
    output: str,
    style: str,
) -> tuple[str, str]:
    if _HYDRA.search(output):
        problem = f"{script} does not take --model_dir: it is a Hydra application"
        return problem, f"{command} {{flags:=}} hydra.run.dir={{model_dir}}"
    unknown = [name for name in hyperparameters if flags and _spelled(name, flags) is None]
    words = f"{{flags:{style}}}" if style else "{flags}"
    if unknown:
        words = " ".join(
            f"--{flag} {{{name}}}"
            for name in hyperparameters
            if (flag := _spelled(name, flags)) is not None
        )
    taken = {_dashed(name) for name in hyperparameters}
    free = (each for each in flags if _dashed(each) not in taken)
    folder = next((each for each in free if each.replace("-", "_") in _FOLDERS), "")
    out = f" --{folder} {{model_dir}}" if folder else ""
    problem = f"{script} does not take --model_dir"
    if unknown:
        problem += f", and has no flag for {' and '.join(unknown)}"
    if flags:
        problem += f"; its flags: {_listed(flags)}"
    return problem, f"{command} {words}{out}" if words else ""


def _style(
    hyperparameters: Mapping[str, object], flags: Sequence[str], output: str, source: str
) -> str:
    """Return the form of `{flags}` that the script reads."""
    known = next((_STYLES[word] for word in _STYLES if re.search(rf"\b{word}\b", source)), None)
    if known is not None:
        return known
    names = [_spelled(name, flags) for name in hyperparameters]
    styles = ["-"] if any(name and "-" in name for name in names) else []
    styles += ["--no-"] if any(f"--no-{name}" in output + source for name in names if name) else []
    return "/".join(styles)


def _spelled(name: str, flags: Sequence[str]) -> str | None:
    """Return the flag for a hyperparameter: its name, or with dashes; or that of its section."""
    if name.partition(".")[0] in flags:
        return name
    return next((each for each in (name, _dashed(name)) if each in flags), None)


def _dashed(name: str) -> str:
    return name.replace("_", "-")


def _with_dashes(match: re.Match[str]) -> str:
    return f"{{flags:-/{match[1]}}}" if match[1] else "{flags:-}"


def _listed(flags: Sequence[str]) -> str:
    shown = ", ".join(f"--{flag}" for flag in flags[:_SHOWN])
    return f"{shown}, ..." if len(flags) > _SHOWN else shown
