"""Messages between a fork server and its clients: JSON, one per packet, open files beside it.

The socket is AF_UNIX SOCK_SEQPACKET: packets stay whole, and the end of either side is seen by
the other at once. Requests of a client:

    {"op": "kernel", "command", "arguments", "environment", "directory", "connection_file",
     "spare", "ipc_prefix"} and three files: standard input, output, error; from a client that has
     the kernel for itself a fourth, the line to it, which it uses if it takes "lines": then it
     writes the connection file itself, with the "kernel_name" that is told, too
        -> {"pid", "connection", "info", "lines"} | {"refused"}, and at the kernel's end {"exit"};
           before it {"ending"} with the same code, once all that the kernel does is done, where
           that is known
    {"op": "signal", "signum"}      to the process group of this connection's kernel
    {"op": "status"}                -> {"pid", "kernels", "spares", …}
    {"op": "stop"}                  the server and all its kernels end
"""

from __future__ import annotations

import array
import json
import socket
import struct
from collections.abc import Sequence
from typing import Any

Message = dict[str, Any]

#: A refusal that another fork server, started now, would not give.
RETIRED = "installed packages or IPython's configuration have changed"

_MAX_BYTES = 1 << 20
_MAX_FILES = 8
# As numbers: to join flags of Python's takes longer than to look for a message.
_LOOK_NOW = int(socket.MSG_PEEK | socket.MSG_DONTWAIT)
_MEASURE = int(socket.MSG_PEEK | socket.MSG_TRUNC)
_CUT = int(socket.MSG_TRUNC | socket.MSG_CTRUNC)


def open_socket() -> socket.socket:
    """An unconnected socket that takes environments of the usual sizes in one packet."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _MAX_BYTES)
    return sock


def pair() -> tuple[socket.socket, socket.socket]:
    """Two connected sockets."""
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    here.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _MAX_BYTES)
    return here, there


def send(sock: socket.socket, message: Message, files: Sequence[int] = ()) -> None:
    """Send one message. Raises ``OSError`` where it is too large or nobody listens."""
    rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", files))
    sock.sendmsg([json.dumps(message).encode()], [rights] if files else [])


def receive(sock: socket.socket) -> tuple[Message | None, list[int]]:
    """The next message and its files, which are then the caller's to close.

    ``None`` where the other side has ended, or sent what is not a message.
    """
    try:
        data, ancillary, flags, _ = sock.recvmsg(
            _next_bytes(sock), socket.CMSG_SPACE(_MAX_FILES * 4), socket.MSG_CMSG_CLOEXEC
        )
    except ConnectionError:
        return None, []
    files = array.array("i")
    for level, kind, rights in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            files.frombytes(rights[: len(rights) // 4 * 4])
    if not data or flags & _CUT:
        return None, list(files)
    return json.loads(data), list(files)


def has_come(sock: socket.socket) -> bool:
    """Whether there is a message, or the other side has ended."""
    try:
        sock.recv(1, _LOOK_NOW)
    except BlockingIOError:
        return False
    except ConnectionError:
        return True
    return True


def _next_bytes(sock: socket.socket) -> int:
    """How long the next message is. Room for the longest takes the system ten times as long."""
    return min(sock.recv_into(bytearray(1), 1, _MEASURE), _MAX_BYTES)


def peer(sock: socket.socket) -> tuple[int, int]:
    """Process and user id at the other end, as the operating system knows them."""
    size = struct.calcsize("3i")
    credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    pid, user, _ = struct.unpack("3i", credentials)
    return int(pid), int(user)
