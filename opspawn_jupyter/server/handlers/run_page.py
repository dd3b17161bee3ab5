"""The page of a run in a plain browser tab, and the modules and styles that it is made of.

What a run put out was written by anybody's code, and the page has the user's cookies: so its
policy (Content Security Policy level 3) allows scripts from this server's own files only, none in
the page, and no request to any other host.
"""

from __future__ import annotations

import asyncio
import mimetypes
from html import escape
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from jupyter_server.auth.decorator import allow_unauthenticated, authorized
from tornado import web

from opspawn_jupyter.errors import NotFound
from opspawn_jupyter.orchestrator.find import find
from opspawn_jupyter.server.envelope import translate
from opspawn_jupyter.server.handlers.base import EnvelopeMixin
from opspawn_jupyter.server.service import Service

_POLICY = (
    "default-src 'none'",
    "script-src 'self'",
    # Frames inherit it, and outputs bring styles of their own.
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data:",
    "font-src data:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'self'",
)
_SUFFIXES = frozenset({".css", ".js"})


class RunPageHandler(EnvelopeMixin):
    """One run."""

    @property
    def content_security_policy(self) -> str:
        """Instead of Jupyter's own, which allows more."""
        return "; ".join(_POLICY)

    @web.authenticated
    @authorized
    async def get(self, reference: str) -> None:
        """Give the page, with whose run it is; the rest is asked for by its script."""
        task = await find((await self.service.running()).orchestration, reference)
        page = await asyncio.to_thread(_widgets().joinpath("run_page.html").read_text, "utf-8")
        self.xsrf_token  # noqa: B018 (sets the cookie that the page's requests repeat)
        await self.finish(page.format(base_url=escape(self.base_url), task_id=escape(task.id)))

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer with a page: whoever followed a link to a run that is not there is a person."""
        failure = (kwargs.get("exc_info") or (None, None, None))[1]
        error, status = translate(failure, status_code, is_known_caller=self._is_known_caller)
        self.set_status(status)
        self.set_header("Content-Type", "text/html; charset=UTF-8")
        page = _widgets().joinpath("no_run_page.html").read_text("utf-8")
        self.finish(page.format(base_url=escape(self.base_url), message=escape(str(error))))


class StaticHandler(EnvelopeMixin):
    """Modules and styles of our pages, which hold nothing of the user's.

    Open to all, as Jupyter's own are: JupyterHub lets no browser in that asks for a module, because
    a script's address cannot carry the XSRF token.
    """

    @allow_unauthenticated
    async def get(self, name: str) -> None:
        """Give one."""
        file = _widgets() / name
        if file.suffix not in _SUFFIXES or not await asyncio.to_thread(file.is_file):
            raise NotFound(name, hint="see the page of a run for what there is")
        self.set_header("Content-Type", mimetypes.types_map[file.suffix])
        self.set_header("Cache-Control", "no-cache")
        await self.finish(await asyncio.to_thread(file.read_bytes))


def pages(service: Service) -> list[tuple[str, type[EnvelopeMixin], dict[str, Any]]]:
    """The pages as tornado takes them, relative to the server's base URL."""
    given = {"service": service, "area": "opspawn_tasks"}
    return [
        (r"opspawn/runs/(?P<reference>[^/]+)", RunPageHandler, given),
        (r"opspawn/static/(?P<name>\w+\.\w+)", StaticHandler, given),
    ]


def _widgets() -> Path:
    """Where the modules lie: with the kernel side, which a server never imports."""
    spec = find_spec("opspawn_magics")
    if spec is None or spec.origin is None:
        raise NotFound("opspawn_magics", hint="the installation is incomplete")
    return Path(spec.origin).parent / "widgets"
