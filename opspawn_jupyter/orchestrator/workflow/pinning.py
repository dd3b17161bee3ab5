"""Make the run directories of steps whose turn has come at once, all of them in one thread.

What many steps have in common is done once: steps that are alike are checked once, and what small
steps are given alike, notebook and inputs, is one file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

from opspawn_jupyter.errand import in_thread
from opspawn_jupyter.errors import InvalidRequest, NotFound
from opspawn_jupyter.model.expression import TemplateError
from opspawn_jupyter.model.notebook import is_pooled
from opspawn_jupyter.model.workflow import INPUTS_NAME
from opspawn_jupyter.orchestrator.accept import Accepted, Pinned, pin
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
        is_shared = is_pooled(spec)
        inputs = scope.inputs(place.progress, place.step.id, place.item, is_shared=is_shared)
    except (InvalidRequest, NotFound, TemplateError) as problem:
        return str(problem)
    return _Asked(place=place, kind=kind, spec=spec, inputs=inputs)


class _Known:
    """What was found of steps whose turn has come at once."""

    def __init__(self) -> None:
        #: By what they ask for.
        self.checked: dict[str, Prepared] = {}
        #: Where the inputs of small steps lie already.
        self.inputs: dict[bytes, Path] = {}


def _pin_each(o: Orchestration, steps: Sequence[_Asked | str]) -> list[PinOutcome]:
    known = _Known()
    return [one if isinstance(one, str) else _outcome(o, one, known) for one in steps]


def _outcome(o: Orchestration, step: _Asked, known: _Known) -> PinOutcome:
    try:
        return _pin(o, step, known)
    except (InvalidRequest, NotFound, TemplateError) as problem:
        return str(problem)
    except Exception as failure:  # it is for whoever asked, who has to undo the others
        return failure


def _pin(o: Orchestration, step: _Asked, known: _Known) -> Pinned:
    name = json.dumps([step.place.step.kind, step.spec], default=str)
    if name not in known.checked:
        known.checked[name] = step.kind.prepare(step.spec)
    prepared = known.checked[name]
    task = accepted_of(step.place, prepared, {INPUTS_NAME: step.inputs})
    return _pin_small(o, step, task, known) if is_pooled(prepared.spec) else pin(o, task)


def _pin_small(o: Orchestration, step: _Asked, task: Accepted, known: _Known) -> Pinned:
    """To make a file takes longer than such a step, so what others have is shared with them."""
    sources, source = step.place.progress.sources, task.prepared.spec["source_sha256"]
    found = {_INPUT: sources.get(source), INPUTS_NAME: known.inputs.get(step.inputs)}
    alike = {name: path for name, path in found.items() if path is not None}
    pinned = pin(o, replace(task, alike=alike))
    sources.setdefault(source, pinned.directory / _INPUT)
    known.inputs.setdefault(step.inputs, pinned.directory / INPUTS_NAME)
    return pinned
