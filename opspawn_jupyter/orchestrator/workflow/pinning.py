"""Make the run directories of steps whose turn has come at once, all of them in one thread.

What many steps have in common is done once: steps that are alike are checked once, and the
notebook that small steps share is one file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from opspawn_jupyter.errand import in_thread
from opspawn_jupyter.errors import InvalidRequest, NotFound
from opspawn_jupyter.model.expression import TemplateError
from opspawn_jupyter.model.notebook import is_pooled
from opspawn_jupyter.model.workflow import INPUTS_NAME
from opspawn_jupyter.orchestrator.accept import Pinned, pin
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.orchestrator.workflow import scope
from opspawn_jupyter.orchestrator.workflow.place import Place, accepted_of, asked_of
from opspawn_jupyter.ports import Kind, Prepared

#: The notebook of a step, among its files.
_INPUT = "input.ipynb"
#: What is to be stored of a step, why its values make no sense, or what went wrong.
PinOutcome: TypeAlias = Pinned | str | Exception


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """A step with its values, not checked yet."""

    place: Place
    kind: Kind
    spec: Mapping[str, Any]
    inputs: bytes


async def pin_all(o: Orchestration, places: Sequence[Place]) -> list[PinOutcome]:
    """What comes of each, in their order."""
    return await in_thread(_pin_each, o, [_ask(o, place) for place in places])


def _ask(o: Orchestration, place: Place) -> _Asked | str:
    """The step with its values, or why they make no sense."""
    try:
        kind, spec = asked_of(o, place)
        inputs = scope.inputs(place.progress, place.step.id, place.item)
    except (InvalidRequest, NotFound, TemplateError) as problem:
        return str(problem)
    return _Asked(place=place, kind=kind, spec=spec, inputs=inputs)


def _pin_each(o: Orchestration, steps: Sequence[_Asked | str]) -> list[PinOutcome]:
    checked: dict[str, Prepared] = {}
    return [one if isinstance(one, str) else _outcome(o, one, checked) for one in steps]


def _outcome(o: Orchestration, step: _Asked, checked: dict[str, Prepared]) -> PinOutcome:
    try:
        return _pin(o, step, _checked_once(step, checked))
    except (InvalidRequest, NotFound, TemplateError) as problem:
        return str(problem)
    except Exception as failure:  # it is for whoever asked, who has to undo the others
        return failure


def _checked_once(step: _Asked, checked: dict[str, Prepared]) -> Prepared:
    name = json.dumps([step.place.step.kind, step.spec], default=str)
    if name not in checked:
        checked[name] = step.kind.prepare(step.spec)
    return checked[name]


def _pin(o: Orchestration, step: _Asked, prepared: Prepared) -> Pinned:
    place, source = step.place, prepared.spec.get("source_sha256", "")
    task = accepted_of(place, prepared, {INPUTS_NAME: step.inputs})
    if not is_pooled(prepared.spec):
        return pin(o, task)
    sources = place.progress.sources
    known = {_INPUT: sources[source]} if source in sources else {}
    pinned = pin(o, replace(task, alike=known))
    sources.setdefault(source, pinned.directory / _INPUT)
    return pinned
