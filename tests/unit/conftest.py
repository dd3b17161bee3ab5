"""A server that speaks the routes a client needs, in a thread of the test's own process.

It keeps tasks and events in memory, applies the real transition table, and does what a test
says: make something happen, break every stream, go away, come back on another port.
"""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler
from tornado.websocket import WebSocketHandler

from jupyter_process import PATIENCE_SECONDS
from opspawn_jupyter import errors
from opspawn_jupyter.client.discovery import Server
from opspawn_jupyter.model import wire
from opspawn_jupyter.model.advance import advance
from opspawn_jupyter.model.event import Draft, Event
from opspawn_jupyter.model.ids import new_id
from opspawn_jupyter.model.notebook import Parameter
from opspawn_jupyter.model.states import EventType
from opspawn_jupyter.model.table import Column, Table
from opspawn_jupyter.model.task import Task, TaskPage

TOKEN = "the-stand-in-token"
PREFIX = "/base/opspawn/api/v1/"
CELLS = [{"index": 1, "title": "load = 1"}, {"index": 3, "title": "plot(load)"}]

#: What happens to each new task in the stories that tests tell.
SUCCESS = [
    (EventType.STARTED, {"worker": "w"}),
    (EventType.CELLS_PLANNED, {"cells": CELLS}),
    (EventType.CELL_STARTED, {"index": 1}),
    (EventType.CELL_OUTPUT, {"index": 1, "output_number": 1, "output": {
        "output_type": "stream", "name": "stdout", "text": "loaded 3 rows\n"}}),
    (EventType.CELL_FINISHED, {"index": 1, "state": "success", "duration_seconds": 0.1}),
    (EventType.CELL_STARTED, {"index": 3}),
    (EventType.STEP_OUTPUT, {"name": "rows", "value": 3}),
    (EventType.CELL_FINISHED, {"index": 3, "state": "success", "duration_seconds": 0.2}),
    (EventType.SUCCEEDED, {}),
]  # fmt: skip
PROBLEM = {"name": "ValueError", "message": "ValueError: <b>bad</b>", "cell_index": 3}
FAILURE = [*SUCCESS[:6], (EventType.FAILED, {"error": PROBLEM})]
CRASH = [
    *SUCCESS[:6],
    (EventType.CRASHED, {"error": {**PROBLEM, "name": "crashed", "message": "the kernel died"}}),
]


