"""Jupyter servers that are measured: ours, and one with jupyter-scheduler."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import jupyter_process
from benchmarks import peers, places
from opspawn_jupyter.client.client import AsyncClient
from opspawn_jupyter.client.discovery import Server
from opspawn_jupyter.client.submission import notebook_submission
from opspawn_jupyter.model.states import TRANSITIONS, EventType, State
from opspawn_jupyter.model.task import Submission, Task

_ENABLED = "--ServerApp.jpserver_extensions={'opspawn_jupyter': True}"
_ENDED = frozenset(type for type, move in TRANSITIONS.items() if move.target.is_final)
_DEADLINE_SECONDS = 900.0


class Ours:
    """A server with the extension, and a client that listens as a panel does: on one websocket."""

    def __init__(self, root: Path, client: AsyncClient, process: Any) -> None:
        self.root = root
        self.client = client
        self.process = process
        self._runner = asyncio.Runner()
        self._ended: dict[str, EventType] = {}
        self._news = asyncio.Event()
        self._listening: asyncio.Future[None] | None = None

    def __enter__(self) -> Self:
        self._runner.run(self._start())
        return self

    def __exit__(self, *_: object) -> None:
        self._runner.run(self._stop())
        self._runner.close()

    def submit_and_wait(self, names: list[str], **options: Any) -> float:
        """Seconds from the first submission until the client has heard of the last success."""
        return self._runner.run(
            self._submit_and_wait([notebook_submission(name, **options) for name in names])
        )

    def finish(self, submission: Submission) -> float:
        """The same for one task of whatever kind."""
        return self._runner.run(self._submit_and_wait([submission]))

    def run(self, awaitable: Any) -> Any:
        """What it comes to, in the client's loop."""
        return self._runner.run(awaitable)

    async def submit(self, name: str, options: dict[str, Any]) -> Task:
        """One task."""
        return await self.client.submit(notebook_submission(name, **options))

    async def _submit_and_wait(self, submissions: Sequence[Submission]) -> float:
        began = time.perf_counter()
        tasks = await asyncio.gather(*(self.client.submit(one) for one in submissions))
        waited = {task.id for task in tasks}
        async with asyncio.timeout(_DEADLINE_SECONDS):
            while not waited <= self._ended.keys():
                self._news.clear()
                await self._news.wait()
        seconds = time.perf_counter() - began
        states = {TRANSITIONS[self._ended[task_id]].target for task_id in waited}
        if states != {State.SUCCESS}:
            raise RuntimeError(f"tasks ended as {sorted(states)}")
        return seconds

    async def _start(self) -> None:
        self._listening = asyncio.ensure_future(self._listen())

    async def _stop(self) -> None:
        if self._listening is not None:
            self._listening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._listening

    async def _listen(self) -> None:
        async for message in self.client.messages(None, 0):
            kind = message.get("type")
            if kind in _ENDED:
                self._ended[message["task_id"]] = EventType(kind)
                self._news.set()


@contextmanager
def ours(*settings: str, variables: dict[str, str] | None = None) -> Iterator[Ours]:
    """Our server, in a directory of its own."""
    place = places.directory()
    root, home = place / "root", place / "home"
    root.mkdir()
    process = jupyter_process.start(
        root, home, arguments=[_ENABLED, *settings], variables=variables
    )
    try:
        server = Server(url=process.url, token=process.token, root_directory=str(root))
        with Ours(root, AsyncClient(server), process) as one:
            yield one
    finally:
        jupyter_process.stop(process.process)
        jupyter_process.end_all(home)


class Scheduler:
    """A server with jupyter-scheduler, asked as its own user interface asks it, only more often."""

    def __init__(self, root: Path, url: str, token: str) -> None:
        self.root = root
        self._url = url
        self._headers = {"Authorization": f"token {token}", "Content-Type": "application/json"}

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """The answer to one request."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"{self._url}{path}", data=data, headers=self._headers, method=method
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read() or b"null")

    def submit_and_wait(self, names: list[str]) -> float:
        """Seconds from the first submission until the last job was seen completed."""
        began = time.perf_counter()
        waited = {self._submit(name) for name in names}
        while waited:
            for job in list(waited):
                status = self.ask("GET", f"scheduler/jobs/{job}")["status"]
                if status == "FAILED":  # it is STOPPED before it begins
                    raise RuntimeError(f"jupyter-scheduler's job ended as {status}")
                if status == "COMPLETED":
                    waited.discard(job)
            if time.perf_counter() - began > _DEADLINE_SECONDS:
                raise RuntimeError(f"{len(waited)} jobs of jupyter-scheduler did not end")
            time.sleep(0.02)
        return time.perf_counter() - began

    def _environment(self) -> str:
        return str(self.ask("GET", "scheduler/runtime_environments")[0]["name"])

    def _submit(self, name: str) -> str:
        job = {
            "name": name,
            "input_uri": name,
            "input_filename": name,
            "runtime_environment_name": self._environment(),
            "output_formats": ["ipynb"],
        }
        return str(self.ask("POST", "scheduler/jobs", job)["job_id"])


@contextmanager
def scheduler() -> Iterator[Scheduler]:
    """jupyter-scheduler's server, in its own environment and directory."""
    program = peers.python("scheduler")
    place = places.directory()
    root, home = place / "root", place / "home"
    with socket.socket() as probe:
        root.mkdir()
        probe.bind(("127.0.0.1", 0))
        port, token = probe.getsockname()[1], secrets.token_hex(8)
        probe.close()
        jupyter_process.make_home(home)
        environment = jupyter_process.environment(home)
        environment["PATH"] = f"{program.parent}:{environment['PATH']}"
        environment["JUPYTER_PREFER_ENV_PATH"] = "1"
        process = subprocess.Popen(
            [program, "-m", "jupyter_server", "--no-browser", "--allow-root", f"--port={port}",
             f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={root}"],
            env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        one = Scheduler(root, f"http://127.0.0.1:{port}/", token)
        try:
            _await_answer(one, process)
            yield one
        finally:
            jupyter_process.stop(process)
            jupyter_process.end_all(home)


def _await_answer(one: Scheduler, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 120
    while True:
        try:
            one.ask("GET", "api/status")
            return
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise
        time.sleep(0.1)
