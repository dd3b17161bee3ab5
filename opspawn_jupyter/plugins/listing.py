"""What is known of each plugin that is installed."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from inspect import getdoc

from opspawn_jupyter.errors import PluginBroken
from opspawn_jupyter.model.plugin import PluginInfo
from opspawn_jupyter.plugins import configuration, registry


def listed() -> tuple[PluginInfo, ...]:
    """All plugins by name, with what is wrong with those that cannot be used. Imports them."""
    return tuple(_info(name, point) for name, point in registry.installed().items())


def _info(name: str, point: EntryPoint) -> PluginInfo:
    package = f"{point.dist.name} {point.dist.version}" if point.dist else ""
    try:
        plugin = registry.load(name)
        schema = configuration.schema(plugin)
    except PluginBroken as problem:
        return PluginInfo(name=name, package=package, problem=problem.message)
    description = (getdoc(type(plugin)) or "").partition("\n")[0]
    return PluginInfo(name=name, description=description, package=package, config_schema=schema)
