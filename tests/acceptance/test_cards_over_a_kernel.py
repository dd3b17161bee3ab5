"""Cards in a front end that reaches the kernel and nothing else, as in VS Code and Colab.

A page in Chromium is the front end: it speaks the protocol of widgets, and its messages go to a
real kernel and come from there. It can ask no server for anything.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from jupyter_client.manager import KernelManager

from jupyter_process import PATIENCE_SECONDS, JupyterProcess

pytestmark = pytest.mark.browser

_WIDGET = "application/vnd.jupyter.widget-view+json"
#: What anywidget does in a page: it loads the module that the state holds, and gives it a model.
_HOST = """async (state) => {
  const listeners = [];
  window.sent = [];
  window.model = {
    get: (name) => state[name],
    send: (content) => sent.push(content),
    on: (name, take) => listeners.push([name, take]),
    off: () => {},
  };
  window.deliver = (data) => {
    if (data.method === "update") Object.assign(state, data.state);
    const name = data.method === "update" ? "change:panel" : "msg:custom";
    for (const [wanted, take] of listeners) if (wanted === name) take(data.content);
  };
  document.body.innerHTML = `<style>${state._css}</style><main></main>`;
  const source = new Blob([state._esm], { type: "text/javascript" });
  const { default: widget } = await import(URL.createObjectURL(source));
  await widget.render({ model, el: document.querySelector("main") });
}"""


class FrontEnd:
    """A kernel, and a page that shows the widget of one of its cells."""

    def __init__(self, page: Any, server: JupyterProcess) -> None:
        self.page = page
        self.comm_id = ""
        self._manager = KernelManager(kernel_name="python3")
        variables = server.environment | {"OPSPAWN_WIDGET": ""}
        self._manager.start_kernel(env=variables, cwd=str(server.root))
        self.client = self._manager.blocking_client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=PATIENCE_SECONDS)

    def close(self) -> None:
        self.client.stop_channels()
        self._manager.shutdown_kernel(now=True)
        self._manager.cleanup_resources()

    def run(self, code: str) -> dict[str, Any]:
        """The bundle that the cell gives; the states of the widgets that it made are kept."""
        self.states: dict[str, dict[str, Any]] = {}
        shown: dict[str, Any] = {}

        def hook(message: dict[str, Any]) -> None:
            content = message["content"]
            if message["msg_type"] == "comm_open":
                self.states[content["comm_id"]] = content["data"]["state"]
            elif message["msg_type"] == "execute_result":
                shown.update(content["data"])
            else:
                self._deliver(message)

        reply = self.client.execute_interactive(code, output_hook=hook, timeout=PATIENCE_SECONDS)
        assert reply["content"]["status"] == "ok", reply["content"]
        return shown

    def show(self, bundle: dict[str, Any]) -> None:
        self.comm_id = bundle[_WIDGET]["model_id"]
        self.page.evaluate(_HOST, self.states[self.comm_id])

    def until(self, what: str, holds: Callable[[], bool]) -> None:
        """Carry messages to and fro until it holds."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not holds():
            assert time.monotonic() < deadline, f"not in time: {what}"
            self._carry()

    def _carry(self) -> None:
        for content in self.page.evaluate("window.sent.splice(0)"):
            data = {"method": "custom", "content": content}
            said = self.client.session.msg("comm_msg", {"comm_id": self.comm_id, "data": data})
            self.client.shell_channel.send(said)
        try:
            self._deliver(self.client.get_iopub_msg(timeout=0.1))
        except queue.Empty:
            return

    def _deliver(self, message: dict[str, Any]) -> None:
        content = message["content"]
        if message["msg_type"] == "comm_msg" and content["comm_id"] == self.comm_id:
            self.page.evaluate("data => deliver(data)", content["data"])


@pytest.fixture
def front_end(browser: Any, server: JupyterProcess) -> Iterator[FrontEnd]:
    from browser import new_page

    page = new_page(browser, viewport={"width": 900, "height": 700})
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    opened = FrontEnd(page, server)
    yield opened
    opened.close()
    page.close()
    assert [url for url in asked if not url.startswith("blob:")] == []


