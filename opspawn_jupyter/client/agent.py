"""What a caller of Python or of a command line asks an agent, as the submission that is sent."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from os import PathLike
from typing import Any

from opspawn_jupyter.client.paths import sent_path
from opspawn_jupyter.client.policy_options import add_policy_options, terms_of
from opspawn_jupyter.client.submission import limited
from opspawn_jupyter.model.agent import AGENT, CODE_TOOL, AgentMode, Permission, ResumeRequest
from opspawn_jupyter.model.policy import Policy
from opspawn_jupyter.model.task import Submission

_SCRIPTED = "scripted:"
_LIMITS = {
    "--max-steps": ("max_steps", int, "turns of the model"),
    "--max-requests": ("max_requests", int, "requests to the model"),
    "--max-tokens": ("max_tokens", int, "tokens, given and taken"),
    "--max-cost": ("max_cost", float, "US dollars"),
    "--max-tool-calls": ("max_tool_calls", int, "calls of tools"),
    "--max-seconds": ("max_seconds", float, "seconds of wall time"),
    "--tool-timeout": ("tool_seconds", float, "seconds for each call of a tool"),
}
_LIMIT_NAMES = [field for field, _, _ in _LIMITS.values()]


def agent_submission(
    goal: str,
    *,
    model: str | Iterable[str] | None = None,
    agent: str | PathLike[str] | None = None,
    instructions: str | None = None,
    planner: str | None = None,
    memory: str | None = None,
    notes: str | None = None,
    tools: Iterable[str] | None = None,
    permissions: Mapping[str, str] | None = None,
    plan_first: bool | None = None,
    limits: Mapping[str, Any] | None = None,
    model_options: Mapping[str, Any] | None = None,
    output_schema: Mapping[str, Any] | None = None,
    kernel: str | None = None,
    working_directory: str | PathLike[str] | None = None,
    name: str | None = None,
    labels: Mapping[str, str] | None = None,
    timeout_seconds: float | None = None,
    policy: Policy | None = None,
    on_success: Iterable[str] = (),
    on_failure: Iterable[str] = (),
    idempotency_key: str | None = None,
) -> Submission:
    """The submission of one agent's task. ``agent`` is a YAML file; what is given beside it goes
    before what it says. The other arguments are the fields of ``AgentRequest``."""
    asked = {
        "goal": goal,
        "model": _sent_model(model),
        "agent": None if agent is None else sent_path(agent),
        "instructions": instructions,
        "planner": planner,
        "memory": memory,
        "notes": notes,
        "tools": None if tools is None else list(tools),
        "permissions": permissions,
        "plan_first": plan_first,
        "limits": limits,
        "model_options": model_options,
        "output_schema": output_schema,
        "kernel": kernel,
        "working_directory": None if working_directory is None else sent_path(working_directory),
    }
    return Submission(
        kind=AGENT,
        spec={field: value for field, value in asked.items() if value is not None},
        name=name,
        policy=limited(policy, timeout_seconds),
        labels=labels or {},
        on_success=tuple(on_success),
        on_failure=tuple(on_failure),
        idempotency_key=idempotency_key,
    )


#: Commands that go on from a tape, by how they do it.
TAPE_COMMANDS: Mapping[str, AgentMode] = {
    "resume": AgentMode.LIVE,
    "branch": AgentMode.LIVE,
    "replay": AgentMode.REPLAY,
    "rerun": AgentMode.RERUN,
    "reproduce": AgentMode.REPRODUCE,
}


def add_tape_options(parser: argparse.ArgumentParser) -> None:
    """The options of ``resume`` and ``branch``, for ``resume_request`` to read."""
    parser.add_argument("--at", metavar="CELL", help="id of the code cell to leave the run at")
    parser.add_argument("--code", help="code for that cell, in place of the model's")
    parser.add_argument("--say", metavar="TEXT", help="what the model is told there, or at the end")
    _add_limits(parser)


def resume_request(options: argparse.Namespace) -> ResumeRequest:
    """What one of the ``TAPE_COMMANDS`` asks for."""
    mode = TAPE_COMMANDS[options.command]
    if not hasattr(options, "at"):
        return ResumeRequest(mode=mode)
    return ResumeRequest(
        mode=mode,
        limits=_given(options, _LIMIT_NAMES) or {},
        cell=options.at,
        code=options.code,
        remark=options.say,
    )


def _add_limits(parser: argparse.ArgumentParser) -> None:
    for option, (field, kind, what) in _LIMITS.items():
        parser.add_argument(option, dest=field, type=kind, metavar="N", help=f"limit of {what}")


def add_agent_options(parser: argparse.ArgumentParser) -> None:
    """The options of ``agent``, for ``agent_submission_of`` to read."""
    parser.add_argument(
        "--model",
        action="append",
        metavar="MODEL",
        help="PROVIDER:NAME or scripted:FILE; each further one steps in for those before it",
    )
    parser.add_argument("--agent", metavar="FILE", help="a YAML file that describes the agent")
    parser.add_argument("--base-url", metavar="URL", help="of an OpenAI-compatible server")
    parser.add_argument("--api-key-env", metavar="NAME", help="environment variable with the key")
    parser.add_argument("--instructions", metavar="TEXT", help="what else the agent is told")
    parser.add_argument("--planner", help="react, plan-execute, or a plugin's")
    parser.add_argument("--memory", help="window, whole, or a plugin's")
    parser.add_argument(
        "--notes", metavar="NAME", help="a collection of notes that it writes to and looks in"
    )
    parser.add_argument(
        "--tools",
        type=_names,
        metavar="TOOLS",
        help="FILE.py:FUNCTION, FILE.ipynb, FILE.yaml, SERVER.TOOL ..., with commas between",
    )
    for permission in Permission:
        parser.add_argument(
            f"--{permission.value}",
            action="append",
            default=[],
            metavar="TOOL",
            help=_PERMISSIONS[permission],
        )
    parser.add_argument("--approve-code", action="store_true", help="ask before each code cell")
    parser.add_argument("--plan-first", action="store_true", help="ask before the plan is begun")
    _add_limits(parser)
    add_policy_options(parser)


_PERMISSIONS: Mapping[Permission, str] = {
    Permission.ALLOW: "a tool that may be used without asking; * stands for anything",
    Permission.ASK: "a tool before whose use a person is asked",
    Permission.DENY: "a tool that may not be used",
}


def agent_submission_of(options: argparse.Namespace, goal: str, **changes: Any) -> Submission:
    """What ``agent`` with these options submits."""
    permissions = {
        name: permission.value for permission in Permission for name in vars(options)[permission]
    }
    if options.approve_code:
        permissions[CODE_TOOL] = Permission.ASK.value
    asked: dict[str, Any] = {
        "model": options.model,
        "agent": options.agent,
        "instructions": options.instructions,
        "planner": options.planner,
        "memory": options.memory,
        "notes": options.notes,
        "tools": options.tools,
        "permissions": permissions or None,
        "plan_first": options.plan_first or None,
        "limits": _given(options, _LIMIT_NAMES),
        "model_options": _given(options, ["base_url", "api_key_env"]),
        "kernel": options.kernel,
        "working_directory": options.cwd,
        **terms_of(options),
    }
    return agent_submission(goal, **{**asked, **changes})


def _given(options: argparse.Namespace, names: Iterable[str]) -> dict[str, Any] | None:
    values = {name: vars(options)[name] for name in names}
    return {name: value for name, value in values.items() if value is not None} or None


def _sent_model(model: str | Iterable[str] | None) -> str | list[str] | None:
    if model is None or isinstance(model, str):
        return None if model is None else _sent_name(model)
    return [_sent_name(one) for one in model]


def _sent_name(model: str) -> str:
    if not model.startswith(_SCRIPTED):
        return model
    return _SCRIPTED + sent_path(model.removeprefix(_SCRIPTED))


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


_names.__name__ = "list of names"  # argparse names the type in its message
