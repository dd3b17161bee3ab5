"""The door for workers.

It knows one secret, which lies in a file that only this account can read, and nothing of Jupyter's
tokens and cookies: user code may learn those, and must not be able to speak as a worker.
"""

from __future__ import annotations

import asyncio
import hmac
from dataclasses import replace
from typing import Any

from jupyter_server.auth.decorator import allow_unauthenticated

from opspawn_jupyter.errors import NotAuthenticated, StoreUnavailable
from opspawn_jupyter.model.work import ReportRequest, TakeAnswer, TakeRequest
from opspawn_jupyter.orchestrator.report import report
from opspawn_jupyter.orchestrator.take import take
from opspawn_jupyter.server.handlers.base import ApiHandler

_LONGEST_WAIT_SECONDS = 30.0


class WorkerHandler(ApiHandler):
    """Lets workers in, and nobody else."""

    # Polls are no sign of a person at work.
    _track_activity = False

    async def prepare(self, **_: Any) -> None:
        """Compare secrets, in a time that says nothing about them."""
        await super().prepare()
        secret = self.service.worker_token()
        shown = self.request.headers.get("Authorization", "").encode()
        if secret is None or not hmac.compare_digest(shown, f"worker {secret}".encode()):
            raise NotAuthenticated(hint="a worker shows the worker_token of server.json")

    def check_xsrf_cookie(self) -> None:
        """No cookie opens this door, so there is none to be forged."""


class TakeHandler(WorkerHandler):
    """Work for a worker."""

    _poll: asyncio.Task[TakeAnswer] | None = None

    # Without Jupyter's authentication; ``prepare`` has asked for the worker's secret.
    @allow_unauthenticated
    async def post(self, worker_id: str) -> None:
        """Give some as soon as there is some."""
        o = await self.orchestration()
        asked = await self.body(TakeRequest)
        wait_seconds = min(max(asked.wait_seconds, 0.0), _LONGEST_WAIT_SECONDS)
        request = replace(asked, wait_seconds=wait_seconds)
        self._poll = self.service.background.start(take(o, worker_id, request), "take")
        await asyncio.wait([self._poll])
        if self._poll.cancelled():
            raise StoreUnavailable(hint="the server is stopping")
        await self.answer(self._poll.result())

    def on_connection_close(self) -> None:
        """The worker hung up: what would be handed out now is for another."""
        super().on_connection_close()
        if self._poll is not None:
            self._poll.cancel()


class ReportHandler(WorkerHandler):
    """What workers saw."""

    @allow_unauthenticated  # as above
    async def post(self, worker_id: str) -> None:
        """Take it in."""
        o = await self.orchestration()
        answer = await report(o, worker_id, await self.body(ReportRequest))
        await self.answer(answer, size_bytes=sum(map(len, answer.unknown)))
