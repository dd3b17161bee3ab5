"""JSON Schemas of types that are written as in Python, from the closed list of ``parameters``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter

from opspawn_jupyter.kinds.parameters import type_of
from opspawn_jupyter.model.notebook import Parameter


def schema(type: str) -> Mapping[str, Any]:
    """The schema; of a type that tells nothing, everything fits."""
    found: Mapping[str, Any] = TypeAdapter(type_of(Parameter(name="", type=type))).json_schema()
    return found
