"""The plugins that are installed, by name."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from opspawn_jupyter.errors import PluginBroken, UnknownKind
from opspawn_jupyter.ports import Plugin

GROUP = "opspawn_jupyter.plugins"


@cache
def installed() -> Mapping[str, EntryPoint]:
    """Where each plugin is found, by name; read once, and nothing is imported for it."""
    found = entry_points(group=GROUP)
    return {point.name: point for point in sorted(found, key=lambda point: point.name)}


@cache
def _made_by(point: EntryPoint) -> Any:
    """What makes a plugin; looked up once."""
    return point.load()


def load(name: str) -> Plugin:
    """A plugin of this name. Imports its package the first time.

    Raises ``UnknownKind`` where none is installed, ``PluginBroken`` where it cannot be imported or
    is not a plugin.
    """
    point = installed().get(name)
    if point is None:  # it may have been installed since
        installed.cache_clear()
        point = installed().get(name)
    if point is None:
        raise UnknownKind(name, hint=f"installed plugins: {', '.join(installed())}")
    try:
        plugin = _made_by(point)()
    except Exception as failure:  # the package is not ours and may raise anything
        hint = f"{point.value} gives {type(failure).__name__}: {failure}"
        raise PluginBroken(name, hint=hint) from failure
    if not callable(getattr(plugin, "run", None)):
        raise PluginBroken(name, hint=f"{point.value} has no method run(config, context)")
    checked: Plugin = plugin
    return checked
