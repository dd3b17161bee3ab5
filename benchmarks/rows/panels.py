"""The live views in Chromium, on a real server: how soon, how many, and at what cost."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from benchmarks import notebooks, servers
from benchmarks.measure import Row, Size, Way
from browser import headless_browser

_TASKS = 2000
_SECONDS = 5
#: The kernel's clock, as text that a card shows.
_CLOCK = """import time
from opspawn_jupyter import step
while True:
    step.progress(0.5, repr(time.time()))
    time.sleep(0.1)"""
_HUNDRED = """import time
from opspawn_jupyter import step
began, number = time.monotonic(), 0
while True:
    number += 1
    step.progress(number / 1e6, str(number))
    time.sleep(max(began + number / 100 - time.monotonic(), 0))"""
#: Milliseconds from the moment that the note tells until a frame with it was handed to the screen.
_TO_PIXEL = """() => new Promise((done) => {
  const note = document.querySelector(".opspawn-now span");
  new MutationObserver((_, observer) => {
    const told = 1000 * Number(note.textContent.split(" ").pop());
    observer.disconnect();
    requestAnimationFrame(() => {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = () => done(performance.timeOrigin + performance.now() - told);
      port2.postMessage("");
    });
  }).observe(note, { characterData: true, childList: true, subtree: true });
})"""
_BOARD = """async () => {
  const place = document.querySelector("main"), base = document.body.dataset.baseUrl;
  const [{ Board }, { Server }] = await Promise.all(
    ["board", "server"].map((name) => import(`${base}opspawn/static/${name}.js`)));
  window.board?.close();
  const began = performance.now();
  window.board = new Board({ server: Server.ofPage() });
  place.replaceChildren(board.root);
  while (!board.root.querySelector(".opspawn-row")) await new Promise(requestAnimationFrame);
  await new Promise(requestAnimationFrame);
  return performance.now() - began;
}"""
_ALL_PAGES = """async () => {
  const rows = board.root.getElementsByClassName("opspawn-row");
  while (!board.further.hidden) {
    const before = rows.length;
    board.further.click();
    while (rows.length === before) await new Promise(requestAnimationFrame);
  }
  return rows.length;
}"""

#: Beyond what the runner lets through: it tells the last of all that comes in a tenth of a second.
_PUMP = """([id, perSecond]) => {
  const began = performance.now();
  let sent = 0;
  clearInterval(window.pump);
  if (perSecond) window.pump = setInterval(() => {
    for (; sent < (perSecond * (performance.now() - began)) / 1000; sent++) {
      const data = { fraction: (sent % 100) / 100, text: String(sent) };
      const seq = 1e12 + performance.now();
      const event = { type: "step.progress", task_id: id, seq, attempt: 1, data };
      for (const listener of board.server.stream().listeners) listener.event(event);
    }
  }, 10);
}"""


@contextmanager
def _page(own: servers.Ours, task: Mapping[str, Any]) -> Iterator[Any]:
    """The page of the task's run."""
    with headless_browser() as browser:
        page = browser.new_page(viewport={"width": 1100, "height": 900})
        page.goto(f"{own.process.url}opspawn/runs/{task['id']}?token={own.process.token}")
        page.locator(".opspawn-card").first.wait_for()
        yield page


def _run(own: servers.Ours, name: str, source: str) -> Mapping[str, Any]:
    notebooks.write(own.root, name, (source,))
    task: Mapping[str, Any] = own.process.api(
        "POST", "tasks", {"spec": {"notebook": f"{name}.ipynb"}}
    )
    return task


@contextmanager
def _to_pixel(_size: Size) -> Iterator[Mapping[str, Way]]:
    """One card, and a cell that tells its progress ten times a second."""
    with servers.ours() as own:
        task = _run(own, "clock", _CLOCK)
        with _page(own, task) as page:
            page.locator(".opspawn-now span", has_text=".").wait_for()
            yield {"cell to pixel": lambda: float(page.evaluate(_TO_PIXEL))}


