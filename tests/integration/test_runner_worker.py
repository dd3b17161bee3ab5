"""A real worker process against a small server that speaks its two routes."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

from jupyter_process import PATIENCE_SECONDS, runners
from opspawn_jupyter.model import wire
from opspawn_jupyter.model.policy import Policy
from opspawn_jupyter.model.run_directory import RunDirectory
from opspawn_jupyter.model.states import EventType
from opspawn_jupyter.model.work import (
    Assignment,
    Report,
    ReportAnswer,
    ReportedEvent,
    ReportRequest,
    TakeAnswer,
    TakeRequest,
)

AT_WORK = "import time\nprint('at work', flush=True)\ntime.sleep(600)"


class StandIn:
    """The server's side of the worker door, with a memory that survives its restarts."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.state = root / ".opspawn"
        self.state.mkdir()
        self.todo: list[Assignment] = []
        self.to_cancel: set[str] = set()
        self.events: dict[str, list[ReportedEvent]] = {}
        self.takes: list[TakeRequest] = []
        #: How many requests were given up before their answer.
        self.hang_ups = 0
        self._token = ""
        self._changed = asyncio.Condition()
        self._http: HTTPServer | None = None

    async def start(self) -> None:
        """Open on a new port, with a new secret."""
        self._token = os.urandom(8).hex()
        routes = [(r".*/workers/w-1/(take|reports)", _Door, {"server": self})]
        self._http = HTTPServer(Application(routes))  # type: ignore[arg-type]  # tornado's stubs
        (socket,) = bind_sockets(0, "127.0.0.1")
        self._http.add_socket(socket)
        url = f"http://127.0.0.1:{socket.getsockname()[1]}/base/"
        record = {"url": url, "worker_token": self._token}
        (self.state / "server.json").write_text(json.dumps(record))

    async def stop(self) -> None:
        """Go away, and leave ``server.json`` as a killed server does."""
        if self._http is not None:
            self._http.stop()
            await self._http.close_all_connections()
            self._http = None

    def knows(self, authorization: str | None) -> bool:
        return self._http is not None and authorization == f"worker {self._token}"

    async def submit(self, *cells: str, task_id: str = "task-1", **policy: Any) -> RunDirectory:
        directory = RunDirectory(self.root / "runs" / task_id)
        directory.artifacts.mkdir(parents=True)
        directory.input.write_text(json.dumps(_notebook(cells)))
        spec = {
            "notebook": None,
            "parameters": {},
            "kernel": "python3",
            "language": "python",
            "working_directory": ".",
            "source_sha256": "",
        }
        self.todo.append(
            Assignment(
                task_id=task_id,
                attempt=1,
                kind="notebook",
                name="n",
                spec=spec,
                policy=Policy(**policy),
                run_directory=str(directory.path),
                root_directory=str(self.root),
            )
        )
        await self._notify()
        return directory

    async def cancel(self, task_id: str) -> None:
        self.to_cancel.add(task_id)
        await self._notify()

    async def take(self, request: TakeRequest) -> TakeAnswer:
        self.takes.append(request)
        await self._notify()
        async with self._changed:
            try:
                async with asyncio.timeout(request.wait_seconds):
                    await self._changed.wait_for(lambda: bool(self._answer(request)))
            except TimeoutError:
                return TakeAnswer()
            answer = self._answer(request) or TakeAnswer()
            given = {one.task_id for one in answer.assignments}
            self.todo = [one for one in self.todo if one.task_id not in given]
            return answer

    def _answer(self, request: TakeRequest) -> TakeAnswer | None:
        assignments = tuple(self.todo[: request.free_slots])
        cancel = tuple(self.to_cancel & request.held.keys() - set(request.cancelling))
        if assignments or cancel:
            return TakeAnswer(assignments=assignments, cancel=cancel)
        return None

    async def report(self, request: ReportRequest) -> ReportAnswer:
        for one in request.reports:
            self._store(one)
        await self._notify()
        return ReportAnswer()

    def _store(self, report: Report) -> None:
        known = self.events.setdefault(report.task_id, [])
        seen = max((event.number for event in known), default=0)
        known.extend(event for event in report.events if event.number > seen or not event.number)

    async def heard(self, kind: EventType, task_id: str = "task-1") -> ReportedEvent:
        def found() -> ReportedEvent | None:
            events = self.events.get(task_id, [])
            return next((event for event in events if event.type is kind), None)

        async with asyncio.timeout(PATIENCE_SECONDS), self._changed:
            await self._changed.wait_for(lambda: found() is not None)
        event = found()
        assert event is not None
        return event

    def numbers(self, task_id: str = "task-1") -> list[int]:
        return [event.number for event in self.events[task_id] if event.number]

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()


