"""``status`` and ``tasks``: a look at the server that is over as soon as Python has started.

They are asked again and again, by people and by scripts, so they do without the client: its event
loop and its records of everything else take ten times as long to import as they take to run.
"""

from __future__ import annotations

import sys
from pathlib import Path

from opspawn_jupyter.client import discovery
from opspawn_jupyter.client.discovery import Server
from opspawn_jupyter.client.parser import Options
from opspawn_jupyter.client.plain_http import get
from opspawn_jupyter.client.task_paths import listing_query, task_path
from opspawn_jupyter.client.task_query import task_query
from opspawn_jupyter.client.task_text import page_text, task_card
from opspawn_jupyter.model import wire
from opspawn_jupyter.model.task import Task, TaskPage


def perform(options: Options) -> int | None:
    """Print what the command asks for; the exit code. None where the server is one that only the
    client can talk to. Raises ``OpspawnError``."""
    server = discovery.find(options.server)
    if not server.url.startswith("http://"):
        return None
    glance = _Glance(server)
    found: Task | TaskPage
    if options.command == "tasks":
        found = glance.tasks(options)
        text = page_text(found)
    else:
        found = glance.task(options.task)
        text = task_card(found, str(Path(server.root_directory or "", found.run_directory)))
    sys.stdout.write(f"{wire.to_json(found) if options.json else text}\n")
    sys.stdout.flush()
    return 0


class _Glance:
    def __init__(self, server: Server) -> None:
        self._server = server

    def task(self, reference: str) -> Task:
        return wire.decode(Task, get(self._server, task_path(reference)))

    def tasks(self, options: Options) -> TaskPage:
        query = listing_query(task_query(self, options))
        return wire.decode(TaskPage, get(self._server, "tasks", query))
