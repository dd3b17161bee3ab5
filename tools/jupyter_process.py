"""A real Jupyter Server of one's own: started on a free port, isolated, and gone without trace.

What the demo, the tests and the pictures share. Every process that descends from the server
carries its runtime directory in the environment; by that mark ``processes`` finds them all,
including workers, which are in process groups of their own.
"""

from __future__ import annotations

import itertools
import json
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

#: How long anything is waited for: far longer than it takes where other programs have most of the
#: processors, and far shorter than a test may take.
PATIENCE_SECONDS = 150.0
STOP_SECONDS = 60.0
_MARK = "JUPYTER_RUNTIME_DIR"
_port_numbers = itertools.count(1009 * os.getpid())
#: Variables by which an outer server, hub or shell would be taken for the one started here.
_FOREIGN = ("OPSPAWN_", "JPY_", "JUPYTER", "VSCODE_")


@dataclass(frozen=True, kw_only=True)
class JupyterProcess:
    """A running server."""

    url: str
    token: str
    #: The directory that it serves.
    root: Path
    #: Where its configuration, runtime files and log lie.
    home: Path
    process: subprocess.Popen[bytes]

    @property
    def log(self) -> str:
        """What it has said."""
        return (self.home / "server.log").read_text(errors="replace")

    @property
    def environment(self) -> dict[str, str]:
        """Environment for a process that is to use this server, and no other."""
        return environment(self.home) | {"OPSPAWN_URL": self.url, "OPSPAWN_TOKEN": self.token}

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """One request to the server's REST interface, below its base URL."""
        request = urllib.request.Request(  # noqa: S310 (our own address)
            self.url + path,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"token {self.token}", "Content-Type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:  # noqa: S310
            return json.loads(answer.read() or b"null")

    def await_health(self, timeout_seconds: float = PATIENCE_SECONDS) -> dict[str, Any]:
        """What opspawn says of itself, once it is ready or the time is over."""
        deadline = time.monotonic() + timeout_seconds
        while True:
            health: dict[str, Any] = self.api("GET", "health")
            if health["status"] == "ok" or time.monotonic() > deadline:
                return health
            time.sleep(0.1)

    def await_task(self, task_id: str, timeout_seconds: float = PATIENCE_SECONDS) -> dict[str, Any]:
        """The task once it has ended. Raises ``TimeoutError``."""
        deadline = time.monotonic() + timeout_seconds
        while time.monotonic() < deadline:
            task: dict[str, Any] = self.api("GET", f"tasks/{task_id}")
            if task["finished_at"]:
                return task
            time.sleep(0.1)
        raise TimeoutError(task_id)

    def api(self, method: str, path: str, body: Any = None) -> Any:
        """One request to opspawn's own REST interface."""
        return self.call(method, f"opspawn/api/v1/{path}", body)


@contextmanager
def jupyter_server(
    root: Path,
    home: Path,
    *,
    app: str = "jupyter_server",
    arguments: Sequence[str] = (),
    **more: Any,
) -> Iterator[JupyterProcess]:
    """A server of ``root`` that answers; at the end it is stopped and so is all it started.

    ``app`` is the module to run: ``jupyter_server`` or ``jupyterlab``; ``more`` is for ``start``.
    """
    try:
        server = start(root, home, app=app, arguments=arguments, **more)
        try:
            yield server
        finally:
            stop(server.process)
    finally:
        end_all(home)


def start(
    root: Path,
    home: Path,
    *,
    app: str = "jupyter_server",
    arguments: Sequence[str] = (),
    variables: Mapping[str, str] | None = None,
    python: str = sys.executable,
    base_url: str = "/",
    port: int | None = None,
    token: str | None = None,
) -> JupyterProcess:
    """A server that answers, for the caller to end. ``variables`` are added to its environment;
    ``python`` is the interpreter of the environment that it is taken from; ``port`` and ``token``
    are those of an earlier server whose place it takes.

    Raises ``RuntimeError`` where it does not come up.
    """
    make_home(home)
    port, token = port or free_port(), token or secrets.token_hex(16)
    command = [python, "-m", app, "--no-browser", "--ip=127.0.0.1", f"--port={port}"]
    command += ["--ServerApp.port_retries=0", f"--ServerApp.root_dir={root}"]
    command += [f"--ServerApp.base_url={base_url}", *arguments]
    if os.geteuid() == 0:
        command.append("--allow-root")
    with (home / "server.log").open("ab") as log:
        process = subprocess.Popen(
            command,
            env=environment(home, python) | {"JUPYTER_TOKEN": token} | dict(variables or {}),
            cwd=root,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    server = JupyterProcess(
        url=f"http://127.0.0.1:{port}{base_url}",
        token=token,
        root=root,
        home=home,
        process=process,
    )
    try:
        _await_answer(server)
    except BaseException:
        stop(process)
        raise
    return server


def make_home(home: Path) -> None:
    """Directories of its own for Jupyter's files, without the news that JupyterLab asks about."""
    for name in ("config/labconfig", "data", "runtime", "ipython"):
        (home / name).mkdir(parents=True, exist_ok=True)
    disabled = {"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}}
    (home / "config/labconfig/page_config.json").write_text(json.dumps(disabled))


def environment(home: Path, python: str = sys.executable) -> dict[str, str]:
    """The present environment, less what belongs to other servers, with Jupyter's files in
    ``home`` and the commands beside ``python``."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    return kept | {
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        _MARK: str(home / "runtime"),
        "IPYTHONDIR": str(home / "ipython"),
        "PATH": os.pathsep.join([str(Path(python).parent), kept.get("PATH", "")]),
    }


def processes(home: Path) -> list[psutil.Process]:
    """Every process that was started for the server of this home, and is alive."""
    mark = str(home / "runtime")
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get(_MARK) == mark:
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
    return [process for process in found if process.is_running()]


def runners(worker: psutil.Process) -> list[psutil.Process]:
    """The processes in which a worker carries tasks out: forks of multiprocessing's server."""
    try:
        servers = [one for one in worker.children() if "multiprocessing" in _command_line(one)]
        return [runner for server in servers for runner in server.children()]
    except psutil.NoSuchProcess:
        return []


def await_none(home: Path, timeout_seconds: float = STOP_SECONDS) -> list[str]:
    """Wait until no process of the home is left; the command lines of those that stayed."""
    deadline = time.monotonic() + timeout_seconds
    while (left := processes(home)) and time.monotonic() < deadline:
        psutil.wait_procs(left, timeout=0.2)
    return [_command_line(process) for process in left]


def end_all(home: Path) -> None:
    """Kill what is left of the home's processes, whatever it is."""
    if await_none(home):
        while left := processes(home):
            for process in left:
                _quietly_kill(process)
            psutil.wait_procs(left, timeout=1)


def _command_line(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return f"process {process.pid}"


def _quietly_kill(process: psutil.Process) -> None:
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return


def free_port() -> int:
    """A port on which nobody listens at this moment, and that the system gives nobody.

    Those that it gives itself (Linux from 32768 on, others from 49152) go to every connection and
    to every kernel: one of them could be somebody's again before a server is up that is to have it.
    No two calls give the same, and two processes hardly ever.
    """
    while True:
        port = 10_000 + next(_port_numbers) % 22_000
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def _await_answer(server: JupyterProcess) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            server.call("GET", "api/status")
            return
        except (urllib.error.URLError, OSError):
            if server.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the Jupyter server did not start:\n{server.log}") from None
        time.sleep(0.1)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ask it to end, and after a while make it."""
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
