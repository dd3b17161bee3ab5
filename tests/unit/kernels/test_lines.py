"""The client's end of a kernel's channels, without a kernel."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

import pytest
import zmq

from opspawn_jupyter.kernels.forking.line import IOPUB, SHELL, Channel, Frames, Line, pack
from opspawn_jupyter.kernels.forking.steady import defer
from opspawn_jupyter.kernels.socket_channels import Sockets, connected
from opspawn_jupyter.kernels.wire_channels import Wire

_PATIENCE_SECONDS = 30.0
_AT_ONCE_SECONDS = 0.01


def run_alone(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """The test, in an event loop of its own."""

    @wraps(test)
    def run(**fixtures: Any) -> None:
        asyncio.run(test(**fixtures))

    return run


def packed(*messages: tuple[bytes, list[bytes]]) -> bytes:
    """As they go over a line."""
    return b"".join(b"".join(pack(*message)) for message in messages)


@run_alone
async def test_a_line_gives_what_comes_in_order_and_says_when_it_has_ended() -> None:
    """Whoever waits on a dead kernel has to look after it soon."""
    here, there = socket.socketpair()
    line = Wire(here)
    there.sendall(packed((IOPUB, [b"a", b"b"]), (SHELL, [b"c"])))

    assert await line.receive(_PATIENCE_SECONDS) == (IOPUB, [b"a", b"b"])
    assert await line.receive(_PATIENCE_SECONDS) == (SHELL, [b"c"])
    assert await line.receive(_AT_ONCE_SECONDS) is None
    there.close()
    async with asyncio.timeout(_PATIENCE_SECONDS):
        assert await line.receive(2 * _PATIENCE_SECONDS) is None
    line.send([b"to nobody"])
    line.close()


@run_alone
async def test_a_kernel_that_puts_out_without_end_has_to_wait_for_its_reader() -> None:
    """What a thread of the kernel prints between two cells must not fill this process."""
    here, there = socket.socketpair()
    there.setblocking(False)
    line, loop = Wire(here), asyncio.get_running_loop()
    message, sent = packed((IOPUB, [b"x" * (1 << 16)])), 0

    async def flood() -> None:
        nonlocal sent
        while True:
            await loop.sock_sendall(there, message)
            sent += 1

    flooding = asyncio.ensure_future(flood())
    while sent < 65:  # noqa: ASYNC110  it waits for the reader by then
        await asyncio.sleep(0)
    for _ in range(1000):
        await asyncio.sleep(0)
    assert sent < 200
    for _ in range(sent + 1):
        assert await line.receive(_PATIENCE_SECONDS) is not None
    flooding.cancel()
    line.close()
    there.close()


def test_a_limit_of_time_that_is_over_while_something_is_sent_leaves_it_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The client would wait for the rest of half a message, whatever the kernel says then."""
    monkeypatch.setattr(signal, "signal", signal.signal)  # and back
    monkeypatch.setattr(signal, "getsignal", signal.getsignal)
    defer()
    here, there = socket.socketpair()
    line, came = Line(), bytearray()
    line.attach(there.detach())

    def end(*_: object) -> None:
        raise TimeoutError

    def read() -> None:
        came.extend(here.recv(1))  # it has begun, and does not fit
        os.kill(os.getpid(), signal.SIGALRM)
        while data := here.recv(1 << 20):
            came.extend(data)

    before = signal.signal(signal.SIGALRM, end)
    reading = threading.Thread(target=read)
    reading.start()
    try:
        with pytest.raises(TimeoutError):
            line.send(IOPUB, [b"x" * (32 << 20)])
    finally:
        signal.signal(signal.SIGALRM, before)
        line.close()
        reading.join()
        here.close()

    ((channel, parts),) = Frames().feed(bytes(came))
    assert (channel, len(parts[0])) == (IOPUB, 32 << 20)


@contextmanager
def kernel_sockets(place: Path) -> Iterator[tuple[dict[str, Any], zmq.Socket, zmq.Socket]]:
    """Where a kernel can be reached, and its own ends of shell and iopub."""
    numbers = {"shell_port": 1, "iopub_port": 2, "control_port": 3}
    known = {"transport": "ipc", "ip": str(place / "k"), **numbers}
    context = zmq.Context()
    shell, iopub = context.socket(zmq.ROUTER), context.socket(zmq.XPUB)
    shell.bind(f"ipc://{place}/k-1")
    iopub.bind(f"ipc://{place}/k-2")
    try:
        yield known, shell, iopub
    finally:
        context.destroy(linger=0)


async def taken(line: Sockets, count: int) -> list[tuple[bytes, bytes]]:
    """Channel and last part of what comes next."""
    found = [await line.receive(_PATIENCE_SECONDS) for _ in range(count)]
    return [(channel, bytes(parts[-1])) for channel, parts in filter(None, found)]


@run_alone
async def test_sockets_give_what_comes_on_either(tmp_path: Path) -> None:
    """A send may take note of what has come; it must not be forgotten over that."""
    with kernel_sockets(tmp_path) as (known, shell, iopub):
        line = connected(known)
        iopub.recv()  # the subscription
        for number in range(200):
            said = b"%d" % number
            line.send([said])
            client, asked = shell.recv_multipart()
            iopub.send_multipart([b"topic", said])
            line.send([b"one more"])
            shell.send_multipart([client, asked])
            shell.recv_multipart()
            assert sorted(await taken(line, 2)) == [(IOPUB, said), (SHELL, said)]
        assert await line.receive(_AT_ONCE_SECONDS) is None
        line.close()


@run_alone
async def test_sockets_let_others_have_their_turn(tmp_path: Path) -> None:
    """A kernel that puts out without end could not be cancelled, else."""
    with kernel_sockets(tmp_path) as (known, _, iopub):
        line = connected(known)
        iopub.recv()
        for _ in range(500):
            iopub.send_multipart([b"topic", b"x" * (1 << 16)])
        others = asyncio.ensure_future(asyncio.sleep(0))
        await taken(line, 500)
        assert others.done()
        line.close()


def test_the_kernels_end_can_be_flushed() -> None:
    """ipykernel 6 does so after each message, and is told nothing else by it."""
    Channel(Line(), SHELL).flush(zmq.POLLOUT)
