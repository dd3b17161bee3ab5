"""Every step's config, checked by the step's own kind before anything runs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from opspawn_jupyter.errors import (
    InvalidRequest,
    NotANotebook,
    NotebookNotFound,
    NotFound,
    OpspawnError,
    OutsideRoot,
    ParameterInvalid,
    ParameterMissing,
    ParameterUnknown,
    WorkflowInvalid,
)
from opspawn_jupyter.kinds.findings import Findings, Path
from opspawn_jupyter.kinds.workflow_templates import config_place, leaves, templates
from opspawn_jupyter.model import template
from opspawn_jupyter.model.expression import TemplateError
from opspawn_jupyter.model.step_spec import step_spec
from opspawn_jupyter.model.workflow import WORKFLOW, Step, Workflow
from opspawn_jupyter.ports import DeclaresOutputs, FindsFaults, Kind

_ABOUT_PARAMETERS = (ParameterInvalid, ParameterMissing, ParameterUnknown)
_ABOUT_FILES = (NotANotebook, NotebookNotFound, NotFound, OutsideRoot, WorkflowInvalid)
#: Fields of a step that make its config.
_CONFIG = ("config", "with", "notebook", "cell", "workflow")


@dataclass(frozen=True)
class _Known:
    """A config as far as it is known before the run."""

    config: Mapping[str, Any]
    #: Names of what only the run knows.
    unknown: frozenset[str]


class StepChecks:
    """Checks the steps of one workflow; steps that are alike are checked once."""

    def __init__(
        self,
        kinds: Mapping[str, Kind],
        directory: str,
        parameters: Mapping[str, Any],
        findings: Findings,
    ) -> None:
        self._kinds = kinds
        self._directory = directory
        self._scope = {"parameters": parameters}
        self._findings = findings
        self._finders: dict[str, FindsFaults | None] = {}
        self._problems: dict[str, Sequence[tuple[Path, str]]] = {}
        self._outputs: dict[str, frozenset[str] | None] = {}

    def check(self, step: Step, path: Path) -> None:
        """Note what is wrong with the step's kind or config."""
        if not step.kind:
            return  # that was said already
        if step.kind not in self._kinds:
            known = ", ".join(sorted(self._kinds))
            message = f"step {step.id!r}: there is no plugin {step.kind!r}; known are {known}"
            self._findings.add((*path, _naming(self._findings, path)), message)
            return
        finder = self._finder(step.kind)
        if finder is not None:
            self._check_fields(finder, step, path)
            return
        if any(self._findings.lacks((*path, name)) for name in _CONFIG):
            return  # what is left of the config is not what was meant
        for place, said in self._problems_of(step.kind, _known(step, self._scope)):
            where = config_place(self._findings, path, place)
            self._findings.add(where, f"step {step.id!r}: {said}")

    def _finder(self, name: str) -> FindsFaults | None:
        """The kind, if it is one; to find that out takes longer than the rest of a step's check."""
        if name not in self._finders:
            kind: object = self._kinds[name]
            self._finders[name] = kind if isinstance(kind, FindsFaults) else None
        return self._finders[name]

    def _check_fields(self, kind: FindsFaults, step: Step, path: Path) -> None:
        config, _ = _resolved(step.config, self._scope)
        try:
            faults = kind.faults({**step.config, **config})
        except InvalidRequest as problem:
            self._findings.add(path, f"step {step.id!r}: {_without_advice(problem.message)}")
            return
        for field, fault in faults:
            said = f"{field}: {fault[:1].lower()}{fault[1:]}"
            where = config_place(self._findings, path, (field,))
            self._findings.add(where, f"step {step.id!r}: {said}")

    def check_references(self, workflow: Workflow, paths: Sequence[Path]) -> None:
        """Note references to outputs that the step named is known not to give."""
        steps = {step.id: step for step in workflow.steps}
        for leaf, text in leaves(workflow.outputs):
            self._check_text(steps, text, ("outputs", *leaf))
        for step, path in zip(workflow.steps, paths, strict=True):
            for one in templates(step, path, self._findings):
                self._check_text(steps, one.text, one.path)

    def _check_text(self, steps: Mapping[str, Step], text: str, path: Path) -> None:
        for reference in _output_references(text):
            self._check_reference(steps, reference, path)

    def _check_reference(
        self, steps: Mapping[str, Step], reference: tuple[str, ...], path: Path
    ) -> None:
        step, name = steps.get(reference[1]), reference[3]
        given = self._given(step) if step is not None else None
        if step is not None and given is not None and name not in given:
            known = ", ".join(sorted(given)) or "none"
            message = f"step {step.id!r} gives no output {name!r}; it gives {known}"
            self._findings.add(path, message)

    def _given(self, step: Step) -> frozenset[str] | None:
        kind: object = self._kinds.get(step.kind)
        if not isinstance(kind, DeclaresOutputs):
            return None
        if step.id not in self._outputs:
            known = _known(step, self._scope)
            try:
                given = kind.outputs(step_spec(step.kind, kind, known.config, self._directory))
            except OpspawnError:
                given = None  # what is wrong with it was said already
            self._outputs[step.id] = given
        return self._outputs[step.id]

    def _problems_of(self, kind: str, known: _Known) -> Sequence[tuple[Path, str]]:
        """Place in the step and sentence of everything that its kind finds wrong."""
        spec = step_spec(kind, self._kinds[kind], known.config, self._directory)
        key = json.dumps([kind, spec, sorted(known.unknown)], sort_keys=True, default=str)
        if key not in self._problems:
            self._problems[key] = list(self._found(kind, spec, known.unknown))
        return self._problems[key]

    def _found(
        self, kind: str, spec: Mapping[str, Any], unknown: frozenset[str]
    ) -> Iterator[tuple[Path, str]]:
        try:
            self._kinds[kind].prepare(spec)
        except (InvalidRequest, NotFound) as problem:
            fields = problem.detail.get("fields")
            if not fields:
                yield _about(problem, kind), _without_advice(problem.message)
                return
            for field, said in fields.items():
                name, *within = field.split(".")
                if name not in unknown:  # what only the run knows was left out, and may be missed
                    yield (*_within(problem), name, *within), _without_advice(said)


