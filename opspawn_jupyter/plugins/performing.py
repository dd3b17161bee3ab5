"""A plugin at work, in the kernel of its step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opspawn_jupyter.client.inputs import RESULT
from opspawn_jupyter.client.running import step
from opspawn_jupyter.plugins import configuration, registry
from opspawn_jupyter.plugins.context import Context


def perform(name: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """Run the plugin and give what it returns as outputs of the step; the values by name.

    A mapping gives one output for each key, anything else but None the output ``result``. Raises
    what the plugin raises.
    """
    plugin = registry.load(name)
    context = Context(step.inputs)
    returned = plugin.run(configuration.checked(name, plugin, config), context)
    outputs = {**context.given, **_named(returned)}
    for key, value in outputs.items():
        step.output(key, value)
    return outputs


def _named(returned: Any) -> dict[str, Any]:
    if returned is None:
        return {}
    is_outputs = isinstance(returned, Mapping) and all(_is_name(key) for key in returned)
    return dict(returned) if is_outputs else {RESULT: returned}


def _is_name(key: object) -> bool:
    return isinstance(key, str) and bool(key.strip())
