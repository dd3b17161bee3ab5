"""A task's events as they come, whatever becomes of the connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress

from opspawn_jupyter import errors
from opspawn_jupyter.client.api import Api
from opspawn_jupyter.model import wire
from opspawn_jupyter.model.event import Event
from opspawn_jupyter.model.states import TRANSITIONS, EventType
from opspawn_jupyter.model.task import Task

#: How long a server may be away, for a restart say, before the wait is given up.
PATIENCE_SECONDS = 60.0
_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 2.0
_KNOWN_TYPES = frozenset(EventType)
_OUTCOMES = frozenset(type for type, move in TRANSITIONS.items() if move.target.is_final)


class Seen:
    """What a listener has had already, so that nothing comes twice after a broken stream."""

    def __init__(self, seq: int) -> None:
        self.seq = seq
        self._last_output = (0, 0)

    def is_new(self, event: Event) -> bool:
        """Whether the event was not here before; it counts as seen from now on."""
        if event.type.is_durable:
            is_new = event.seq > self.seq
            self.seq = max(self.seq, event.seq)
            return is_new
        position = (event.attempt, int(event.data["output_number"]))
        is_new = position > self._last_output
        self._last_output = max(self._last_output, position)
        return is_new


async def follow(
    api: Api, reference: str, *, after: int = 0, patience_seconds: float = PATIENCE_SECONDS
) -> AsyncGenerator[Event, None]:
    """Events with a higher seq than ``after``, each once, until the task has ended.

    A stream that breaks is taken up where it broke, also on a server that was restarted. Raises
    ``ServerUnreachable`` where the server stays away for longer than the patience lasts.
    """
    task = await api.task(reference)
    async with aclosing(_follow(api, task, after, patience_seconds)) as events:
        async for event in events:
            yield event


async def _follow(
    api: Api, task: Task, after: int, patience_seconds: float
) -> AsyncGenerator[Event, None]:
    seen = Seen(after)
    pause = _FIRST_PAUSE_SECONDS
    while not (task.state.is_final and task.seq <= seen.seq):
        before = seen.seq
        async with aclosing(_connection(api, task.id, seen)) as events:
            async for event in events:
                yield event
                if event.type in _OUTCOMES:
                    return
        pause = _FIRST_PAUSE_SECONDS if seen.seq > before else _longer(pause)
        await asyncio.sleep(pause)
        task = await _back(api, task.id, patience_seconds)


async def wait(api: Api, reference: str, timeout_seconds: float | None = None) -> Task:
    """The task once it has ended; as it stands when the time is over."""
    with suppress(TimeoutError):  # the caller sees by the task's state that it goes on
        async with asyncio.timeout(timeout_seconds):
            task = await api.task(reference)
            async with aclosing(_follow(api, task, task.seq, PATIENCE_SECONDS)) as events:
                async for _ in events:
                    pass
    return await api.task(reference)


async def _connection(api: Api, task_id: str, seen: Seen) -> AsyncGenerator[Event, None]:
    """New events from one stream, until it breaks."""
    try:
        async with aclosing(api.messages(task_id, seen.seq)) as messages:
            async for message in messages:
                # A newer server may say things that this client has no word for.
                if message.get("type") not in _KNOWN_TYPES:
                    continue
                event = wire.decode(Event, message)
                if seen.is_new(event):
                    yield event
    except errors.ServerUnreachable:
        return


async def _back(api: Api, task_id: str, patience_seconds: float) -> Task:
    """The task, from a server that is there again."""
    clock = asyncio.get_running_loop().time
    give_up_at = clock() + patience_seconds
    pause = _FIRST_PAUSE_SECONDS
    while True:
        try:
            return await api.task(task_id)
        except errors.Unavailable:
            if clock() >= give_up_at:
                raise
        await asyncio.sleep(pause)
        pause = _longer(pause)


def _longer(pause: float) -> float:
    return min(pause * 2, _LONGEST_PAUSE_SECONDS)
