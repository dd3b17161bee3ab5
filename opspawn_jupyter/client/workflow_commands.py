"""What ``workflow`` does, action by action."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opspawn_jupyter.client.client import Client
from opspawn_jupyter.client.example import copy_example
from opspawn_jupyter.client.handle import TaskHandle
from opspawn_jupyter.client.parser import Options
from opspawn_jupyter.client.workflow import workflow_request, workflow_submission
from opspawn_jupyter.client.workflow_options import problem_with
from opspawn_jupyter.errors import UsageError, WorkflowInvalid
from opspawn_jupyter.model import wire
from opspawn_jupyter.model.plugin import PluginList
from opspawn_jupyter.model.policy import Policy
from opspawn_jupyter.model.step_cache import Explanation
from opspawn_jupyter.model.workflow import WorkflowCheck
from opspawn_jupyter.model.workflow_view import Comparison, RerunRequest, WorkflowView


@dataclass(frozen=True)
class Drawn:
    """A run, to be shown in a format."""

    view: WorkflowView
    format: str = "text"


@dataclass(frozen=True)
class Schema:
    """JSON Schema of a workflow's file."""

    schema: Mapping[str, Any]


@dataclass(frozen=True)
class Copied:
    """The examples, where they can be tried."""

    path: Path


WorkflowAnswer = Drawn | Explanation | Comparison | WorkflowCheck | Schema | Copied | PluginList


def submit_workflow(client: Client, options: Options, source: str | None = None) -> TaskHandle:
    """The task that ``run``, ``repair`` or ``rerun`` gives. ``source``: the text of a cell."""
    _check(options, in_cell=source is not None)
    if options.action != "run":
        request = RerunRequest(
            from_step=options.from_step, parameters_text=options.parameters, force=options.force
        )
        if options.action == "rerun" and not (options.from_step or options.parameters):
            request = RerunRequest(force=True)
        return client.attach(client.rerun_workflow(options.targets[0], request))
    submission = workflow_submission(
        None if source is not None else options.targets[0],
        source=source,
        directory=options.cwd or ("." if source is not None else None),
        parameters_text=options.parameters,
        force=options.force,
        log_directory=options.log_dir,
        name=options.name,
        labels=options.labels,
        policy=Policy(timeout_seconds=options.timeout),
        idempotency_key=options.key,
    )
    return client.attach(client.submit(submission))


def look_at_workflow(
    client: Client, options: Options, source: str | None = None
) -> WorkflowAnswer | TaskHandle:
    """What the other actions give. Raises ``WorkflowInvalid`` where ``validate`` finds faults."""
    _check(options, in_cell=source is not None)
    targets = options.targets
    match options.action:
        case "run" | "repair" | "rerun":
            return submit_workflow(client, options, source)
        case "validate":
            return _validated(client, options, source)
        case "show":
            return Drawn(client.workflow(targets[0]), options.format)
        case "explain":
            return client.explain_workflow(targets[0])
        case "compare":
            return client.compare_workflows(*targets)
    return _of_no_run(client, options)


def _of_no_run(client: Client, options: Options) -> WorkflowAnswer:
    """What can be asked without a file or a run."""
    if options.action == "list-plugins":
        return PluginList(plugins=client.plugins())
    if options.action == "copy-example":
        return copied(options)
    return Schema(client.workflow_schema())


def copied(options: Options) -> Copied:
    """The examples, copied. Needs no server. Raises ``UsageError``."""
    _check(options, in_cell=False)
    return Copied(copy_example(options.targets[0]))


def _validated(client: Client, options: Options, source: str | None) -> WorkflowCheck:
    request = workflow_request(
        None if source is not None else options.targets[0],
        source=source,
        directory=options.cwd or ("." if source is not None else None),
        parameters_text=options.parameters,
    )
    check = client.check_workflow(request)
    if check.faults:
        said = "; ".join(f"{check.label}:{fault}" for fault in check.faults)
        detail = {"path": check.label, "faults": wire.encode(check.faults)}
        raise WorkflowInvalid(hint=said, detail=detail)
    return check


def _check(options: Options, *, in_cell: bool) -> None:
    problem = problem_with(options.action, options.targets, in_cell=in_cell)
    if problem:
        raise UsageError(hint=problem)
