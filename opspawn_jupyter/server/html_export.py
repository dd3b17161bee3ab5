"""An executed notebook as a web page, made by nbconvert in a process of its own."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from opspawn_jupyter.server.export_process import convert

_COMMAND = ("-m", "nbconvert", "--to", "html", "--log-level", "ERROR", "--output", "page")


class HtmlExport:
    """Makes pages, few at a time: each takes a processor for seconds."""

    def __init__(self, most_at_once: int = 2) -> None:
        self._slots = asyncio.Semaphore(most_at_once)

    @asynccontextmanager
    async def page(self, notebook: Path) -> AsyncIterator[Path]:
        """The page of the notebook, for as long as the context lasts. Raises ``Unavailable``."""
        with tempfile.TemporaryDirectory(prefix="opspawn-") as directory:
            more = ("--output-dir", directory, str(notebook))
            async with self._slots:
                await convert((sys.executable, *_COMMAND, *more), Path(directory))
            yield Path(directory, "page.html")