def _known(step: Step, scope: Mapping[str, Any]) -> _Known:
    config, unknown = _resolved(step.config, scope)
    parameters = config.get("parameters")
    if isinstance(parameters, Mapping):
        config["parameters"], more = _resolved(parameters, scope)
        unknown |= more
    elif "parameters" in unknown and isinstance(step.config["parameters"], Mapping):
        config["parameters"], more = _resolved(step.config["parameters"], scope)
        unknown = (unknown - {"parameters"}) | more
    return _Known(config, frozenset(unknown))


def _resolved(
    values: Mapping[str, Any], scope: Mapping[str, Any]
) -> tuple[dict[str, Any], set[str]]:
    found: dict[str, Any] = {}
    unknown: set[str] = set()
    for name, value in values.items():
        try:
            found[name] = template.resolve(value, scope)
        except TemplateError:
            unknown.add(name)
    return found, unknown


def _output_references(text: str) -> list[tuple[str, ...]]:
    try:
        found = list(template.references(text))
    except TemplateError:
        return []  # that was said already
    return [one for one in found if one[0] == "tasks" and one[2:3] == ("outputs",) and one[3:4]]


def _naming(findings: Findings, path: Path) -> str:
    return "plugin" if (*path, "plugin") in findings.document.places else "kind"


def _within(problem: OpspawnError) -> Path:
    """Which part of the config holds the fields that the problem names."""
    return ("parameters",) if isinstance(problem, _ABOUT_PARAMETERS) else ()


def _about(problem: OpspawnError, kind: str) -> Path:
    """The part of the config that a problem without fields is about."""
    if isinstance(problem, _ABOUT_FILES):
        return ("workflow" if kind == WORKFLOW else "notebook",)
    return _within(problem)


def _without_advice(message: str) -> str:
    return f"{message[0].lower()}{message[1:]}".removesuffix(".")