class _Door(RequestHandler):
    def initialize(self, server: StandIn) -> None:
        self._server = server

    async def post(self, verb: str) -> None:
        if not self._server.knows(self.request.headers.get("Authorization")):
            self.set_status(401)
            return
        body = json.loads(self.request.body)
        if verb == "take":
            self.finish(wire.encode(await self._server.take(wire.decode(TakeRequest, body))))
        else:
            self.finish(wire.encode(await self._server.report(wire.decode(ReportRequest, body))))

    def on_connection_close(self) -> None:
        self._server.hang_ups += 1

    def log_exception(self, *_: Any) -> None:
        """A connection that closes under a long poll is what some of these tests are about."""


def _notebook(cells: tuple[str, ...]) -> dict[str, Any]:
    made = [
        {
            "cell_type": "code",
            "id": f"cell-{number}",
            "source": source,
            "metadata": {},
            "outputs": [],
            "execution_count": None,
        }
        for number, source in enumerate(cells)
    ]
    return {"cells": made, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


def tell_story(
    root: Path, story: Callable[[StandIn, Worker], Awaitable[None]], *flags: str
) -> None:
    """Run the story with a server and a worker, and end both."""

    async def whole() -> None:
        server = StandIn(root)
        await server.start()
        try:
            async with _worker(server, *flags) as worker:
                await story(server, worker)
        finally:
            await server.stop()

    asyncio.run(whole())


Worker = psutil.Popen


@asynccontextmanager
async def _worker(server: StandIn, *flags: str) -> AsyncIterator[Worker]:
    command = [sys.executable, "-m", "opspawn_jupyter.worker", "--worker-id", "w-1"]
    graces = ["--interrupt-grace", "1", "--terminate-grace", "2"]
    with (server.root / "worker.log").open("wb") as log:
        process = psutil.Popen(
            [*command, "--state-directory", str(server.state), "--slots", "2", *graces, *flags],
            stderr=log,
            stdout=log,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            await _end(process)
            print((server.root / "worker.log").read_text())  # pytest shows it


async def _end(process: Worker) -> None:
    if process.poll() is None:
        process.terminate()
    try:
        await asyncio.to_thread(process.wait, PATIENCE_SECONDS)
    except psutil.TimeoutExpired:
        process.kill()
        process.wait()
        raise


async def gone(*pids: int) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while any(_is_alive(pid) for pid in pids):  # noqa: ASYNC110  # a process tells nobody
            await asyncio.sleep(0.05)


def _is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_worker_takes_runs_and_reports(tmp_path: Path) -> None:
    """The whole life of a worker, and its trace for the server's supervisor."""

    async def story(server: StandIn, worker: Worker) -> None:
        await server.submit("print('one')", task_id="task-1")
        await server.submit("1 / 0", task_id="task-2")
        await server.heard(EventType.SUCCEEDED, "task-1")
        await server.heard(EventType.FAILED, "task-2")

        record = json.loads((server.state / "workers" / "w-1.json").read_text())
        assert record["pid"] == worker.pid
        assert abs(record["created"] - worker.create_time()) < 0.01
        assert server.numbers("task-1") == list(range(1, 7))
        assert (await server.heard(EventType.KERNEL_STARTED)).data["tier"] == "kernel"
        # The one that was brought up before a task came is the one that tasks need.
        sockets = [name for name in os.listdir(record["fork_servers"]) if name.endswith(".sock")]  # noqa: PTH208
        assert len(sockets) == 1
        assert server.events["task-1"][0].data == {"worker": "w-1"}

    tell_story(tmp_path, story)

    assert not (tmp_path / ".opspawn" / "workers" / "w-1.json").exists()


def test_a_third_task_waits_for_one_of_two_slots(tmp_path: Path) -> None:
    """And is taken as soon as a slot is free, not at the end of a long poll, which goes on: a
    connection that were given up each time would have to be opened anew."""

    async def story(server: StandIn, _worker: Worker) -> None:
        await server.submit(AT_WORK, task_id="task-1")
        await server.submit(AT_WORK, task_id="task-2")
        await server.heard(EventType.CELL_OUTPUT, "task-1")
        await server.heard(EventType.CELL_OUTPUT, "task-2")
        await server.submit("3", task_id="task-3")
        assert server.takes[-1].free_slots == 0

        await server.cancel("task-1")
        await server.heard(EventType.CANCELLED, "task-1")
        await server.heard(EventType.SUCCEEDED, "task-3")
        assert server.hang_ups == 0

    tell_story(tmp_path, story)


def test_nothing_is_lost_while_the_server_is_away(tmp_path: Path) -> None:
    """The server comes back on another port, with another secret, and hears it all once."""

    async def story(server: StandIn, _worker: Worker) -> None:
        release = server.root / "release"
        wait = f"import os, time\nwhile not os.path.exists({str(release)!r}): time.sleep(0.05)"
        directory = await server.submit("print('before', flush=True)", wait, "3")
        await server.heard(EventType.CELL_STARTED)
        await server.stop()
        release.touch()
        await _journal_has(directory, "task.succeeded")

        await server.start()
        await server.heard(EventType.SUCCEEDED)

        assert server.numbers() == list(range(1, 11))

    tell_story(tmp_path, story)


async def _journal_has(directory: RunDirectory, kind: str) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while kind not in directory.events.read_text():  # noqa: ASYNC110  # nor does a file
            await asyncio.sleep(0.05)


def test_a_killed_runner_is_reported_as_a_crash(tmp_path: Path) -> None:
    """Whatever dies below the worker, the server hears of it."""

    async def story(server: StandIn, worker: Worker) -> None:
        directory = await server.submit("1", AT_WORK, "3")
        kernel = await server.heard(EventType.KERNEL_STARTED)
        await server.heard(EventType.CELL_OUTPUT)
        (runner,) = runners(worker)
        runner.kill()

        crash = await server.heard(EventType.CRASHED)
        assert crash.data["error"]["signal"] == "SIGKILL"
        assert json.loads(directory.summary.read_text())["state"] == "crashed"
        await gone(kernel.data["pid"], runner.pid)

    tell_story(tmp_path, story)


def test_a_killed_worker_leaves_no_process_behind(tmp_path: Path) -> None:
    """Runner, kernel, fork server and what a cell started end by themselves."""

    async def story(server: StandIn, worker: Worker) -> None:
        sleeper = "import subprocess\nsubprocess.Popen(['sleep', '600'], start_new_session=True)\n"
        directory = await server.submit(sleeper + AT_WORK)
        await server.heard(EventType.CELL_OUTPUT)
        family = [child.pid for child in worker.children(recursive=True)]
        assert len(family) >= 4
        worker.kill()

        await gone(*family)
        notebook = json.loads(directory.output.read_text())
        assert notebook["cells"][0]["metadata"]["opspawn"]["state"] == "crashed"

    tell_story(tmp_path, story)


def test_a_worker_that_is_told_to_end_reports_its_tasks(tmp_path: Path) -> None:
    """SIGTERM is how a machine is shut down; the server is told what became of its tasks."""

    async def story(server: StandIn, worker: Worker) -> None:
        await server.submit(AT_WORK)
        kernel = await server.heard(EventType.KERNEL_STARTED)
        await server.heard(EventType.CELL_OUTPUT)
        worker.send_signal(signal.SIGTERM)

        crash = await server.heard(EventType.CRASHED)
        assert "told to end" in crash.data["error"]["message"]
        await gone(worker.pid, kernel.data["pid"])

    tell_story(tmp_path, story)


def test_a_lonely_worker_leaves(tmp_path: Path) -> None:
    """A server that was killed and never comes back must not leave a worker for ever."""

    async def story(server: StandIn, worker: Worker) -> None:
        await server.submit("1")
        await server.heard(EventType.SUCCEEDED)
        await server.stop()

        await gone(worker.pid)

    tell_story(tmp_path, story, "--lonely-after", "1")
