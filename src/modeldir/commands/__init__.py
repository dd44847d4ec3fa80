"""The command `modeldir`: one module for each command, and the only package that prints or exits.

A command's module has `HELP`, `EXAMPLE` (a line to copy), `configure(parser)` and
`run(arguments)`, which returns the exit code. It may have `EXAMPLES` (more lines to copy),
`meant(words)` (see `parser.py`), `TAKES_LINES` (options whose value may begin with a dash),
`FOLDERS` (the argument in which `SEARCH 12` names a trial), `JSON = True` (see `json_output.py`)
and `COLLECTS = False` if it ends before garbage collection could pay off. It is imported only when
it is called. Start at `main`.
"""

from __future__ import annotations

import sys
from os import devnull, fsencode

from modeldir._system.version import __version__

TYPE_CHECKING = False  # `typing` is slow to import
if TYPE_CHECKING:
    from argparse import Namespace
    from contextlib import AbstractContextManager
    from types import ModuleType

    from modeldir.commands.parser import Parser

GROUPS: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = (
    (
        "Create",
        (
            ("init", "make a project: minimal (NumPy) or vision (PyTorch)"),
            ("adopt", "learn your script's options, so that a search can vary them"),
            ("new", "make an experiment or a search folder from another one"),
            ("demo", "train, search and compare on handwritten digits, in a minute"),
        ),
    ),
    (
        "Run",
        (
            ("run", "run the script of one experiment and keep its output"),
            ("search", "search hyperparameters; run it again to resume"),
            ("worker", "add one more worker to a search"),
        ),
    ),
    (
        "Inspect",
        (
            ("show", "print the status and the metrics of an experiment or a search"),
            ("watch", "watch a search or an experiment live"),
            ("log", "print what an experiment printed"),
        ),
    ),
    (
        "Compare",
        (
            ("results", "print one table of all results (also: synthesize)"),
            ("best", "print the path of the best trial"),
            ("digest", "print what was tried, what held and what failed, in 40 lines"),
            ("diff", "print what differs between experiments"),
            ("plot", "draw figures for papers: PDF, SVG or PNG"),
            ("reproduce", "run an experiment again from its kept code, and compare the metrics"),
            ("confirm", "re-run the best configurations with new seeds and test the difference"),
        ),
    ),
    (
        "Manage",
        (
            ("stop", "ask the workers of a search to stop, or end an experiment"),
            ("retry", "run failed or stopped trials again"),
            ("remove", "remove trials from their search"),
            ("revert", "put the code of an experiment back into the project"),
            ("export", "export to TensorBoard, Optuna, MLflow, Parquet or CSV"),
            ("import", "import from Hydra, Optuna, Ray, Guild, MLflow, Sacred, TensorBoard"),
            ("completion", "print a script for completion in bash, zsh or fish"),
        ),
    ),
)
_ALIASES = {"synthesize": "results"}
_OPTIONS = {"report": "results DIR --html report.html", "table": "results DIR"}
"""Words that look like commands, and the command that does what they say."""
_MODULES = {"import": "import_", "results": "synthesize"}


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
    if words[0] == "completion-words":  # typed by the script of `modeldir completion`
        return _complete(words[1:])
    name = _ALIASES.get(words[0], words[0])
    if name not in _commands():
        from modeldir.errors import did_you_mean  # noqa: PLC0415 - only for an error

        known = [*_commands(), *_ALIASES, "--help", "--version"]
        hint = did_you_mean(name, known) or "see all commands: modeldir --help"
        if name in _OPTIONS:
            hint = f"try: modeldir {_OPTIONS[name]}"
        message = f"modeldir has no command {words[0]!r}\n  {hint}"
        _print_error(message, 2, as_json="--json" in words)
        return 2
    return _call(name, words[1:])


def _complete(words: list[str]) -> int:
    from contextlib import suppress  # noqa: PLC0415 - `--help` works without

    from modeldir.commands import completion  # noqa: PLC0415 - likewise

    with suppress(OSError):  # e.g. a folder that cannot be listed: nothing to complete
        sys.stdout.buffer.write(
            b"".join(fsencode(each) + b"\n" for each in completion.words(words))
        )
    return 0


def overview() -> str:
    """Return what `modeldir --help` prints: all commands, grouped by what one wants to do."""
    width = _width()
    lines = [
        "usage: modeldir COMMAND ...",
        "",
        *_wrapped("One folder is one experiment.", 0, width),
    ]
    for group, commands in GROUPS:
        lines += ["", f"{group}:"]
        for name, words in commands:
            lines += _wrapped(f"  {name:<11}{words}", 13, width)
    lines += ["", *_wrapped("modeldir COMMAND --help explains a command.", 0, width)]
    lines += _wrapped("To begin: modeldir init my_project", 0, width)
    return "\n".join(lines)


