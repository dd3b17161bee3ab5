"""What worker and runner say to each other."""

from __future__ import annotations

import asyncio
import select
import socket
import time
from collections.abc import Iterator
from queue import SimpleQueue

import pytest

from opspawn_jupyter.model.states import EventType, State
from opspawn_jupyter.model.task import Policy
from opspawn_jupyter.model.work import Assignment
from opspawn_jupyter.runners import sockets
from opspawn_jupyter.worker import channel, child
from opspawn_jupyter.worker.channel import ChannelReporter

_ASSIGNMENT = Assignment(
    task_id="t", attempt=1, kind="notebook", name="n", spec={}, policy=Policy(),
    run_directory="/run", root_directory="/",
)  # fmt: skip


class Ends:
    """Both ends of a line, and what the runner's was told."""

    def __init__(self) -> None:
        self.worker, self.far_end = socket.socketpair()
        self.lines = self.worker.makefile("rb")
        self.orphaned: SimpleQueue[bool] = SimpleQueue()
        self.stops: SimpleQueue[State] = SimpleQueue()
        self.runner = ChannelReporter(self.far_end, orphaned=lambda: self.orphaned.put(True))
        self.runner.listen()

    def assign(self) -> None:
        self.worker.sendall(channel.assignment_message(_ASSIGNMENT))
        assert self.runner.assignment() == _ASSIGNMENT
        self.runner.on_stop(self.stops.put)

    def wait_again(self) -> None:
        self.runner.wait_again()
        assert channel.parse(self.lines.readline()) is None

    def hang_up(self) -> None:
        self.lines.close()
        self.worker.close()


@pytest.fixture
def ends() -> Iterator[Ends]:
    """A line that is open."""
    line = Ends()
    yield line
    line.hang_up()
    assert line.runner.assignment() is None  # its thread has come to the end
    line.far_end.close()
    sockets.forget_ahead()  # as a runner does at its end


def test_a_runner_hears_of_one_attempt_after_the_other(ends: Ends) -> None:
    """And says between them that it waits."""
    for _ in range(3):
        ends.assign()
        ends.runner.tell(EventType.SUCCEEDED, {})
        told = channel.parse(ends.lines.readline())
        assert getattr(told, "type", None) is EventType.SUCCEEDED
        ends.wait_again()


def test_a_runner_that_has_done_enough_does_not_say_that_it_waits(ends: Ends) -> None:
    """A task that were given to it would crash with its end."""
    ends.worker.sendall(channel.assignment_message(_ASSIGNMENT) * (child.MOST_ATTEMPTS + 1))
    done: list[Assignment] = []

    def carry_out(assignment: Assignment) -> bool:
        done.append(assignment)
        ends.runner.tell(EventType.SUCCEEDED, {})
        return True

    child.serve(ends.runner, carry_out)

    ends.far_end.shutdown(socket.SHUT_WR)
    heard = [channel.parse(line) for line in ends.lines]
    assert len(done) == child.MOST_ATTEMPTS
    assert heard.count(None) == child.MOST_ATTEMPTS - 1
    assert heard[-1] is not None
    assert ends.runner.assignment() == _ASSIGNMENT  # nobody was to send it


def test_a_runner_that_is_not_clean_does_not_say_that_it_waits(ends: Ends) -> None:
    """Another process takes the next task."""
    ends.worker.sendall(channel.assignment_message(_ASSIGNMENT))

    child.serve(ends.runner, lambda _: False)

    ends.far_end.shutdown(socket.SHUT_WR)
    assert list(ends.lines) == []


def test_a_cancel_stops_only_the_attempt_that_it_was_meant_for(ends: Ends) -> None:
    """It may be on its way while the attempt ends."""
    ends.assign()
    ends.worker.sendall(channel.cancel_message())
    assert ends.stops.get(timeout=60) is State.CANCELLED
    ends.wait_again()
    ends.worker.sendall(channel.cancel_message())
    ends.assign()
    ends.worker.sendall(channel.cancel_message())
    assert ends.stops.get(timeout=60) is State.CANCELLED
    assert ends.stops.empty()


def test_a_cancel_before_anybody_listens_to_it_is_not_lost(ends: Ends) -> None:
    """A runner that has just got its assignment still reads files."""
    ends.worker.sendall(channel.assignment_message(_ASSIGNMENT) + channel.cancel_message())
    assert ends.runner.assignment() == _ASSIGNMENT
    ends.runner.on_stop(ends.stops.put)
    assert ends.stops.get(timeout=60) is State.CANCELLED


def test_the_end_of_the_worker_stops_an_attempt(ends: Ends) -> None:
    """Its kernel has to be ended by somebody."""
    ends.assign()
    ends.hang_up()
    assert ends.stops.get(timeout=60) is State.CRASHED
    assert ends.orphaned.get(timeout=60)


def test_a_runner_that_waits_is_no_orphan(ends: Ends) -> None:
    """It simply ends."""
    ends.assign()
    ends.wait_again()
    ends.hang_up()
    assert ends.runner.assignment() is None
    assert ends.orphaned.empty()
    ends.runner._waiting.put(None)  # for the fixture


def kinds(ends: Ends, count: int) -> list[EventType]:
    """Of the next events that come."""
    return [channel.parse(ends.lines.readline()).type for _ in range(count)]


def test_what_nobody_waits_for_is_told_with_what_comes_after_it(ends: Ends) -> None:
    """Each line wakes the worker; in order they come all the same, and the outcome at once."""

    async def tell() -> None:
        for kind in (EventType.KERNEL_STARTED, EventType.CELLS_PLANNED, EventType.CELL_STARTED):
            ends.runner.tell(kind, {})
        assert not select.select([ends.worker], [], [], 0)[0]
        ends.runner.tell(EventType.SUCCEEDED, {})

    asyncio.run(tell())
    assert kinds(ends, 4) == [
        EventType.KERNEL_STARTED, EventType.CELLS_PLANNED, EventType.CELL_STARTED,
        EventType.SUCCEEDED,
    ]  # fmt: skip


def test_what_nobody_waits_for_is_told_soon(ends: Ends) -> None:
    """A cell may run for hours, and somebody looks on."""

    async def tell() -> EventType:
        ends.runner.tell(EventType.CELL_STARTED, {})
        [kind] = await asyncio.to_thread(kinds, ends, 1)
        return kind

    assert asyncio.run(tell()) is EventType.CELL_STARTED


def test_what_was_put_off_is_told_when_there_is_time(ends: Ends) -> None:
    """The outcome, which comes next, need not wait for it then."""

    async def tell() -> list[EventType]:
        ends.runner.tell(EventType.CELL_STARTED, {})
        ends.runner.catch_up()
        return kinds(ends, 1)

    assert asyncio.run(tell()) == [EventType.CELL_STARTED]


def test_what_was_told_in_a_loop_that_has_ended_is_not_forgotten(ends: Ends) -> None:
    """A run may have several, one after the other."""

    async def tell(kind: EventType, *, waits: bool) -> None:
        ends.runner.tell(kind, {})
        if waits:
            assert await asyncio.to_thread(kinds, ends, 2) == [
                EventType.CELL_STARTED, EventType.CELL_FINISHED,
            ]  # fmt: skip

    asyncio.run(tell(EventType.CELL_STARTED, waits=False))
    time.sleep(channel._GATHERING_SECONDS)
    asyncio.run(tell(EventType.CELL_FINISHED, waits=True))
