"""How the broker comes to be in a server: its files, its secrets, and the SDK when it is needed.

The SDK takes a second of processor time to import, so that happens in a thread, and with the
first connection.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

from jupyter_core.paths import jupyter_config_path

from opspawn_jupyter.broker import config as configuration
from opspawn_jupyter.broker.approvals import Approvals
from opspawn_jupyter.broker.broker import ToolBroker
from opspawn_jupyter.broker.config import Configuration, OAuth, ServerConfig
from opspawn_jupyter.broker.keys import Keys, load_secret
from opspawn_jupyter.broker.login import Logins
from opspawn_jupyter.broker.ports import CallLog, Connection, Open, People
from opspawn_jupyter.broker.tokens import Tokens
from opspawn_jupyter.broker.upstreams import Upstreams
from opspawn_jupyter.broker.variables import Secrets
from opspawn_jupyter.errors import StoreUnavailable, ToolServerUnavailable
from opspawn_jupyter.settings import Settings

#: Where browsers come back to from a login, below the server's address.
CALLBACK = "opspawn/login"
#: Settings of OAuth that may hold references.
_REFERRING = ("client_id", "client_secret", "private_key", "client_metadata_url", "issuer")


def open_keys(settings: Settings, url: str) -> Keys:
    """Keys of this server. Reads or makes a file."""
    path = settings.state_directory / "tool_key"
    try:
        return Keys(load_secret(path), url)
    except OSError as failure:
        raise StoreUnavailable(str(path), hint=str(failure.strerror)) from failure


def open_broker(
    settings: Settings,
    log: CallLog,
    people: People | None = None,
    public_url: Callable[[], str] | None = None,
) -> ToolBroker:
    """The broker of this server. Reads files; starts nothing. ``public_url`` gives where browsers
    reach the server at this moment, instead of the setting."""
    approvals = Approvals(settings.state_directory / "mcp_approvals.json")
    approvals.load()
    root = settings.root_directory
    surroundings = {**os.environ, "JUPYTER_ROOT_DIR": str(root)}
    secrets = Secrets(settings.state_directory / "secrets.json", surroundings)

    tokens = Tokens(settings.state_directory / "mcp_logins.json", secrets.conceal)
    tokens.load()

    def read() -> Configuration:
        return configuration.read(config_files(root), settings.mcp_servers)

    @asynccontextmanager
    async def connect(config: ServerConfig, events: Open) -> AsyncIterator[Connection]:
        sdk = await asyncio.to_thread(import_module, "opspawn_jupyter.broker.connecting")
        resolved = await asyncio.to_thread(_resolved, config, secrets, root)
        public = (public_url() if public_url else settings.public_url).rstrip("/")
        access = sdk.Access(
            login=tokens.login(config.name, events.sharers, _bound_to(resolved)),
            callback_url=f"{public}/{CALLBACK}" if public else "",
            hide=secrets.hide,
        )
        try:
            async with sdk.connect(config, sdk.Resolved(**resolved), events, access) as connection:
                yield connection
        except ToolServerUnavailable as problem:
            hidden = secrets.hide(problem.message)
            raise type(problem).restore(hidden, problem.detail) from problem

    upstreams = Upstreams(read, approvals, connect, Logins(people), tokens)
    return ToolBroker(upstreams, approvals, log, people, root, hide=secrets.hide)


def config_files(root: Path) -> list[Path]:
    """Where servers are configured, the strongest last."""
    directories = [*reversed(jupyter_config_path()), str(root)]
    return [Path(directory, configuration.FILE_NAME) for directory in directories]


def _resolved(config: ServerConfig, secrets: Secrets, root: Path) -> Mapping[str, Any]:
    expand = secrets.expand
    where, oauth = config.working_directory, config.rules.oauth
    expanded: dict[str, Any] = {name: expand(getattr(oauth, name)) for name in _REFERRING}
    return {
        "command": tuple(expand(word) for word in config.command),
        "environment": {name: expand(text) for name, text in config.environment.items()},
        "working_directory": str(root / expand(where)) if where else str(root),
        "url": expand(config.url),
        "headers": {name: expand(text) for name, text in config.headers.items()},
        "oauth": replace(oauth, **expanded),
    }


def _bound_to(resolved: Mapping[str, Any]) -> str:
    """What a login is for: another address, or client, needs another. A new secret does not."""
    oauth: OAuth = resolved["oauth"]
    said = [
        resolved["url"],
        oauth.grant,
        oauth.client_id,
        oauth.client_metadata_url,
        oauth.issuer,
    ]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()
