"""A script run as `__main__`, to its very end, in a process that was not started with it.

It knows what `python script.py` does from the first line of a script to the process' exit code, and
does the same. It refuses to know why: nothing of modeldir is imported here, and of the standard
library only what every interpreter has loaded already, so that a script finds no more than it would
without us (not even `from __future__`: that is a module too).

The one thing that differs: the process' own libraries are not torn down. What the script itself
made is (a file that it left open is written), what was there before is not touched.
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
"""What Python exits with when the last lines of its output cannot be written."""
_LAST = (0.01, 0.05)
"""Seconds for daemon threads that are about to end, without and with a queue of `multiprocessing`:
so long an interpreter takes few libraries down, and many.
"""


def run_as_main(
    argv: "Sequence[str]", *, is_module: bool = False, libraries: "Iterable[ModuleType]" = ()
) -> "NoReturn":
    """Run `argv[0]` as the main program and leave with the exit code that it would have had.

    With `is_module` it is the name of a module, as with `python -m`. `libraries` are modules that
    are not torn down, besides those in `sys.modules`.
    """
    before = frozenset(map(id, (*sys.modules.values(), *libraries)))
    error = execute(argv, is_module=is_module)
    code = _told(error)
    interrupted = isinstance(error, KeyboardInterrupt)
    del error  # its frames hold the script's variables
    code = _finished(code, before)
    if interrupted:
        _die_of_an_interrupt()
    os._exit(code & 0xFF)


def execute(argv: "Sequence[str]", *, is_module: bool = False) -> BaseException | None:
    """Run it; the exception that ended it, without our frames. SystemExit is one."""
    try:
        if is_module:
            _execute_module(argv)
        else:
            _execute_script(argv)
    except BaseException as error:  # noqa: BLE001 - whatever ends a script, as the interpreter does
        return error.with_traceback(_without_us(error.__traceback__))
    return None


def _execute_script(argv: "Sequence[str]") -> None:
    # As typed, behind the folder: what is not absolute is not made simpler either.
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
    """The script's folder first on the path, where `-P` and `-I` have not forbidden it."""
    safe = sys.flags.isolated or getattr(sys.flags, "safe_path", False)
    if not safe:
        sys.path.insert(0, folder)


def is_readable(script: str) -> bool:
    """Whether a script is there, and text: what Python says otherwise it says best itself."""
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
    """A new, empty `__main__`, with the attributes that the interpreter gives to its own."""
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


def _told(error: BaseException | None) -> int:
    """Say what ended the script, where Python says it; the exit code."""
    if error is None:
        return 0
    if isinstance(error, SystemExit):
        return _exit_code(error)
    try:
        tell(error)
    except SystemExit as left:  # by a hook of the script's
        return _exit_code(left)
    return 1


def tell(error: BaseException) -> None:
    """Give an exception to the hook for what nobody caught."""
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
    except BaseException as second:  # noqa: BLE001 - as Python: both are told
        _write_error("Error in sys.excepthook:\n")
        trimmed = second.with_traceback(_without_us(second.__traceback__))
        trimmed.__context__ = None
        sys.__excepthook__(type(second), trimmed, trimmed.__traceback__)
        _write_error("\nOriginal exception was:\n")
        sys.__excepthook__(type(error), error, error.__traceback__)


def _exit_code(error: SystemExit) -> int:
    """The code of a `SystemExit`; what is no number is printed."""
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
    except Exception:  # noqa: BLE001 - there is nowhere to say it
        return


def _flush(stream: "Any") -> BaseException | None:
    """Write out what a stream holds; what went wrong."""
    try:
        if stream is not None and not _is_closed(stream):
            stream.flush()
    except BaseException as error:  # noqa: BLE001 - any stream that a script has put there
        return error
    return None


def _is_closed(stream: "Any") -> bool:
    """As `file_is_closed` in CPython's pylifecycle.c: what a script puts in the place of a stream
    has `write` and `flush`, often no more.
    """
    try:
        return bool(stream.closed)
    except BaseException:  # noqa: BLE001 - as there: then it is not
        return False


def _finished(code: int, before: "Collection[int]") -> int:
    """What an interpreter does at its end: threads, handlers, streams, the script's objects."""
    import atexit  # noqa: PLC0415 - built in

    threading: Any = sys.modules.get("threading")
    if threading is not None:
        _guarded(threading._shutdown)  # noqa: SLF001 - what the interpreter itself calls
    _guarded(atexit._run_exitfuncs)  # noqa: SLF001 - as above
    code = _flushed(code)
    if threading is not None:
        _guarded(lambda: _let_end(threading))
    sys.setswitchinterval(1e6)  # daemon threads run no more, as far as we can do that
    _let_go(before)
    for stream in (sys.stdout, sys.stderr):  # whose errors Python passes over by now
        _flush(stream)
    return code


def _let_end(threading: "Any") -> None:
    """Wait a moment for daemon threads: that of a queue of `multiprocessing` has perhaps removed a
    semaphore, and not yet said so; then the process that looks after them would complain.
    """
    import time  # noqa: PLC0415 - built in

    deadline = time.monotonic() + _LAST["multiprocessing.queues" in sys.modules]
    for thread in threading.enumerate():
        is_known = type(thread) is not threading._DummyThread  # noqa: SLF001 - nobody can join one
        begun = thread.ident is not None  # one that is about to begin cannot be joined either
        if is_known and begun and thread is not threading.current_thread():
            threading.Thread.join(thread, max(0.0, deadline - time.monotonic()))


def _guarded(last: "Any") -> None:
    """Call what must not keep us from the rest. Handlers that fail are told by Python itself."""
    try:
        last()
    except BaseException as error:  # noqa: BLE001 - as the interpreter: told, and gone on
        _unraisable(error, f"in: {last!r}")


def _unraisable(error: BaseException, where: str) -> None:
    """As Python tells what nobody can catch any more."""
    import traceback  # noqa: PLC0415 - after the script

    lines = traceback.format_exception(type(error), error, error.__traceback__)
    _write_error(f"Exception ignored {where}\n{''.join(lines)}")


def _flushed(code: int) -> int:
    error = _flush(sys.stdout)
    if error is not None:
        where = f"in: {sys.stdout!r}"
        if sys.version_info >= (3, 13):
            word = "while" if sys.version_info >= (3, 14) else "on"
            where = f"{word} flushing sys.stdout:"
        _unraisable(error.with_traceback(None), where)
    failed = _flush(sys.stderr) is not None or error is not None
    return _FAILED_FLUSH if failed else code


def _let_go(before: "Collection[int]") -> None:
    """Destroy what the script made: its modules, and the objects that only they held."""
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
    # As the interpreter does: this puts what holds before what is held, so that a file which is
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
    """As Python does: first what begins with one underscore, then the rest, never the builtins."""
    for is_private in (True, False):
        for name in list(names):
            private = name[:1] == "_" and name[1:2] != "_"
            if name != "__builtins__" and private == is_private:
                names[name] = None


def _write_files(objects: "list[object]") -> None:
    """What is open still, somebody else's: nothing that was written may be lost."""
    import io  # noqa: PLC0415 - always loaded

    for each in objects:
        if type(each) in (io.TextIOWrapper, io.BufferedWriter, io.BufferedRandom):
            _flush(each)


def _die_of_an_interrupt() -> None:
    """As a shell has to see it: killed by the signal, not an exit code."""
    import signal  # noqa: PLC0415 - after the script

    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGINT)
