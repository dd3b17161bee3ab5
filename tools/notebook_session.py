"""A notebook session as JupyterLab holds one: a kernel of the server, spoken to over its websocket.

The kernel is started by the server, so it finds the server as any user's kernel does.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from websocket import WebSocket, WebSocketTimeoutException, create_connection

from jupyter_process import JupyterProcess

_CONNECT_SECONDS = 60
_IDLE_SECONDS = 0.25


class CellFailed(Exception):
    """A cell of the notebook raised."""


@dataclass(frozen=True, kw_only=True)
class NotebookSession:
    """An open notebook."""

    socket: WebSocket
    session_id: str

    def run(self, source: str, on_wait: Callable[[], None]) -> Iterator[dict[str, Any]]:
        """Execute one cell: its outputs in nbformat's form, as they come.

        ``on_wait`` is called a few times a second while nothing comes. Raises ``CellFailed``.
        """
        request_id = self._send(source)
        is_idle = is_answered = False
        while not (is_idle and is_answered):
            message = self._receive(on_wait)
            if message["parent_header"].get("msg_id") != request_id:
                continue
            kind, content = message["header"]["msg_type"], message["content"]
            is_idle |= kind == "status" and content["execution_state"] == "idle"
            is_answered |= kind == "execute_reply"
            if kind == "error":
                raise CellFailed(f"{content['ename']}: {content['evalue']}")
            if kind in ("stream", "display_data", "execute_result"):
                yield {"output_type": kind, **content}

    def _send(self, source: str) -> str:
        message_id = uuid.uuid4().hex
        header = {
            "msg_id": message_id,
            "msg_type": "execute_request",
            "session": self.session_id,
            "username": "",
            "version": "5.3",
        }
        content = {
            "code": source,
            "silent": False,
            "store_history": True,
            "allow_stdin": False,
            "stop_on_error": False,  # else a cell soon after one that failed is not run
        }
        message = {
            "header": header,
            "parent_header": {},
            "metadata": {},
            "content": content,
            "channel": "shell",
        }
        self.socket.send(json.dumps(message))
        return message_id

    def _receive(self, on_wait: Callable[[], None]) -> dict[str, Any]:
        while True:
            try:
                message: dict[str, Any] = json.loads(self.socket.recv())
                return message
            except WebSocketTimeoutException:
                on_wait()


@contextmanager
def notebook_session(server: JupyterProcess, path: str) -> Iterator[NotebookSession]:
    """Open a notebook with a kernel of its own; both are closed at the end."""
    request = {"path": path, "name": path, "type": "notebook", "kernel": {"name": "python3"}}
    opened = server.call("POST", "api/sessions", request)
    session_id = uuid.uuid4().hex
    address = server.url.replace("http", "ws", 1)
    socket = create_connection(
        f"{address}api/kernels/{opened['kernel']['id']}/channels?session_id={session_id}",
        header={"Authorization": f"token {server.token}"},
        timeout=_CONNECT_SECONDS,  # it answers when the kernel is up
    )
    socket.settimeout(_IDLE_SECONDS)
    try:
        yield NotebookSession(socket=socket, session_id=session_id)
    finally:
        socket.close()
        server.call("DELETE", f"api/sessions/{opened['id']}")
