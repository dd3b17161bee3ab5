"""What ``notes`` does, and how its answers read."""

from __future__ import annotations

from opspawn_jupyter.client.client import Client
from opspawn_jupyter.client.parser import Options
from opspawn_jupyter.model.note import Note, NoteList

NOTE_ANSWERS: tuple[type, ...] = (NoteList, Note)


def notes_answer(client: Client, options: Options) -> NoteList | Note:
    """What was found, written or forgotten."""
    if options.add is not None:
        return client.remember(options.scope, options.add)
    if options.forget is not None:
        return client.forget(options.forget)
    return client.notes(options.scope, " ".join(options.words), limit=options.limit)


def note_text(answer: NoteList | Note) -> str:
    """A note in a line: its id, its day, what it says."""
    if isinstance(answer, Note):
        return f"{answer.id}  {answer.written_at:%Y-%m-%d}  {answer.text}"
    return "\n".join(note_text(note) for note in answer.notes) or "there are no such notes"
