"""Which MCP servers there are, and what may be done with them: the usual ``mcpServers`` JSON.

Read in this order, later files overriding servers of the same name: ``opspawn_mcp.json`` in each
of Jupyter's configuration directories (of the environment, the system, the user), the one in the
server's root directory, then the ``mcp_servers`` setting. Other programs' keys are passed over;
ours stand under ``opspawn`` in each server's entry, so that the file stays of use to all.

A faulty entry is a server with a problem, and a faulty file is a problem of its own; neither
keeps other servers from being used.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt

from opspawn_jupyter.errors import InvalidRequest
from opspawn_jupyter.model.policy import STRICT

FILE_NAME = "opspawn_mcp.json"

#: Part of MCP tool names and of Python code, so it is plain.
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,31}")
_HTTP = frozenset({"http", "streamable-http", "streamableHttp", "streamable_http"})


class Isolation(StrEnum):
    """Who shares one connection to a server, and so whatever it remembers."""

    SHARED = "shared"
    USER = "user"
    TASK = "task"


@dataclass(frozen=True, kw_only=True)
class OAuth:
    """How we are let in where a server over HTTP asks for OAuth. Without any of it a person logs
    in, as a client that registers itself."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    #: Whether a person logs in, or we do as ourselves; ``none`` leaves a 401 as it is.
    grant: Literal["authorization_code", "client_credentials", "none"] = "authorization_code"
    #: Of a client that is registered already.
    client_id: str = ""
    client_secret: str = ""
    #: PEM of the key that signs instead of a secret.
    private_key: str = ""
    #: Of the signature.
    algorithm: str = "RS256"
    #: How the id and the secret are shown, as OAuth names it.
    method: Literal["client_secret_basic", "client_secret_post"] = "client_secret_basic"
    #: Address of a document that describes the client (client ID metadata document).
    client_metadata_url: str = ""
    #: The authorization server that may see the client's id and secret; any where it is empty.
    issuer: str = ""


@dataclass(frozen=True, kw_only=True)
class Rules:
    """Our part of a server's entry, under ``opspawn``."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    enabled: bool = True
    #: Patterns of tool names; no other tool may be called.
    allow: tuple[str, ...] = ("*",)
    #: Patterns of tools that may not be called, whatever ``allow`` says.
    deny: tuple[str, ...] = ()
    #: Patterns of tools each call of which waits for a person's word.
    ask: tuple[str, ...] = ()
    timeout_seconds: Annotated[float, Gt(0)] = 60.0
    connect_timeout_seconds: Annotated[float, Gt(0)] = 30.0
    #: Of one caller; 0 for no limit.
    calls_per_minute: Annotated[int, Ge(0)] = 0
    #: Calls that the server is given at once.
    max_concurrency: Annotated[int, Ge(1)] = 8
    max_result_bytes: Annotated[int, Ge(1)] = 4 << 20
    isolation: Isolation = Isolation.USER
    #: A server that nobody has used for so long is ended; 0 never.
    idle_stop_seconds: Annotated[float, Ge(0)] = 600.0
    #: Whether records of calls hold the arguments' values, not only their digest.
    record_arguments: bool = False
    #: Whether the server may ask people questions while a tool runs (MCP's elicitation).
    questions: bool = True
    #: What the server may ask of, or tell, an MCP client that calls it and can take it:
    #: ``elicitation``, ``logging``, ``sampling``, ``roots``.
    to_caller: tuple[Literal["elicitation", "logging", "sampling", "roots"], ...] = (
        "elicitation",
        "logging",
    )
    oauth: OAuth = OAuth()
    #: How long a person has to log in.
    login_timeout_seconds: Annotated[float, Gt(0)] = 600.0


@dataclass(frozen=True, kw_only=True)
class ServerConfig:
    """One server as configured. Texts still hold ``${…}`` references."""

    name: str
    #: Program and arguments, of a server that is started here; empty for one with an address.
    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    working_directory: str | None = None
    url: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    rules: Rules = field(default_factory=Rules)
    #: Where it is written, for people.
    source: str = ""
    #: Whoever can write there can run programs anyway: the server's own settings.
    is_trusted: bool = False
    #: Why it cannot be used.
    problem: str | None = None

    @property
    def transport(self) -> str:
        """``stdio`` or ``http``."""
        return "stdio" if self.command else "http"

    @property
    def target(self) -> str:
        """Command or address, with references instead of secrets."""
        return " ".join(self.command) if self.command else self.url

    @property
    def needs_approval(self) -> bool:
        """It starts a program that some file asks for."""
        return bool(self.command) and not self.is_trusted

    @property
    def digest(self) -> str:
        """SHA-256 over all that decides which program runs."""
        said = [
            list(self.command),
            dict(sorted(self.environment.items())),
            self.working_directory,
        ]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """All servers by name, and what is wrong with whole files, by path."""

    servers: Mapping[str, ServerConfig] = field(default_factory=dict)
    problems: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class _Entry:
    """A server's entry as any MCP program writes it."""

    command: str | None = None
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: str | None = None
    url: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    type: str | None = None
    transport: str | None = None
    disabled: bool = False
    opspawn: Rules = field(default_factory=Rules)


