"""The replaceable parts of an agent, each by itself."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest
from pydantic_ai.providers import infer_provider_class

from opspawn_jupyter.agentkit.branch import branched
from opspawn_jupyter.agentkit.budget import Account
from opspawn_jupyter.agentkit.memory import WindowMemory, tokens
from opspawn_jupyter.agentkit.notes import NOTE_TOOLS, NotesDoor
from opspawn_jupyter.agentkit.observation import cut, observed
from opspawn_jupyter.agentkit.planner import PlaceholderPlanner, PlanFirstPlanner
from opspawn_jupyter.agentkit.tape import Tape, UnitKind
from opspawn_jupyter.agentkit.tools import Checked
from opspawn_jupyter.errors import InvalidRequest, TapeMismatch
from opspawn_jupyter.kinds import agent_tools
from opspawn_jupyter.kinds.agent import PROVIDERS
from opspawn_jupyter.model.agent import (
    PLAN_TOOL,
    REMEMBER_TOOL,
    Act,
    AgentLimits,
    AgentRequest,
    Plan,
    Ran,
    ResumeRequest,
)
from opspawn_jupyter.model.clock import now
from opspawn_jupyter.model.conversation import Call, Message, Role, Usage
from opspawn_jupyter.model.note import Note, NoteRequest, RecallRequest


def conversation(turns: int) -> list[Message]:
    said = [Message(role=Role.SYSTEM, text="Rules."), Message(role=Role.USER, text="Goal.")]
    for turn in range(turns):
        call = Call(id=f"c{turn}", name="run_python", arguments="{}")
        said.append(Message(role=Role.ASSISTANT, calls=(call,)))
        said.append(Message(role=Role.TOOL, text=f"{turn} " + "x" * 4000, call_id=f"c{turn}"))
    return said


@pytest.mark.parametrize("turns", [1, 5, 20, 200])
def test_memory_keeps_to_its_budget_and_calls_to_their_results(turns: int) -> None:
    """Providers refuse a result without its call; the goal and the newest result stay whole."""
    said = conversation(turns)

    sent = WindowMemory(3000).recent(said)

    assert tokens(sent) <= 3000
    assert list(sent[:2]) == said[:2]
    assert sent[-1] == said[-1]
    called = [call.id for message in sent for call in message.calls]
    assert called == [message.call_id for message in sent if message.role is Role.TOOL]


def test_a_plan_comes_before_anything_else() -> None:
    """Plan-then-execute is held by what can be called, not by asking for it."""
    planner, tools = PlanFirstPlanner(), ("run_python", PLAN_TOOL)

    assert planner.offered(Plan(), tools) == [PLAN_TOOL]
    assert planner.offered(Plan(steps=("a",)), tools) == tools


def test_a_long_result_says_what_is_missing() -> None:
    """A model that does not know of the gap would take what it sees for all there is."""
    assert cut("short") == "short"
    assert "90,000 characters left out here" in cut("x" * 100_000, 10_000)
    assert observed([]) == "(no output)"


def test_a_torn_unit_never_happened(tmp_path: Path) -> None:
    """A machine may die in the middle of a line."""
    path = tmp_path / "tape.jsonl"
    tape = Tape(path)
    tape.put(UnitKind.REPLY, "first", 1)
    tape.put(UnitKind.REPLY, "second", 2)
    path.write_bytes(path.read_bytes()[:-5])

    again = Tape(path)

    assert again.taken(UnitKind.REPLY, "first") == 1
    assert again.taken(UnitKind.REPLY, "second") is None
    again.put(UnitKind.REPLY, "second", 3)
    assert [json.loads(line)["result"] for line in path.read_text().splitlines()] == [1, 3]


def test_a_tape_of_another_run_is_refused(tmp_path: Path) -> None:
    """Answers to other questions would be worse than none."""
    path = tmp_path / "tape.jsonl"
    Tape(path).put(UnitKind.REPLY, "first", 1)

    with pytest.raises(TapeMismatch):
        Tape(path).taken(UnitKind.REPLY, "other")
    silent = Tape(path, is_live=False)
    silent.taken(UnitKind.REPLY, "first")
    with pytest.raises(TapeMismatch, match="ends before"):
        silent.taken(UnitKind.REPLY, "second")


def test_a_branch_keeps_what_came_before_its_cell() -> None:
    """The other calls of the same reply are kept where they came first, and dropped after it."""
    calls = [{"id": name, "name": "run_python", "arguments": "{}"} for name in ("a", "b", "c")]
    reply = {"kind": "reply", "asked": "1", "result": {"calls": calls}}
    done = [{"kind": "call", "asked": name, "result": {"text": name}} for name in ("a", "b", "c")]

    edited, kept = branched([reply, *done], ResumeRequest(cell="b", code="1"))

    assert [call["id"] for call in edited["result"]["calls"]] == ["a", "b"]
    assert json.loads(edited["result"]["calls"][1]["arguments"]) == {"code": "1"}
    assert kept["asked"] == "a"
    with pytest.raises(InvalidRequest, match="no call of the agent"):
        branched([reply], ResumeRequest(cell="z", remark="x"))


def test_an_installed_package_offers_tools_and_an_embedder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both are found by entry point. The tool is read, not imported: its module would fail."""
    info = tmp_path / "acme-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[opspawn_jupyter.agent_tools]\nacme_double = acme_tools:double\n"
        "[opspawn_jupyter.embedders]\nlengths = acme_embedder:make\n"
    )
    (tmp_path / "acme_tools.py").write_text(
        'import not_installed\n\ndef double(x: int) -> int:\n    """Twice."""\n    return 2 * x\n'
    )
    (tmp_path / "acme_embedder.py").write_text("def make():\n    return lambda text: [len(text)]\n")
    monkeypatch.syspath_prepend(tmp_path)

    request = AgentRequest(goal="x", model="scripted:x", tools=("acme_double",))
    functions, patterns = agent_tools.tools(str, request, None)  # type: ignore[arg-type] # no file

    assert (functions[0].name, functions[0].description, patterns) == ("double", "Twice.", ())
    assert functions[0].parameters["properties"] == {"x": {"type": "integer"}}
    assert agent_tools.imports(functions, ()) == "from acme_tools import double"
    kept = asyncio.run(_remembered("four"))
    assert kept.vector == (4.0,)


