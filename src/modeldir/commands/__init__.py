"""The command `modeldir`: one file a command, and the only place that prints or exits.

It knows how a command line becomes a call, and an error becomes a message and an exit code (0 all
well, 1 some trial failed, 2 wrong use, 130 interrupted). It refuses to decide anything else.

A command's module has `HELP` (one line), `EXAMPLE` (a line to copy), `configure(parser)` and
`run(arguments) -> exit code`, perhaps `meant` (see parsing.py), and `COLLECTS = False` where it
ends before garbage could matter. It is imported only when it is called, so `modeldir --help` costs
as little as it can.
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
            ("search", "make trials and run them; say it again to go on"),
            ("work", "one more worker on a search (what job managers start)"),
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
    """The console script: run the command line, exit with its code.

    What is imported is no garbage, and what is left at the end is not worth a search for circles:
    the collector has the command itself alone. That is a seventh of what `modeldir show` takes.
    """
    import gc  # noqa: PLC0415 - who only calls `main` keeps the collector as it is

    gc.disable()
    for name in ("stdout", "stderr"):  # closed (`>&-`): the next file that is opened would be it
        if getattr(sys, name) is None:
            setattr(sys, name, open(devnull, "w", encoding="utf-8"))  # noqa: SIM115 - to the end
    try:
        code = main(sys.argv[1:])
    except KeyboardInterrupt:  # while what a command needs is imported
        code = 130
    gc.freeze()
    sys.exit(code)


def main(words: list[str]) -> int:
    """Run one command line; returns the exit code. What was printed has got out then."""
    try:
        code = _run(words)
    except SystemExit:  # help, or a mistake that argparse has found
        if _lost_output("modeldir"):
            return 2
        raise
    except OSError as error:
        return _failed("modeldir", error)
    return 2 if _lost_output("modeldir") else code


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
        from modeldir.errors import did_you_mean  # noqa: PLC0415 - on the way to an error

        known = [*_commands(), *_ALIASES, "--help", "--version"]
        hint = did_you_mean(name, known) or "modeldir --help lists the commands"
        _complain(f"modeldir: no command {words[0]!r}\n  {hint}")
        return 2
    return _call(name, words[1:])


def overview() -> str:
    """What `modeldir --help` prints: one screen, grouped by the reader's questions."""
    lines = ["modeldir: one folder is one experiment.", "usage: modeldir COMMAND ...", ""]
    for group, commands in GROUPS:
        for index, (name, words) in enumerate(commands):
            lines.append(f"{group if index == 0 else '':<8}{name:<12}{words}")
    lines.append("")
    lines.append("modeldir COMMAND --help tells more. To begin:  modeldir init my_project")
    return "\n".join(lines)


def module(name: str) -> str:
    """The module of a command; `import` is a word of Python's."""
    return "import_" if name == "import" else name


def _commands() -> list[str]:
    return [name for _, commands in GROUPS for name, _ in commands]


def _call(name: str, words: list[str]) -> int:
    import gc  # noqa: PLC0415 - `--help` above does without it, as without all below
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
    arguments = parser.parse_intermixed_args(before)
    arguments.command = after
    if not gc.isenabled() and getattr(command, "COLLECTS", True):  # see `entry`
        gc.freeze()
        gc.enable()
    try:
        return int(command.run(arguments))
    except ModeldirError as error:
        _complain(str(error))
        return 2
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        return _failed(f"modeldir {name}", error)


def _failed(who: str, error: OSError) -> int:
    """Say what the system refused: a folder that may not be written, a full disk."""
    if isinstance(error, BrokenPipeError):  # `| head` has read enough
        sys.stdout = None  # or the interpreter complains as it leaves
        return 0
    if error.filename or not _lost_output(who):
        _complain(f"{who}: {_said(error)}")
    return 2


def _lost_output(who: str) -> bool:
    """Whether what was printed cannot get out, and not because nobody reads on; that is told."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        sys.stdout = None  # as above
        if isinstance(error, BrokenPipeError):
            return False
        _complain(f"{who}: standard output: {_said(error)}")
        return True
    return False


def _complain(text: str) -> None:
    """Say what is wrong."""
    from modeldir.commands import messages as words  # noqa: PLC0415 - on the way out

    words.print_stderr(text)


def _said(error: OSError) -> str:
    """What the system refused, and for which file."""
    words = error.strerror or str(error)
    return f"{error.filename}: {words}" if error.filename else words


def _split(words: list[str]) -> tuple[list[str], list[str] | None]:
    """The words before and after `--`: what is ours, and the user's command (None if not given)."""
    if "--" not in words:
        return words, None
    place = words.index("--")
    return words[:place], words[place + 1 :]
