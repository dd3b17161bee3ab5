"""What is known of a plugin, for those who want to use it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class PluginInfo:
    """One installed plugin; its name is a task kind."""

    name: str
    #: First line of its docstring.
    description: str = ""
    #: The distribution that brings it, with its version.
    package: str = ""
    #: JSON Schema of a step's configuration.
    config_schema: Mapping[str, Any] = field(default_factory=dict)
    #: Why it cannot be used, where it cannot.
    problem: str | None = None


@dataclass(frozen=True, kw_only=True)
class PluginList:
    """Plugins by name."""

    plugins: tuple[PluginInfo, ...]
