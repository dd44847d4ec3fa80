"""Run a script as `python script.py` would, and write down what it imports.

    python [flags] import_recorder.py REPORT [-m] SCRIPT ARGUMENTS...

The file stands alone: it imports nothing of modeldir, and nothing that the interpreter has not
loaded already.
"""

import atexit
import os
import sys
import time
from _frozen_importlib_external import SourceFileLoader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType
    from typing import Any

_EVERY = 0.25
"""Seconds between two writes to the report, which is read while the script runs."""
_OURS = "MODELDIR_"
"""The prefix of variables that `modeldir.start` sets for a trial's child processes: no library but
modeldir reads one when it is loaded. (As in `deferred_modules.py`; this file stands alone.)
"""


class _Finder:
    """A finder that notes what is looked for, and finds nothing.

    The report is lines of Python literals: first what the interpreter is, then the modules in the
    order in which they were looked for, each with how the script had changed the environment by
    then; at the very end a line that says so. The script's own modules are noted by name only,
    since they may hide a library's.
    """

    def __init__(self, report: str) -> None:
        self._report = report
        self._pid = os.getpid()
        self._started_with = dict(os.environ)
        self._begun: dict[str, dict[str, str | None]] = {}
        self._noted: set[str] = set()
        self._lines: list[str] = []
        self._written = time.monotonic()
        self._is_at_work = False

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:  # noqa: ARG002 - the protocol's
        if self._is_at_work or os.getpid() != self._pid:
            return  # another thread: its modules are noted at the next call or at the end
        self._is_at_work = True
        try:
            self._settle()
            if name not in self._noted:
                # Not since it was looked for first: that may only have asked whether it exists.
                self._begun.pop(name, None)
                self._begun[name] = self._changed()
            if time.monotonic() - self._written >= _EVERY:
                self._write()
        except Exception:  # noqa: BLE001 - nothing here may disturb a script; less is recorded then
            return
        finally:
            self._is_at_work = False

    def start(self, **facts: "Any") -> None:
        self._lines.append(ascii(facts))
        try:
            self._write()
        except OSError:  # a full disk: a report that does not begin with this is not read
            return

    def finish(self) -> None:
        if os.getpid() != self._pid:
            return
        try:
            self._settle()
            self._lines.append(ascii({"end": True}))
            self._write()
        except Exception:  # noqa: BLE001 - as above
            return

    def _settle(self) -> None:
        """Note the modules that have been found since: each is there before its code has run."""
        for name in list(self._begun):
            module = sys.modules.get(name)
            if module is not None:
                changes = self._begun.pop(name)
                self._lines.append(ascii(_noted(name, module, changes)))
                self._noted.add(name)

    def _changed(self) -> "dict[str, str | None]":
        now = os.environ
        if now == self._started_with:
            return {}
        changed: dict[str, str | None] = {
            name: value for name, value in now.items() if self._started_with.get(name) != value
        }
        changed.update((name, None) for name in self._started_with if name not in now)
        for name in [name for name in changed if name.startswith(_OURS)]:
            del changed[name]
        return changed

    def _write(self) -> None:
        self._written = time.monotonic()
        if self._lines:
            text = "".join(line + "\n" for line in self._lines)
            self._lines.clear()
            # Opened each time: the script should not have one more open descriptor.
            descriptor = os.open(self._report, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
            try:
                os.write(descriptor, text.encode())
            finally:
                os.close(descriptor)


def _noted(
    name: str, module: "ModuleType", changes: "Mapping[str, str | None]"
) -> "dict[str, Any]":
    spec = getattr(module, "__spec__", None)
    origin = getattr(spec, "origin", None)
    noted: dict[str, Any] = {"name": name, "origin": origin if isinstance(origin, str) else None}
    if noted["origin"] is None:
        noted["places"] = [str(place) for place in getattr(module, "__path__", None) or ()]
    if changes:
        noted["changes"] = changes
    return noted


def facts(path: "list[str]") -> "dict[str, Any]":
    """Return what this interpreter is, and the folders of its libraries with their times (ns).

    If something is installed later, the times show it.
    """
    site: Any = sys.modules.get("site")
    folders = [os.path.dirname(os.__file__)]
    if site is not None:
        folders += site.getsitepackages()
        if site.ENABLE_USER_SITE:
            folders.append(site.getusersitepackages())
    folders = [folder for folder in folders if os.path.isdir(folder)]
    _make_room_for_byte_code(folders)
    return {
        "executable": sys.executable,
        "version": sys.version,
        "flags": str(sys.flags),
        "prefix": sys.prefix,
        "folders": {each: os.stat(each).st_mtime_ns for each in folders},
        "path": path,
        "loaded": list(sys.modules),
    }


def _make_room_for_byte_code(folders: "list[str]") -> None:
    """Make the folders for byte code now.

    Python makes one when it first compiles a module. Later that would look as if something had been
    installed.
    """
    if sys.dont_write_bytecode or sys.pycache_prefix is not None:
        return
    for folder in folders:
        try:
            os.mkdir(os.path.join(folder, "__pycache__"))
        except OSError:  # it exists, which is nearly always so, or cannot be made
            continue


def _run_script_module() -> "ModuleType":
    """Load `run_script.py` without a name in `sys.modules`."""
    file = os.path.join(os.path.dirname(os.path.abspath(__file__)), "run_script.py")
    module: ModuleType = type(sys)("run_script")
    module.__file__ = file
    code: Any = SourceFileLoader("run_script", file).get_code("run_script")
    exec(code, module.__dict__)  # noqa: S102 - an import that nobody sees
    return module


def _remove_from_command_line(words: int) -> None:
    place = sys.orig_argv.index(sys.argv[0])
    del sys.orig_argv[place : place + words]


def _main() -> None:
    run_script = _run_script_module()
    report, *argv = sys.argv[1:]
    is_module = argv[0] == "-m"
    _remove_from_command_line(2)
    if not (sys.flags.isolated or getattr(sys.flags, "safe_path", False)):
        del sys.path[0]
    if not is_module and not run_script.is_readable(argv[0]):
        os.execv(sys.executable, sys.orig_argv)  # noqa: S606 - no shell is wanted
    finder = _Finder(report)
    finder.start(words=argv, **facts(list(sys.path)))
    atexit.register(finder.finish)
    sys.meta_path.insert(0, finder)
    error = run_script.execute(argv[is_module:], is_module=is_module)
    if error is None:
        return
    if not isinstance(error, SystemExit):
        run_script.print_exception(error)
        sys.excepthook = lambda *_: None  # it was printed; only the exit code is left
    raise error


if __name__ == "__main__":
    _main()
