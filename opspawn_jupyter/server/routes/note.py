"""Notes of agents."""

from __future__ import annotations

from http import HTTPStatus

from opspawn_jupyter.model.note import Note, NoteList, NoteRequest, RecallRequest
from opspawn_jupyter.server.handlers.note import NoteForgetHandler, NotesHandler, RecallHandler
from opspawn_jupyter.server.route import Area, Operation, post, route

ROUTES = (
    route(
        "notes",
        NotesHandler,
        Area.TASKS,
        post("Write a note for agents", NoteRequest, Note, status=HTTPStatus.CREATED),
    ),
    route(
        "recalled-notes",
        RecallHandler,
        Area.TASKS,
        post("Notes that fit a question, or the newest", RecallRequest, NoteList),
    ),
    route(
        "notes/{reference}",
        NoteForgetHandler,
        Area.TASKS,
        Operation(method="delete", summary="Forget a note", answer=Note),
    ),
)
