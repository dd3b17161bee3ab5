"""Which cells are sent before the last one has ended."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from nbformat.v4 import new_code_cell

from opspawn_jupyter.runners.ahead import Ahead, lasted


class Client:
    """Notes what is sent."""

    def __init__(self, *, takes_ahead: bool = True) -> None:
        self.takes_ahead = takes_ahead
        self.sent: list[tuple[str, bool]] = []

    def together(self) -> AbstractContextManager[None]:
        return nullcontext()

    def send(self, cell: Any, *, is_ahead: bool = False) -> str:
        self.sent.append((cell.source, is_ahead))
        return f"request {len(self.sent)}"


def ahead(client: Any, sources: Iterable[str]) -> tuple[Ahead, list[tuple[int, Any]]]:
    """Of cells with these sources, every second of the notebook's."""
    cells = [(2 * number, new_code_cell(source)) for number, source in enumerate(sources)]
    return Ahead(client, cells), cells


def test_each_is_sent_once_and_only_the_first_without_being_ahead() -> None:
    """The kernel drops what is ahead of a failure, and nothing else."""
    client = Client()
    sender, cells = ahead(client, map(str, range(9)))

    sender.fill()
    for index, cell in cells:
        sender.take(index, cell)
        sender.fill()

    assert client.sent == [(str(number), number > 0) for number in range(9)]
    assert sender.is_done


def test_few_wait_and_not_much_of_their_text() -> None:
    """A line that is full in both directions stands still."""
    for sources, most in (map(str, range(9)), 4), (["x" * 9000] * 3, 1), (["x" * 20000] * 3, 0):
        client = Client()
        sender, _ = ahead(client, sources)

        sender.fill()

        assert len(client.sent) == most


def test_what_was_dropped_is_sent_again() -> None:
    """In order, and the first of it not ahead of anything."""
    client = Client()
    sender, cells = ahead(client, "abc")
    sender.take(*cells[0])
    sender.fill()

    sender.forget()
    assert not sender.is_done
    sender.take(*cells[1])
    sender.fill()

    assert client.sent[3:] == [("b", False), ("c", True)]


def test_a_kernel_that_takes_nothing_ahead_is_sent_one_after_the_other() -> None:
    """ipykernel's own order of things."""
    client = Client(takes_ahead=False)
    sender, cells = ahead(client, "ab")

    for index, cell in cells:
        sender.fill()
        sender.take(index, cell)

    assert client.sent == [("a", False), ("b", False)]


def test_a_cell_without_a_reply_has_no_time() -> None:
    """Its kernel died."""
    cell = new_code_cell(
        metadata={"execution": {"iopub.status.busy": "2026-11-26T10:00:00.000000Z"}}
    )
    assert lasted(cell) is None

    cell.metadata.execution["shell.execute_reply"] = "2026-11-26T10:00:01.500000Z"
    told = lasted(cell)
    assert told is not None
    assert told[1] == 1.5
