"""Asking a fork server for a kernel, past jupyter_client's manager."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from opspawn_jupyter.kernels import inheritance, recipe, servers
from opspawn_jupyter.kernels.command import KernelCommand
from opspawn_jupyter.kernels.forking import wire
from opspawn_jupyter.kernels.forking.options import Options
from opspawn_jupyter.kernels.leash import Leash, answer_on, send

TIER_DIRECT = "direct"
_LAUNCH_SECONDS = 30.0


@dataclass(frozen=True, kw_only=True)
class Launch:
    """What a kernel is started with."""

    #: ``kernel`` or ``direct``.
    tier: str
    kernel_name: str
    command: KernelCommand
    environment: Mapping[str, str]
    directory: str
    options: Options
    #: How long a fork server that is not up is waited for.
    patience_seconds: float


@dataclass(frozen=True, kw_only=True)
class Forked:
    """A kernel that was a fork server's spare."""

    leash: Leash
    #: How clients reach it, as in a connection file; empty where none but its line leads there.
    connection: Mapping[str, Any]
    #: What it answers to a request for its info.
    info: Mapping[str, Any]
    #: It speaks on the line that it was handed.
    has_line: bool = False


def order(wanted: Launch, *lines: int) -> socket.socket | None:
    """Ask for the kernel already, where its fork server is up: the line on which ``launch`` finds
    the answer. Closing it takes the order back."""
    found = recipe_of(wanted)
    line = servers.connect(found) if found is not None else None
    if line is not None and _send(line, wanted, lines) is not None:
        line.close()
        return None
    return line


async def launch(wanted: Launch, *lines: int, asked: socket.socket | None = None) -> Forked | str:
    """The kernel, with these descriptors handed to it; or why there is none."""
    found = recipe_of(wanted)
    if found is None:
        return "its interpreter is not found"
    made = await (_ask(found, wanted, lines) if asked is None else _answer(asked))
    if made == wire.RETIRED:  # it leaves its place to another
        made = await _ask(found, wanted, lines)
    return made


def recipe_of(wanted: Launch) -> recipe.Recipe | None:
    """Which fork server is asked; ``None`` where the interpreter is not found."""
    inherited = _inherited(os.getpid())
    return recipe.for_launch(wanted.command, wanted.environment, wanted.options, inherited)


@lru_cache(maxsize=1)
def _inherited(_pid: int) -> tuple[str, ...]:
    """What kernels get from this process: looked up once, it stays what it is."""
    return inheritance.fingerprint()


async def _ask(found: recipe.Recipe, wanted: Launch, lines: Sequence[int]) -> Forked | str:
    line = await servers.connect_within(found, wanted.patience_seconds)
    if line is None:
        return "the fork server is not up"
    refusal = _send(line, wanted, lines)
    if refusal is not None:
        line.close()
        return refusal
    return await _answer(line)


def _send(line: socket.socket, wanted: Launch, lines: Sequence[int]) -> str | None:
    """Why the order could not be sent, if so."""
    null = os.open(os.devnull, os.O_RDONLY)
    try:
        return send(line, _order(wanted), [null, 1, 2, *lines])
    finally:
        os.close(null)


async def _answer(line: socket.socket) -> Forked | str:
    answer = await answer_on(line, _LAUNCH_SECONDS)
    if "refused" in answer:
        line.close()
        return str(answer["refused"])
    return Forked(
        leash=Leash(line, answer["pid"]),
        connection=answer["connection"] or {},
        info=answer["info"] or {},
        has_line=bool(answer.get("lines")),
    )


def _order(wanted: Launch) -> dict[str, Any]:
    return {
        "op": "kernel",
        "tier": wanted.tier,
        "command": wanted.command.words,
        "arguments": wanted.command.arguments,
        # As the stock launcher sets it: kernels find their client by it.
        "environment": {**wanted.environment, "JPY_PARENT_PID": str(os.getpid())},
        "directory": wanted.directory,
        "connection_file": wanted.command.connection_file,
        "kernel_name": wanted.kernel_name,
        "spare": True,
        "ipc_prefix": None,
    }
