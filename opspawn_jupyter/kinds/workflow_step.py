"""From what a workflow's file says of a step to the step that is run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from opspawn_jupyter.kinds.findings import Findings, Path
from opspawn_jupyter.kinds.workflow_file import RetryFile, StepFile
from opspawn_jupyter.model import template
from opspawn_jupyter.model.policy import RETRYABLE, Jitter, Policy
from opspawn_jupyter.model.states import State
from opspawn_jupyter.model.workflow import APPROVAL, WORKFLOW, ForEach, Step, TriggerRule

_RULES = frozenset(rule.value for rule in TriggerRule)


def read_step(file: StepFile, path: Path, findings: Findings, *, cache: bool) -> Step:
    """The step; what is wrong with it is noted."""
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
    if not kinds and not findings.lacks(path):  # else a name for it may be what was wrong
        findings.add(path, f"step {file.id!r} names no plugin, kind, notebook, cell or workflow")
    if len(kinds) > 1:
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
