"""What a caller of Python asks for, as the submission that is sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from os import PathLike
from typing import Any

from opspawn_jupyter import errors
from opspawn_jupyter.client.paths import sent_path
from opspawn_jupyter.client.values import plain
from opspawn_jupyter.model import wire
from opspawn_jupyter.model.notebook import NotebookRequest, Tier
from opspawn_jupyter.model.policy import Policy
from opspawn_jupyter.model.task import Submission


def notebook_submission(
    notebook: str | PathLike[str] | None = None,
    *,
    content: Mapping[str, Any] | None = None,
    parameters: Mapping[str, Any] | None = None,
    parameters_text: Mapping[str, str] | None = None,
    kernel: str | None = None,
    working_directory: str | PathLike[str] | None = None,
    name: str | None = None,
    labels: Mapping[str, str] | None = None,
    timeout_seconds: float | None = None,
    cell_timeout_seconds: float | None = None,
    policy: Policy | None = None,
    on_success: Iterable[str] = (),
    on_failure: Iterable[str] = (),
    keep_on_failure: bool = False,
    tools: Iterable[str] = (),
    tier: Tier | str | None = None,
    idempotency_key: str | None = None,
) -> Submission:
    """The submission of one notebook: of a file, or of ``content`` where there is none.

    ``parameters`` are values, ``parameters_text`` what a person typed, which the server reads by
    the type that the notebook declares. The two time limits, where given, go before the policy's.
    ``on_success`` and ``on_failure`` are addresses of webhooks and names of notifiers. ``tools``
    are the MCP tools that the kernel may call, as patterns like ``time.*``. Raises
    ``ParameterInvalid`` for a value that JSON cannot hold.
    """
    request = NotebookRequest(
        notebook=None if notebook is None else sent_path(notebook),
        content=content,
        parameters={key: _sent(key, value) for key, value in (parameters or {}).items()},
        parameters_text=parameters_text or {},
        kernel=kernel,
        working_directory=None if working_directory is None else sent_path(working_directory),
        keep_on_failure=keep_on_failure,
        tools=tuple(tools),
        tier=Tier.KERNEL if tier is None else tier,  # type: ignore[arg-type]  # the server checks
    )
    return Submission(
        spec=wire.encode(request),
        name=name,
        policy=limited(policy, timeout_seconds, cell_timeout_seconds),
        labels=labels or {},
        on_success=tuple(on_success),
        on_failure=tuple(on_failure),
        idempotency_key=idempotency_key,
    )


def limited(
    policy: Policy | None,
    timeout_seconds: float | None,
    cell_timeout_seconds: float | None = None,
) -> Policy:
    """The policy, with the time limits that are given in place of its own."""
    given = {"timeout_seconds": timeout_seconds, "cell_timeout_seconds": cell_timeout_seconds}
    limits: dict[str, Any] = {
        name: seconds for name, seconds in given.items() if seconds is not None
    }
    return replace(policy or Policy(), **limits)


def step_submission(
    kind: str,
    config: Mapping[str, Any] | None = None,
    *,
    config_text: Mapping[str, str] | None = None,
    kernel: str | None = None,
    working_directory: str | PathLike[str] | None = None,
    name: str | None = None,
    labels: Mapping[str, str] | None = None,
    policy: Policy | None = None,
    on_success: Iterable[str] = (),
    on_failure: Iterable[str] = (),
    idempotency_key: str | None = None,
) -> Submission:
    """The submission of one step of a plugin: ``step_submission("shell", {"command": "ls"})``.

    ``config_text`` is what a person typed, which the server reads by the types of the plugin. The
    step starts in ``working_directory``, else in the server's root.
    """
    spec = {key: _sent(key, value) for key, value in (config or {}).items()}
    if config_text:
        spec["config_text"] = dict(config_text)
    if kernel is not None:
        spec["kernel"] = kernel
    if working_directory is not None:
        spec["working_directory"] = sent_path(working_directory)
    return Submission(
        kind=kind,
        spec=spec,
        name=name,
        policy=policy or Policy(),
        labels=labels or {},
        on_success=tuple(on_success),
        on_failure=tuple(on_failure),
        idempotency_key=idempotency_key,
    )


def _sent(name: str, value: Any) -> Any:
    try:
        return plain(value)
    except (TypeError, ValueError) as problem:
        raise errors.ParameterInvalid(name, hint=str(problem)) from problem
