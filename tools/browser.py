"""JupyterLab in a headless Chromium, driven by key presses as a person would.

Uses the system's Chromium, so that no browser is downloaded.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from jupyter_process import PATIENCE_SECONDS, JupyterProcess

_ARGUMENTS = (
    "--no-sandbox",  # Chromium refuses to run as root, as in a container, with its sandbox
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_TIMEOUT_MILLISECONDS = 1000 * PATIENCE_SECONDS

#: A key press before the kernel is connected is lost, and the indicator says idle too early.
_KERNEL_IS_READY = """async () => {
  await window.jupyterapp?.started;
  const context = window.jupyterapp?.shell.currentWidget?.sessionContext;
  if (!context) return false;
  await context.ready;
  const kernel = context.session?.kernel;
  return kernel?.connectionStatus === 'connected' && kernel.status === 'idle';
}"""


def chromium_path() -> str | None:
    """The system's Chromium, where there is one."""
    names = ("chromium", "chromium-browser", "google-chrome")
    found = (shutil.which(name) for name in names)
    return os.environ.get("CHROMIUM") or next((path for path in found if path), None)


@contextmanager
def headless_browser() -> Iterator[Browser]:
    """A running browser. Raises ``RuntimeError`` where the system has none."""
    path = chromium_path()
    if path is None:
        raise RuntimeError("there is no Chromium on this machine")
    expect.set_options(timeout=_TIMEOUT_MILLISECONDS)  # its own 5 s are short on a busy machine
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(_ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


def new_page(browser: Browser, **options: Any) -> Page:
    """A page of a fresh profile that waits as long as the rest."""
    page = browser.new_page(**options)
    page.set_default_timeout(_TIMEOUT_MILLISECONDS)
    return page


#: Notices go after some seconds, which whoever is outside of the page may miss.
_KEEP_NOTICES = """window.noticed = [];
new MutationObserver(() => {
  for (const { textContent } of document.querySelectorAll(".Toastify__toast"))
    if (!noticed.includes(textContent)) noticed.push(textContent);
}).observe(document, { childList: true, subtree: true, characterData: true });"""


def await_notice(page: Page, words: str) -> None:
    """Wait until JupyterLab has shown a notice with these words since the page was loaded."""
    page.wait_for_function("words => noticed.some((text) => text.includes(words))", arg=words)


@contextmanager
def lab_page(browser: Browser, *, width: int = 1280, height: int = 860) -> Iterator[Page]:
    """An empty page of a fresh profile."""
    context = browser.new_context(
        viewport={"width": width, "height": height}, device_scale_factor=1.5
    )
    page = context.new_page()
    page.add_init_script(_KEEP_NOTICES)
    page.set_default_timeout(_TIMEOUT_MILLISECONDS)
    try:
        yield page
    finally:
        context.close()


def open_notebook(page: Page, server: JupyterProcess, path: str) -> None:
    """Show a notebook in JupyterLab, with its kernel connected and idle."""
    page.goto(f"{server.url}lab/tree/{path}?reset&token={server.token}")
    page.locator(".jp-NotebookPanel .jp-Cell").first.wait_for()
    await_kernel(page)


def await_kernel(page: Page) -> None:
    """Wait until the kernel of the notebook in front takes what is typed."""
    page.wait_for_function(_KERNEL_IS_READY)


def run_cell(page: Page, number: int) -> Locator:
    """Press Ctrl+Enter in the cell of this number, from 0, and wait for its end: the cell."""
    cell = page.locator(".jp-Notebook .jp-Cell").nth(number)
    cell.scroll_into_view_if_needed()
    cell.locator(".cm-content").first.click()
    page.keyboard.press("Control+Enter")
    prompt = cell.locator(".jp-InputPrompt")
    page.wait_for_function(
        "prompt => /\\[\\d+\\]/.test(prompt.textContent)", arg=prompt.element_handle()
    )
    return cell
