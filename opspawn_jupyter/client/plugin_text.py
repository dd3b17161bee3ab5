"""Plugins as text for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from opspawn_jupyter.model.plugin import PluginInfo


def plugin_list(plugins: Sequence[PluginInfo]) -> str:
    """Each plugin with the fields of its configuration; those that must be given have no ``?``."""
    return "\n".join(_lines(plugins)) or "no plugins are installed"


def _lines(plugins: Sequence[PluginInfo]) -> Iterator[str]:
    width = max((len(plugin.name) for plugin in plugins), default=0)
    for plugin in plugins:
        said = plugin.problem or plugin.description
        yield f"{plugin.name:<{width}}  {said}  [{plugin.package}]"
        if fields := _fields(plugin.config_schema):
            yield f"{'':<{width}}  config: {fields}"


def _fields(schema: Mapping[str, Any]) -> str:
    required = schema.get("required", ())
    names = schema.get("properties", {})
    return ", ".join(name if name in required else f"{name}?" for name in names)
