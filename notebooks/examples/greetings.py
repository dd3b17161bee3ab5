"""Functions for the step ``greet`` of ``greeting.yaml``."""

from collections.abc import Mapping
from typing import Any


def greet(name: str, punctuation: str = ".", context: Mapping[str, Any] | None = None) -> str:
    """A greeting; with the mean mass, where an earlier step has found it."""
    mass = context["metrics"]["body_mass_g"]["mean"] if context else None
    weight = f", {mass:.0f} g on average" if mass else ""
    return f"Hello, {name}{weight}{punctuation}"
