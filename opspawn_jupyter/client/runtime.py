"""Jupyter servers of this machine, as the files in Jupyter's runtime directory tell."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1", "0.0.0.0", "::"})  # noqa: S104 (compared)
#: A process that started this much later than the file was written is another one with its id.
_CLOCK_TOLERANCE_SECONDS = 2.0


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """One running server, as it described itself."""

    pid: int
    #: Base URL with a slash at the end; empty where it listens on a Unix socket only.
    url: str
    token: str = field(repr=False)
    root_directory: str
    base_url: str
    #: Path of the Unix socket, where it listens on one.
    socket: str
    written_at: float

    @property
    def is_loopback(self) -> bool:
        """It is reached without leaving this machine."""
        return urlsplit(self.url).hostname in _LOOPBACK

    @property
    def has_extension(self) -> bool:
        """It left its mark in its root: opspawn runs in it."""
        try:
            mark = json.loads(Path(self.root_directory, ".opspawn", "server.json").read_bytes())
        except (OSError, ValueError):
            return False
        return isinstance(mark, dict) and mark.get("pid") == self.pid

    def depth_above(self, directory: Path) -> int:
        """How deep its root lies, where that holds the directory; -1 where it does not."""
        root = Path(self.root_directory)
        return len(root.parts) if directory.is_relative_to(root) else -1

    def answers_at(self, url: str) -> bool:
        """Whether the address is this server's."""
        return _place(url) == _place(self.url)

    def hub_token(self, environment: Mapping[str, str]) -> str:
        """The token of the hub, where this is the user's server under JupyterHub."""
        is_hub = environment.get("JUPYTERHUB_SERVICE_PREFIX") == self.base_url
        return environment.get("JUPYTERHUB_API_TOKEN", "") if is_hub else ""


def running() -> list[Runtime]:
    """Every server of this user that is running, in the order of their process ids."""
    files = runtime_directory().glob("jpserver-*.json")
    found = (_read(file) for file in files)
    return sorted((one for one in found if one and _lives(one)), key=lambda one: one.pid)


def runtime_directory() -> Path:
    """Where they lie, as ``jupyter_core.paths.jupyter_runtime_dir`` says."""
    environment = os.environ
    if given := environment.get("JUPYTER_RUNTIME_DIR"):
        return Path(given)
    if data := environment.get("JUPYTER_DATA_DIR"):
        return Path(data, "runtime")
    if sys.platform == "linux" and "JUPYTER_PLATFORM_DIRS" not in environment:
        shared = environment.get("XDG_DATA_HOME") or Path.home().resolve() / ".local" / "share"
        return Path(shared, "jupyter", "runtime")
    # Not where it can be done without: it takes 7 ms to import. It knows what others call it.
    from jupyter_core.paths import jupyter_runtime_dir

    return Path(jupyter_runtime_dir())


def ancestors() -> Iterator[int]:
    """Process ids of those who started this process, nearest first."""
    import psutil  # 8 ms, and only discovery needs it

    try:
        yield from (parent.pid for parent in psutil.Process().parents())
    except psutil.Error:
        return


def _read(file: Path) -> Runtime | None:
    """None for a file that is gone again or half written."""
    try:
        said = json.loads(file.read_bytes())
        socket = str(said.get("sock") or "")
        return Runtime(
            pid=int(said["pid"]),
            url="" if socket else str(said["url"]).rstrip("/") + "/",
            token=str(said.get("token") or ""),
            root_directory=str(said["root_dir"]),
            base_url=str(said.get("base_url") or "/"),
            socket=socket,
            written_at=file.stat().st_mtime,
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _lives(server: Runtime) -> bool:
    started_at = _started_at(server.pid)
    return started_at is not None and started_at <= server.written_at + _CLOCK_TOLERANCE_SECONDS


def _started_at(pid: int) -> float | None:
    """When the process began, in seconds since 1970; None where there is none."""
    if not Path("/proc/self/stat").exists():
        import psutil  # not where it can be done without: it takes 8 ms to import

        try:
            return float(psutil.Process(pid).create_time())
        except psutil.Error:
            return None
    try:
        # proc(5): the 22nd field, counted after the name, which may hold anything.
        ticks = int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[19])
        boot = Path("/proc/stat").read_bytes().partition(b"\nbtime ")[2].split(maxsplit=1)[0]
    except (OSError, ValueError, IndexError):
        return None
    return int(boot) + ticks / os.sysconf("SC_CLK_TCK")


def _place(url: str) -> tuple[str, int | None, str]:
    """What makes two addresses the same one: all names of this machine are alike."""
    parts = urlsplit(url)
    host = "localhost" if parts.hostname in _LOOPBACK else (parts.hostname or "")
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return host, port, parts.path.rstrip("/")
