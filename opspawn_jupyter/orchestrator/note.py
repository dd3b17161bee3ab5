"""Write notes for later runs of agents, find them again, forget them."""

from __future__ import annotations

import logging
from dataclasses import replace

from opspawn_jupyter.errors import InvalidRequest, NotFound, RecordChanged
from opspawn_jupyter.model import clock, wire
from opspawn_jupyter.model.ids import new_id
from opspawn_jupyter.model.note import Note, NoteList, NoteRequest, RecallRequest
from opspawn_jupyter.model.record import Change, Record, draft
from opspawn_jupyter.model.states import EventType, Subject
from opspawn_jupyter.orchestrator.agent_sql import ask
from opspawn_jupyter.orchestrator.context import Orchestration

logger = logging.getLogger(__name__)

_LONGEST_CHARACTERS = 20_000
_MOST = 1_000


async def remember(o: Orchestration, request: NoteRequest, by: str, task_id: str = "") -> Note:
    """The note, written down. Written again under its id, it is there once."""
    _check(request)
    note = Note(
        id=request.id or new_id(),
        scope=request.scope or "",
        text=request.text.strip(),
        written_by=by,
        task_id=task_id,
        written_at=clock.now(),
        vector=request.vector,
    )
    change = Change(id=note.id, version=1, content=wire.encode(note))
    try:
        await o.record(draft(EventType.NOTE_WRITTEN, change, task_id))
    except RecordChanged:
        return _shown(await _find(o, note.id))
    logger.info("note written note_id=%s scope=%s", note.id, note.scope)
    return replace(note, vector=())


async def recall(o: Orchestration, request: RecallRequest) -> NoteList:
    """The notes that fit best; the newest where nothing is asked."""
    if not 0 < request.limit <= _MOST:
        raise InvalidRequest(request.limit, hint=f"limit is a number from 1 to {_MOST}")
    rows = await ask(
        o,
        "recall",
        scope=request.scope or "",
        query=request.query.strip(),
        vector=request.vector,
        limit=request.limit,
    )
    found = [await _find(o, str(row[0])) for row in rows]
    return NoteList(notes=tuple(_shown(record) for record in found))


async def forget(o: Orchestration, note_id: str, by: str) -> Note:
    """The note, which nobody is given any more; the history keeps it. Raises ``NotFound``."""
    record = await _find(o, note_id)
    if not record.is_open:
        raise NotFound(note_id, hint="this note was forgotten before")
    change = Change(id=record.id, version=record.version + 1, content=record.content, is_open=False)
    await o.record(draft(EventType.NOTE_FORGOTTEN, change, record.task_id))
    logger.info("note forgotten note_id=%s by=%s", note_id, by)
    return _shown(record)


def _check(request: NoteRequest) -> None:
    if not request.scope:
        raise InvalidRequest("scope", hint="say which collection the note belongs to")
    if not 0 < len(request.text.strip()) <= _LONGEST_CHARACTERS:
        hint = f"a note has 1 to {_LONGEST_CHARACTERS} characters"
        raise InvalidRequest(request.text[:80], hint=hint)


async def _find(o: Orchestration, note_id: str) -> Record:
    record = await o.store.record(Subject.NOTE, note_id)
    if record is None:
        raise NotFound(note_id, hint="there is no note of this id")
    return record


def _shown(record: Record) -> Note:
    return replace(wire.decode(Note, record.content), vector=())
