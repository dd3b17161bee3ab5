"""What all handlers share: who may call, how a request is read, how it is answered."""

from __future__ import annotations

import asyncio
import logging
import re
from functools import cache, cached_property
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import psutil
from jupyter_server.base.handlers import APIHandler, JupyterHandler
from tornado.iostream import StreamClosedError

from opspawn_jupyter.errors import NotAuthenticated, NotFound
from opspawn_jupyter.model import wire
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.server import schemas
from opspawn_jupyter.server.envelope import envelope_of, translate
from opspawn_jupyter.server.service import Service

T = TypeVar("T")

logger = logging.getLogger(__name__)

#: Request ids that are taken over from the caller.
_REQUEST_ID = re.compile(r"[\w.-]{1,64}", re.ASCII)
#: User names that Jupyter makes up for whoever holds the token.
_MADE_UP_NAME = re.compile(r"[0-9a-f]{32}")
_CHUNK_BYTES = 1 << 20


class EnvelopeMixin(JupyterHandler):
    """Errors as our envelope, whoever raised them."""

    service: Service
    auth_resource: str

    def initialize(self, service: Service, area: str) -> None:
        """Called by tornado for each request, with what the route table says."""
        self.service = service
        self.auth_resource = area

    @cached_property
    def request_id(self) -> str:
        """Names this request in the log and to the caller."""
        given = self.request.headers.get("X-Request-Id", "")
        return given if _REQUEST_ID.fullmatch(given) else uuid4().hex

    def set_default_headers(self) -> None:
        """Jupyter's headers and ours, on every answer."""
        super().set_default_headers()
        self.set_header("X-Request-Id", self.request_id)
        self.set_header("Cache-Control", "no-store")

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer with the envelope of what went wrong."""
        failure = (kwargs.get("exc_info") or (None, None, None))[1]
        error, status = translate(failure, status_code, is_known_caller=self._is_known_caller)
        self.set_status(status)
        self.set_header("Content-Type", "application/json")
        self.finish(wire.to_json(envelope_of(error, self.request_id)))

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        """Only our own faults are news: what callers do wrong, they are told."""
        _, status = translate(value, is_known_caller=self._is_known_caller)
        if status == HTTPStatus.INTERNAL_SERVER_ERROR:
            logger.error(
                "request failed request_id=%s method=%s path=%s",
                self.request_id,
                self.request.method,
                self.request.path,
                exc_info=(typ, value, tb),
            )

    @property
    def _is_known_caller(self) -> bool:
        # Jupyter sets it when it has identified the caller; before, to ask would raise.
        return getattr(self, "_jupyter_current_user", None) is not None

    async def orchestration(self) -> Orchestration:
        """What the verbs work with. Raises ``Unavailable`` while the store is not open."""
        return (await self.service.running()).orchestration

    def query(self, cls: type[T]) -> T:
        """The query of the address as a record. Raises ``InvalidRequest``."""
        arguments = {
            name: [value.decode("utf-8", "replace") for value in values]
            for name, values in self.request.query_arguments.items()
        }
        return schemas.read_query(cls, arguments)


def caller_name(name: str) -> str:
    """The user's name, or that of the server's account for whoever holds the token."""
    return _account() if _MADE_UP_NAME.fullmatch(name) else name


@cache
def _account() -> str:
    # Looked up once: it is asked for with every request, and read from files each time.
    return psutil.Process().username()


class ApiHandler(EnvelopeMixin, APIHandler):
    """A JSON route."""

    @property
    def caller(self) -> str:
        """Who asks. Jupyter makes up a new name for each request that shows the server's token;
        its holder acts as the account that the server runs under."""
        return caller_name(self.current_user.username)

    @property
    def log(self) -> logging.Logger:
        """Where Jupyter's part of a handler writes: what nobody hears is not even made."""
        return logger

    def set_signed_cookie(
        self,
        name: str,
        value: str | bytes,
        expires_days: float | None = 30,
        version: int | None = None,
        **kwargs: Any,
    ) -> None:
        """As tornado's, save for programs, which show their token each time and keep no cookie."""
        if "Authorization" not in self.request.headers:
            super().set_signed_cookie(name, value, expires_days, version, **kwargs)

    set_secure_cookie = set_signed_cookie

    async def prepare(self, **_: Any) -> None:
        """Find out who asks, as Jupyter does, once for each token."""
        is_known = self.service.known_token.recognise(self)
        await super().prepare()
        if not is_known:
            self.service.known_token.remember(self)

    async def body(self, cls: type[T]) -> T:
        """The body as a record. Raises ``InvalidRequest``."""
        if len(self.request.body) <= schemas.SMALL_BYTES:
            return schemas.read_body(cls, self.request.body)
        # In a thread, because a body may hold an entire notebook.
        return await asyncio.to_thread(schemas.read_body, cls, self.request.body)

    async def answer(
        self, record: Any, status: int = HTTPStatus.OK, *, size_bytes: int | None = None
    ) -> None:
        """Send the record as JSON; ``size_bytes`` is about how much that will be."""
        if size_bytes is not None and size_bytes <= schemas.SMALL_BYTES:
            text = wire.to_json(record)
        else:
            # A page of tasks with all their cells takes tens of milliseconds.
            text = await asyncio.to_thread(wire.to_json, record)
        self.set_status(status)
        await self.finish(text)

    async def send_file(self, path: Path, content_type: str) -> None:
        """Stream the file. Nothing in it can act as this server's own page."""
        file = await asyncio.to_thread(path.open, "rb")
        try:
            size_bytes = (await asyncio.to_thread(path.stat)).st_size
            self.set_header("Content-Length", size_bytes)
            self.set_header("Content-Type", content_type)
            self.set_header("Content-Security-Policy", "sandbox allow-scripts")
            while size_bytes and (
                chunk := await asyncio.to_thread(file.read, min(size_bytes, _CHUNK_BYTES))
            ):
                size_bytes -= len(chunk)
                self.write(chunk)
                await self.flush()
            await self.finish(set_content_type=content_type)
        except StreamClosedError:
            logger.debug("caller left a download request_id=%s", self.request_id)
        finally:
            file.close()


class UnknownRouteHandler(ApiHandler):
    """Whatever lies under our prefix and is no route."""

    async def prepare(self, **_: Any) -> None:
        """Refuse, strangers first."""
        await super().prepare()
        if self.current_user is None:
            raise NotAuthenticated
        raise NotFound(self.request.path, hint="see openapi.json for what there is")
