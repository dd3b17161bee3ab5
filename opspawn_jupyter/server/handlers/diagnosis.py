"""What the server knows of itself."""

from __future__ import annotations

import asyncio

from jupyter_server.auth.decorator import authorized
from tornado import web

from opspawn_jupyter.errors import Unavailable
from opspawn_jupyter.model.diagnosis import Diagnosis
from opspawn_jupyter.server.diagnosis import versions
from opspawn_jupyter.server.handlers.base import ApiHandler


class DiagnosisHandler(ApiHandler):
    """How store, workers, kernels and disks are."""

    # Somebody who looks for a fault does not keep an idle server alive.
    _track_activity = False

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Tell it; of a system that could not be opened only why."""
        health = self.service.health()
        try:
            running = await self.service.running()
        except Unavailable:
            known = await asyncio.to_thread(versions)
            await self.answer(Diagnosis(health=self.service.health(), versions=known))
        else:
            await self.answer(await running.diagnose(health))
