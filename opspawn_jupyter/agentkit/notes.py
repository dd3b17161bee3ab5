"""Long-term memory: notes that outlive the run, found again by their words, and by their meaning
where an embedder is installed.

An embedder is an entry point of ``opspawn_jupyter.embedders``: called without arguments it gives
a function that makes a vector of a text. It is imported in the run's own process, with the first
note.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from importlib.metadata import entry_points
from typing import Protocol

from opspawn_jupyter.agentkit.observation import cut
from opspawn_jupyter.agentkit.tools import Checked, Result
from opspawn_jupyter.model.agent import RECALL_TOOL, REMEMBER_TOOL, ToolSpec
from opspawn_jupyter.model.note import Note, NoteRequest, RecallRequest
from opspawn_jupyter.ports import Workbench

EMBEDDERS = "opspawn_jupyter.embedders"

#: Makes a vector of a text; always of the same length.
Embed = Callable[[str], Sequence[float]]


class Notebook(Protocol):
    """Where notes are kept."""

    async def remember(self, request: NoteRequest) -> Note:
        """Write one down."""

    async def recall(self, request: RecallRequest) -> Sequence[Note]:
        """Those that fit best first."""


class NotesDoor:
    """Carries ``remember`` and ``recall`` out. What was written and found is a text in the
    notebook, and on the tape: a run that goes on finds what it found before."""

    def __init__(self, bench: Workbench, notes: Notebook, new_id: Callable[[], str]) -> None:
        self._bench = bench
        self._notes = notes
        self._new_id = new_id
        self._embed: Embed | None = None

    async def use(self, checked: Checked, recorded: Result | None) -> Result:
        """See ``Door``."""
        result = recorded or Result(text=cut(await self._done(checked)))
        self._bench.write(checked.cell_id, _shown(checked, result), ("note",))
        return result

    async def _done(self, checked: Checked) -> str:
        if checked.call.name == REMEMBER_TOOL:
            text = str(checked.arguments["text"])
            request = NoteRequest(id=self._new_id(), text=text, vector=await self._vector(text))
            await self._notes.remember(request)
            return "Noted."
        query = str(checked.arguments["query"])
        limit = int(checked.arguments.get("limit", 5))
        wanted = RecallRequest(query=query, limit=limit, vector=await self._vector(query))
        found = await self._notes.recall(wanted)
        lines = [f"- {note.written_at:%Y-%m-%d}: {note.text}" for note in found]
        return "\n".join(lines) or "No note fits."

    async def _vector(self, text: str) -> tuple[float, ...]:
        embed = self._embed or await asyncio.to_thread(_embedder)
        if embed is None:
            return ()
        self._embed = embed
        return tuple(float(one) for one in await asyncio.to_thread(embed, text))


def _embedder() -> Embed | None:
    found = sorted(entry_points(group=EMBEDDERS), key=lambda point: point.name)
    if not found:
        return None
    made: Embed = found[0].load()()
    return made


def _shown(checked: Checked, result: Result) -> str:
    if checked.call.name == REMEMBER_TOOL:
        return f"**Noted for later runs:** {checked.arguments['text']}"
    return f"**Notes on {checked.arguments['query']!r}:**\n\n{result.text}"


NOTE_TOOLS = (
    ToolSpec(
        name=REMEMBER_TOOL,
        description=(
            "Write down something that later runs should know: a fact about the data, a decision, "
            "what went wrong. One note for one thing, in a sentence that is clear without this run."
        ),
        parameters={
            "type": "object",
            "properties": {"text": {"type": "string", "minLength": 1}},
            "required": ["text"],
            "additionalProperties": False,
        },
        door="notes",
    ),
    ToolSpec(
        name=RECALL_TOOL,
        description="Look into the notes of earlier runs, by words that may be in them.",
        parameters={
            "type": "object",
            "properties": {
                "query": {"type": "string"},
                "limit": {"type": "integer", "minimum": 1, "maximum": 50},
            },
            "required": ["query"],
            "additionalProperties": False,
        },
        door="notes",
    ),
)
