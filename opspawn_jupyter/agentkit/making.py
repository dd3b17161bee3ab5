"""The parts of an agent by name, as entry points give them."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from opspawn_jupyter.agentkit.scripted import ScriptedModel
from opspawn_jupyter.errors import ModelRefused
from opspawn_jupyter.model.agent import AgentSpec, ModelOptions
from opspawn_jupyter.ports import LanguageModel, Memory, Planner

MODELS = "opspawn_jupyter.models"
PLANNERS = "opspawn_jupyter.planners"
MEMORIES = "opspawn_jupyter.memories"


def planner(spec: AgentSpec) -> Planner:
    """The planner that the spec names."""
    made: Planner = _load(PLANNERS, spec.planner)()
    return made


def memory(spec: AgentSpec) -> Memory:
    """The memory that the spec names."""
    made: Memory = _load(MEMORIES, spec.memory)(spec.context_tokens)
    return made


def models(options: ModelOptions, directory: Path) -> Callable[[str], LanguageModel]:
    """Makes a model of its name, ``PROVIDER:NAME``; its library is imported then."""

    def make(name: str) -> LanguageModel:
        provider, _, _ = name.partition(":")
        found = entry_points(group=MODELS, name=provider)
        factory = next(iter(found)).load() if found else _any_provider(name)
        made: LanguageModel = factory(name, options, directory)
        return made

    return make


def scripted(name: str, options: ModelOptions, directory: Path) -> ScriptedModel:  # noqa: ARG001
    """The model that says what the pinned script of this name tells it to."""
    _, _, file = name.partition(":")
    return ScriptedModel(name, json.loads((directory / file).read_bytes()))


def _any_provider(name: str) -> Callable[..., LanguageModel]:
    try:
        from opspawn_jupyter.agentkit.providers import ProviderModel  # an extra, and heavy
    except ImportError as missing:
        hint = f"{missing}; install opspawn-jupyter[agents]"
        raise ModelRefused(name, hint=hint) from missing
    return ProviderModel


def _load(group: str, name: str) -> Any:
    return next(iter(entry_points(group=group, name=name))).load()
