"""Time as the project writes it: aware, in UTC."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> datetime:
    """The present moment."""
    return datetime.now(UTC)
