"""Finding and starting fork servers.

They live in one private directory for each user: a socket, a lock and a log for each recipe. A
server that is missing is started and not waited for, unless the caller wants to: meanwhile an
ordinary start is as quick as ever.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from opspawn_jupyter.kernels.forking import label, wire
from opspawn_jupyter.kernels.forking.options import Options
from opspawn_jupyter.kernels.recipe import PROGRAM, Recipe

log = logging.getLogger(__name__)

#: Environment variable: where fork servers' sockets lie.
DIRECTORY_VARIABLE = "OPSPAWN_KERNELS_DIRECTORY"
#: Environment variable: the process with which fork servers end.
OWNER_VARIABLE = "OPSPAWN_KERNELS_OWNER"
#: More servers than these are not started: each keeps an interpreter and its spares in memory.
MAX_SERVERS = 6
#: A server that could not start is not tried again for so long.
_RETRY_SECONDS = 60.0
_POLL_SECONDS = 0.01
#: An ipc address must fit into 107 bytes, with the name, numbers and a port behind it.
_MAX_DIRECTORY_LENGTH = 60
_REQUEST_SECONDS = 5.0

#: Who starts servers, where that is not this process.
_delegate: Callable[[Recipe], None] | None = None
#: Servers that this process started and has not reached so far: name -> (process, time).
_coming: dict[str, tuple[int, float]] = {}
#: The server that was asked last, and a line to it that was opened ahead.
_asked: Recipe | None = None
_ready: tuple[str, socket.socket] | None = None
#: All that it started: their ends are this process's to take note of.
_children: set[int] = set()


def is_possible() -> bool:
    """Whether this system can have fork servers: Linux 5.3 or later."""
    return sys.platform == "linux" and hasattr(os, "pidfd_open")


def directory() -> Path | None:
    """The private directory, made if need be; ``None`` where none can be had."""
    for path in _candidates():
        if len(os.fsencode(path)) <= _MAX_DIRECTORY_LENGTH and _is_private(path):
            return path
    return None


def connect(recipe: Recipe) -> socket.socket | None:
    """A connection to the recipe's server, if it is up."""
    global _asked  # noqa: PLW0603  it is the process that asks again
    line = _taken(recipe) or _connect(_socket_of(recipe))
    if line is not None:
        _coming.pop(recipe.name, None)
        _asked = recipe
    return line


def connect_ahead() -> None:
    """Open a line to the server that was asked last, for whoever asks it next in this process. A
    server takes as long to let somebody in as to give a kernel away."""
    global _ready  # noqa: PLW0603  as above
    if _asked is None or (_ready is not None and _ready[0] == _asked.name):
        return
    if _ready is not None:
        _ready[1].close()  # it leads to the server of another kernel
    line = _connect(_socket_of(_asked))
    _ready = None if line is None else (_asked.name, line)


def _taken(recipe: Recipe) -> socket.socket | None:
    """The line that was opened ahead, if it leads there, and its server lives."""
    global _ready
    if _ready is None or _ready[0] != recipe.name:
        return None
    (_, line), _ready = _ready, None
    if not wire.has_come(line):
        return line
    line.close()  # it has nothing to say but that it has ended
    return None


def _socket_of(recipe: Recipe) -> Path:
    return Path(recipe.options.directory, f"{recipe.name}.sock")


async def connect_within(recipe: Recipe, patience_seconds: float) -> socket.socket | None:
    """The same; where the server is missing it is started, and waited for as long as allowed."""
    line = connect(recipe)
    if line is not None or not start(recipe):
        return line
    deadline = time.monotonic() + patience_seconds
    while line is None and time.monotonic() < deadline and not _is_hopeless(recipe):
        await asyncio.sleep(_POLL_SECONDS)
        line = connect(recipe)
    return line


