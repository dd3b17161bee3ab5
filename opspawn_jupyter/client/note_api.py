"""The routes of agents' notes as typed methods; part of ``Api``."""

from __future__ import annotations

from opspawn_jupyter.client.transport import Transport
from opspawn_jupyter.model import wire
from opspawn_jupyter.model.note import Note, NoteList, NoteRequest, RecallRequest


class NoteApi:
    """Notes that agents write down and find again, for people."""

    async def remember(self, scope: str, text: str) -> Note:
        """A note in the collection, for the agents that are given it."""
        body = wire.encode(NoteRequest(scope=scope, text=text))
        return wire.decode(Note, await self._connected().call("POST", "notes", body=body))

    async def notes(self, scope: str, query: str = "", *, limit: int = 20) -> NoteList:
        """The collection's notes: those that fit the words best first, or the newest."""
        body = wire.encode(RecallRequest(scope=scope, query=query, limit=limit))
        answer = await self._connected().call("POST", "recalled-notes", body=body)
        return wire.decode(NoteList, answer)

    async def forget(self, note_id: str) -> Note:
        """The note, which no agent finds any more. Raises ``NotFound``."""
        return wire.decode(Note, await self._connected().call("DELETE", f"notes/{note_id}"))

    def _connected(self) -> Transport:
        raise NotImplementedError
