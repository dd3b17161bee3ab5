"""Tasks that agents submit: tools that are notebooks, workflows or other agents.

The task's own spec says what may be submitted, and nothing that a model writes adds to it. An
agent that waits long for such a task frees its worker (it is ``waiting``, without a question) and
goes on when the task has ended; whatever it left unfinished is cancelled when it ends itself.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from opspawn_jupyter.errors import IllegalTransition, InvalidRequest, NotFound
from opspawn_jupyter.model import wire
from opspawn_jupyter.model.agent import AGENT, AgentSpec, Permission, ToolSpec
from opspawn_jupyter.model.agent_door import Child, ChildRequest
from opspawn_jupyter.model.conversation import Usage
from opspawn_jupyter.model.event import Draft
from opspawn_jupyter.model.policy import Policy
from opspawn_jupyter.model.states import EventType, State
from opspawn_jupyter.model.task import Submission, Task, TaskQuery
from opspawn_jupyter.model.workflow import WORKFLOW
from opspawn_jupyter.orchestrator.accept import Accepted, accept, await_turn
from opspawn_jupyter.orchestrator.agent_sql import ask
from opspawn_jupyter.orchestrator.cancel import cancel
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.orchestrator.find import find
from opspawn_jupyter.orchestrator.submit import prepare
from opspawn_jupyter.ports import Prepared

logger = logging.getLogger(__name__)

#: Agents that submit agents that submit agents …
_DEEPEST = 4
_STRICTEST_FIRST = (Permission.DENY, Permission.ASK, Permission.ALLOW)


async def delegate(o: Orchestration, agent: Task, request: ChildRequest) -> Child:
    """The task of this call, submitted now or when the call was made before.

    Raises ``InvalidRequest`` where the arguments do not fit, or agents stand too deep.
    """
    spec = wire.decode(AgentSpec, agent.spec)
    tool = next((one for one in spec.functions if one.name == request.tool and one.kind), None)
    if tool is None:
        raise NotFound(request.tool, hint="the agent's task names no such tool")
    async with o.key_lock:
        task = await o.store.task_by_key(_key(agent, request))
        if task is None:
            await _check_depth(o, agent)
            task = await _submit(o, agent, tool, request)
    return await _child(o, task)


async def child(o: Orchestration, agent: Task, task_id: str) -> Child:
    """A task that the agent submitted, as it stands."""
    task = await find(o, task_id)
    if task.parent_id != agent.id:
        raise NotFound(task_id, hint="the agent has submitted no such task")
    return await _child(o, task)


async def wake(o: Orchestration, agent_id: str) -> None:
    """Let the agent go on if it waits for tasks, and none of them is unfinished any more."""
    agent = await o.store.task(agent_id)
    if agent is None or (agent.state, agent.question) != (State.WAITING, None):
        return
    if await _unfinished(o, agent_id):
        return
    try:
        await o.record(Draft(task_id=agent_id, type=EventType.QUEUED))
    except IllegalTransition:
        return  # somebody cancelled it, or was quicker
    await await_turn(o, await find(o, agent_id))
    logger.info("agent goes on after its tasks task_id=%s", agent_id)


async def abandon(o: Orchestration, agent_id: str) -> None:
    """The agent has ended: nobody waits for what it submitted."""
    for task in await _unfinished(o, agent_id):
        try:
            await cancel(o, task.id, "its agent, which has ended")
        except IllegalTransition:
            logger.debug("task of an ended agent has ended itself task_id=%s", task.id)


async def abandon_after(o: Orchestration, parent_id: str) -> None:
    """The same where the server died between the agent's end and that."""
    parent = await o.store.task(parent_id)
    if parent is not None and parent.kind == AGENT and parent.state.is_final:
        await abandon(o, parent_id)


async def _submit(o: Orchestration, agent: Task, tool: ToolSpec, request: ChildRequest) -> Task:
    submission = Submission(
        kind=tool.kind,
        spec=_asked(tool, request.arguments),
        policy=_policy(agent.policy, request.remaining),
        labels=agent.labels,
        idempotency_key=_key(agent, request),
    )
    prepared = await prepare(o, submission)
    if tool.kind == AGENT:
        spec = wire.decode(AgentSpec, agent.spec)
        prepared = _restrained(prepared, spec, request.remaining)
    accepted = Accepted(
        submission=submission,
        prepared=prepared,
        submitted_by=agent.submitted_by,
        parent_id=agent.id,
    )
    return await accept(o, accepted)


def _key(agent: Task, request: ChildRequest) -> str:
    return f"{agent.id}/{request.key}"


def _asked(tool: ToolSpec, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    if tool.kind == AGENT:
        return {"agent": tool.target, "goal": arguments["goal"]}
    where = "path" if tool.kind == WORKFLOW else "notebook"
    return {where: tool.target, "parameters": dict(arguments)}


def _policy(policy: Policy, remaining: Mapping[str, float]) -> Policy:
    return Policy(priority=policy.priority, timeout_seconds=remaining.get("max_seconds"))


def _restrained(prepared: Prepared, parent: AgentSpec, remaining: Mapping[str, float]) -> Prepared:
    """The agent with no more than what the one that submits it has left and may do."""
    spec = wire.decode(AgentSpec, prepared.spec)
    limits = {name: _smaller(getattr(spec.limits, name), left) for name, left in remaining.items()}
    restrained = replace(
        spec,
        limits=replace(spec.limits, **limits),
        permissions=_strictest(spec.permissions, parent.permissions),
    )
    return replace(prepared, spec=wire.encode(restrained))


def _smaller(limit: float | None, left: float) -> Any:  # as the limit's own type
    return left if limit is None else min(limit, left)


def _strictest(
    one: Mapping[str, Permission], other: Mapping[str, Permission]
) -> Mapping[str, Permission]:
    return {
        pattern: next(p for p in _STRICTEST_FIRST if p in (one.get(pattern), other.get(pattern)))
        for pattern in {**one, **other}
    }


async def _check_depth(o: Orchestration, agent: Task) -> None:
    depth, above = 1, agent.parent_id
    while above is not None and (parent := await o.store.task(above)) is not None:
        depth += parent.kind == AGENT
        above = parent.parent_id
    if depth >= _DEEPEST:
        raise InvalidRequest(hint=f"agents submit each other at most {_DEEPEST} deep")


async def _unfinished(o: Orchestration, agent_id: str) -> list[Task]:
    page = await o.store.tasks(TaskQuery(parent=agent_id, limit=500))
    return [task for task in page.tasks if not task.state.is_final]


async def _child(o: Orchestration, task: Task) -> Child:
    return Child(
        id=task.id,
        name=task.name,
        kind=task.kind,
        state=task.state,
        outputs=task.outputs,
        error=task.error,
        usage=await _used(o, task) if task.state.is_final else Usage(),
    )


async def _used(o: Orchestration, task: Task) -> Usage:
    ((requests, given, taken, cost, calls, is_unknown),) = await ask(
        o, "used_by_family", task=task.id
    )
    return Usage(
        requests=int(requests),
        input_tokens=int(given),
        output_tokens=int(taken),
        cost=None if is_unknown else float(cost),
        tool_calls=int(calls),
    )
