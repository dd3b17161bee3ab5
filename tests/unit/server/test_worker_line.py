"""The socket on which workers stay: both of its ends, over the real verbs."""

from __future__ import annotations

import asyncio
import json
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from jupyter_process import PATIENCE_SECONDS
from opspawn_jupyter import errors
from opspawn_jupyter.model import wire
from opspawn_jupyter.model.states import EventType, State
from opspawn_jupyter.model.work import ReportRequest, TakeAnswer, TakeRequest
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.orchestrator.find import find
from opspawn_jupyter.orchestrator.submit import submit
from opspawn_jupyter.server.worker_line import WorkerLine
from opspawn_jupyter.worker.line import Line
from opspawn_jupyter.worker.link import Link
from tests.unit.orchestrator.stage import STARTED, note, of, orchestration

TOKEN = "the-workers-secret"


class Place:
    """An open door, and the verbs behind it."""

    def __init__(self, o: Orchestration) -> None:
        self.o = o
        self.state = o.settings.state_directory
        self.door = WorkerLine(self.state, TOKEN)
        self.path = self.door.bind()

    async def line(self, token: str = TOKEN) -> Line:
        assert self.path is not None
        return await Line.open(self.path, "w", token)

    def announce(self, **said: Any) -> None:
        """As the server does; nobody answers over HTTP."""
        record = {"url": "http://127.0.0.1:9/", "worker_token": TOKEN, **said}
        (self.state / "server.json").write_text(json.dumps(record))


@pytest.fixture
def play(tmp_path: Path) -> Callable[[Callable[[Place], Awaitable[None]]], None]:
    """Tell a story at an open door."""

    def run(story: Callable[[Place], Awaitable[None]]) -> None:
        async def main() -> None:
            async with asyncio.timeout(PATIENCE_SECONDS), orchestration(tmp_path) as o:
                place = Place(o)
                await place.door.open(o)
                try:
                    await story(place)
                finally:
                    await place.door.close()

        asyncio.run(main())

    return run


def asked(free_slots: int = 1, wait_seconds: float = 0.0, **held: int) -> str:
    request = TakeRequest(free_slots=free_slots, held=held, wait_seconds=wait_seconds)
    return wire.to_json(request)


def test_a_task_is_given_and_reported_over_one_connection(play) -> None:
    """The way of every task of this machine; what is answered is stored."""

    async def story(place: Place) -> None:
        line = await place.line()
        waiting = asyncio.ensure_future(line.call("take", asked(wait_seconds=20), 60))
        task, _ = await submit(place.o, note(), "ada")
        given = wire.decode(TakeAnswer, await waiting)
        assert [one.task_id for one in given.assignments] == [task.id]

        told = wire.to_json(of(task, STARTED))
        assert await line.call("reports", told, 60) == {"unknown": []}
        assert (await find(place.o, task.id)).state is State.RUNNING
        line.close()

    play(story)


def test_a_report_is_answered_while_a_worker_waits_for_work(play) -> None:
    """One connection carries both, and neither waits for the other."""

    async def story(place: Place) -> None:
        line = await place.line()
        waiting = asyncio.ensure_future(line.call("take", asked(wait_seconds=30), 60))
        nothing = wire.to_json(ReportRequest(reports=()))
        assert await line.call("reports", nothing, 60) == {"unknown": []}
        assert not waiting.done()
        line.close()
        with pytest.raises(errors.ServerUnreachable):
            await waiting

    play(story)


@pytest.mark.parametrize("said", [b"{}\n", b"not JSON\n", b'{"worker":"w","token":"wrong"}\n'])
def test_a_stranger_is_hung_up_on(play, said: bytes) -> None:
    """Whoever cannot show the secret is told nothing."""

    async def story(place: Place) -> None:
        reader, writer = await asyncio.open_unix_connection(str(place.path))
        writer.write(said + b'{"call":1,"verb":"take","body":{"free_slots":1}}\n')
        assert await reader.read() == b""
        writer.close()

    play(story)


def test_only_this_account_may_come(play) -> None:
    """The directory keeps others out already; the socket does, too."""

    async def story(place: Place) -> None:
        assert place.path is not None
        assert stat.S_IMODE(place.path.stat().st_mode) == 0o600

    play(story)


