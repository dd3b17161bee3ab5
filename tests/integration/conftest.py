"""A real Jupyter server with the extension, and every kind of request to it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

from jupyter_process import PATIENCE_SECONDS, JupyterProcess, jupyter_server
from opspawn_jupyter.server.routing import API

T = TypeVar("T")

ENABLED = "--ServerApp.jpserver_extensions={'opspawn_jupyter': True}"


@dataclass(frozen=True)
class Server:
    """A running server, asked as strangers and friends would."""

    jupyter: JupyterProcess

    @property
    def root(self) -> Path:
        """The directory that it serves."""
        return self.jupyter.root

    def ask(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        headers: dict[str, str] | None = None,
        token: str | None = "",
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body; with the server's own token unless another or None is given."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        shown = self.jupyter.token if token == "" else token
        given = {"Authorization": f"token {shown}"} if shown else {}
        request = urllib.request.Request(
            f"{self.jupyter.url}{API}/{path}",
            data=data,
            method=method,
            headers={**given, **(headers or {})},
        )
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:
                return answer.status, dict(answer.headers), answer.read()
        except urllib.error.HTTPError as refusal:
            with refusal:
                return refusal.code, dict(refusal.headers), refusal.read()

    def json(self, method: str, path: str, **more: Any) -> tuple[int, Any]:
        """Status and JSON of the answer."""
        status, _, body = self.ask(method, path, **more)
        return status, json.loads(body)

    def shell(self, *words: str) -> subprocess.CompletedProcess[str]:
        """The command ``opspawn`` with these words, in the server's directory."""
        return subprocess.run(
            [sys.executable, "-m", "opspawn_jupyter.cli", *words],
            env=self.jupyter.environment,
            cwd=self.root,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )

    def wait(
        self,
        what: str,
        look: Callable[[], T],
        is_right: Callable[[T], object],
        seconds: float = PATIENCE_SECONDS,
    ) -> T:
        """The first answer of ``look`` that is right, within the deadline."""
        end = time.monotonic() + seconds
        while not is_right(answer := look()):
            if time.monotonic() > end:
                pytest.fail(f"{what}: not in time, last {answer!r}\n{self.jupyter.log[-4000:]}")
            time.sleep(0.05)
        return answer

    def await_tools(self) -> None:
        """Return once no tool server is still starting: a listing leaves such a one out."""
        self.wait(
            "the tool servers",
            lambda: self.json("GET", "mcp/tools")[1]["problems"],
            lambda problems: not any("starting" in problem for problem in problems.values()),
        )

    def health(self) -> dict[str, Any]:
        """What the server says about itself, once it has made up its mind."""
        return self.wait(
            "a settled server",
            lambda: self.json("GET", "health", token=None)[1],
            lambda health: "starting" not in (health["problem"] or ""),
        )


def notebook_of(source: str) -> dict[str, Any]:
    """A notebook with this one cell."""
    cell = {"cell_type": "code", "id": "a", "metadata": {}, "outputs": [], "source": source}
    kernel = {"name": "python3", "display_name": "Python"}
    return {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {"kernelspec": kernel},
        "cells": [{**cell, "execution_count": None}],
    }


def files_below(root: Path) -> Iterator[tuple[Path, bytes]]:
    """Every file with its content, but for those that are replaced or removed at that moment."""
    for directory, _, names in os.walk(root):
        for path in (Path(directory, name) for name in names):
            with suppress(FileNotFoundError):
                content = path.read_bytes() if path.is_file() else b""
                yield path, content


Running = Callable[..., AbstractContextManager[Server]]


@pytest.fixture(scope="session")
def running() -> Running:
    """Starts a server of a directory, with further arguments, for the length of a block."""

    @contextmanager
    def start(root: Path, home: Path, *arguments: str) -> Iterator[Server]:
        with jupyter_server(root, home, arguments=[ENABLED, *arguments]) as jupyter:
            server = Server(jupyter)
            server.health()
            yield server

    return start


@pytest.fixture(scope="module")
def server(running: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for the tests of a module."""
    home = tmp_path_factory.mktemp("home")
    with running(tmp_path_factory.mktemp("root"), home) as one:
        yield one
