"""From what a workflow's file says to the graph that is run; every mistake at once, with its
place."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from opspawn_jupyter.kinds.findings import Findings, Path
from opspawn_jupyter.kinds.positions import Document
from opspawn_jupyter.kinds.workflow_file import ID, LONGEST_ID
from opspawn_jupyter.kinds.workflow_parameters import declared, default
from opspawn_jupyter.kinds.workflow_shape import shape
from opspawn_jupyter.kinds.workflow_step import read_step
from opspawn_jupyter.kinds.workflow_templates import templates
from opspawn_jupyter.model import graph, template
from opspawn_jupyter.model.expression import TemplateError
from opspawn_jupyter.model.notebook import Parameter
from opspawn_jupyter.model.workflow import Step, Workflow

_ID = re.compile(rf"(?=.{{1,{LONGEST_ID}}}\Z){ID}")


@dataclass(frozen=True, kw_only=True)
class Built:
    """A graph, as far as it could be read."""

    workflow: Workflow
    #: What the parameters are declared as.
    declared: tuple[Parameter, ...]
    #: Place of each step in the file, in the order of the graph.
    paths: tuple[Path, ...]


def build(document: Document, name: str, findings: Findings) -> Built | None:
    """The graph; None where the file has not even its shape."""
    found = shape(document, findings)
    if found is None:
        return None
    file, paths = found.file, found.paths
    steps = [
        read_step(one, path, findings, cache=file.cache)
        for one, path in zip(file.tasks, paths, strict=True)
    ]
    workflow = Workflow(
        name=file.name or name,
        description=file.description,
        parameters={one: default(value) for one, value in (file.parameters or {}).items()},
        steps=tuple(steps),
        max_parallel=file.max_parallel,
        outputs=file.outputs or {},
    )
    _check_ids(workflow, paths, findings)
    linked = replace(workflow, steps=tuple(_linked(workflow, paths, findings)))
    _check_outputs(linked, findings)
    _check_circles(linked, paths, findings)
    declarations = declared(file.parameters or {}, findings)
    return Built(workflow=linked, declared=declarations, paths=paths)


def _check_ids(workflow: Workflow, paths: Sequence[Path], findings: Findings) -> None:
    first: dict[str, Path] = {}
    for step, path in zip(workflow.steps, paths, strict=True):
        if not _ID.fullmatch(step.id):
            message = f"{step.id!r}: an id begins with a letter, has letters, digits, '_' and '-'"
            findings.add((*path, "id"), f"{message}, and at most {LONGEST_ID} characters")
        if step.id in first:
            line = findings.document.places.get(first[step.id], ("?",))[0]
            findings.add((*path, "id"), f"step {step.id!r} is there twice; see line {line}")
        first.setdefault(step.id, path)


def _linked(workflow: Workflow, paths: Sequence[Path], findings: Findings) -> Iterator[Step]:
    """The steps with what their templates name among what they depend on."""
    ids = {step.id for step in workflow.steps}
    for step, path in zip(workflow.steps, paths, strict=True):
        for number, id in enumerate(step.depends_on):
            if id not in ids:
                message = f"step {step.id!r} depends on {id!r}, which is no step{_like(id, ids)}"
                findings.add((*path, "depends_on", number), message)
        named = [*_named(step, path, workflow, ids, findings)]
        depends_on = [id for id in dict.fromkeys([*step.depends_on, *named]) if id in ids]
        yield replace(step, depends_on=tuple(depends_on))


def _named(
    step: Step, path: Path, workflow: Workflow, ids: set[str], findings: Findings
) -> Iterator[str]:
    """Steps that the templates of a step name. What they name wrongly is noted."""
    for one in templates(step, path, findings):
        own = one.field == "end_when"
        item = step.for_each is not None and one.field not in ("for_each", "when", "end_when")
        for reference in _references(one.text, one.path, findings):
            problem = _problem(reference, workflow, ids, findings, item=item)
            if problem:
                findings.add(one.path, problem)
            elif reference[0] == "tasks" and (reference[1] != step.id or not own):
                yield reference[1]


def _references(value: Any, path: Path, findings: Findings) -> Iterable[tuple[str, ...]]:
    try:
        return list(template.references(value))
    except TemplateError as problem:
        findings.add(path, str(problem))
        return ()


def _problem(
    reference: tuple[str, ...],
    workflow: Workflow,
    ids: set[str],
    findings: Findings,
    *,
    item: bool,
) -> str | None:
    root, *rest = reference
    if root == "tasks":
        if not rest or rest[0] not in ids:
            return f"a template names {'.'.join(reference[:2])!r}, which is no step" + _like(
                rest[0] if rest else "", ids
            )
    elif root == "parameters":
        is_unsure = findings.lacks(("parameters",))  # some of them cannot be read
        if rest and rest[0] not in workflow.parameters and not is_unsure:
            known = ", ".join(workflow.parameters) or "none"
            return f"there is no parameter {rest[0]!r}; the workflow declares {known}"
    elif root == "item" and not item:
        return "there is an item only in a step with for_each or matrix"
    return None


def _like(id: str, ids: Iterable[str]) -> str:
    near = [
        known for known in ids if known.lower().replace("-", "_") == id.lower().replace("-", "_")
    ]
    return f"; did you mean {near[0]!r}?" if near else ""


def _check_outputs(workflow: Workflow, findings: Findings) -> None:
    ids = {step.id for step in workflow.steps}
    for name, value in workflow.outputs.items():
        for reference in _references(value, ("outputs", name), findings):
            if problem := _problem(reference, workflow, ids, findings, item=False):
                findings.add(("outputs", name), problem)


def _check_circles(workflow: Workflow, paths: Sequence[Path], findings: Findings) -> None:
    edges = {step.id: step.depends_on for step in workflow.steps}
    circle = graph.cycle(edges)
    if circle:
        places = {step.id: path for step, path in zip(workflow.steps, paths, strict=True)}
        shown = " → ".join(circle if len(circle) <= 12 else (*circle[:6], "…", *circle[-5:]))
        findings.add(places[circle[0]], f"steps depend on each other in a circle: {shown}")
