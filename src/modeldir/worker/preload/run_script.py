"""Run a script as `__main__`, to its very end, in a process that was not started with it.

`child.py` and `import_recorder.py` call it. Nothing of modeldir is imported here, nor what the
interpreter has not loaded already (not even `__future__`), so that a script finds no more modules.
Objects of the script are destroyed at the end, those of libraries are left alone.
"""

import os
import sys
from _frozen_importlib_external import SourceFileLoader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from types import CodeType, ModuleType, TracebackType
    from typing import Any, NoReturn

_FAILED_FLUSH = 120
"""Python's exit code when the last lines of output cannot be written."""
_LAST = (0.01, 0.05)
"""Seconds for daemon threads that are about to end, without and with a queue of `multiprocessing`:
an interpreter needs that long to tear down few libraries, and many.
"""


def run_as_main(
    argv: "Sequence[str]", *, is_module: bool = False, libraries: "Iterable[ModuleType]" = ()
) -> "NoReturn":
    """Run `argv[0]` (a module's name if `is_module`) as the main program, and exit with its code.

    `libraries` are modules that are not torn down, besides those in `sys.modules`.
    """
    before = frozenset(map(id, (*sys.modules.values(), *libraries)))
    error = execute(argv, is_module=is_module)
    code = _report_end(error)
    interrupted = isinstance(error, KeyboardInterrupt)
    del error  # its frames hold the script's variables
    code = _finalize(code, before)
    if interrupted:
        _die_of_an_interrupt()
    os._exit(code & 0xFF)


def execute(argv: "Sequence[str]", *, is_module: bool = False) -> BaseException | None:
    """Run it. Returns the exception that ended it (perhaps SystemExit), without our frames."""
    try:
        if is_module:
            _execute_module(argv)
        else:
            _execute_script(argv)
    except BaseException as error:  # noqa: BLE001 - whatever ends a script, as the interpreter does
        return error.with_traceback(_without_us(error.__traceback__))
    return None


def _execute_script(argv: "Sequence[str]") -> None:
    # As typed, after the folder: Python does not normalize a relative path either.
    path = os.path.join(os.getcwd(), argv[0])
    sys.argv = list(argv)
    set_first_folder(os.path.dirname(os.path.realpath(path)))
    code = _compiled(path)
    exec(code, main_module(path, SourceFileLoader("__main__", path)).__dict__)  # noqa: S102 - that is it


def _execute_module(argv: "Sequence[str]") -> None:
    from runpy import _run_module_as_main  # type: ignore[attr-defined] # noqa: PLC0415 - as Python itself

    sys.argv = ["-m", *argv[1:]]
    set_first_folder(os.getcwd())
    main_module(None, sys.modules["builtins"].__loader__ if "builtins" in sys.modules else None)
    _run_module_as_main(argv[0])


def set_first_folder(folder: str) -> None:
    """Put the script's folder first on the path, unless `-P` or `-I` forbids it."""
    safe = sys.flags.isolated or getattr(sys.flags, "safe_path", False)
    if not safe:
        sys.path.insert(0, folder)


def is_readable(script: str) -> bool:
    """Whether a script exists and is text. Otherwise Python itself prints the best message."""
    try:
        return b"\0" not in _source(script)
    except OSError:
        return False


