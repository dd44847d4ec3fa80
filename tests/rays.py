"""A real Ray of two nodes on this machine, which touches no other: own folder, ports and token.

Each node is a process namespace of its own: who works on one cannot be seen from the other, as on
two machines, and killing its first process kills all of the node at once, as a power cut does.
Measured on 2 cores: both nodes up in 16 s (24 s on a busy machine), 22 processes, 1.8 GB.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import engines
from laboratory import environment, kill_host, wait_until
from modeldir.errors import CommandError
from modeldir.launchers.ray_api import RayJobs

START_LIMIT = 240.0
_LOST_SOON = {  # a node that is gone is given up after 5 s instead of 15; a slow one is not
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "20000",
}
_OWN_PROCESSES = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")
_TETHERED = ("sh", "-c", '"$@" & read -r _', "sh")
"""A node's first process: it ends, and the node with it, when whoever runs the tests does."""
_LEAN = (
    "--block",
    "--num-gpus=2",  # made up: nobody computes on them
    "--object-store-memory=80000000",
    "--include-log-monitor=false",
    "--disable-usage-stats",
)


def need_ray() -> None:
    """Skip the test where no Ray can be started; where one was promised and is not installed, fail
    it.
    """
    if find_spec("ray") is None:
        engines.lacks("ray", "ray is not installed: make engines")
    if _isolation() is None:
        pytest.skip("nodes need process namespaces of their own, and unshare may not make one")


@dataclass
class Cluster:
    """A head and one more node, `cpus` each. What runs there finds its node's name in NODE."""

    cpus: int = 4
    heartbeat: str = "0.2"
    token: str = field(default_factory=lambda: secrets.token_hex(16))
    _folder: Path = field(init=False)
    _nodes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # A short name: sockets lie within, and their paths may have 107 characters.
        self._folder = Path(tempfile.mkdtemp(prefix="mdray"))
        self._port, self._dashboard, self._client, *agents = _free_ports(5)
        self._agents = dict(zip(("head", "second"), agents, strict=True))
        self._begun = 0
        self.address = f"http://127.0.0.1:{self._dashboard}"
        self.head = f"{_own_address()}:{self._port}"
        self.access = {
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": self.token,
        }

    def start(self) -> None:
        """Bring both nodes up, or the one that is not there. Returns when Ray has these two and no
        other, so that one which was killed is known to be dead; and has run a job on each new one.
        """
        new = {"head", "second"} - {*self._nodes}
        if "head" not in self._nodes:
            self._start(
                "head",
                "--head",
                f"--port={self._port}",
                "--dashboard-host=127.0.0.1",
                f"--dashboard-port={self._dashboard}",
                f"--ray-client-server-port={self._client}",
            )
        if "second" not in self._nodes:
            self._start("second", f"--address={self.head}")
        for name in self._nodes:
            up = partial(self._is_up, name)
            wait_until(up, f"{name} of Ray, whose log is in {self._folder}", START_LIMIT)
        if new:
            self._wait_for(self._is_whole, "Ray to have two nodes")
        for name in sorted(new):
            self._wait_for(partial(self._runs_a_job, name), f"Ray to run a job on {name}")

    def kill(self, name: str) -> None:
        """Cut the power of a node: all that runs there is gone when this returns."""
        node = self._nodes.pop(name)
        kill_host(node)
        assert node.stdin is not None
        node.stdin.close()
        node.wait()  # its first process is only let go when the others have gone

    def jobs(self) -> dict[str, dict[str, Any]]:
        """What Ray tells of its jobs, by their ids."""
        with self._around():
            return {str(job["submission_id"]): job for job in RayJobs(self.address).all()}

    def log(self, job: str) -> str:
        """What Ray itself keeps of a job's output."""
        return str(self._ask(f"/api/jobs/{job}/logs")["logs"])

    def close(self) -> None:
        for name in [*self._nodes][::-1]:
            self.kill(name)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _start(self, name: str, *options: str) -> None:
        words = [str(Path(sys.executable).with_name("ray")), "start", *_LEAN, *options]
        words += [f"--num-cpus={self.cpus}", f"--temp-dir={self._folder}"]
        words += [f"--resources={json.dumps({name: 1})}"]
        # The head takes jobs by its agent there, and never where another Ray has the usual port.
        words += [f"--dashboard-agent-listen-port={self._agents[name]}"]
        self._begun += 1
        isolation = _isolation()
        assert isolation is not None
        with open(self._folder / f"{name}.log", "wb") as log:
            self._nodes[name] = subprocess.Popen(
                [*isolation, *_TETHERED, *words],
                env={
                    **environment(),
                    **self.access,
                    **_LOST_SOON,
                    "MODELDIR_HEARTBEAT": self.heartbeat,
                    "NODE": name,
                },
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _is_up(self, name: str) -> bool:
        return "Ray runtime started" in self._said(name)

    def _is_whole(self) -> bool:
        """Whether Ray has heard of each node that was ever started, and two of them are alive."""
        nodes = self._ask("/nodes?view=summary")["data"]["summary"]
        states = [node["raylet"].get("state") for node in nodes]
        return len(states) == self._begun and states.count("ALIVE") == 2

    def _runs_a_job(self, name: str) -> bool:
        """Whether a job that only this node can run comes to its end."""
        job = {"submission_id": f"probe-{name}-{self._begun}", "entrypoint": "true"}
        with self._around():
            RayJobs(self.address).submit({**job, "entrypoint_resources": {name: 1}})
        return str(self.jobs()[job["submission_id"]]["status"]) == "SUCCEEDED"

    def _wait_for(self, happened: Callable[[], bool], what: str) -> None:
        """Look seldom, since each look costs Ray something; until then it may refuse all."""

        def has() -> bool:
            with contextlib.suppress(CommandError, OSError, LookupError, ValueError):
                if happened():
                    return True
            time.sleep(0.3)
            return False

        wait_until(has, f"{what}; its logs are in {self._folder}", START_LIMIT)

    @contextlib.contextmanager
    def _around(self) -> Iterator[None]:
        """What opens the cluster, in this process's environment."""
        with pytest.MonkeyPatch.context() as around:
            for name, value in self.access.items():
                around.setenv(name, value)
            yield

    def _said(self, name: str) -> str:
        return (self._folder / f"{name}.log").read_text(errors="replace")

    def _ask(self, path: str) -> Any:
        import urllib.request

        headers = {"Authorization": f"Bearer {self.token}"}
        request = urllib.request.Request(self.address + path, headers=headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read())


def _isolation() -> list[str] | None:
    """How a command begins that has processes of its own; None where that cannot be."""
    for words in (_OWN_PROCESSES, (*_OWN_PROCESSES, "--map-root-user", "--user")):
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            subprocess.run([*words, "true"], check=True, capture_output=True)
            return [*words]
    return None


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]


def _own_address() -> str:
    """This machine's address, as Ray finds it: the head answers its nodes there."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("8.8.8.8", 53))  # sends nothing: it only asks for the way
        return str(probe.getsockname()[0])
    return socket.gethostbyname(socket.gethostname())
