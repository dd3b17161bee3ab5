"""What a caller of Python asks for, as the submission of a workflow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from opspawn_jupyter import errors
from opspawn_jupyter.client.paths import sent_path
from opspawn_jupyter.client.values import plain
from opspawn_jupyter.model import wire
from opspawn_jupyter.model.policy import Policy
from opspawn_jupyter.model.task import Submission
from opspawn_jupyter.model.workflow import WORKFLOW, WorkflowRequest


def workflow_submission(
    path: str | PathLike[str] | None = None,
    *,
    source: str | None = None,
    graph: Mapping[str, Any] | None = None,
    directory: str | PathLike[str] | None = None,
    parameters: Mapping[str, Any] | None = None,
    parameters_text: Mapping[str, str] | None = None,
    force: bool = False,
    log_directory: str | PathLike[str] | None = None,
    name: str | None = None,
    labels: Mapping[str, str] | None = None,
    policy: Policy | None = None,
    on_success: Iterable[str] = (),
    on_failure: Iterable[str] = (),
    idempotency_key: str | None = None,
) -> Submission:
    """The submission of a workflow: of a file, of YAML text, or of a graph of dicts and lists.

    Relative paths in it start in the file's directory, or in ``directory``. ``force`` runs every
    step, whatever the cache has. Raises ``ParameterInvalid`` for a value that JSON cannot hold.
    """
    request = workflow_request(
        path, source=source, graph=graph, directory=directory,
        parameters=parameters, parameters_text=parameters_text,
        force=force, log_directory=log_directory,
    )  # fmt: skip
    return Submission(
        kind=WORKFLOW,
        spec=wire.encode(request),
        name=name,
        policy=policy or Policy(),
        labels=labels or {},
        on_success=tuple(on_success),
        on_failure=tuple(on_failure),
        idempotency_key=idempotency_key,
    )


def workflow_request(
    path: str | PathLike[str] | None = None,
    *,
    source: str | None = None,
    graph: Mapping[str, Any] | None = None,
    directory: str | PathLike[str] | None = None,
    parameters: Mapping[str, Any] | None = None,
    parameters_text: Mapping[str, str] | None = None,
    force: bool = False,
    log_directory: str | PathLike[str] | None = None,
) -> WorkflowRequest:
    """What is asked for, with paths as the server is told them."""
    try:
        values = {name: plain(value) for name, value in (parameters or {}).items()}
    except (TypeError, ValueError) as problem:
        raise errors.ParameterInvalid(hint=str(problem)) from problem
    return WorkflowRequest(
        path=None if path is None else sent_path(path),
        source=source,
        graph=graph,
        directory=None if directory is None else sent_path(directory),
        parameters=values,
        parameters_text=parameters_text or {},
        force=force,
        log_directory=None if log_directory is None else str(Path(log_directory).absolute()),
    )