def _source(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _compiled(path: str) -> "CodeType":
    return compile(_source(path), path, "exec", dont_inherit=True)


def main_module(path: str | None, loader: "Any") -> "ModuleType":
    """Make a new, empty `__main__`, with the attributes that the interpreter gives it."""
    module: ModuleType = type(sys)("__main__")
    named = module.__dict__
    named["__loader__"] = loader
    if sys.version_info < (3, 14):
        named["__annotations__"] = {}
    named["__builtins__"] = sys.modules["builtins"]
    if path is not None:
        named["__file__"] = path
        named["__cached__"] = None
    sys.modules["__main__"] = module
    return module


def _without_us(traceback: "TracebackType | None") -> "TracebackType | None":
    while traceback is not None and traceback.tb_frame.f_code.co_filename == __file__:
        traceback = traceback.tb_next
    return traceback


# -- The end ---------------------------------------------------------------------------------------


def _report_end(error: BaseException | None) -> int:
    """Print what ended the script, as Python does. Returns the exit code."""
    if error is None:
        return 0
    if isinstance(error, SystemExit):
        return _exit_code(error)
    try:
        print_exception(error)
    except SystemExit as left:  # by a hook of the script's
        return _exit_code(left)
    return 1


def print_exception(error: BaseException) -> None:
    if error.__traceback__ is not None or isinstance(error, SyntaxError):
        sys.last_type, sys.last_value = type(error), error
        sys.last_traceback = error.__traceback__
        if sys.version_info >= (3, 12):
            sys.last_exc = error
    hook = getattr(sys, "excepthook", None)
    _flush(sys.stdout)
    if hook is None:
        _write_error("sys.excepthook is missing\n")
        sys.__excepthook__(type(error), error, error.__traceback__)
        return
    try:
        hook(type(error), error, error.__traceback__)
    except SystemExit:
        raise
    except BaseException as second:  # noqa: BLE001 - as Python, which prints both
        _write_error("Error in sys.excepthook:\n")
        trimmed = second.with_traceback(_without_us(second.__traceback__))
        trimmed.__context__ = None
        sys.__excepthook__(type(second), trimmed, trimmed.__traceback__)
        _write_error("\nOriginal exception was:\n")
        sys.__excepthook__(type(error), error, error.__traceback__)


def _exit_code(error: SystemExit) -> int:
    """Return the code of a `SystemExit`; print it if it is no number."""
    code = error.code
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    _write_error(f"{code}\n")
    return 1


def _write_error(text: str) -> None:
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except Exception:  # noqa: BLE001 - there is nowhere to print it
        return


def _flush(stream: "Any") -> BaseException | None:
    try:
        if stream is not None and not _is_closed(stream):
            stream.flush()
    except BaseException as error:  # noqa: BLE001 - any stream that a script has put there
        return error
    return None


def _is_closed(stream: "Any") -> bool:
    """Whether a stream is closed, as `file_is_closed` in CPython's pylifecycle.c decides it.

    An object that a script has put in its place often has only `write` and `flush`.
    """
    try:
        return bool(stream.closed)
    except BaseException:  # noqa: BLE001 - as there: then it is not closed
        return False


def _finalize(code: int, before: "Collection[int]") -> int:
    """Do what an interpreter does at its end: threads, handlers, streams, the script's objects."""
    import atexit  # noqa: PLC0415 - built in

    threading: Any = sys.modules.get("threading")
    if threading is not None:
        _call_and_report(threading._shutdown)  # noqa: SLF001 - what the interpreter itself calls
    _call_and_report(atexit._run_exitfuncs)  # noqa: SLF001 - as above
    code = _flush_streams(code)
    if threading is not None:
        _call_and_report(lambda: _join_daemons(threading))
    sys.setswitchinterval(1e6)  # daemon threads hardly run any more
    _destroy_objects_of_script(before)
    for stream in (sys.stdout, sys.stderr):  # Python ignores their errors by now
        _flush(stream)
    return code


def _join_daemons(threading: "Any") -> None:
    """Wait a moment for daemon threads.

    The thread of a `multiprocessing` queue may have removed a semaphore and not reported it yet;
    then the resource tracker would print a warning.
    """
    import time  # noqa: PLC0415 - built in

    deadline = time.monotonic() + _LAST["multiprocessing.queues" in sys.modules]
    for thread in threading.enumerate():
        is_known = type(thread) is not threading._DummyThread  # noqa: SLF001 - it cannot be joined
        begun = thread.ident is not None  # one that is about to begin cannot be joined either
        if is_known and begun and thread is not threading.current_thread():
            threading.Thread.join(thread, max(0.0, deadline - time.monotonic()))


def _call_and_report(last: "Any") -> None:
    """Call a function and print what it raises, so that the rest still runs."""
    try:
        last()
    except BaseException as error:  # noqa: BLE001 - the interpreter prints it and continues, too
        _print_unraisable(error, f"in: {last!r}")


def _print_unraisable(error: BaseException, where: str) -> None:
    """Print an exception that cannot be caught any more, as Python does."""
    import traceback  # noqa: PLC0415 - after the script

    lines = traceback.format_exception(type(error), error, error.__traceback__)
    _write_error(f"Exception ignored {where}\n{''.join(lines)}")


def _flush_streams(code: int) -> int:
    error = _flush(sys.stdout)
    if error is not None:
        where = f"in: {sys.stdout!r}"
        if sys.version_info >= (3, 13):
            word = "while" if sys.version_info >= (3, 14) else "on"
            where = f"{word} flushing sys.stdout:"
        _print_unraisable(error.with_traceback(None), where)
    failed = _flush(sys.stderr) is not None or error is not None
    return _FAILED_FLUSH if failed else code


def _destroy_objects_of_script(before: "Collection[int]") -> None:
    """Destroy what the script made: its modules, and the objects that only they refer to."""
    import gc  # noqa: PLC0415 - built in
    from _weakref import ref  # noqa: PLC0415 - as above

    threading = sys.modules.get("threading")
    if threading is not None and threading.active_count() > 1:
        _write_files(gc.get_objects())  # a daemon thread still uses its modules
        return
    for name in ("last_type", "last_value", "last_traceback", "last_exc"):
        if hasattr(sys, name):
            delattr(sys, name)
    for name in ("stdin", "stdout", "stderr"):
        setattr(sys, name, getattr(sys, f"__{name}__", None))
    # As the interpreter does: this puts containers before their contents, so that a file which is
    # destroyed in a cycle is written first, then closed.
    gc.collect()
    own = [name for name, module in sys.modules.items() if id(module) not in before]
    left = [ref(sys.modules[name]) for name in own if type(sys.modules[name]) is type(sys)]
    for name in own:
        sys.modules[name] = None  # type: ignore[assignment]
    gc.collect()
    for module in (each() for each in reversed(left)):
        if module is not None:
            _empty(module.__dict__)
    module = None
    gc.collect()
    _write_files(gc.get_objects())


def _empty(names: "dict[str, Any]") -> None:
    """Empty a module as Python does: names with one underscore first, never the builtins."""
    for is_private in (True, False):
        for name in list(names):
            private = name[:1] == "_" and name[1:2] != "_"
            if name != "__builtins__" and private == is_private:
                names[name] = None


def _write_files(objects: "list[object]") -> None:
    """Write all files that are still open: nothing that was written may be lost."""
    import io  # noqa: PLC0415 - always loaded

    for each in objects:
        if type(each) in (io.TextIOWrapper, io.BufferedWriter, io.BufferedRandom):
            _flush(each)


def _die_of_an_interrupt() -> None:
    """End by the signal, since a shell looks for that, not for an exit code."""
    import signal  # noqa: PLC0415 - after the script

    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGINT)
