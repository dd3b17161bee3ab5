"""A step's configuration, checked by the plugin's own model.

The model is the plugin's ``Config``, a pydantic class. A plugin without one takes any JSON object
as it is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from opspawn_jupyter.errors import InvalidRequest, PluginBroken
from opspawn_jupyter.parsing import parse
from opspawn_jupyter.ports import Plugin


class StrictConfig(BaseModel):
    """Base of the built-in plugins' configurations: an unknown field is a mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def model_of(plugin: Plugin) -> type[BaseModel] | None:
    """The plugin's ``Config``. Raises ``PluginBroken`` where it is no pydantic model."""
    model = getattr(plugin, "Config", None)
    if model is None:
        return None
    if isinstance(model, type) and issubclass(model, BaseModel):
        return model
    raise PluginBroken(type(plugin).__name__, hint="its Config is no pydantic model")


def checked(name: str, plugin: Plugin, config: Mapping[str, Any]) -> Any:
    """The configuration as ``run`` takes it. Raises ``InvalidRequest`` that names every fault."""
    model = model_of(plugin)
    return dict(config) if model is None else parse(model, config, f"config of a {name} step")


def read(name: str, plugin: Plugin, texts: Mapping[str, str]) -> dict[str, Any]:
    """What a person typed, as JSON values: text where the plugin takes text, else JSON.

    Raises ``InvalidRequest`` that names every field which is neither.
    """
    model = model_of(plugin)
    if model is None:
        return {field: _json_or_text(text) for field, text in texts.items()}
    unfit = {field for field, _ in _faults(model, texts)}
    return {
        field: _json(name, field, text) if field in unfit and field in model.model_fields else text
        for field, text in texts.items()
    }


def schema(plugin: Plugin) -> dict[str, Any]:
    """JSON Schema of the configuration."""
    model = model_of(plugin)
    return {"type": "object"} if model is None else model.model_json_schema()


def _faults(model: type[BaseModel], config: Mapping[str, Any]) -> list[tuple[str, str]]:
    try:
        model.model_validate(config)
    except ValidationError as failure:
        return [
            (str(fault["loc"][0]) if fault["loc"] else "", fault["msg"])
            for fault in failure.errors(include_url=False, include_input=False)
        ]
    return []


def _json(name: str, field: str, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as failure:
        hint = f"config of a {name} step: {field} takes JSON, as in {field}='[1, 2]'"
        raise InvalidRequest(text, hint=hint) from failure


def _json_or_text(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
