"""What is done from time to time while the server runs: run directories that retention lets go
are removed."""

from __future__ import annotations

import asyncio
import logging

from opspawn_jupyter.errors import OpspawnError
from opspawn_jupyter.model.retention import PruneRequest
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.orchestrator.prune import prune, settings_retention

logger = logging.getLogger(__name__)

_ROUND_SECONDS = 3600.0


async def maintain(o: Orchestration) -> None:
    """Prune at once and then every hour, where the settings limit anything."""
    while not settings_retention(o.settings).is_endless:
        try:
            await prune(o, PruneRequest(), by="retention")
        except OpspawnError:  # the disk is full, say: the next round may succeed
            logger.exception("retention round failed")
        await asyncio.sleep(_ROUND_SECONDS)
