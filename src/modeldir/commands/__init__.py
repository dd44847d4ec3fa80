"""The command `modeldir`: one module for each command, and the only package that prints or exits.

A command's module has `HELP` (one line), `EXAMPLE` (a line to copy), `configure(parser)` and
`run(arguments)`, which returns the exit code. It may have `meant(words)` (see `parser.py`),
`TAKES_LINES` (options whose value may begin with a dash), `FOLDERS` (the argument in which
`SEARCH 12` names a trial) and `COLLECTS = False` if it ends before garbage collection could pay
off. It is imported only when it is called. Start at `main`.
"""

from __future__ import annotations

import sys
from os import devnull

from modeldir._system.version import __version__

GROUPS: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = (
    (
        "start",
        (
            ("init", "a project to start from: minimal (NumPy) or vision (PyTorch)"),
            ("new", "an experiment or a search folder, derived from another"),
            ("demo", "the whole of it in a minute, on real handwritten digits"),
        ),
    ),
    (
        "run",
        (
            ("run", "one experiment: its output, exit code and end are kept"),
            ("search", "make trials and run them; run it again to resume"),
            ("worker", "one more worker on a search (what job managers start)"),
        ),
    ),
    (
        "look",
        (
            ("synthesize", "one table of all results (also: results)"),
            ("best", "the path of the best trial"),
            ("show", "one experiment or search: status, metrics, hyperparameters"),
            ("diff", "what differs between experiments"),
            ("watch", "what runs now, as it runs, from any terminal"),
            ("log", "what an experiment printed"),
            ("plot", "figures for papers: PDF, SVG or PNG"),
        ),
    ),
    (
        "decide",
        (("confirm", "is the best of a search really better? new seeds, a test"),),
    ),
    (
        "manage",
        (
            ("stop", "ask the workers of a search to stop, or an experiment"),
            ("retry", "have failed trials run again, also with other values"),
            ("remove", "take a trial out of its search"),
            ("export", "to TensorBoard, Optuna, MLflow, Parquet, CSV"),
            ("import", "from Hydra, Optuna, Ray, Guild, MLflow, Sacred, TensorBoard"),
        ),
    ),
)
_ALIASES = {"results": "synthesize"}


def entry() -> None:
    """Run the command line and exit with its code: the console script.

    The garbage collector looks at nothing that was imported, and not at what is left at the end.
    This saves a seventh of the time of `modeldir show`.
    """
    import gc  # noqa: PLC0415 - only here: callers of `main` keep their garbage collection

    gc.disable()
    for name in ("stdout", "stderr"):  # if closed (`>&-`), the next opened file would get its place
        if getattr(sys, name) is None:
            setattr(sys, name, open(devnull, "w", encoding="utf-8"))  # noqa: SIM115 - open until exit
    try:
        code = main(sys.argv[1:])
    except KeyboardInterrupt:  # while a command was being imported
        code = 130
    gc.freeze()
    sys.exit(code)


def main(words: list[str]) -> int:
    """Run one command line and flush the output; returns the exit code."""
    try:
        code = _run(words)
    except SystemExit:  # help, or an error that argparse has found
        if _output_is_lost():
            return 2
        raise
    except OSError as error:
        return _failed(error)
    return 2 if _output_is_lost() else code


def _run(words: list[str]) -> int:
    if words[:1] == ["help"] and words[1:]:
        words = [words[1], "--help"]
    if not words or words[0] in {"-h", "--help", "help"}:
        print(overview())
        return 0
    if words[0] in {"-V", "--version"}:
        print(f"modeldir {__version__}")
        return 0
    name = _ALIASES.get(words[0], words[0])
    if name not in _commands():
        from modeldir.errors import did_you_mean  # noqa: PLC0415 - only for an error

        known = [*_commands(), *_ALIASES, "--help", "--version"]
        hint = did_you_mean(name, known) or "see all commands: modeldir --help"
        _print_stderr(f"error: modeldir has no command {words[0]!r}\n  {hint}")
        return 2
    return _call(name, words[1:])