@contextmanager
def _list(size: Size) -> Iterator[Mapping[str, Way]]:
    """A list of two thousand tasks that wait for tomorrow."""
    with servers.ours() as own:
        task = _many(own, size)
        with _page(own, task) as page:

            def further() -> float:
                page.evaluate(_BOARD)
                began = time.perf_counter()
                count = int(page.evaluate(_ALL_PAGES))
                return 1000 * (time.perf_counter() - began) / (count / 50)

            yield {
                "first page": lambda: float(page.evaluate(_BOARD)),
                "each further page": further,
            }


@contextmanager
def _updates(size: Size) -> Iterator[Mapping[str, Way]]:
    """All those tasks on the list, and one that tells something a hundred times a second, of which
    the runner lets through a part; then a hundred events more, as if they came from the server."""
    with servers.ours() as own:
        task = _many(own, size)
        with _page(own, task) as page:
            page.evaluate(_BOARD)
            page.evaluate(_ALL_PAGES)
            quiet = _busy(page, size)
            _run(own, "hundred", _HUNDRED)
            page.locator(".opspawn-row", has_text="hundred").first.wait_for()
            page.locator('.opspawn-row[data-state="running"]').first.wait_for()

            def share(per_second: int) -> float:
                page.evaluate(_PUMP, [task["id"], per_second])
                return _busy(page, size)

            yield {
                "100 events a second": lambda: share(100),
                "100 step.progress a second": lambda: share(0),
                "none": lambda: quiet,
            }


@contextmanager
def _events(size: Size) -> Iterator[Mapping[str, Way]]:
    """The same task alone, and what its page hears on its websocket."""
    with servers.ours() as own:
        task = _run(own, "hundred", _HUNDRED)
        with _page(own, task) as page:
            page.locator(".opspawn-now span", has_text="0").wait_for()
            yield {"events heard": lambda: _heard(page, size)}


def _heard(page: Any, size: Size) -> float:
    """Progress told to the page, a second."""
    heard: list[str] = []
    session = page.context.new_cdp_session(page)
    session.on(
        "Network.webSocketFrameReceived", lambda one: heard.append(one["response"]["payloadData"])
    )
    session.send("Network.enable")
    began = time.perf_counter()
    page.wait_for_timeout(1000 * size.of(_SECONDS, 1))
    told = sum("step.progress" in message for message in heard)
    share = told / (time.perf_counter() - began)
    session.detach()
    return share


def _busy(page: Any, size: Size) -> float:
    """Share of a processor that the page's own thread takes, in percent."""
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")

    def spent() -> float:
        metrics = session.send("Performance.getMetrics")["metrics"]
        return float(next(one["value"] for one in metrics if one["name"] == "TaskDuration"))

    began, before = time.perf_counter(), spent()
    time.sleep(size.of(_SECONDS, 1))
    share = 100 * (spent() - before) / (time.perf_counter() - began)
    session.detach()
    return share


def _many(own: servers.Ours, size: Size) -> Mapping[str, Any]:
    notebooks.write(own.root, "later", ("1 + 1",))
    submission = {
        "spec": {"notebook": "later.ipynb"},
        "policy": {"not_before": "2100-01-01T00:00Z"},
    }
    tasks = [own.process.api("POST", "tasks", submission) for _ in range(size.of(_TASKS, 120))]
    last: Mapping[str, Any] = tasks[-1]
    return last


ROWS = (
    Row(
        name="panel-pixel",
        what="from a cell's step.progress to the pixel in a card",
        unit="ms",
        ways=_to_pixel,
        rounds=30,
    ),
    Row(
        name="panel-list",
        what="a list of 2,000 tasks: 50 on each page",
        unit="ms",
        ways=_list,
        rounds=3,
    ),
    Row(
        name="panel-updates",
        what="the page's thread, with 2,000 tasks on the list",
        unit="% of a processor",
        ways=_updates,
        rounds=3,
    ),
    Row(
        name="panel-events",
        what="of a hundred step.progress a second, those that come to the browser",
        unit="a second",
        ways=_events,
        rounds=3,
    ),
)