def test_a_wrong_call_is_answered_with_what_is_wrong(play) -> None:
    """A worker of another version hears of it, and the line stays."""

    async def story(place: Place) -> None:
        line = await place.line()
        with pytest.raises(errors.InvalidRequest, match="take or reports"):
            await line.call("sing", "{}", 60)
        with pytest.raises(errors.InvalidRequest, match="free_slots"):
            await line.call("take", '{"free_slots":"many"}', 60)
        assert await line.call("take", asked(), 60) == {"assignments": [], "cancel": []}
        line.close()

    play(story)


def test_what_a_worker_that_hung_up_would_have_had_is_for_another(play) -> None:
    """Its open request must take nothing along."""

    async def story(place: Place) -> None:
        first = await place.line()
        waiting = asyncio.ensure_future(first.call("take", asked(wait_seconds=30), 60))
        second = await place.line()
        await second.call("reports", wire.to_json(ReportRequest(reports=())), 60)
        first.close()
        with pytest.raises(errors.ServerUnreachable):
            await waiting
        task, _ = await submit(place.o, note(), "ada")
        given = wire.decode(TakeAnswer, await second.call("take", asked(wait_seconds=20), 60))
        assert [one.task_id for one in given.assignments] == [task.id]
        second.close()

    play(story)


def test_what_a_worker_told_counts_though_it_hung_up(play) -> None:
    """What is stored must be told as well, or listeners and queue never hear of it."""

    async def story(place: Place) -> None:
        task, _ = await submit(place.o, note(), "ada")
        line = await place.line()
        await line.call("take", asked(), 60)
        telling = asyncio.ensure_future(line.call("reports", wire.to_json(of(task, STARTED)), 60))
        await asyncio.sleep(0)
        line.close()
        with pytest.raises(errors.ServerUnreachable):
            await telling
        while (await find(place.o, task.id)).state is not State.RUNNING:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await place.door.close()
        assert EventType.STARTED in [event.type for event in place.o.bus.told]

    play(story)


def test_an_answer_that_does_not_come_in_time_ends_the_line(play) -> None:
    """A server that hangs is as one that is gone; what it still gives out is given out anew."""

    async def story(place: Place) -> None:
        line = await place.line()
        with pytest.raises(errors.ServerUnreachable, match="in time"):
            await line.call("take", asked(wait_seconds=30), 0.01)
        assert not line.is_open
        with pytest.raises(errors.ServerUnreachable):
            await line.call("take", asked(), 60)

    play(story)


def test_who_comes_before_the_door_is_open_waits(tmp_path: Path) -> None:
    """Living workers find a server that starts while it still settles what dead ones left."""

    async def story() -> None:
        async with asyncio.timeout(PATIENCE_SECONDS), orchestration(tmp_path) as o:
            place = Place(o)
            line = await place.line()
            waiting = asyncio.ensure_future(line.call("take", asked(), 60))
            await place.door.open(o)
            assert await waiting == {"assignments": [], "cancel": []}
            line.close()
            await place.door.close()
            assert place.path is not None
            assert not place.path.exists()

    asyncio.run(story())


def test_a_worker_finds_the_socket_of_the_next_server(play) -> None:
    """A server that was killed leaves its socket behind; the next one has another secret."""

    async def story(place: Place) -> None:
        link = Link(place.state, "w")
        place.announce(worker_line=str(place.path))
        assert await link.call("take", asked(free_slots=0), TakeAnswer, 60) == TakeAnswer()
        await place.door.close()

        other = Place(place.o)
        other.door.token = "another"
        calling = asyncio.ensure_future(link.call("take", asked(free_slots=0), TakeAnswer, 60))
        other.announce(worker_line=str(other.path), worker_token="another")
        await other.door.open(place.o)
        assert await calling == TakeAnswer()
        link.close()
        await other.door.close()

    play(story)


def test_where_no_socket_can_be_made_workers_call_over_http(tmp_path: Path) -> None:
    """A socket's path has its limits, a state directory's has none."""
    place = tmp_path.joinpath(*["a-long-name-of-a-directory"] * 6)
    place.mkdir(parents=True)
    door = WorkerLine(place, TOKEN)
    assert door.bind() is None
    assert list(place.iterdir()) == []
    asyncio.run(door.close())
