"""A request that came on a line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

#: Where the header stands: after the delimiter and the signature.
_HEADER = 2


class Told(list):  # type: ignore[type-arg]  # of bytes; Python 3.9 evaluates bases
    """Its parts. It is signed by nobody: only one can write to the line."""

    #: Stands for the line among those who can be answered.
    IDENTITY: ClassVar[bytes] = b"opspawn-owner"

    def __init__(self, parts: Sequence[bytes], *, is_ahead: bool = False) -> None:
        super().__init__(parts)
        #: It was sent before it was known how the request before it ended.
        self.is_ahead = is_ahead

    @property
    def is_cell(self) -> bool:
        """It asks to run code."""
        return b'"execute_request"' in self[_HEADER]

    @property
    def is_of_widget(self) -> bool:
        """It is about something that is shown, which its client was handed."""
        return b'"comm_' in self[_HEADER]

    @property
    def is_farewell(self) -> bool:
        """It asks for the kernel's end."""
        return b'"shutdown_request"' in self[_HEADER]


def is_owners(identities: object) -> bool:
    """Whether a reply to these goes over the line."""
    return identities == [Told.IDENTITY]
