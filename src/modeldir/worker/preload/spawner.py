"""The import process: a spawner in a new interpreter that has imported what a script imports.

`process.py` makes a `PreloadSpawner` with the interpreter of the trials' command, and has it import
a list, and again when the list has grown. When to do that: `policy.py`. Otherwise it works like any
spawner (`worker/spawner.py`): its supervisors keep attempts, but since they have the imports, a
trial can start as a fork of its supervisor (`child.py`).
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import struct
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NoReturn

from modeldir.experiment.attempts import FORK_VARIABLE, NO_TOKEN
from modeldir.worker import spawner
from modeldir.worker.preload import guards, import_recorder
from modeldir.worker.preload.child import Command, fork_command
from modeldir.worker.preload.imports import ImportList, PreloadedModules
from modeldir.worker.start_order import receive_bytes
from modeldir.worker.supervisor import REQUESTS

_MORE = b"+"
_SEND_TIMEOUT = 10.0
_HEAD = struct.Struct("!I")
_CODE = """\
import sys
sys.path[:] = [{root!r}, *filter(None, sys.path)]
from modeldir.worker.preload.spawner import serve
serve{ends}
"""


@dataclass(frozen=True)
class Answer:
    """The answer to a request to import.

    Attributes:
        modules: how many are imported now.
        objection: why the process must not be forked.
        is_foreign: nothing was imported, since the list was recorded in another environment.
    """

    modules: int = 0
    objection: str | None = None
    is_foreign: bool = False


class PreloadSpawner(spawner.Spawner):
    """A worker's side of the import process.

    Args:
        interpreter: the words before the script in the trials' command.
        environment: the part of their environment that is the same for all.
        cwd: where they run.
    """

    def __init__(
        self, interpreter: tuple[str, ...], environment: Mapping[str, str], cwd: str
    ) -> None:
        self._interpreter, self._environment, self._cwd = interpreter, dict(environment), cwd
        self._heard = b""
        super().__init__()

    def _make(self, ends: tuple[int, int, int], ours: tuple[int, ...], terminal: str | None) -> int:
        """Start it as a new interpreter."""
        del ours, terminal  # an exec closes them; another spawner has the terminal
        import subprocess  # noqa: PLC0415 - only if trials are preloaded

        root = os.path.abspath(__file__).rsplit(os.sep, 4)[0]
        code = _CODE.format(root=root, ends=ends)
        # Until it has a session of its own, it must not get the terminal's Ctrl-C.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, REQUESTS)
        try:
            child = subprocess.Popen(
                [*self._interpreter, "-c", code],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={**self._environment, FORK_VARIABLE: NO_TOKEN},
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

    def ask(self, imports: ImportList) -> None:
        """Have it import a list. Its free supervisors, which lack these modules, exit.

        Raises:
            OSError: it is gone, or does not read: a long list does not fit into the socket, and the
                worker must not wait for long. Then it is killed.
        """
        self.retire()
        data = json.dumps(imports.to_json()).encode()
        self._socket.settimeout(_SEND_TIMEOUT)
        try:
            self._socket.sendall(_MORE + _HEAD.pack(len(data)) + data)
        except OSError:
            self.kill()
            raise
        finally:
            self._socket.setblocking(True)

    def answer(self) -> Answer | None:
        """Return its answer if there is one; never waits.

        Raises:
            ConnectionError: it is gone.
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
        data, rest = self._heard[_HEAD.size : _HEAD.size + size], self._heard[_HEAD.size + size :]
        if len(data) < size:
            return None
        self._heard = rest
        return Answer(**json.loads(data))

    def dismiss(self) -> None:
        """Let it exit with the last of its supervisors, which still report."""
        with contextlib.suppress(OSError):
            self._socket.sendall(spawner.BYE)
        self.retire()
        self._socket.close()

    def kill(self) -> None:
        """Kill it, perhaps during an import. Its supervisors continue."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)


# -- The other side --------------------------------------------------------------------------------


def serve(channel: int, reports: int, lifeline: int) -> NoReturn:
    """Be the import process in a new interpreter, with inherited descriptors."""
    # Supervisors import these only when needed, but later our folder is not on the path.
    from modeldir.pruners import pruning_decision  # noqa: F401, PLC0415
    from modeldir.worker import early_stopping  # noqa: F401, PLC0415

    del sys.path[0]
    spawner.serve(channel, reports, lifeline, importer=_Importer())


class _Importer:
    """Imports for the trials when the worker asks for it, and forks them."""

    def __init__(self) -> None:
        self._preloaded = PreloadedModules()
        self._facts = import_recorder.facts(list(sys.path))  # before an import can add to the path

    def fork(  # noqa: PLR0913 - all that makes a command
        self,
        command: tuple[str, ...],
        cwd: str,
        environment: Mapping[str, str],
        output: int,
        kept: tuple[int, ...],
        *,
        fasten: Callable[[int], None],
    ) -> int:
        forked = Command(command, cwd, environment, output, kept)
        return fork_command(forked, self._preloaded, fasten)

    def answer(self, channel: socket.socket, wanted: bytes) -> bool:
        """Import the list that is sent. Returns false for any other request."""
        if wanted != _MORE:
            return False
        head = receive_bytes(channel, _HEAD.size)
        data = receive_bytes(channel, _HEAD.unpack(head)[0]) if head else None
        if data is not None:  # otherwise the worker is gone, as the next read shows
            imports = ImportList.from_json(json.loads(data))
            assert imports is not None  # `ask` has sent it
            reply = json.dumps(vars(self._import(imports))).encode()
            with contextlib.suppress(ConnectionError):
                channel.sendall(_HEAD.pack(len(reply)) + reply)
        return True

    def _import(self, imports: ImportList) -> Answer:
        if not imports.is_of(self._facts):
            return Answer(is_foreign=True)
        self._preloaded.add(imports)
        count = len(imports.modules) - len(self._preloaded.left_out)
        return Answer(count, guards.process_objection(self._preloaded))
