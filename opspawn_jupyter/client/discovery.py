"""Which Jupyter server to talk to, and with which token.

In this order: the address that was given; ``OPSPAWN_URL`` and ``OPSPAWN_TOKEN``; in a kernel,
the server that it belongs to; under JupyterHub, the user's server; else the running server whose
directory holds the current one. Jupyter servers write what they are to
``<runtime directory>/jpserver-<pid>.json``. ``jupyter_server`` itself is never imported: it
takes seconds, and a kernel's environment need not have it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from opspawn_jupyter import errors
from opspawn_jupyter.client.runtime import Runtime, ancestors, running

#: Where Jupyter's own pages begin, in an address copied from a browser.
_PAGES = ("/lab", "/tree", "/notebooks", "/doc")


@dataclass(frozen=True, kw_only=True)
class Server:
    """A Jupyter server and how it is addressed."""

    #: Base URL, with a slash at the end.
    url: str
    token: str = field(default="", repr=False)
    #: Absolute path of the directory that it serves, where it runs on this machine.
    root_directory: str | None = None
    #: Whether its certificate is checked. A server of this machine may have made its own.
    verify: bool = True
    #: Address and token come from its runtime file, and so can be read there again.
    is_discovered: bool = False

    @property
    def authorization(self) -> str:
        """Value of the header that proves who asks."""
        return f"token {self.token}" if self.token else ""


def find(url: str | None = None, token: str | None = None) -> Server:
    """The server to talk to. Raises ``ServerNotFound`` or ``ServerAmbiguous``."""
    if url:
        return _addressed(url, token)
    environment = os.environ
    if environment.get("OPSPAWN_URL"):
        return _addressed(environment["OPSPAWN_URL"], token or environment.get("OPSPAWN_TOKEN"))
    servers = running()
    own = _of_this_kernel(servers)
    if own is not None:
        return _described(own, token)
    return _of_hub(environment, token) or _described(_nearest(servers, Path.cwd()), token)


def own_server() -> Server | None:
    """The Jupyter server that started this kernel, where one did."""
    own = _of_this_kernel(running())
    return _described(own) if own else None


def find_again(server: Server) -> Server:
    """The server that serves the same directory now: a restart may change port and token.

    The same as before where there is none, or where the caller said which server and token.
    """
    if not server.is_discovered:
        return server
    same = [one for one in running() if one.root_directory == server.root_directory and one.url]
    return _described(max(same, key=lambda one: one.written_at)) if same else server


def serving(directory: Path) -> Server | None:
    """The running server whose root is exactly this directory, where there is one."""
    same = [one for one in running() if one.root_directory == str(directory) and one.url]
    return _described(same[0]) if same else None


def _addressed(url: str, token: str | None) -> Server:
    given = urlsplit(url)
    if given.scheme not in ("http", "https") or not given.hostname:
        raise errors.UsageError(url, hint="a server's address begins with http:// or https://")
    path = given.path
    for page in _PAGES:
        if f"{page}/" in f"{path}/":
            path = f"{path}/"[: f"{path}/".index(f"{page}/")]
    base = f"{given.scheme}://{given.netloc.rpartition('@')[2]}{path.rstrip('/')}/"
    token = token or next(iter(parse_qs(given.query).get("token", [])), None)
    known = next((one for one in running() if one.answers_at(base)), None)
    if known is not None:
        return _described(known, token)
    return Server(url=base, token=token or _token_from_environment(base))


def _token_from_environment(base: str) -> str:
    """``OPSPAWN_TOKEN``, unless it belongs to another server, which must not learn it."""
    meant_for = os.environ.get("OPSPAWN_URL", base)
    is_same = urlsplit(meant_for).netloc == urlsplit(base).netloc
    return os.environ.get("OPSPAWN_TOKEN", "") if is_same else ""


def _of_this_kernel(servers: Sequence[Runtime]) -> Runtime | None:
    """The server that started this kernel.

    Kernels are told its process id as ``JPY_PARENT_PID``, and so is everything that they start:
    a second Jupyter server and its terminals too. The nearest ancestor that is a server is
    therefore asked first.
    """
    parent = os.environ.get("JPY_PARENT_PID", "")
    if not parent.isdecimal():
        return None
    by_pid = {server.pid: server for server in servers}
    candidates = [*ancestors(), int(parent)]
    found = next((by_pid[pid] for pid in candidates if pid in by_pid), None)
    return _reachable(found) if found else None


def _of_hub(environment: Mapping[str, str], token: str | None) -> Server | None:
    url = environment.get("JUPYTERHUB_SERVICE_URL")
    if not url:
        return None
    url = url.replace("//0.0.0.0", "//127.0.0.1").rstrip("/") + "/"
    return Server(url=url, token=token or environment.get("JUPYTERHUB_API_TOKEN", ""))


def _nearest(servers: Sequence[Runtime], directory: Path) -> Runtime:
    """The server whose root holds the directory most closely, else the only one."""
    if not servers:
        raise errors.ServerNotFound
    reachable = [server for server in servers if server.url] or [_reachable(servers[0])]
    closest = _closest(reachable, directory)
    if len(closest) > 1:
        urls = sorted(server.url for server in closest)
        raise errors.ServerAmbiguous(hint="they are " + ", ".join(urls), detail={"urls": urls})
    return closest[0]


def _closest(servers: Iterable[Runtime], directory: Path) -> list[Runtime]:
    depths = [(server.depth_above(directory), server.has_extension, server) for server in servers]
    best = max(depth[:2] for depth in depths)
    return [server for *rank, server in depths if tuple(rank) == best]


def _reachable(server: Runtime) -> Runtime:
    if server.url:
        return server
    raise errors.ServerUnreachable(
        server.socket,
        hint="it listens on a Unix socket, which opspawn cannot use; start it with a port",
    )


def _described(server: Runtime, token: str | None = None) -> Server:
    return Server(
        url=server.url,
        token=token or server.token or server.hub_token(os.environ),
        root_directory=server.root_directory,
        verify=not server.is_loopback,
        is_discovered=token is None,
    )
