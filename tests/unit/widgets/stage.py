"""A page with our modules and a made-up server: real JavaScript in a real browser."""

from __future__ import annotations

import json
from typing import Any

HOST = "http://opspawn.test"
#: Variables of JupyterLab's dark theme, as far as ours use them.
_DARK = """document.body.dataset.jpThemeLight = "false";
for (const [name, value] of Object.entries({
  "--jp-ui-font-color1": "rgba(255,255,255,.87)", "--jp-ui-font-color2": "rgba(255,255,255,.54)",
  "--jp-layout-color1": "#111", "--jp-layout-color2": "#424242", "--jp-border-color2": "#424242",
})) document.body.style.setProperty(name, value);
document.body.style.background = "#111";"""


class Stage:
    """The page, the made-up server behind it, and what happened there."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.problems: list[str] = []

    def mount(self, panel: dict[str, Any], *, has_server: bool = True, **host: Any) -> Any:
        """Draw a panel; its element."""
        script = """async ([panel, hasServer, host]) => {
          const { mount } = await import("/w/panel.js"), { Server } = await import("/w/server.js");
          const place = document.getElementById("place");
          window.view = mount(place, panel, hasServer ? Server.ofPage() : null, host);
        }"""
        self.page.evaluate(script, [panel, has_server, host])
        return self.page.locator("#place > .opspawn")

    def hold(self, *tasks: dict[str, Any]) -> None:
        """Let the server have these tasks."""
        script = "tasks => tasks.forEach((task) => fake.tasks.set(task.id, task))"
        self.page.evaluate(script, list(tasks))

    def tell(self, type: str, task_id: str = "", seq: int = 0, **data: Any) -> None:
        """Let every socket hear an event, once one is open."""
        self.page.wait_for_function("fake.live().length > 0")
        event = {"type": type, "task_id": task_id, "seq": seq, "attempt": 1, "data": data}
        self.page.evaluate("event => fake.tell(event)", event)

    def sent(self, method: str = "POST") -> list[dict[str, Any]]:
        """Requests that the server got."""
        sent: list[dict[str, Any]] = self.page.evaluate("fake.sent")
        return [one for one in sent if one["method"] == method]

    def darken(self) -> None:
        """Switch to JupyterLab's dark theme."""
        self.page.evaluate(_DARK)


def task_record(**changes: Any) -> dict[str, Any]:
    """A task as the server gives it."""
    cells = [
        {"index": index, "state": "not_run", "title": f"step({index})", "duration_seconds": None}
        for index in range(4)
    ]
    record = {
        "id": "0193a0a0-0000-7000-8000-0000c0ffee01",
        "kind": "notebook",
        "name": "penguins",
        "state": "running",
        "seq": 5,
        "attempt": 1,
        "spec": {},
        "run_directory": "opspawn_runs/penguins",
        "created_at": "2026-01-01T10:00:00+00:00",
        "started_at": "2026-01-01T10:00:01+00:00",
        "finished_at": None,
        "cancel_requested": False,
        "cells": cells,
        "outputs": {},
        "progress": None,
        "error": None,
        "kept_kernel": None,
    }
    return json.loads(json.dumps({**record, **changes}))


def failed_record(**changes: Any) -> dict[str, Any]:
    """A task whose third cell raised."""
    record = task_record(
        state="failed",
        finished_at="2026-01-01T10:00:09+00:00",
        error={
            "name": "KeyError",
            "message": "'price'",
            "traceback": ["\x1b[31mKeyError\x1b[0m: 'price'"],
            "cell_index": 2,
        },
    )
    for cell, state in zip(record["cells"], ("success", "success", "failed"), strict=False):
        cell["state"] = state
    return {**record, **changes}


def card(task: dict[str, Any]) -> dict[str, Any]:
    """The panel of one task."""
    return {"version": 1, "view": "task", "task": task}


def board(*tasks: dict[str, Any], **query: Any) -> dict[str, Any]:
    """The panel of a listing."""
    return {"version": 1, "view": "board", "tasks": list(tasks), "query": query}