def overview() -> str:
    """Return what `modeldir --help` prints: one screen, grouped by what the reader wants to do."""
    lines = ["modeldir: one folder is one experiment.", "usage: modeldir COMMAND ...", ""]
    for group, commands in GROUPS:
        for index, (name, words) in enumerate(commands):
            lines.append(f"{group if index == 0 else '':<8}{name:<12}{words}")
    lines.append("")
    lines.append("modeldir COMMAND --help tells more. To begin:  modeldir init my_project")
    return "\n".join(lines)


def module(name: str) -> str:
    """Return the module of a command; `import` is a keyword of Python."""
    return "import_" if name == "import" else name


def _commands() -> list[str]:
    return [name for _, commands in GROUPS for name, _ in commands]


def _call(name: str, words: list[str]) -> int:
    import gc  # noqa: PLC0415 - `--help` above works without all these
    from importlib import import_module  # noqa: PLC0415

    from modeldir.commands.parser import Formatter, Parser, joined  # noqa: PLC0415
    from modeldir.errors import ModeldirError  # noqa: PLC0415

    command = import_module(f"modeldir.commands.{module(name)}")
    parser = Parser(
        prog=f"modeldir {name}",
        description=command.HELP,
        epilog=f"example:\n  {command.EXAMPLE}",
        formatter_class=Formatter,
        allow_abbrev=False,
    )
    command.configure(parser)
    parser.example, parser.meant = command.EXAMPLE, getattr(command, "meant", None)
    before, after = _split(words)
    parser.words = words
    before = joined(before, getattr(command, "TAKES_LINES", ()))
    folders = getattr(command, "FOLDERS", None)
    if folders is not None:
        from modeldir.commands.folders import trial_folders, with_numbers  # noqa: PLC0415

        before = with_numbers(before)
    arguments = parser.parse_intermixed_args(before)
    arguments.command = after
    if not gc.isenabled() and getattr(command, "COLLECTS", True):  # see `entry`
        gc.freeze()
        gc.enable()
    try:
        if folders is not None and (given := getattr(arguments, folders)) is not None:
            several = [given] if isinstance(given, str) else given
            meant = trial_folders(several)
            setattr(arguments, folders, meant[0] if isinstance(given, str) else meant)
        return int(command.run(arguments))
    except ModeldirError as error:
        _print_stderr(f"error: {error}")
        return 2
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        return _failed(error)
    except MemoryError:  # what it had is free again: this frame holds nothing of it
        _print_stderr("error: not enough memory; is there a limit? see: ulimit -v")
        return 2


def _failed(error: OSError) -> int:
    if isinstance(error, BrokenPipeError):  # `| head` has read enough
        sys.stdout = None  # or the interpreter prints an error at exit
        return 0
    if error.filename or not _output_is_lost():
        _print_stderr(f"error: {_error_text(error)}")
    return 2


def _output_is_lost() -> bool:
    """Flush the output; print an error and return True if it cannot be written.

    A reader that has closed the pipe is no error.
    """
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        sys.stdout = None  # see above
        if isinstance(error, BrokenPipeError):
            return False
        _print_stderr(f"error: standard output: {_error_text(error)}")
        return True
    return False


def _print_stderr(message: str) -> None:
    from modeldir.commands.messages import print_stderr  # noqa: PLC0415 - only for an error

    print_stderr(message)


def _error_text(error: OSError) -> str:
    words = error.strerror or str(error)
    return f"{error.filename}: {words}" if error.filename else words


def _split(words: list[str]) -> tuple[list[str], list[str] | None]:
    """Return the words before and after `--`: modeldir's, and the user's command or None."""
    if "--" not in words:
        return words, None
    place = words.index("--")
    return words[:place], words[place + 1 :]