def _width() -> int:
    from modeldir._system.terminal import width_here  # noqa: PLC0415 - only for help

    return width_here() - 2


def _wrapped(line: str, behind: int, width: int) -> list[str]:
    """Wrap a line between words; `textwrap` would take longer to import."""
    lines, part = [], ""
    for word in line.split(" "):
        if part.strip() and len(part) + 1 + len(word) > width:
            lines.append(part)
            part = " " * (behind - 1)
        part += f" {word}"
    return [each.removeprefix(" ") for each in [*lines, part]]


def module(name: str) -> str:
    """Return the module of a command: `import` is a keyword of Python, `results` a second name."""
    return _MODULES.get(name, name)


def _commands() -> list[str]:
    return [name for _, commands in GROUPS for name, _ in commands]


def parser_of(name: str) -> Parser:
    """Return the parser of a command; the pages of the reference are made from it."""
    from importlib import import_module  # noqa: PLC0415 - `--help` works without all these

    from modeldir.commands.parser import Formatter, Parser, finish  # noqa: PLC0415

    command = import_module(f"modeldir.commands.{module(name)}")
    parser = Parser(
        prog=f"modeldir {name}",
        description=command.HELP,
        formatter_class=Formatter,
        allow_abbrev=False,
        add_help=False,
    )
    command.configure(parser)
    finish(parser, command)
    return parser


def _call(name: str, words: list[str]) -> int:
    import gc  # noqa: PLC0415 - `--help` works without all these
    from importlib import import_module  # noqa: PLC0415

    from modeldir.commands.parser import joined  # noqa: PLC0415
    from modeldir.errors import ModeldirError  # noqa: PLC0415

    command = import_module(f"modeldir.commands.{module(name)}")
    parser = parser_of(name)
    before, after = _split(words)
    as_json = "--json" in before
    parser.words = words
    before = joined(before, getattr(command, "TAKES_LINES", ()))
    folders = getattr(command, "FOLDERS", None)
    if folders is not None:
        from modeldir.commands.folders import with_numbers  # noqa: PLC0415

        before = with_numbers(before)
    arguments = parser.parse_intermixed_args(before)
    arguments.command = after
    if not gc.isenabled() and getattr(command, "COLLECTS", True):  # see `entry`
        gc.freeze()
        gc.enable()
    try:
        with _only_json(as_json):
            return _called(command, arguments, folders)
    except ModeldirError as error:
        code = getattr(error, "exit_code", 2)
        _print_error(error, code, as_json=as_json)
        return int(code)
    except KeyboardInterrupt:
        if as_json:
            _print_error(KeyboardInterrupt("interrupted"), 130, as_json=True)
        return 130
    except OSError as error:
        return _failed(error, as_json=as_json)
    except MemoryError:  # what it had is free again: this frame holds nothing of it
        message = "not enough memory; is there a limit? see: ulimit -v"
        _print_error(MemoryError(message), 2, as_json=as_json)
        return 2


def _called(command: ModuleType, arguments: Namespace, folders: str | None) -> int:
    if folders is not None and (given := getattr(arguments, folders)) is not None:
        from modeldir.commands.folders import trial_folders  # noqa: PLC0415

        several = [given] if isinstance(given, str) else given
        meant = trial_folders(several)
        setattr(arguments, folders, meant[0] if isinstance(given, str) else meant)
    return int(command.run(arguments))


def _only_json(as_json: bool) -> AbstractContextManager[None]:  # noqa: FBT001 - a private helper
    if as_json:
        from modeldir.commands.json_output import only_json  # noqa: PLC0415 - only with --json

        return only_json()
    from contextlib import nullcontext  # noqa: PLC0415 - `--help` works without

    return nullcontext()


def _print_error(error: BaseException | str, code: int, *, as_json: bool) -> None:
    if not as_json:
        _print_stderr(f"error: {error}")
        return
    from modeldir.commands.json_output import print_error  # noqa: PLC0415 - only with --json

    print_error(error, code)


def _failed(error: OSError, *, as_json: bool = False) -> int:
    if isinstance(error, BrokenPipeError):  # `| head` has read enough
        sys.stdout = None  # or the interpreter prints an error at exit
        return 0
    if error.filename or not _output_is_lost():
        if as_json:
            _print_error(OSError(_error_text(error)), 2, as_json=True)
        else:
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
