"""Notes: what agents write down for later runs, and find again by its words or its meaning."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from opspawn_jupyter.model.policy import STRICT


@dataclass(frozen=True, kw_only=True)
class Note:
    """A note as it stands."""

    id: str
    #: Name of the collection; a task sees one.
    scope: str
    text: str
    #: Who submitted the task that wrote it, or who wrote it by hand.
    written_by: str
    #: The task; empty for one written by hand.
    task_id: str = ""
    written_at: datetime
    #: What an embedder made of the text; empty where none is installed.
    vector: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True)
class NoteRequest:
    """Something to be remembered."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    #: An agent's own where it is left out, and only that one is open to it.
    scope: str | None = None
    text: str
    #: Made by whoever asks, so that the same note, written twice, is there once.
    id: str | None = None
    vector: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True)
class RecallRequest:
    """What to look for."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    scope: str | None = None
    #: Words; without any, the newest notes come.
    query: str = ""
    limit: int = 5
    vector: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True)
class NoteList:
    """Notes, those that fit best first, without their vectors."""

    notes: tuple[Note, ...]