async def _remembered(text: str) -> NoteRequest:
    kept: list[NoteRequest] = []

    class Notes:
        async def remember(self, request: NoteRequest) -> Note:
            kept.append(request)
            return Note(id="1", scope="s", text=text, written_by="me", written_at=now())

        async def recall(self, request: RecallRequest) -> Sequence[Note]:  # noqa: ARG002
            return ()

    class Bench:
        async def run(self, act: Act, recorded: object = None) -> Ran:  # noqa: ARG002
            return Ran()

        def write(self, cell_id: str, text: str, tags: Sequence[str] = ()) -> None:
            """It goes nowhere."""

    call = Call(id="c", name=REMEMBER_TOOL, arguments="{}")
    checked = Checked(call=call, spec=NOTE_TOOLS[0], arguments={"text": text}, cell_id="c")
    await NotesDoor(Bench(), Notes(), lambda: "1").use(checked, None)
    return kept[0]


def test_the_placeholder_says_nothing_and_holds_nothing_back() -> None:
    """A test of something else wants no planner in its way."""
    planner = PlaceholderPlanner()

    assert (planner.instructions, planner.reminder(Plan(steps=("a",)))) == ("", "")
    assert planner.offered(Plan(), ("run_python",)) == ("run_python",)


def test_what_is_left_of_a_budget_is_what_others_get() -> None:
    """A limit that is used up leaves too little for anything, and no limit stays none."""
    account = Account(AgentLimits(max_tokens=100, max_cost=1.0))
    account.add(Usage(requests=2, input_tokens=60, output_tokens=10, cost=0.25))
    assert account.remaining == {"max_tokens": 30, "max_cost": 0.75}
    account.add(Usage(input_tokens=60, cost=2.0))
    assert account.remaining == {"max_tokens": 1, "max_cost": 1e-9}


@pytest.mark.parametrize("provider", sorted(PROVIDERS))
def test_every_provider_that_is_accepted_is_known_to_the_library(provider: str) -> None:
    """The server knows them by name only; a run should not be the first to find out."""
    with suppress(ImportError):  # it is known, and its own library is an extra
        infer_provider_class(provider)
