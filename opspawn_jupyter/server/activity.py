"""Unfinished tasks as activity of the Jupyter server.

Two things shut idle servers down: the server itself (``shutdown_no_activity_timeout``), which asks
extensions, and cullers such as JupyterHub's, which read ``last_activity`` from ``/api/status``.
The latter is the newest of all settings whose name ends with ``_last_activity``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, MutableMapping
from typing import Any

from opspawn_jupyter.model import clock

_SETTING = "opspawn_last_activity"
#: Far below any culler's patience.
_BEAT_SECONDS = 2.0


async def show_activity(
    unfinished_count: Callable[[], int], web_settings: MutableMapping[str, Any]
) -> None:
    """Keep the server's last activity at the present while tasks wait or run."""
    while True:
        if unfinished_count():
            web_settings[_SETTING] = clock.now()
        await asyncio.sleep(_BEAT_SECONDS)
