"""Fixtures of the views' tests; what they work with is in ``stage``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.widgets.stage import HOST, Stage

WIDGETS = Path(__file__).parents[3] / "magics" / "opspawn_magics" / "widgets"
_TYPES = {".js": "text/javascript", ".css": "text/css"}
_PAGE = """<!doctype html><html lang="en"><title>views</title>
<script id="jupyter-config-data" type="application/json">{"baseUrl": "/base/"}</script>
<link rel="stylesheet" href="/w/panel.css"><body><main id="place"></main></body></html>"""


@pytest.fixture(scope="module")
def shared_page(browser: Any) -> Iterator[Any]:
    """One tab for the tests of a module."""
    from browser import new_page

    page = new_page(browser, viewport={"width": 900, "height": 900})
    page.add_init_script(path=Path(__file__).parent / "fake_server.js")
    page.foreign = []
    page.route("**/*", lambda route: _serve(page, route))
    yield page
    page.close()


def _serve(page: Any, route: Any) -> None:
    url = route.request.url
    if url == f"{HOST}/":
        route.fulfill(body=_PAGE, content_type="text/html")
    elif url.startswith(f"{HOST}/w/"):
        file = WIDGETS / url.rpartition("/")[2]
        route.fulfill(body=file.read_text(), content_type=_TYPES[file.suffix])
    else:
        page.foreign.append(url)
        route.abort()


@pytest.fixture
def stage(shared_page: Any) -> Iterator[Stage]:
    """An empty page. Nothing may be asked of other hosts, and no script may fail."""
    shared_page.foreign.clear()
    stage = Stage(shared_page)
    note: Callable[[Any], None] = lambda error: stage.problems.append(str(error))  # noqa: E731
    shared_page.on("pageerror", note)
    shared_page.goto(f"{HOST}/")
    yield stage
    shared_page.evaluate("window.view?.close()")
    shared_page.remove_listener("pageerror", note)
    assert stage.problems == []
    assert shared_page.foreign == []
