"""Make the run directories of steps whose turn has come at once, all of them in one thread.

What many steps have in common is done once: steps that are alike are checked once, and what small
steps are given alike, notebook and inputs, is one file, as is what was submitted of them
(``task_file``).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from opspawn_jupyter.errand import in_thread
from opspawn_jupyter.errors import InvalidRequest, NotFound
from opspawn_jupyter.model import task_file
from opspawn_jupyter.model.expression import TemplateError
from opspawn_jupyter.model.notebook import is_pooled
from opspawn_jupyter.model.run_directory import RunDirectory
from opspawn_jupyter.model.workflow import INPUTS_NAME
from opspawn_jupyter.orchestrator.accept import Pinned, make, planned
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.orchestrator.workflow import scope
from opspawn_jupyter.orchestrator.workflow.place import Place, accepted_of, asked_of
from opspawn_jupyter.ports import Kind, Prepared

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
    """What comes of each of a run, in their order."""
    known: dict[tuple[str, ...], bytes] = {}
    asked = [_ask(o, place, known) for place in places]
    return await in_thread(_pin_each, o, asked, places[0].progress.sources)


def _ask(o: Orchestration, place: Place, known: dict[tuple[str, ...], bytes]) -> _Asked | str:
    """The step with its values, or why they make no sense. ``known`` are inputs of small steps."""
    try:
        kind, spec = asked_of(o, place)
        inputs = _inputs(place, known) if is_pooled(spec) else _own_inputs(place)
    except (InvalidRequest, NotFound, TemplateError) as problem:
        return str(problem)
    return _Asked(place=place, kind=kind, spec=spec, inputs=inputs)


def _own_inputs(place: Place) -> bytes:
    return scope.inputs(place.progress, place.step.id, place.item)


def _inputs(place: Place, known: dict[tuple[str, ...], bytes]) -> bytes:
    """Small steps that depend on the same are given the same, but for their items."""
    names = place.step.depends_on
    if place.number is None and names in known:
        return known[names]
    made = scope.inputs(place.progress, place.step.id, place.item, is_shared=True)
    if place.number is None:
        known[names] = made
    return made


class _Shared:
    """What steps whose turn has come at once have in common."""

    def __init__(self, sources: dict[str, Path]) -> None:
        #: By what they ask for.
        self.checked: dict[str, Prepared] = {}
        #: Where notebooks of small steps lie already, by digest, and their inputs.
        self.sources = sources
        self.inputs: dict[bytes, Path] = {}
        #: ``task.json`` of the small ones, and where it lies already.
        self.said = b""
        self.said_at: Path | None = None


def _pin_each(
    o: Orchestration, steps: Sequence[_Asked | str], sources: dict[str, Path]
) -> list[PinOutcome]:
    shared = _Shared(sources)
    plans = [one if isinstance(one, str) else _try(_plan, o, one, shared) for one in steps]
    records = [one.record for one in plans if isinstance(one, Pinned) and _is_small(one)]
    if records:
        shared.said = task_file.content(records)
    return [_try(_made, one, shared) if isinstance(one, Pinned) else one for one in plans]


def _try(work: Callable[..., Pinned], *args: Any) -> PinOutcome:
    try:
        return work(*args)
    except (InvalidRequest, NotFound, TemplateError) as problem:
        return str(problem)
    except Exception as failure:  # it is for whoever asked, who has to undo the others
        return failure


def _plan(o: Orchestration, step: _Asked, shared: _Shared) -> Pinned:
    name = json.dumps([step.place.step.kind, step.spec], default=str)
    if name not in shared.checked:
        shared.checked[name] = step.kind.prepare(step.spec)
    return planned(o, accepted_of(step.place, shared.checked[name], {INPUTS_NAME: step.inputs}))


def _made(pinned: Pinned, shared: _Shared) -> Pinned:
    if _is_small(pinned):
        _make_small(pinned, shared)
    else:
        make(pinned, task_file.content([pinned.record]))
    return pinned


def _make_small(pinned: Pinned, shared: _Shared) -> None:
    """To make a file takes longer than such a step, so what others have is shared with them."""
    prepared, run = pinned.accepted.prepared, RunDirectory(pinned.directory)
    source, inputs = prepared.spec["source_sha256"], prepared.files[INPUTS_NAME]
    places = {
        run.input.name: shared.sources.get(source),
        INPUTS_NAME: shared.inputs.get(inputs),
        run.task.name: shared.said_at,
    }
    make(pinned, shared.said, {name: place for name, place in places.items() if place})
    shared.sources.setdefault(source, run.input)
    shared.inputs.setdefault(inputs, run.path / INPUTS_NAME)
    shared.said_at = shared.said_at or run.task


def _is_small(pinned: Pinned) -> bool:
    return is_pooled(pinned.accepted.prepared.spec)