def _gated(path: Path) -> None:
    sources = (
        "import pathlib, time\nprint('waits')",
        "while not pathlib.Path('go').exists(): time.sleep(0.05)",
        "print('goes on')",
    )
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)


def test_a_card_lives_without_any_server_in_reach(
    front_end: FrontEnd, server: JupyterProcess
) -> None:
    """State, outputs and buttons go through the kernel, and the state also while it computes."""
    _gated(server.root / "gated.ipynb")
    front_end.run("%load_ext opspawn_jupyter\n__vsc_ipynb_file__ = 'as VS Code says'")
    bundle = front_end.run("%opspawn run gated.ipynb --kernel python3")
    front_end.show(bundle)
    card = front_end.page.locator(".opspawn-card")
    text = card.first.inner_text

    assert "text/html" in bundle  # for whoever opens the notebook without a kernel
    front_end.until("the cell at work is shown", lambda: "cell 2 of 3" in text())
    front_end.until("its output is shown", lambda: "waits" in text())
    assert "● live" in text()
    (server.root / "go").touch()
    front_end.client.execute("import time; time.sleep(3600)")  # the kernel is not free any more
    front_end.until("the end is shown all the same", lambda: "✓ success" in text())
    assert "goes on" in text()


def test_its_buttons_do_what_they_say(front_end: FrontEnd, server: JupyterProcess) -> None:
    """What the server refuses is told as well, in its own words."""
    (server.root / "go").unlink(missing_ok=True)
    _gated(server.root / "gated.ipynb")
    front_end.run("%load_ext opspawn_jupyter\n__vsc_ipynb_file__ = 'as VS Code says'")
    front_end.show(front_end.run("%opspawn run gated.ipynb --kernel python3"))
    card = front_end.page.locator(".opspawn-card")
    front_end.until("it runs", lambda: "cell 2 of 3" in card.first.inner_text())

    card.get_by_role("button", name="Cancel gated").click()
    front_end.until("it is cancelled", lambda: "⊘ cancelled" in card.first.inner_text())
    (server.root / "go").touch()
    card.get_by_role("button", name="Retry gated").click()
    front_end.until("a retry is shown", lambda: card.count() == 2)
    front_end.until("it succeeds", lambda: "✓ success" in card.nth(1).inner_text())


def test_a_page_cannot_ask_the_kernel_for_more_than_our_api(
    front_end: FrontEnd, server: JupyterProcess
) -> None:
    """The kernel has the server's token; whoever draws in the page is not to use it at will."""
    _gated(server.root / "gated.ipynb")
    front_end.run("%load_ext opspawn_jupyter\n__vsc_ipynb_file__ = 'as VS Code says'")
    front_end.show(front_end.run("%opspawn run gated.ipynb --kernel python3"))
    asked = {"do": "request", "id": 9999, "method": "GET", "path": "../../../api/kernels"}
    front_end.page.evaluate("asked => model.send(asked)", {**asked, "body": None})
    front_end.page.evaluate(
        "model.on('msg:custom', (said) => { if (said.id === 9999) window.answer = said; })"
    )

    front_end.until("it is refused", lambda: front_end.page.evaluate("Boolean(window.answer)"))
    assert front_end.page.evaluate("answer.code") == "invalid_request"


def test_in_jupyterlab_there_is_no_widget(monkeypatch: pytest.MonkeyPatch) -> None:
    """It dies with its kernel, and JupyterLab would show an error in its place, not the picture."""
    from opspawn_magics.live import CHOICE_VARIABLE, is_needed

    monkeypatch.delenv(CHOICE_VARIABLE, raising=False)
    assert not is_needed({})
    assert is_needed({"__vsc_ipynb_file__": ""})
    monkeypatch.setenv(CHOICE_VARIABLE, "always")
    assert is_needed({})
