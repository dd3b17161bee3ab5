"""From what a workflow's file says to the graph that is run; every mistake at once, with its
place."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import ValidationError

from opspawn_jupyter.kinds.positions import Document
from opspawn_jupyter.kinds.workflow_file import FILE, RetryFile, StepFile, WorkflowFile
from opspawn_jupyter.model import graph, template
from opspawn_jupyter.model.fault import Fault
from opspawn_jupyter.model.notebook import Parameter
from opspawn_jupyter.model.policy import RETRYABLE, Jitter, Policy
from opspawn_jupyter.model.states import State
from opspawn_jupyter.model.workflow import APPROVAL, WORKFLOW, ForEach, Step, TriggerRule, Workflow

#: Where something stands in the file.
Path = tuple[str | int, ...]
#: More are not listed: the first ones tell enough.
_MOST_FAULTS = 100
_RULES = frozenset(rule.value for rule in TriggerRule)
_IDENTIFIER = re.compile(r"[A-Za-z_]\w*")


@dataclass
class Findings:
    """Mistakes, in the order in which they were found."""

    document: Document
    faults: list[Fault] = field(default_factory=list)

    def add(self, path: Path, message: str) -> None:
        """Note one at the place of this path, or of what holds it."""
        place = next(
            (
                self.document.places[path[:n]]
                for n in range(len(path), -1, -1)
                if path[:n] in self.document.places
            ),
            (None, None),
        )
        fault = Fault(line=place[0], column=place[1], message=message)
        if len(self.faults) < _MOST_FAULTS and fault not in self.faults:
            self.faults.append(fault)


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
    findings.faults.extend(document.faults)
    file = _file(document, findings)
    if file is None:
        return None
    paths = tuple(("tasks", number) for number in range(len(file.tasks)))
    steps = [
        _step(one, path, findings, cache=file.cache)
        for one, path in zip(file.tasks, paths, strict=True)
    ]
    declared = _declared(file.parameters or {}, findings)
    workflow = Workflow(
        name=file.name or name,
        description=file.description,
        parameters={one: _default(value) for one, value in (file.parameters or {}).items()},
        steps=tuple(steps),
        max_parallel=file.max_parallel,
        outputs=file.outputs or {},
    )
    _check_ids(workflow, paths, findings)
    linked = replace(workflow, steps=tuple(_linked(workflow, paths, findings)))
    _check_outputs(linked, findings)
    _check_circles(linked, paths, findings)
    return Built(workflow=linked, declared=declared, paths=paths)


def _file(document: Document, findings: Findings) -> WorkflowFile | None:
    if document.value is None:
        if not document.faults:
            findings.add((), "the file is empty")
        return None
    if not isinstance(document.value, Mapping):
        findings.add((), "a workflow is a mapping with name and tasks")
        return None
    try:
        return FILE.validate_python(document.value)
    except ValidationError as failure:
        found = failure.errors(include_url=False, include_input=False)
        paths = [tuple(part for part in fault["loc"] if not _is_branch(part)) for fault in found]
        for fault, path in zip(found, paths, strict=True):
            if not any(other[: len(path)] == path != other for other in paths):
                findings.add(path, _sentence(path, fault))
        return None


_BRANCHES = frozenset({"str", "int", "constrained-int", "bool", "RetryFile"})


def _is_branch(part: str | int) -> bool:
    """pydantic names the branch of a union, too."""
    return isinstance(part, str) and ("[" in part or part in _BRANCHES)


def _sentence(path: Path, fault: Any) -> str:  # pydantic's own record of an error
    name = path[-1] if path else "the file"
    if fault["type"] == "extra_forbidden":
        known = _known_fields(path)
        return f"there is no field {name!r}; known are {', '.join(known)}"
    if fault["type"] == "missing":
        return f"{name!r} is missing"
    if fault["type"] == "string_pattern_mismatch":
        return f"{name!r} begins with a letter and holds letters, digits, '_' and '-'"
    message = fault["msg"]
    return f"{name!r}: {message[0].lower()}{message[1:]}"


def _known_fields(path: Path) -> list[str]:
    if "retry" in path[:-1]:
        model: Any = RetryFile
    else:
        model = StepFile if "tasks" in path[:-1] else WorkflowFile
    return [field.alias or name for name, field in model.model_fields.items()]


def _step(file: StepFile, path: Path, findings: Findings, *, cache: bool) -> Step:
    rule, condition = _conditions(file, path, findings)
    return Step(
        id=file.id,
        kind=_kind(file, path, findings),
        config=_config(file, path, findings),
        description=file.description,
        depends_on=tuple(dict.fromkeys(_listed(file.depends_on))),
        policy=_policy(file, path, findings),
        trigger_rule=rule,
        when=condition,
        for_each=_for_each(file, path, findings),
        cache=cache if file.cache is None else file.cache,
        inputs=tuple(_listed(file.inputs)),
        approve=_approval(file),
        end_when=file.end_when,
    )


def _listed(value: list[str] | str | None) -> list[str]:
    return [value] if isinstance(value, str) else value or []


def _kind(file: StepFile, path: Path, findings: Findings) -> str:
    given = {
        "plugin": file.plugin,
        "kind": file.kind,
        "notebook": "notebook" if file.notebook or file.cell is not None else None,
        "workflow": file.workflow and WORKFLOW,
    }
    kinds = [kind for kind in dict.fromkeys(given.values()) if kind]
    if not kinds and file.approve:
        return APPROVAL
    if not kinds:
        findings.add(path, f"step {file.id!r} names no plugin, kind, notebook, cell or workflow")
    elif len(kinds) > 1:
        findings.add(path, f"step {file.id!r} is to be {' and '.join(kinds)}; give one of them")
    return kinds[0] if kinds else ""


def _config(file: StepFile, path: Path, findings: Findings) -> Mapping[str, Any]:
    config = dict(file.config or {})
    values = file.with_ or {}
    if file.notebook:
        config["notebook"] = file.notebook
    if file.cell is not None:
        config["cell"] = _cell(file.cell, path, findings)
    if file.workflow:
        config["path"] = file.workflow
    if (file.kind or file.plugin) in (None, "notebook", WORKFLOW):
        if values and not file.approve:
            config["parameters"] = {**config.get("parameters", {}), **values}
        return {"message": file.approve} if file.approve and not config else config
    for name in config.keys() & values.keys():
        findings.add((*path, "with", name), f"{name!r} is given in config and in with")
    return {**config, **values}


def _cell(code: str, path: Path, findings: Findings) -> str:
    """Templates in code would be pasted into it, whatever they stand for."""
    if template.has_template(code):
        message = "code takes no templates: give the value by with, and use its name in the cell"
        findings.add((*path, "cell"), message)
        return "pass"
    return code


def _approval(file: StepFile) -> str | None:
    if file.approve is True:
        return f"May step {file.id} run?"
    return file.approve or None


def _conditions(file: StepFile, path: Path, findings: Findings) -> tuple[TriggerRule, str | None]:
    """``when`` may hold a trigger rule, too."""
    rule, condition = file.trigger_rule, file.when
    if isinstance(condition, bool):
        condition = str(condition).lower()
    if rule is None and condition in _RULES:
        rule, condition = condition, None
    if rule is not None and rule not in _RULES:
        known = ", ".join(sorted(_RULES))
        findings.add((*path, "trigger_rule"), f"there is no rule {rule!r}; known are {known}")
        rule = None
    return TriggerRule(rule or TriggerRule.ALL_SUCCESS), condition


def _for_each(file: StepFile, path: Path, findings: Findings) -> ForEach | None:
    items = file.matrix if file.matrix is not None else file.for_each
    if file.matrix is not None and file.for_each is not None:
        findings.add(path, "give for_each or matrix, not both")
    if items is None:
        if file.max_parallel is not None:
            findings.add((*path, "max_parallel"), "max_parallel goes with for_each or matrix")
        return None
    if isinstance(items, Mapping):
        for name, values in items.items():
            if not isinstance(values, list) and not template.has_template(values):
                findings.add((*path, "matrix"), f"{name!r} must be a list of values")
    elif not isinstance(items, list) and not template.has_template(items):
        findings.add((*path, "for_each"), "for_each is a list, or a template that gives one")
    return ForEach(items=items, max_parallel=file.max_parallel)


def _policy(file: StepFile, path: Path, findings: Findings) -> Policy:
    retry = RetryFile(max_retries=file.retry) if isinstance(file.retry, int) else file.retry
    policy = Policy(
        timeout_seconds=file.timeout_seconds,
        cell_timeout_seconds=file.cell_timeout_seconds,
        priority=file.priority or 0,
        concurrency_key=file.concurrency_key,
    )
    if retry is None:
        return policy
    outcomes = retry.on or [state.value for state in RETRYABLE]
    known = {state.value for state in RETRYABLE}
    if not known.issuperset(outcomes):
        findings.add((*path, "retry", "on"), f"on names some of {', '.join(sorted(known))}")
        outcomes = list(known)
    if retry.jitter not in set(Jitter):
        findings.add((*path, "retry", "jitter"), f"jitter is one of {', '.join(Jitter)}")
        retry.jitter = Jitter.EQUAL.value
    return replace(
        policy,
        max_retries=retry.max_retries,
        retry_delay_seconds=retry.delay_seconds,
        retry_backoff=retry.backoff,
        retry_max_delay_seconds=retry.max_delay_seconds,
        retry_jitter=Jitter(retry.jitter),
        retry_on=tuple(State(outcome) for outcome in outcomes),
    )


_DECLARING = frozenset({"type", "default", "description"})


def _is_declaration(value: Any) -> bool:
    return isinstance(value, Mapping) and bool(value) and _DECLARING.issuperset(value)


def _default(value: Any) -> Any:
    return value.get("default") if _is_declaration(value) else value


def _declared(values: Mapping[str, Any], findings: Findings) -> tuple[Parameter, ...]:
    for name in values:
        if not _IDENTIFIER.fullmatch(name):
            findings.add(("parameters", name), f"a parameter is named as in Python, not {name!r}")
    return tuple(_parameter(name, value) for name, value in values.items())


def _parameter(name: str, value: Any) -> Parameter:
    if not _is_declaration(value):
        return Parameter(name=name, type=_type(value), default=repr(value))
    default = repr(value["default"]) if "default" in value else ""
    kind = str(value.get("type") or _type(value.get("default")))
    return Parameter(name=name, type=kind, default=default, help=str(value.get("description", "")))


def _type(value: Any) -> str:
    return "Any" if value is None else type(value).__name__


def _check_ids(workflow: Workflow, paths: Sequence[Path], findings: Findings) -> None:
    first: dict[str, Path] = {}
    for step, path in zip(workflow.steps, paths, strict=True):
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
    values = {
        "config": step.config,
        "when": bare(step.when),
        "for_each": step.for_each.items if step.for_each else None,
        "approve": step.approve,
        "end_when": bare(step.end_when),
        "inputs": step.inputs,
    }
    for name, value in values.items():
        own = name == "end_when"
        item = step.for_each is not None and name not in ("for_each", "when", "end_when")
        for reference in _references(value, (*path, name), findings):
            problem = _problem(reference, workflow, ids, item=item)
            if problem:
                findings.add((*path, name), problem)
            elif reference[0] == "tasks" and (reference[1] != step.id or not own):
                yield reference[1]


def bare(text: str | None) -> str | None:
    """A condition as a template: it may come without its braces."""
    if text is None or template.OPENING in text:
        return text
    return f"{template.OPENING} {text} {template.CLOSING}"


def _references(value: Any, path: Path, findings: Findings) -> Iterable[tuple[str, ...]]:
    try:
        return list(template.references(value))
    except template.TemplateError as problem:
        findings.add(path, str(problem))
        return ()


def _problem(
    reference: tuple[str, ...], workflow: Workflow, ids: set[str], *, item: bool
) -> str | None:
    root, *rest = reference
    if root == "tasks":
        if not rest or rest[0] not in ids:
            return f"a template names {'.'.join(reference[:2])!r}, which is no step" + _like(
                rest[0] if rest else "", ids
            )
    elif root == "parameters":
        if rest and rest[0] not in workflow.parameters:
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
            if problem := _problem(reference, workflow, ids, item=False):
                findings.add(("outputs", name), problem)


def _check_circles(workflow: Workflow, paths: Sequence[Path], findings: Findings) -> None:
    edges = {step.id: step.depends_on for step in workflow.steps}
    circle = graph.cycle(edges)
    if circle:
        places = {step.id: path for step, path in zip(workflow.steps, paths, strict=True)}
        shown = " → ".join(circle if len(circle) <= 12 else (*circle[:6], "…", *circle[-5:]))
        findings.add(places[circle[0]], f"steps depend on each other in a circle: {shown}")
