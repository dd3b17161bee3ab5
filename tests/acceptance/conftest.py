"""A browser for the suites that need one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest


# Playwright keeps an event loop running in the main thread: the browser ends with its module, so
# that other modules can run theirs.
@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium; without one the browser suite is left out."""
    pytest.importorskip("playwright")
    from browser import chromium_path, headless_browser

    if chromium_path() is None:
        pytest.skip("there is no Chromium; on Debian: apt install chromium")
    with headless_browser() as running:
        yield running
