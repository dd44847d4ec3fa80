"""The order from a worker to a supervisor: which attempt to run, and the file locks for it.

The worker makes a `Start`. `spawner.py` sends it through a socket with `send_order`, and a
supervisor reads it with `receive_order`. The locks (GPU leases) travel as open descriptors: after
`send_order` both sides hold them, so nothing is free in between. How an attempt runs:
`supervisor.py`.
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
    """One attempt of one command in one folder, which a supervisor is to run.

    Attributes:
        resumes: the attempt continues from what an earlier one saved.
        inherits: the weights of another trial, with which it begins and from which it resumes.
        variables: added to the environment.
        facts: recorded in the run file.
        metric: (name, direction) if the attempt needs a metric to count as completed.
        read: a pattern that finds metrics in printed lines.
        pruner: how it may be stopped early (`pruners/judge.py`), as a string.
        time_limit: in seconds, without the time in which the machine slept.
        bound: end the attempt when the worker is gone.
        grace: seconds between TERM and KILL, in which the script may save its weights.
        doubt: the last heartbeat seen of the attempt before this one, if only that tells that it is
            dead (`_system/heartbeat.py`).
        by: what is executed instead of the command: the same, through the import recorder.
        forked: the command starts as a fork of its supervisor, which has its imports (`preload`).
        is_unproven: no such fork of this search has ended well yet.
        is_shown: its output is shown as it comes, so report the beginning at once.
    """

    folder: str
    number: int
    command: tuple[str, ...]
    cwd: str
    script: str = ""
    resumes: bool = False
    inherits: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    metric: tuple[str, str] | None = None
    read: str | None = None
    pruner: str | None = None
    time_limit: float | None = None
    bound: bool = False
    grace: float = 10.0
    doubt: str | None = None
    by: tuple[str, ...] = ()
    forked: bool = False
    is_unproven: bool = False
    is_shown: bool = False

    def to_json(self) -> bytes:
        return json.dumps(vars(self)).encode()  # all its values are plain JSON values

    @classmethod
    def from_json(cls, data: bytes) -> Start:
        value = json.loads(data)
        value["command"] = tuple(value["command"])
        value["inherits"] = tuple(value["inherits"])
        value["by"] = tuple(value["by"])
        value["metric"] = tuple(value["metric"]) if value["metric"] else None
        return cls(**value)


@dataclass(frozen=True)
class Order:
    """A start, and the descriptors of its leases, which the receiver now holds."""

    start: Start
    leases: tuple[int, ...] = ()


def receive_order(channel: socket.socket) -> Order | None:
    """Return what `send_order` sent; None if the other side is gone.

    Raises:
        OSError: descriptors were lost, since this process may open no more: their leases would be
            free while the command runs.
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
    """Return the next `size` bytes; None if the other side is gone."""
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
