"""The task of a step: submitted, skipped, refused, reused or put to a person."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace

from opspawn_jupyter.errand import in_thread
from opspawn_jupyter.errors import InvalidRequest, NotFound, OpspawnError
from opspawn_jupyter.model import clock, template, wire
from opspawn_jupyter.model.event import Draft
from opspawn_jupyter.model.expression import TemplateError
from opspawn_jupyter.model.ids import new_id, short
from opspawn_jupyter.model.question import Question
from opspawn_jupyter.model.run_directory import directory_name
from opspawn_jupyter.model.states import EventType
from opspawn_jupyter.model.task import Problem, Task
from opspawn_jupyter.model.workflow import APPROVAL, INPUTS_NAME
from opspawn_jupyter.orchestrator.accept import (
    Accepted,
    Pinned,
    accept,
    submitted_data,
    take_in_all,
    unpin,
)
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.orchestrator.question import asking, questions
from opspawn_jupyter.orchestrator.workflow import cache, reuse, scope
from opspawn_jupyter.orchestrator.workflow.pinning import pin_all
from opspawn_jupyter.orchestrator.workflow.place import Place, accepted_of, asked_of, submission_of
from opspawn_jupyter.ports import Prepared

logger = logging.getLogger(__name__)


async def begin_all(o: Orchestration, places: Sequence[Place]) -> list[Task]:
    """The tasks of steps whose turn has come: those that only have to be queued together."""
    plain = [place for place in places if _is_plain(place)]
    others = [place for place in places if not _is_plain(place)]
    queued, rest = await asyncio.gather(
        _queue(o, plain), asyncio.gather(*(begin(o, one) for one in others))
    )
    return [*queued, *rest]


def _is_plain(place: Place) -> bool:
    step, reused = place.step, place.progress.task.spec.get("reuse", {})
    asks = step.approve or step.kind == APPROVAL
    return not (place.fault or asks or step.cache or place.name in reused)


async def _queue(o: Orchestration, places: Sequence[Place]) -> list[Task]:
    """All that are good become durable in one go."""
    if not places:
        return []
    found = await pin_all(o, places)
    good = [one for one in found if isinstance(one, Pinned)]
    broken = next((one for one in found if isinstance(one, Exception)), None)
    if broken is not None:
        await asyncio.to_thread(unpin, good)
        raise broken
    tasks = await take_in_all(o, good) if good else []
    faults = [
        (place, one) for place, one in zip(places, found, strict=True) if isinstance(one, str)
    ]
    return [*tasks, *[await fail(o, place, fault) for place, fault in faults]]


async def begin(o: Orchestration, place: Place) -> Task:
    """The step's task, whatever becomes of it: queued, put to a person, reused, or failed where
    its values make no sense."""
    if place.fault is not None:
        return await fail(o, place, place.fault)
    kept = place.progress.task.spec.get("reuse", {}).get(place.name)
    try:
        prepared = await _prepared(o, place)
        if kept is not None and await cache.usable(o, kept) is not None:
            return await _reuse(o, place, prepared, kept, {})
        finding = await cache.look(o, place.progress, place.step, prepared)
        if finding is not None and finding.task_id is not None:
            return await _reuse(o, place, prepared, finding.task_id, finding.files)
    except (InvalidRequest, NotFound, TemplateError) as problem:
        return await fail(o, place, str(problem))
    files = finding.files if finding is not None else {}
    return await _submit(o, place, prepared, files)


async def skip(o: Orchestration, places: Sequence[tuple[Place, str]]) -> list[Task]:
    """Tasks that say why their steps were not run. They leave no files."""
    drafts = []
    for place, reason in places:
        task_id = new_id()
        error = {"error": wire.encode(Problem(name="Skipped", message=reason))}
        drafts += [
            _bare_submission(o, place, task_id),
            Draft(task_id=task_id, type=EventType.SKIPPED, data=error),
        ]
    events = await o.record(*drafts)
    return await _tasks(o, [event.task_id for event in events[::2]])


async def fail(o: Orchestration, place: Place, reason: str) -> Task:
    """A task of a step that could not be begun."""
    task_id = new_id()
    problem = wire.encode(Problem(name="StepInvalid", message=reason))
    await o.record(
        _bare_submission(o, place, task_id),
        Draft(task_id=task_id, type=EventType.QUEUED),
        Draft(task_id=task_id, type=EventType.STARTED, attempt=1),
        Draft(task_id=task_id, type=EventType.FAILED, attempt=1, data={"error": problem}),
    )
    return (await _tasks(o, [task_id]))[0]


async def approve(o: Orchestration, child: Task) -> None:
    """A step that only asks has its answer: it ends with it."""
    asked = await questions(o, is_open=False, task_id=child.id)
    said = asked[0] if asked else None
    outputs = {
        "answer": said.answer if said else None,
        "comment": said.comment if said else "",
        "by": said.answered_by if said else "",
    }
    attempt = child.attempt + 1
    await o.record(
        Draft(task_id=child.id, type=EventType.STARTED, attempt=attempt),
        *(
            Draft(
                task_id=child.id,
                type=EventType.STEP_OUTPUT,
                attempt=attempt,
                data={"name": name, "value": value},
            )
            for name, value in outputs.items()
        ),
        Draft(task_id=child.id, type=EventType.SUCCEEDED, attempt=attempt),
    )


async def _tasks(o: Orchestration, ids: Sequence[str]) -> list[Task]:
    found = [await o.store.task(task_id) for task_id in ids]
    return [task for task in found if task is not None]


async def _prepared(o: Orchestration, place: Place) -> Prepared:
    """The step's spec with its values, checked by its kind as any submission is."""
    kind, spec = asked_of(o, place)
    prepared = await in_thread(kind.prepare, spec)
    return _with_inputs(prepared, scope.inputs(place.progress, place.step.id, place.item))


