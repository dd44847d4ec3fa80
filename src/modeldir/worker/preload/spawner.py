"""A spawner with a list of imports: a new interpreter that has imported what a script imports.

It knows the interpreter of the trials' own command, has it import what was learned, again when more
was, and hears what speaks against it. It refuses to know when: warmth.py does. All else is a
spawner's (spawner.py): its supervisors keep attempts as those of the other, but have the imports,
so that a trial can begin as a fork of its supervisor (forks.py).
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import struct
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn

from modeldir.worker import spawner
from modeldir.worker.preload import guards, import_recorder
from modeldir.worker.preload.child import Command, fork_command
from modeldir.worker.preload.imports import ImportList, PreloadedModules
from modeldir.worker.supervisor import REQUESTS

_MORE = b"+"
_TO_LISTEN = 10.0
_HEAD = struct.Struct("!I")
_CODE = """\
import sys
sys.path[:] = [{root!r}, *filter(None, sys.path)]
from modeldir.worker.preload.spawner import serve
serve{ends}
"""


@dataclass(frozen=True)
class Answer:
    """What became of a request to import: so many `modules` are there now, or an `objection`.
    `is_foreign`: nothing was imported, since the list was learned in another environment.
    """

    modules: int = 0
    objection: str | None = None
    is_foreign: bool = False


class PreloadSpawner(spawner.Spawner):
    """A worker's side of it. `interpreter` are the words before the script in the trials' command,
    `environment` is theirs, as far as they share it, `cwd` where they run.
    """

    def __init__(
        self, interpreter: tuple[str, ...], environment: Mapping[str, str], cwd: str
    ) -> None:
        self._interpreter, self._environment, self._cwd = interpreter, dict(environment), cwd
        self._heard = b""
        super().__init__()

    def _make(self, ends: tuple[int, int, int], ours: tuple[int, ...], terminal: str | None) -> int:
        """As a new interpreter, wherever this one comes from."""
        del ours, terminal  # none of them survives an exec; another spawner has the terminal
        import subprocess  # noqa: PLC0415 - only where trials are warm

        root = os.path.abspath(__file__).rsplit(os.sep, 4)[0]
        code = _CODE.format(root=root, ends=ends)
        # Until it has a session of its own, what is typed is not for it.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, REQUESTS)
        try:
            child = subprocess.Popen(
                [*self._interpreter, "-c", code],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=self._environment,
                cwd=self._cwd,
                pass_fds=ends,
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        child.returncode = 0  # `close` waits for it by its pid; this object has nothing to warn of
        return child.pid

    @property
    def pid(self) -> int:
        return self._pid

    def ask(self, learned: ImportList) -> None:
        """Have it import this, and what supervisors it has leave when they are free.

        Raises:
            OSError: when it is no more, or does not listen: a long list does not fit into the
                socket, and the worker has other things to do than to wait. Then it is ended.
        """
        self.retire()
        data = json.dumps(learned.to_json()).encode()
        self._socket.settimeout(_TO_LISTEN)
        try:
            self._socket.sendall(_MORE + _HEAD.pack(len(data)) + data)
        except OSError:
            self.kill()
            raise
        finally:
            self._socket.setblocking(True)

    def answer(self) -> Answer | None:
        """What it has answered, if it has; never waits.

        Raises:
            ConnectionError: when it is no more.
        """
        self._socket.setblocking(False)
        try:
            with contextlib.suppress(BlockingIOError):
                while piece := self._socket.recv(65536):
                    self._heard += piece
                raise ConnectionError
        finally:
            self._socket.setblocking(True)
        if len(self._heard) < _HEAD.size:
            return None
        size = _HEAD.unpack_from(self._heard)[0]
        told, rest = self._heard[_HEAD.size : _HEAD.size + size], self._heard[_HEAD.size + size :]
        if len(told) < size:
            return None
        self._heard = rest
        return Answer(**json.loads(told))

    def dismiss(self) -> None:
        """Let it leave with the last of its supervisors; they still report."""
        with contextlib.suppress(OSError):
            self._socket.sendall(spawner.BYE)
        self.retire()
        self._socket.close()

    def kill(self) -> None:
        """End it in the midst of an import; its supervisors go on."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)


# -- The other side --------------------------------------------------------------------------------


def serve(channel: int, reports: int, lifeline: int) -> NoReturn:
    """Be the spawner in an interpreter of its own, with inherited descriptors."""
    # What a supervisor imports only when it is needed: later our own place is not on the path.
    from modeldir.pruners import judge  # noqa: F401, PLC0415
    from modeldir.worker import early_stopping  # noqa: F401, PLC0415

    del sys.path[0]
    spawner.serve_preloaded(channel, reports, lifeline, _Importer())


class _Importer:
    """What this process has imported, and imports when it is asked to."""

    def __init__(self) -> None:
        self._preloaded = PreloadedModules()
        self._facts = import_recorder.facts(list(sys.path))  # before an import can add to the path

    def fork(
        self,
        command: tuple[str, ...],
        cwd: str,
        environment: Mapping[str, str],
        output: int,
        kept: tuple[int, ...],
    ) -> int:
        return fork_command(Command(command, cwd, environment, output, kept), self._preloaded)

    def answer(self, channel: socket.socket, wanted: bytes) -> bool:
        """Import what is asked for; false for any other request."""
        if wanted != _MORE:
            return False
        with contextlib.suppress(ConnectionError, EOFError):  # no worker: the next read tells
            size = _HEAD.unpack(_received(channel, _HEAD.size))[0]
            learned = ImportList.from_json(json.loads(_received(channel, size)))
            assert learned is not None  # `ask` has sent it
            told = json.dumps(vars(self._imported(learned))).encode()
            channel.sendall(_HEAD.pack(len(told)) + told)
        return True

    def _imported(self, learned: ImportList) -> Answer:
        if not learned.is_of(self._facts):
            return Answer(is_foreign=True)
        self._preloaded.add(learned)
        count = len(learned.modules) - len(self._preloaded.left_out)
        return Answer(count, guards.process_objection(self._preloaded))


def _received(channel: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = channel.recv(size - len(data))
        if not piece:
            raise EOFError
        data += piece
    return data