def start(recipe: Recipe) -> bool:
    """Start the recipe's server; whether one is on its way."""
    name = recipe.name
    if _delegate is not None:
        _delegate(recipe)
        return True
    if name in _coming:
        return not _has_failed(name)
    if _count(Path(recipe.options.directory)) >= MAX_SERVERS:
        log.info("fork server not started name=%s servers=%s", name, MAX_SERVERS)
        return False
    log_file = f"{recipe.options.directory}/{name}.log"
    try:
        pid = os.posix_spawn(
            recipe.interpreter,
            [recipe.interpreter, *recipe.flags, str(PROGRAM), name, recipe.options.dump()],
            {"PATH": os.defpath, **recipe.environment, **_mark(recipe.options)},
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, log_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setsigmask=[],
            setsigdef=[signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD],
        )
    except OSError as error:
        log.warning("fork server not started interpreter=%r error=%s", recipe.interpreter, error)
        return False
    _children.add(pid)
    _coming[name] = (pid, time.monotonic())
    log.info("fork server started name=%s pid=%s interpreter=%r", name, pid, recipe.interpreter)
    return True


def delegate(starter: Callable[[Recipe], None] | None) -> None:
    """Have somebody else start servers from now on: what a process starts may have to end with it,
    and a fork server is to stay."""
    global _delegate  # noqa: PLW0603  it is the process that is what it is
    _delegate = starter


def note_arrival(recipe: Recipe, *, has_come: bool) -> None:
    """Let those who wait for the server know whether waiting has a point."""
    if has_come:
        _failure(recipe).unlink(missing_ok=True)
    else:
        _failure(recipe).touch()


def statuses(place: Path) -> Iterator[dict[str, Any]]:
    """What each running server in the directory says about itself."""
    for path in place.glob("*.sock"):
        line = _connect(path)
        if line is not None:
            with line:
                wire.send(line, {"op": "status"})
                line.settimeout(_REQUEST_SECONDS)
                answer, _ = wire.receive(line)
            yield answer or {}


def stop_all(place: Path) -> None:
    """End every server in the directory, with its kernels."""
    for path in place.glob("*.sock"):
        line = _connect(path)
        if line is not None:
            with line:
                wire.send(line, {"op": "stop"})
                line.settimeout(_REQUEST_SECONDS)
                wire.receive(line)


def _candidates() -> Iterator[Path]:
    configured = os.environ.get(DIRECTORY_VARIABLE)
    if configured:
        yield Path(configured)
        return
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime:
        yield Path(runtime, "opspawn-kernels")
    for temporary in (tempfile.gettempdir(), "/tmp"):  # noqa: S108  made private below
        yield Path(temporary, f"opspawn-kernels-{os.getuid()}")


def _is_private(path: Path) -> bool:
    """Make the directory if it is missing; whether it is ours alone."""
    try:
        path.mkdir(mode=0o700, exist_ok=True)
        status = path.lstat()
    except OSError:
        return False
    is_directory = stat.S_ISDIR(status.st_mode)
    return is_directory and status.st_uid == os.getuid() and not status.st_mode & 0o077


def _connect(path: Path) -> socket.socket | None:
    line = wire.open_socket()
    try:
        line.connect(str(path))
    except OSError:  # no server, or one that was killed
        line.close()
        return None
    if wire.peer(line)[1] != os.getuid():
        line.close()
        return None
    return line


def _count(place: Path) -> int:
    return sum(1 for path in place.glob("*.sock") if _is_alive(path))


def _is_alive(path: Path) -> bool:
    line = _connect(path)
    if line is not None:
        line.close()
    return line is not None


def _mark(options: Options) -> Mapping[str, str]:
    """Room for the mark that each kernel shows."""
    return {options.mark: label.BLANK} if options.mark else {}


def _is_hopeless(recipe: Recipe) -> bool:
    if recipe.name in _coming:
        return _has_failed(recipe.name)
    return _failure(recipe).exists()


def _failure(recipe: Recipe) -> Path:
    return Path(recipe.options.directory, f"{recipe.name}.failed")


def _has_failed(name: str) -> bool:
    """Whether the server has ended before it could be reached; after a while that is forgotten."""
    _reap()
    pid, at = _coming[name]
    has_failed = pid not in _children
    if has_failed and time.monotonic() - at > _RETRY_SECONDS:
        del _coming[name]
    return has_failed


def _reap() -> None:
    for pid in tuple(_children):
        try:
            ended, _ = os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:  # somebody else takes note of all children's ends
            ended = pid
        if ended:
            _children.discard(pid)
