"""The browser of this machine that prints web pages: Chromium, or what is built from it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from opspawn_jupyter.errors import InvalidRequest

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "msedge")


def find_browser() -> str:
    """Its path: what ``CHROMIUM`` names, or the first that is found. Raises ``InvalidRequest``."""
    named = os.environ.get("CHROMIUM")
    if named and Path(named).is_file():
        return named
    for name in _NAMES:
        if path := shutil.which(name):
            return path
    raise InvalidRequest(
        "pdf",
        hint="a PDF needs Chromium or Chrome on the server's machine (Debian: apt install "
        "chromium), or its path in CHROMIUM; a web page (html) needs none",
    )
