"""Values that a notebook gave with scrapbook's ``sb.glue``, taken as outputs of its task.

A scrap is display data of a MIME type ``application/scrapbook.scrap.<encoder>+json`` whose content
names the value, the encoder and the data (scrapbook's ``schemas/scrap.v1.json``). It stays in the
executed notebook, where scrapbook's own readers look for it.
"""

from __future__ import annotations

import base64
import binascii
import logging
from collections.abc import Mapping
from typing import Any

from opspawn_jupyter.client.stored import stored, stored_table
from opspawn_jupyter.model.run_directory import RunDirectory
from opspawn_jupyter.model.states import EventType
from opspawn_jupyter.runners.outputs import Tell

_log = logging.getLogger(__name__)

_MIME_PREFIX = "application/scrapbook.scrap."
#: Encoders whose data is the value itself.
_PLAIN = frozenset({"json", "text"})
#: The encoder whose data is a Parquet file in base64.
_TABLE = "pandas"


def scrap(data: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The scrap among display data, as a message of the step API; None where there is none."""
    for mime, content in data.items():
        if mime.startswith(_MIME_PREFIX) and isinstance(content, Mapping) and "name" in content:
            value, encoder = content.get("data"), str(content.get("encoder"))
            return {"output": {"name": str(content["name"]), "value": value, "encoder": encoder}}
    return None


def keeping(tell: Tell, run: RunDirectory) -> Tell:
    """``tell``, for which scraps become outputs; large ones become files of the task."""

    def tell_kept(type: EventType, data: Mapping[str, Any]) -> None:
        if type is not EventType.STEP_OUTPUT or "encoder" not in data:
            tell(type, data)
            return
        try:
            value = _kept(data["name"], data["value"], data["encoder"], run)
        except (ValueError, TypeError, OSError) as failure:
            _log.warning("scrap not kept name=%s reason=%s", data["name"], failure)
            return
        tell(type, {"name": data["name"], "value": value})

    return tell_kept


def _kept(name: str, value: Any, encoder: str, run: RunDirectory) -> Any:
    if encoder in _PLAIN:
        return stored(name, value, run)
    if encoder != _TABLE:
        message = f"scrapbook's encoder {encoder!r} is not known here"
        raise ValueError(message)
    try:
        content = base64.b64decode(value, validate=True)
    except binascii.Error as failure:
        message = "its data is no base64"
        raise ValueError(message) from failure
    return stored_table(name, content, run)