def _with_inputs(prepared: Prepared, inputs: bytes) -> Prepared:
    return replace(prepared, files={**prepared.files, INPUTS_NAME: inputs})


async def _submit(
    o: Orchestration, place: Place, prepared: Prepared, files: Mapping[str, bytes]
) -> Task:
    question = _question(o, place)

    def opening(task_id: str) -> tuple[Draft, ...]:
        return _asking(question, place, task_id) if question else ()

    accepted = accepted_of(place, prepared, files)
    return await accept(o, replace(accepted, opening=opening) if question else accepted)


def _question(o: Orchestration, place: Place) -> str | None:
    """What somebody is asked before the step may run."""
    step = place.step
    text = step.approve or (step.config.get("message") if step.kind == APPROVAL else None)
    if text is None:
        return None
    names = scope.scope(place.progress, step.id, o.settings.root_directory, place.item)
    return str(template.resolve(text, names))


def _asking(text: str, place: Place, task_id: str) -> tuple[Draft, ...]:
    detail = {"workflow": place.progress.task.name, "step": place.name}
    question = Question(
        id=new_id(), text=text, detail=detail, task_id=task_id, asked_at=clock.now()
    )
    waiting = {"question": question.id}
    return asking(question), Draft(task_id=task_id, type=EventType.WAITING, data=waiting)


async def _reuse(
    o: Orchestration,
    place: Place,
    prepared: Prepared,
    earlier_id: str,
    files: Mapping[str, bytes],
) -> Task:
    """The result of an earlier task as this step's own. Where that is gone, the step runs."""
    earlier = await o.store.task(earlier_id)
    if earlier is None or earlier.pruned_at is not None:
        logger.info("result to be reused is gone task_id=%s", earlier_id)
        return await _submit(o, place, prepared, files)
    data = {"task_id": earlier.reused_from or earlier.id, "outputs": dict(earlier.outputs)}

    def opening(task_id: str) -> tuple[Draft, ...]:
        return (Draft(task_id=task_id, type=EventType.REUSED, data=data),)

    try:
        linked = await asyncio.to_thread(reuse.prepare, o.settings, earlier)
        accepted = replace(accepted_of(place, prepared, files), opening=opening, linked=linked)
        task = await accept(o, accepted)
    except OpspawnError as problem:
        logger.warning("result cannot be reused task_id=%s reason=%s", earlier_id, problem)
        return await _submit(o, place, prepared, files)
    logger.info("step reused task_id=%s from=%s", short(task.id), short(earlier.id))
    return task


def _bare_submission(o: Orchestration, place: Place, task_id: str) -> Draft:
    """Of a task without files."""
    at = clock.now()
    directory = o.settings.runs_directory / directory_name(place.name, task_id, at)
    accepted = Accepted(
        submission=submission_of(place, place.step.config),
        prepared=Prepared(name=place.name, spec=place.step.config, files={}),
        submitted_by=place.progress.task.submitted_by,
        parent_id=place.progress.task.id,
        step=place.name,
    )
    data = submitted_data(o, accepted, directory)
    return Draft(task_id=task_id, type=EventType.SUBMITTED, at=at, data=data)
