"""The order from a worker to a supervisor: which attempt to run, and the file locks for it.

The worker makes a `Start`; `spawner.py` sends it, and a supervisor receives it. The locks (GPU
leases) travel as open descriptors: after `send_order` both sides hold them, so nothing is free in
between. How an attempt runs: `supervisor.py`.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from modeldir.experiment.attempts import console_file

_HEAD = struct.Struct("!II")  # how many bytes, how many descriptors
_MOST_DESCRIPTORS = 253  # SCM_MAX_FD, unix(7)


@dataclass(frozen=True)
class Start:
    """One attempt of one command in one folder, which a supervisor is to run."""

    folder: str
    number: int
    command: tuple[str, ...]
    cwd: str
    script: str = ""
    resumes: bool = False  # from what an earlier attempt saved
    makes: str = ""  # a folder inside, which exists before the command starts
    inherits: tuple[str, ...] = ()  # another trial's weights, with which it begins
    variables: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    metric: tuple[str, str] | None = None  # (name, direction) that it needs to be completed
    metrics: tuple[str, ...] = ()  # patterns that find metrics in printed lines and in files
    metrics_from: str = ""  # without them: the file in which an earlier trial left metrics
    pruner: str | None = None  # how it may be stopped early (`pruners/pruning_decision.py`)
    time_limit: float | None = None  # without the time in which the machine slept
    bound: bool = False  # end the attempt when the worker is gone
    grace: float = 10.0  # seconds between TERM and KILL, to save weights
    doubt: bool = False  # only a heartbeat tells that the attempt before is dead
    by: tuple[
        str, ...
    ] = ()  # in its place: through the import recorder, or without a launcher (`uv run`)
    forked: bool = False  # as a fork of its supervisor, which has its imports (`preload`)
    is_unproven: bool = False  # no such fork of this search has ended well yet
    is_shown: bool = False  # its output is shown as it comes: report the beginning at once

    def to_json(self) -> bytes:
        return json.dumps(vars(self)).encode()  # all its values are plain JSON values

    @classmethod
    def from_json(cls, data: bytes) -> Start:
        value = json.loads(data)
        value["command"] = tuple(value["command"])
        value["inherits"] = tuple(value["inherits"])
        value["by"] = tuple(value["by"])
        value["metrics"] = tuple(value["metrics"])
        value["metric"] = tuple(value["metric"]) if value["metric"] else None
        return cls(**value)


@dataclass(frozen=True)
class Order:
    """A start, and the descriptors of its leases, which the receiver now holds."""

    start: Start
    leases: tuple[int, ...] = ()


def receive_order(channel: socket.socket) -> Order | None:
    """Return what `send_order` sent; None if the other side is gone.

    An OSError means that descriptors were lost, since this process may open no more: their leases
    would be free while the command runs.
    """
    flags = getattr(socket, "MSG_CMSG_CLOEXEC", 0)
    try:
        head, descriptors, _, _ = socket.recv_fds(channel, _HEAD.size, _MOST_DESCRIPTORS, flags)
    except ConnectionError:
        return None
    rest = receive_bytes(channel, _HEAD.size - len(head)) if head else None
    if rest is None:
        return None
    size, count = _HEAD.unpack(head + rest)
    data = receive_bytes(channel, size)
    if data is None:
        return None
    if len(descriptors) != count:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
    for descriptor in descriptors:
        os.set_inheritable(descriptor, False)  # for systems without the flag
    return Order(Start.from_json(data), tuple(descriptors))


def send_order(channel: socket.socket, order: Order) -> None:
    """Send a start through a socket with its leases. After that both sides hold them."""
    data = order.start.to_json()
    head = _HEAD.pack(len(data), len(order.leases))
    if order.leases:
        sent = socket.send_fds(channel, [head], order.leases)
        channel.sendall(head[sent:] + data)
    else:
        channel.sendall(head + data)


def receive_bytes(channel: socket.socket, size: int) -> bytes | None:
    data = b""
    while len(data) < size:
        try:
            piece = channel.recv(size - len(data))
        except ConnectionError:
            return None
        if not piece:
            return None
        data += piece
    return data


def console_path(start: Start) -> str:
    return os.path.join(start.folder, console_file(start.script))
