"""Agent tasks: what an agent is told and given is checked and pinned before it runs.

Nothing of a language model's library is imported here: the server only needs to know which
providers there are.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from textwrap import shorten
from typing import Any

from opspawn_jupyter.errors import InvalidRequest, NotFound, OutsideRoot
from opspawn_jupyter.kinds import agent_tools
from opspawn_jupyter.kinds.kernel_specs import KernelSpecs
from opspawn_jupyter.kinds.notebook import NotebookKind
from opspawn_jupyter.model import wire
from opspawn_jupyter.model.agent import (
    ANSWER_TOOL,
    CODE_TOOL,
    PLAN_TOOL,
    RECALL_TOOL,
    REMEMBER_TOOL,
    AgentLimits,
    AgentRequest,
    AgentSpec,
)
from opspawn_jupyter.model.executed_notebook import title
from opspawn_jupyter.model.notebook import NotebookSpec
from opspawn_jupyter.parsing import parse
from opspawn_jupyter.ports import Prepared
from opspawn_jupyter.settings import Settings

SCRIPTED = "scripted"
#: Names of providers that pydantic-ai knows. A test compares it with the library.
PROVIDERS = frozenset(
    {
        "anthropic",
        "azure",
        "bedrock",
        "cerebras",
        "cohere",
        "deepseek",
        "fireworks",
        "google",
        "groq",
        "huggingface",
        "mistral",
        "ollama",
        "openai",
        "openai-chat",
        "openai-responses",
        "openrouter",
        "together",
        "vercel",
        "xai",
    }
)
_GROUPS = {"planner": "opspawn_jupyter.planners", "memory": "opspawn_jupyter.memories"}
_LONGEST_FILE_BYTES = 4 << 20
_LONGEST_NAME = 40
_LONGEST_HEADING = 80
_OWN_TOOLS = (CODE_TOOL, PLAN_TOOL, ANSWER_TOOL, REMEMBER_TOOL, RECALL_TOOL)


class AgentKind:
    """Checks and pins the agents of one server."""

    def __init__(self, settings: Settings, kernel_specs: KernelSpecs) -> None:
        self._root = settings.root_directory
        self._notebooks = NotebookKind(settings, kernel_specs)

    def prepare(self, spec: Mapping[str, Any]) -> Prepared:
        """The checked spec, the notebook that the run begins with, and scripts of models."""
        request = self._request(spec)
        models, scripts = self._models(request)
        functions, patterns = agent_tools.tools(self._text, request, self._notebooks)
        _check(request, [function.name for function in functions])
        called = [function for function in functions if not function.kind]
        started = self._notebooks.prepare(
            {
                "content": _notebook(request, agent_tools.imports(called, patterns)),
                "kernel": request.kernel,
                "working_directory": request.working_directory,
            }
        )
        checked = AgentSpec(
            goal=request.goal,
            models=models,
            model_options=request.model_options,
            instructions=request.instructions,
            planner="plan-execute" if request.plan_first else request.planner,
            memory=request.memory,
            context_tokens=request.context_tokens,
            notes=request.notes,
            functions=functions,
            tools=patterns,
            permissions=request.permissions,
            plan_first=request.plan_first,
            limits=request.limits,
            output_schema=request.output_schema,
            notebook=wire.decode(NotebookSpec, started.spec),
        )
        name = title(request.goal)[:_LONGEST_NAME]
        return Prepared(name=name, spec=wire.encode(checked), files={**started.files, **scripts})

    def _request(self, spec: Mapping[str, Any]) -> AgentRequest:
        """What the submission says, over what the file says that it names."""
        given = {name: value for name, value in spec.items() if value is not None}
        path = given.pop("agent", None)
        if path is not None:
            given = {**self._file(str(path)), **given}
        if "model" not in given:
            raise InvalidRequest(hint="an agent needs a model: PROVIDER:NAME or scripted:FILE")
        request = parse(AgentRequest, given, "spec of an agent task")
        if not request.goal.strip():
            raise InvalidRequest(hint="an agent needs a goal: say what it is to find out or do")
        return request

    def _file(self, path: str) -> Mapping[str, Any]:
        described = _yaml(self._text(path), path)
        if not isinstance(described, dict):
            raise InvalidRequest(path, hint="an agent's file is a YAML mapping")
        home = os.path.dirname(path)  # noqa: PTH120 (relative paths stay relative)
        return {"working_directory": home or None, **described}

    def _models(self, request: AgentRequest) -> tuple[tuple[str, ...], Mapping[str, bytes]]:
        """The models to ask, in order, and the scripts of those that are scripted."""
        names = (request.model,) if isinstance(request.model, str) else tuple(request.model)
        if not names:
            raise InvalidRequest(hint="an agent needs a model: PROVIDER:NAME or scripted:FILE")
        models: list[str] = []
        scripts: dict[str, bytes] = {}
        for name in names:
            provider, colon, rest = name.partition(":")
            if not colon or not rest:
                raise InvalidRequest(name, hint="a model is named PROVIDER:NAME or scripted:FILE")
            if provider == SCRIPTED:
                file = f"script-{len(scripts) + 1}.json"
                scripts[file] = _script(self._text(_beside(request, rest)), rest)
                models.append(f"{SCRIPTED}:{file}")
            else:
                _check_provider(provider)
                models.append(name)
        return tuple(models), scripts

    def _text(self, given: str) -> str:
        """What the file at the path says. Raises ``NotFound`` or ``InvalidRequest``."""
        path = Path(os.path.normpath(self._root / given))
        if not any(one.is_relative_to(self._root) for one in (path, path.resolve())):
            raise OutsideRoot(given)
        try:
            if path.stat().st_size > _LONGEST_FILE_BYTES:
                raise InvalidRequest(given, hint="the file is too large")
            return path.read_text(encoding="utf-8")
        except FileNotFoundError as missing:
            raise NotFound(given, hint="there is no such file under the server's root") from missing
        except (OSError, UnicodeError) as failure:
            raise InvalidRequest(given, hint=f"it cannot be read: {failure}") from failure


def _beside(request: AgentRequest, path: str) -> str:
    """A relative path starts where the kernel starts."""
    return os.path.join(request.working_directory or "", path)  # noqa: PTH118 (as above)


def _yaml(text: str, name: str) -> Any:
    import yaml  # with the first file that needs it, not with the server

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as failure:
        raise InvalidRequest(name, hint=f"it is not YAML: {failure}") from failure


def _script(text: str, name: str) -> bytes:
    replies = _yaml(text, name)
    if not isinstance(replies, list) or not all(isinstance(reply, dict) for reply in replies):
        raise InvalidRequest(name, hint="a scripted model's file is a YAML list of replies")
    try:
        return json.dumps(replies).encode()
    except TypeError as failure:
        raise InvalidRequest(name, hint=f"it holds what JSON lacks: {failure}") from failure


def _check_provider(provider: str) -> None:
    added = {point.name for point in entry_points(group="opspawn_jupyter.models")}
    if provider in added:
        return
    if provider not in PROVIDERS:
        known = ", ".join(sorted(PROVIDERS | added))
        raise InvalidRequest(provider, hint=f"there is no such provider of models; known: {known}")
    if find_spec("pydantic_ai") is None:
        raise InvalidRequest(provider, hint="install opspawn-jupyter[agents] to reach models")


def _check(request: AgentRequest, tools: Sequence[str]) -> None:
    for part, group in _GROUPS.items():
        known = sorted(point.name for point in entry_points(group=group))
        if getattr(request, part) not in known:
            hint = f"there is no such {part}; known: {', '.join(known)}"
            raise InvalidRequest(getattr(request, part), hint=hint)
    names = [*_OWN_TOOLS, *tools]
    if twice := {name for name in tools if names.count(name) > 1}:
        raise InvalidRequest(", ".join(sorted(twice)), hint="two tools have this name")
    for name in _not_positive(request.limits):
        raise InvalidRequest(f"limits.{name}", hint="a limit is a number above 0")
    if request.context_tokens < 1000:
        raise InvalidRequest("context_tokens", hint="less than 1000 hold no conversation")
    if request.output_schema is not None:
        _check_schema(request.output_schema)


def _not_positive(limits: AgentLimits) -> Iterator[str]:
    for name, value in vars(limits).items():
        if value is not None and not value > 0:
            yield name


def _check_schema(schema: Mapping[str, Any]) -> None:
    import jsonschema  # with the first schema, not with the server

    try:
        jsonschema.validators.validator_for(schema).check_schema(dict(schema))
    except jsonschema.SchemaError as failure:
        hint = f"it is not a JSON Schema: {failure.message}"
        raise InvalidRequest("output_schema", hint=hint) from failure


def _notebook(request: AgentRequest, imports: str) -> Mapping[str, Any]:
    """What the run begins with: the goal for people, the goal for code, and the tools."""
    cells = [
        {"cell_type": "markdown", "id": "goal", "metadata": {"tags": ["goal"]},
         "source": f"# {_heading(request.goal)}\n\n**Goal:** {request.goal}"},
        _code("parameters", f"goal = {request.goal!r}", ["parameters"]),
    ]  # fmt: skip
    if imports:
        cells.append(_code("tools", imports, ["tools"]))
    metadata = {"language_info": {"name": "python"}}
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": cells}


def _heading(goal: str) -> str:
    first = next(line for line in goal.splitlines() if line.strip())
    return shorten(first, _LONGEST_HEADING, placeholder=" …")


def _code(cell_id: str, source: str, tags: Sequence[str]) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "id": cell_id,
        "metadata": {"tags": list(tags)},
        "source": source,
        "outputs": [],
        "execution_count": None,
    }
