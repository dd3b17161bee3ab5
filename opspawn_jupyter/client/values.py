"""Python values as the JSON that travels."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def plain(value: Any) -> Any:
    """The value as JSON knows it; numpy's and pandas' scalars and arrays become numbers and lists.

    Raises ``TypeError`` for what JSON cannot hold, ``ValueError`` for NaN and infinities.
    """
    plain_value = _plain(value)
    json.dumps(plain_value, allow_nan=False)
    return plain_value


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, (str, int, float, bool)) or value is None:
        return value
    # numpy and pandas are not imported here; their values say themselves how they become plain.
    for method in ("tolist", "item", "isoformat"):
        if callable(getattr(value, method, None)):
            return getattr(value, method)()
    return value
