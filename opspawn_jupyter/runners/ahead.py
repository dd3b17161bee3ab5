"""Cells that are sent before the last one has ended, to a kernel that takes them so.

It runs one after the other without a word from its client. After a cell that failed, and after one
that may have asked its client something, it drops what was sent ahead, so that nothing runs that
would not have been sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any

from opspawn_jupyter.runners.conversation import Conversation

#: So many may wait in the kernel, and so much of their text: more could block both ends of the
#: line, if the kernel waits for its output to be read.
_MOST_WAITING = 4
_MOST_CHARACTERS = 1 << 14


class Sender:
    """Has a kernel run cells."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation

    @property
    def takes_ahead(self) -> bool:
        """Cells can be sent before the last one has ended."""
        return self._conversation.takes_ahead

    def together(self) -> AbstractContextManager[None]:
        """Send at once all that is sent meanwhile, where that can be."""
        return self._conversation.together()

    def send(self, cell: Any, *, is_ahead: bool = False) -> str:
        """Send it to the kernel; its id there, by which it is to be ended."""
        content = {
            "code": cell.source,
            "silent": False,
            "store_history": True,
            "user_expressions": {},
            "allow_stdin": False,
            "stop_on_error": not may_raise(cell),
        }
        return self._conversation.ask("execute_request", content, is_ahead=is_ahead)


class Ahead:
    """Sends the cells of one run, each once and in order."""

    def __init__(self, sender: Sender, cells: Sequence[tuple[int, Any]]) -> None:
        self._sender = sender
        self._cells = cells
        self._position = 0
        self._requests: dict[int, str] = {}
        self._is_running = False

    @property
    def is_done(self) -> bool:
        """All of them are sent."""
        return self._position == len(self._cells)

    @property
    def takes_more(self) -> bool:
        """Cells are sent before the last one has ended."""
        return self._sender.takes_ahead

    def together(self) -> AbstractContextManager[None]:
        """Send at once all that is sent meanwhile, where that can be."""
        return self._sender.together()

    def take(self, index: int, cell: Any) -> str:
        """Id of the request of the next cell, which is sent now where it was not before."""
        request = self._requests.pop(index, None)
        if request is None:
            request = self._sender.send(cell)
            self._position += 1
        self._is_running = True
        return request

    def fill(self) -> None:
        """Send as many more as may wait."""
        with self.together():
            self._fill()

    def _fill(self) -> None:
        while self.takes_more and not self.is_done:
            index, cell = self._cells[self._position]
            if len(self._requests) >= _MOST_WAITING or self._length(cell) > _MOST_CHARACTERS:
                return
            is_ahead = self._is_running or bool(self._requests)
            self._requests[index] = self._sender.send(cell, is_ahead=is_ahead)
            self._position += 1

    def forget(self) -> None:
        """Nothing of what was sent ahead will run; it is sent again, if at all."""
        self._position -= len(self._requests)
        self._requests.clear()
        self._is_running = False

    def _length(self, cell: Any) -> int:
        waiting = (own for index, own in self._cells if index in self._requests)
        return len(cell.source) + sum(len(own.source) for own in waiting)


def may_raise(cell: Any) -> bool:
    """A tag says that the notebook goes on if the cell fails."""
    return "raises-exception" in cell.metadata.get("tags", [])


def lasted(cell: Any) -> tuple[datetime, float] | None:
    """When the cell began, and how many seconds it took, as the kernel tells; None where it did not
    come to that."""
    told = cell.metadata.get("execution", {})
    if not {"iopub.status.busy", "shell.execute_reply"} <= told.keys():
        return None
    began, ended = (
        datetime.fromisoformat(told[name]) for name in ("iopub.status.busy", "shell.execute_reply")
    )
    return began, round((ended - began).total_seconds(), 6)