class StandIn:
    """The server. Its state survives ``restart``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.tasks: dict[str, Task] = {}
        self.events: list[Event] = []
        self.requests: list[tuple[str, str, Any]] = []
        self.story: list[tuple[EventType, dict[str, Any]]] = []
        self.log = "first line\nsecond line\n"
        self.table = Table(columns=(Column(name="n", type="INTEGER"),), rows=((1,), (None,)))
        self.listeners: list[Any] = []
        #: Called with each request, in the server's thread.
        self.on_request: Callable[[Any], object] = lambda _: None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.start()

    def start(self) -> None:
        self._in_loop(self._start)

    def _start(self) -> None:
        routes = [(f"{PREFIX}events/stream", _Stream), (f"{PREFIX}(.*)", _Route)]
        self._http = HTTPServer(Application([(p, h, {"world": self}) for p, h in routes]))
        (socket,) = bind_sockets(0, "127.0.0.1")
        self.port = socket.getsockname()[1]
        self._http.add_socket(socket)

    def stop(self) -> None:
        self._in_loop(self._stop)

    async def _stop(self) -> None:
        self._http.stop()
        self._drop()
        await self._http.close_all_connections()

    def close(self) -> None:
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def drop_streams(self) -> None:
        self._in_loop(self._drop)

    def _drop(self) -> None:
        for listener in list(self.listeners):
            listener.close()
        self.listeners.clear()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/base/"

    @property
    def server(self) -> Server:
        return Server(url=self.url, token=TOKEN, root_directory=str(self.root))

    def describe_in(self, directory: Path, pid: int = 0, **changes: Any) -> None:
        """Leave a runtime file, as Jupyter does."""
        pid = pid or os.getpid()
        said = {
            "url": self.url,
            "token": TOKEN,
            "pid": pid,
            "root_dir": str(self.root),
            "base_url": "/base/",
            "sock": "",
        }
        directory.mkdir(exist_ok=True)
        (directory / f"jpserver-{pid}.json").write_text(json.dumps({**said, **changes}))

    def happen(self, task_id: str, type: EventType, **data: Any) -> None:
        self._in_loop(lambda: self._append(task_id, type, data))

    def play(self, task_id: str, story: list[tuple[EventType, dict[str, Any]]]) -> None:
        for type, data in story:
            self.happen(task_id, type, **data)

    def submitted(self, name: str = "nb.ipynb") -> Task:
        """A queued task, without a request."""
        return self._in_loop(lambda: self._submit({"kind": "notebook", "name": name, "spec": {}}))

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            assert time.monotonic() < deadline, "it did not happen"
            time.sleep(0.005)

    def _submit(self, asked: dict[str, Any]) -> Task:
        task_id = new_id()
        name = asked.get("name") or Path(asked["spec"].get("notebook") or "code").name
        data = {**asked, "name": name, "run_directory": f"opspawn_runs/run {name}"}
        self._append(task_id, EventType.SUBMITTED, data)
        self._append(task_id, EventType.QUEUED, {})
        for type, details in self.story:
            self._append(task_id, type, details)
        return self.tasks[task_id]

    def _append(self, task_id: str, type: EventType, data: dict[str, Any]) -> None:
        draft = Draft(task_id=task_id, type=type, data=data, attempt=1)
        seq = len([one for one in self.events if one.type.is_durable]) + type.is_durable
        event = Event(**vars(draft), seq=seq)
        if type.is_durable:
            task = advance(self.tasks.get(task_id), draft)
            self.tasks[task_id] = replace(task, seq=seq)
        self.events.append(event)
        for listener in self.listeners:
            listener.tell(event)

    def _in_loop(self, work: Callable[[], Any]) -> Any:
        async def call() -> Any:
            result = work()
            return await result if asyncio.iscoroutine(result) else result

        return asyncio.run_coroutine_threadsafe(call(), self._loop).result(10)


class _Route(RequestHandler):
    def initialize(self, world: StandIn) -> None:
        self.world = world

    def get(self, path: str) -> None:
        self._answer(path)

    def post(self, path: str) -> None:
        self._answer(path)

    def _answer(self, path: str) -> None:
        body = json.loads(self.request.body) if self.request.body else None
        self.world.requests.append((self.request.method or "", path, body))
        self.world.on_request(self.request)
        try:
            if path != "health" and self.request.headers.get("Authorization") != f"token {TOKEN}":
                raise errors.NotAuthenticated
            self._route(path, body)
        except errors.OpspawnError as problem:
            status = {"not_authenticated": 403, "task_not_found": 404, "not_found": 404}
            self.set_status(status.get(problem.code, 422))
            self.finish(
                {
                    "code": problem.code,
                    "message": problem.message,
                    "detail": problem.detail,
                    "request_id": "r",
                }
            )

    def _route(self, path: str, body: Any) -> None:
        world = self.world
        first, *rest = path.split("/")
        if path == "health":
            self._send({"status": "ok", "version": "0"})
        elif path == "tasks" and body is not None:
            if "missing" in str(body["spec"].get("notebook")):
                raise errors.NotebookNotFound(body["spec"]["notebook"])
            self._send(world._submit(body), 201)
        elif path == "tasks":
            self._send(TaskPage(tasks=tuple(reversed(world.tasks.values()))))
        elif path == "sql":
            self._send(world.table)
        elif first == "notebooks":
            self._send({"parameters": [Parameter(name="year", type="int", default="2026")]})
        elif first == "tasks":
            self._task_route(rest)
        else:
            raise errors.NotFound(path)

    def _task_route(self, rest: list[str]) -> None:
        world = self.world
        (task,) = [one for one in world.tasks.values() if one.id.endswith(rest[0])] or [None]
        if task is None:
            raise errors.TaskNotFound(rest[0])
        match rest[1:]:
            case []:
                self._send(task)
            case ["cancel"]:
                world._append(task.id, EventType.WITHDRAWN, {})
                self._send(world.tasks[task.id], 202)
            case ["logs"]:
                self._send_log(task)
            case ["events"]:
                durable = [one for one in world.events if one.type.is_durable]
                self._send({"events": [one for one in durable if one.task_id == task.id]})
            case ["notebook"]:
                self.finish(b"{}")
            case ["artifacts"]:
                self._send({"artifacts": [{"path": "a b.png", "size_bytes": 3}]})
            case _:
                raise errors.NotFound("/".join(rest))

    def _send_log(self, task: Task) -> None:
        offset = int(self.get_query_argument("offset", "0"))
        tail = self.get_query_argument("tail", "")
        text = self.world.log[offset : offset + 8]
        if tail:
            text = "".join(self.world.log.splitlines(keepends=True)[-int(tail) :])
        finished = task.state.is_final
        self._send({"text": text, "next_offset": offset + len(text), "finished": finished})

    def _send(self, record: Any, status: int = 200) -> None:
        self.set_status(status)
        self.finish(wire.to_json(record))


class _Stream(WebSocketHandler):
    def initialize(self, world: StandIn) -> None:
        self.world = world

    def open(self, *_: str, **__: str) -> None:
        self.task_id = self.get_query_argument("task")
        after = int(self.get_query_argument("after", "0"))
        self.write_message({"type": "hello", "seq": len(self.world.events), "instance": "one"})
        self.write_message({"type": "task.of_the_future", "seq": 10**6})
        missed = [
            wire.to_json(event)
            for event in self.world.events
            if event.task_id == self.task_id and (event.seq > after or not event.type.is_durable)
        ]
        for message in ["\n".join(missed)] if self.get_query_argument("batched", "") else missed:
            if message:
                self.write_message(message)
        self.world.listeners.append(self)

    def tell(self, event: Event) -> None:
        if event.task_id == self.task_id:
            self.write_message(wire.to_json(event))

    def on_close(self) -> None:
        if self in self.world.listeners:
            self.world.listeners.remove(self)


@pytest.fixture
def stories() -> dict[str, list[tuple[EventType, dict[str, Any]]]]:
    """What can happen to a task, by outcome."""
    return {"success": SUCCESS, "failure": FAILURE, "crash": CRASH}


@pytest.fixture
def runtime_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty Jupyter runtime directory, in a process that no kernel or hub started."""
    directory = tmp_path / "runtime"
    directory.mkdir()
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(directory))
    for name in list(os.environ):
        if name.startswith(("OPSPAWN_", "JPY_", "JUPYTERHUB_")):
            monkeypatch.delenv(name)
    return directory


@pytest.fixture
def stand_in(tmp_path: Path, runtime_directory: Path) -> Iterator[StandIn]:
    """A running stand-in that is found from its root, which is the current directory."""
    root = tmp_path / "root"
    root.mkdir()
    one = StandIn(root)
    one.describe_in(runtime_directory)
    yield one
    one.close()