def read(files: Sequence[Path], settings: Mapping[str, Any]) -> Configuration:
    """The configuration of the files that are there, the strongest last, and of the settings."""
    servers: dict[str, ServerConfig] = {}
    problems: dict[str, str] = {}
    for file in files:
        try:
            servers |= {one.name: one for one in _servers(_load(file), str(file))}
        except FileNotFoundError:
            continue
        except (OSError, ValueError, InvalidRequest) as failure:
            problems[str(file)] = f"it is not used: {failure}"
    own = _servers(settings, "settings", is_trusted=True)
    return Configuration(servers=servers | {one.name: one for one in own}, problems=problems)


def entries_of(file: Path) -> Mapping[str, Any]:
    """Server entries in another program's file. Raises ``InvalidRequest``."""
    try:
        return _load(file)
    except (OSError, ValueError) as failure:
        raise InvalidRequest(str(file), hint=f"it cannot be read: {failure}") from failure


def _load(file: Path) -> Mapping[str, Any]:
    document = json.loads(file.read_bytes())
    if not isinstance(document, dict):
        raise InvalidRequest(hint="the file must hold a JSON object")
    entries = document.get("mcpServers", document.get("servers"))
    if not isinstance(entries, dict):
        raise InvalidRequest(hint="there is no object 'mcpServers' in it")
    return entries


def _servers(
    entries: Mapping[str, Any], source: str, *, is_trusted: bool = False
) -> Iterator[ServerConfig]:
    for name, entry in entries.items():
        try:
            yield _server(name, entry, source, is_trusted=is_trusted)
        except InvalidRequest as failure:
            yield ServerConfig(name=name, source=source, problem=failure.message)


def _server(name: str, value: Any, source: str, *, is_trusted: bool) -> ServerConfig:
    if not _NAME.fullmatch(name) or "__" in name:
        hint = "a server's name has up to 32 letters, digits, - and single _, a letter first"
        raise InvalidRequest(name, hint=hint)
    if not isinstance(value, dict):
        raise InvalidRequest(name, hint="a server's entry is a JSON object")
    from opspawn_jupyter.parsing import parse  # imports pydantic, 0.1 s of the server's start

    known = {item.name for item in fields(_Entry)}
    entry = parse(
        _Entry, {key: item for key, item in value.items() if key in known}, f"server {name}"
    )
    _check(name, entry)
    rules = entry.opspawn
    return ServerConfig(
        name=name,
        command=(entry.command, *entry.args) if entry.command else (),
        environment=entry.env,
        working_directory=entry.cwd,
        url="" if entry.command else entry.url or "",
        headers=entry.headers,
        rules=Rules(**{**vars(rules), "enabled": rules.enabled and not entry.disabled}),
        source=source,
        is_trusted=is_trusted,
    )


def _check(name: str, entry: _Entry) -> None:
    if bool(entry.command) == bool(entry.url):
        raise InvalidRequest(name, hint="give it either a command or a url")
    said = entry.type or entry.transport
    if entry.url and said and said not in _HTTP:
        raise InvalidRequest(name, hint=f"its transport {said!r} is not spoken; http is")
    if entry.url and not entry.url.startswith(("http://", "https://", "${")):
        raise InvalidRequest(name, hint="its url must begin with http:// or https://")
    _check_oauth(name, entry.opspawn.oauth)


def _check_oauth(name: str, oauth: OAuth) -> None:
    if (oauth.client_secret or oauth.private_key) and not (oauth.client_id and oauth.issuer):
        # Else whatever server it leads to would be shown them.
        hint = "oauth with a client_secret or private_key needs the client_id and the issuer"
        raise InvalidRequest(name, hint=hint)
    if oauth.grant == "client_credentials":
        if bool(oauth.client_secret) == bool(oauth.private_key):
            hint = "oauth by client_credentials needs a client_secret or a private_key"
            raise InvalidRequest(name, hint=hint)
    elif oauth.private_key:
        raise InvalidRequest(name, hint="only the grant client_credentials uses a private_key")
