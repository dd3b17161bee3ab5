"""The door for workers that have no other (``worker_line.py``).

It knows one secret, which lies in a file that only this account can read, and nothing of Jupyter's
tokens and cookies: user code may learn those, and must not be able to speak as a worker.
"""

from __future__ import annotations

import asyncio
import hmac
from typing import Any

from jupyter_server.auth.decorator import allow_unauthenticated

from opspawn_jupyter.errors import NotAuthenticated, NotAuthorized, StoreUnavailable
from opspawn_jupyter.model.work import ReportRequest, TakeRequest
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.server.handlers.base import ApiHandler
from opspawn_jupyter.server.worker_calls import give_work, take_in_reports


class WorkerHandler(ApiHandler):
    """Lets workers in, and nobody else."""

    # Polls are no sign of a person at work.
    _track_activity = False

    async def prepare(self, **_: Any) -> None:
        """Compare secrets, in a time that says nothing about them. Who else might ask is nobody's
        concern here, so Jupyter is not asked to find out."""
        self.current_user = self._jupyter_current_user = None
        if not self.check_host():
            raise NotAuthorized(hint="requests must name this server as their host")
        secret = self.service.worker_token()
        shown = self.request.headers.get("Authorization", "").encode()
        if secret is None or not hmac.compare_digest(shown, f"worker {secret}".encode()):
            raise NotAuthenticated(hint="a worker shows the worker_token of server.json")

    def check_xsrf_cookie(self) -> None:
        """No cookie opens this door, so there is none to be forged."""


class TakeHandler(WorkerHandler):
    """Work for a worker."""

    _giving: asyncio.Task[None] | None = None
    _has_hung_up = False

    # Without Jupyter's authentication; ``prepare`` has asked for the worker's secret.
    @allow_unauthenticated
    async def post(self, worker_id: str) -> None:
        """Give some as soon as there is some."""
        o = await self.orchestration()
        request = await self.body(TakeRequest)
        self._giving = self.service.background.start(self._give(o, worker_id, request), "take")
        await asyncio.wait([self._giving])
        if self._has_hung_up:
            return  # nobody hears an answer
        if self._giving.cancelled():
            raise StoreUnavailable(hint="the server is stopping")
        self._giving.result()  # raises what went wrong

    def on_connection_close(self) -> None:
        """The worker hung up: what would be handed out now is for another."""
        super().on_connection_close()
        self._has_hung_up = True
        if self._giving is not None:
            self._giving.cancel()

    async def _give(self, o: Orchestration, worker_id: str, request: TakeRequest) -> None:
        """In the task that waits, so that nothing comes between a task and its worker."""
        answer, size_bytes = await give_work(o, worker_id, request)
        await self.answer(answer, size_bytes=size_bytes)


class ReportHandler(WorkerHandler):
    """What workers saw."""

    @allow_unauthenticated  # as above
    async def post(self, worker_id: str) -> None:
        """Take it in."""
        o = await self.orchestration()
        told = await self.body(ReportRequest)
        answer, size_bytes = await take_in_reports(o, worker_id, told)
        await self.answer(answer, size_bytes=size_bytes)
