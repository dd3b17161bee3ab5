"""What is wrong with a text that somebody wrote, and where."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One thing to mend."""

    message: str
    #: From 1; None where what was checked is no text.
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        return f"{self.line}:{self.column}: {self.message}" if self.line else self.message
