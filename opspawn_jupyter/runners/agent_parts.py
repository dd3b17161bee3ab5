"""What the agent of one run is made of, from what its task says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from opspawn_jupyter.agentkit import making
from opspawn_jupyter.agentkit.agent import Approvals, Parts
from opspawn_jupyter.agentkit.budget import Account
from opspawn_jupyter.agentkit.delegation import TaskDoor
from opspawn_jupyter.agentkit.doors import CodeDoor, FunctionDoor, McpDoor, PlanDoor
from opspawn_jupyter.agentkit.notes import NOTE_TOOLS, NotesDoor
from opspawn_jupyter.agentkit.patience import PatientModel
from opspawn_jupyter.agentkit.tape import Tape
from opspawn_jupyter.agentkit.tools import ToolRegistry, own_tools
from opspawn_jupyter.agentkit.tracing import Trace
from opspawn_jupyter.model.agent import AgentMode, AgentSpec, Plan, ToolSpec
from opspawn_jupyter.model.ids import new_id
from opspawn_jupyter.model.run_directory import RunDirectory
from opspawn_jupyter.model.work import Assignment
from opspawn_jupyter.ports import Workbench
from opspawn_jupyter.runners.agent_door import LoopDoor
from opspawn_jupyter.runners.agent_mcp import mcp_tools


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What a run has before its kernel is up."""

    spec: AgentSpec
    assignment: Assignment
    files: RunDirectory
    account: Account
    door: LoopDoor
    approvals: Approvals
    trace: Trace


async def parts(run: Surroundings, bench: Workbench, planned: Callable[[Plan], None]) -> Parts:
    """The agent's parts. Raises ``AgentStopped`` where a server of tools cannot be asked."""
    spec, options = run.spec, run.spec.model_options
    plan = PlanDoor(bench, planned)
    tape = Tape(run.files.tape, is_live=spec.mode is AgentMode.LIVE)
    given = await mcp_tools(spec.tools, run.assignment.environment, tape)
    make = making.models(options, run.files.path)
    return Parts(
        model=PatientModel(spec.models, make, options, run.account),
        planner=making.planner(spec),
        memory=making.memory(spec),
        tools=ToolRegistry(_tools(spec, given), _doors(run, bench, plan)),
        plan=plan,
        bench=bench,
        tape=tape,
        approvals=run.approvals,
        trace=run.trace,
    )


def _tools(spec: AgentSpec, given: tuple[ToolSpec, ...]) -> tuple[ToolSpec, ...]:
    notes = NOTE_TOOLS if spec.notes is not None else ()
    return (*own_tools(spec), *notes, *spec.functions, *given)


def _doors(run: Surroundings, bench: Workbench, plan: PlanDoor) -> dict[str, Any]:
    return {
        "code": CodeDoor(bench),
        "function": FunctionDoor(bench),
        "mcp": McpDoor(bench),
        "notes": NotesDoor(bench, run.door, new_id),
        "plan": plan,
        "task": TaskDoor(bench, run.door, lambda: run.account.remaining),
    }
