"""An executed notebook as a PDF: its web page, printed by the machine's Chromium."""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path

from opspawn_jupyter.browser import find_browser
from opspawn_jupyter.errors import Unavailable
from opspawn_jupyter.server.export_process import convert

#: The page may fetch what typesets its formulas; after so long it is printed as it is.
_LONGEST_WAIT_MILLISECONDS = 10_000
_OPTIONS = (
    "--headless",
    "--disable-gpu",
    "--disable-extensions",
    "--disable-background-networking",
    "--no-first-run",
    "--no-pdf-header-footer",
    f"--virtual-time-budget={_LONGEST_WAIT_MILLISECONDS}",
)


async def print_pdf(page: Path) -> bytes:
    """The page as a PDF. Raises ``Unavailable``, or ``InvalidRequest`` where the machine has no
    browser."""
    browser = find_browser()
    with tempfile.TemporaryDirectory(prefix="opspawn-") as directory:
        made = Path(directory, "page.pdf")
        own = (f"--user-data-dir={directory}/profile", f"--print-to-pdf={made}")
        await convert((browser, *_OPTIONS, *_sandbox(), *own, page.as_uri()), Path(directory))
        try:
            return await asyncio.to_thread(made.read_bytes)
        except FileNotFoundError as failure:
            raise Unavailable(hint="the browser has printed nothing") from failure


def _sandbox() -> tuple[str, ...]:
    """Chromium refuses to run as root, as in a container, with its sandbox."""
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0
    return ("--no-sandbox",) if is_root else ()
