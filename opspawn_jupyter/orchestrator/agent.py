"""Go on from an agent's tape: with a larger budget, without a model, or another way from some cell
on. A finished task never changes, so each of these is a new task that is given the old one's tape.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import fields, replace

from opspawn_jupyter.agentkit import tape
from opspawn_jupyter.agentkit.branch import branched
from opspawn_jupyter.errors import ArtifactNotFound, IllegalTransition, InvalidRequest
from opspawn_jupyter.model import wire
from opspawn_jupyter.model.agent import AgentLimits, AgentMode, AgentSpec, ResumeRequest
from opspawn_jupyter.model.run_directory import RunDirectory
from opspawn_jupyter.model.states import State
from opspawn_jupyter.model.task import Submission, Task
from opspawn_jupyter.orchestrator.accept import Accepted, accept
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.orchestrator.find import find
from opspawn_jupyter.orchestrator.retry import pinned
from opspawn_jupyter.ports import Prepared

logger = logging.getLogger(__name__)


async def resume(o: Orchestration, reference: str, request: ResumeRequest, by: str) -> Task:
    """The new task.

    Raises ``InvalidRequest`` where the task is no agent's or nothing would be left to do,
    ``IllegalTransition`` where it has not ended, ``ArtifactNotFound`` where its tape is gone.
    """
    task = await find(o, reference)
    _check(task, request)
    directory = RunDirectory(o.settings.root_directory / task.run_directory)
    files = dict(await asyncio.to_thread(pinned, o.settings.root_directory, task))
    units = await asyncio.to_thread(tape.read, directory.tape)
    if not units:
        raise ArtifactNotFound(directory.tape.name, hint="the run has left no tape")
    files[directory.tape.name] = tape.written(branched(units, request))
    spec = wire.decode(AgentSpec, task.spec)
    checked = replace(spec, mode=request.mode, limits=_limits(spec.limits, request.limits))
    accepted = Accepted(
        submission=Submission(
            kind=task.kind,
            spec=task.spec,
            name=task.name,
            policy=replace(task.policy, not_before=None),
            labels={**task.labels, **_label(task, request)},
        ),
        prepared=Prepared(name=task.name, spec=wire.encode(checked), files=files),
        submitted_by=by,
        retry_of=task.id if _is_plain(request) else None,
    )
    again = await accept(o, accepted)
    logger.info("agent resumed task_id=%s as=%s mode=%s", task.id, again.id, request.mode)
    return again


def _check(task: Task, request: ResumeRequest) -> None:
    if task.kind != "agent":
        raise InvalidRequest(task.id, hint=f"it is a task of kind {task.kind}, not an agent's")
    if not task.state.is_final:
        raise IllegalTransition("resume", hint=f"the task is {task.state.value}; cancel it first")
    if task.state is State.SUCCESS and _is_plain(request):
        hint = "the task has its answer; branch it at a cell, or say what else is to be done"
        raise IllegalTransition("resume", hint=hint)
    is_other = request.mode is not AgentMode.LIVE
    if is_other and (request.cell or request.remark is not None):
        raise InvalidRequest(request.mode.value, hint="only a live run can go another way")


def _is_plain(request: ResumeRequest) -> bool:
    """The run only goes on."""
    return request.mode is AgentMode.LIVE and request.cell is None and request.remark is None


def _label(task: Task, request: ResumeRequest) -> Mapping[str, str]:
    if _is_plain(request):
        return {}
    verb = "branch" if request.mode is AgentMode.LIVE else request.mode.value
    return {f"{verb}-of": task.id}


def _limits(limits: AgentLimits, changes: Mapping[str, float]) -> AgentLimits:
    known = {field.name for field in fields(AgentLimits)}
    for name, value in changes.items():
        if name not in known:
            raise InvalidRequest(name, hint=f"there is no such limit; there are {sorted(known)}")
        if not value > 0:
            raise InvalidRequest(f"limits.{name}", hint="a limit is a number above 0")
    return replace(limits, **changes)  # type: ignore[arg-type]  # whole numbers are checked as such
