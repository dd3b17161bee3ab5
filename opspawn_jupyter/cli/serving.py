"""A Jupyter server for one run: ``opspawn run --serve``.

It has a runtime directory of its own, so that no other shell takes it for a server that stays,
and its token lies in a file that only this user can read.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

from opspawn_jupyter import errors
from opspawn_jupyter.client.client import AsyncClient, Client
from opspawn_jupyter.client.discovery import Server
from opspawn_jupyter.files import write_json

_START_TIMEOUT_SECONDS = 60.0
_STOP_TIMEOUT_SECONDS = 15.0
_KILL_AFTER_SECONDS = 5.0
_POLL_SECONDS = 0.05
_EXTENSION = "opspawn_jupyter"
#: Jupyter looks for a free port, and takes it a second later. One that the system gives to whoever
#: connects to somewhere may be gone by then; these it does not give.
_PORTS = range(10_000, 32_000)


@contextmanager
def temporary_server(root: Path) -> Iterator[Server]:
    """A server over the directory, ready for tasks; it and all that it started end with the
    context. Raises ``ServerNotFound`` where it does not start, ``StoreUnavailable`` where it
    cannot take tasks."""
    with tempfile.TemporaryDirectory(prefix="opspawn-serve-") as scratch:
        started_at = time.time()
        process = _start(root, Path(scratch))
        try:
            server = _ready(process, Path(scratch), root)
            yield server
        finally:
            _stop(process, root, started_at)


def common_root(paths: Sequence[Path]) -> Path:
    """The nearest directory above all of them; the last one's where only the whole disk is."""
    common = Path(os.path.commonpath([path.absolute() for path in paths]))
    return paths[-1].absolute() if common == Path(common.anchor) else common


def _start(root: Path, scratch: Path) -> subprocess.Popen[bytes]:
    token = secrets.token_urlsafe(32)
    settings = {
        "ServerApp": {
            "ip": "127.0.0.1",
            "port": secrets.choice(_PORTS),
            "root_dir": str(root),
            "open_browser": False,
            "allow_root": os.geteuid() == 0,  # a container's user; Jupyter would refuse
            "jpserver_extensions": {_EXTENSION: True},
        },
        "IdentityProvider": {"token": token},
    }
    write_json(scratch / "config.json", settings, mode=0o600)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OPSPAWN_U")}
    kept.pop("OPSPAWN_TOKEN", None)
    environment = {**kept, "JUPYTER_RUNTIME_DIR": str(scratch / "runtime")}
    with (scratch / "server.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "jupyter_server", f"--config={scratch / 'config.json'}"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment,
            cwd=root,
            start_new_session=True,  # Ctrl-C is for us to handle
        )


def _ready(process: subprocess.Popen[bytes], scratch: Path, root: Path) -> Server:
    """The server, once it says that it takes tasks."""
    said = _runtime_file(process, scratch)
    token = json.loads((scratch / "config.json").read_bytes())["IdentityProvider"]["token"]
    server = Server(url=str(said["url"]), token=token, root_directory=str(root))
    problem = _await_health(process, Client(AsyncClient(server)))
    if process.poll() is not None:
        raise _not_up(scratch)
    if problem is not None:
        raise problem
    return server


def _await_health(process: subprocess.Popen[bytes], client: Client) -> errors.OpspawnError | None:
    """What is wrong with the server in the end. Its address is known before it listens there, and
    its store is opened in the background while it already answers."""
    problem: errors.OpspawnError | None = None
    give_up_at = time.monotonic() + _START_TIMEOUT_SECONDS
    while process.poll() is None and time.monotonic() < give_up_at:
        try:
            health = client.health()
        except errors.ServerUnreachable as failure:
            problem = failure
        else:
            if health.status == "ok":
                return None
            problem = errors.StoreUnavailable.restore(health.problem or health.status, {})
        time.sleep(_POLL_SECONDS)
    return problem


def _runtime_file(process: subprocess.Popen[bytes], scratch: Path) -> dict[str, object]:
    file = scratch / "runtime" / f"jpserver-{process.pid}.json"
    give_up_at = time.monotonic() + _START_TIMEOUT_SECONDS
    while process.poll() is None and time.monotonic() < give_up_at:
        try:
            return dict(json.loads(file.read_bytes()))
        except (OSError, ValueError):
            time.sleep(_POLL_SECONDS)  # not there yet, or half written
    raise _not_up(scratch)


def _not_up(scratch: Path) -> errors.ServerNotFound:
    lines = (scratch / "server.log").read_text(errors="replace").strip().splitlines()
    last = lines[-1] if lines else "it says nothing"
    return errors.ServerNotFound(hint=f"the one started for this run did not come up: {last}")


def _stop(process: subprocess.Popen[bytes], root: Path, started_at: float) -> None:
    """End the server, then what it leaves behind: a worker outlives its server by design."""
    started = [*_children(process.pid), *_workers(root, started_at)]
    process.terminate()
    try:
        process.wait(_STOP_TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    started += [child for parent in list(started) for child in _children(parent.pid)]
    for survivor in _living(started):
        _signal(survivor, psutil.Process.terminate)
    psutil.wait_procs(_living(started), timeout=_KILL_AFTER_SECONDS)
    for survivor in _living(started):
        _signal(survivor, psutil.Process.kill)


def _children(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return []


def _workers(root: Path, started_at: float) -> list[psutil.Process]:
    """Workers of this root that were started since; older ones are somebody else's."""
    found = []
    for file in (root / ".opspawn" / "workers").glob("*.json"):
        try:
            process = psutil.Process(int(json.loads(file.read_bytes())["pid"]))
            if process.create_time() >= started_at:
                found.append(process)
        except (OSError, ValueError, KeyError, psutil.Error):
            continue  # ended in the meantime
    return found


def _living(processes: Sequence[psutil.Process]) -> list[psutil.Process]:
    return [process for process in processes if process.is_running()]


def _signal(process: psutil.Process, send: Callable[[psutil.Process], None]) -> None:
    try:
        send(process)
    except psutil.NoSuchProcess:
        return
