"""Making the connection to one MCP server: a process or an address, greeted by the SDK's client."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import httpx2
import mcp_types as types
from mcp import Client

from opspawn_jupyter.broker import http, stdio
from opspawn_jupyter.broker.config import OAuth, ServerConfig
from opspawn_jupyter.broker.connection import SdkConnection, why
from opspawn_jupyter.broker.declaring import Ready
from opspawn_jupyter.broker.inquiring import callbacks
from opspawn_jupyter.broker.oauth import authentication
from opspawn_jupyter.broker.ports import Open
from opspawn_jupyter.broker.remembering import Access, Door
from opspawn_jupyter.errors import ToolServerFault
from opspawn_jupyter.version import __version__

#: Protocol and envelope around a result of the largest size.
_ENVELOPE_BYTES = 256 << 10


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """What a connection is made of, with all references resolved. Holds secrets."""

    command: tuple[str, ...]
    environment: Mapping[str, str]
    working_directory: str | None
    url: str
    headers: Mapping[str, str]
    oauth: OAuth


@asynccontextmanager
async def connect(
    config: ServerConfig, resolved: Resolved, events: Open, access: Access
) -> AsyncIterator[SdkConnection]:
    """The server, greeted in whichever era of the protocol it knows."""
    largest = config.rules.max_result_bytes + _ENVELOPE_BYTES
    async with AsyncExitStack() as stack:
        line: stdio.Process | http.Guard
        if resolved.command:
            streams, line = await stack.enter_async_context(
                stdio.started(
                    resolved.command,
                    environment=resolved.environment,
                    working_directory=resolved.working_directory,
                    largest_message_bytes=largest,
                    lost=events.lost,
                )
            )
        else:
            streams, line = await stack.enter_async_context(
                http.reached(
                    resolved.url,
                    auth=_authentication(config.name, resolved, events, access),
                    headers=resolved.headers,
                    largest_message_bytes=largest,
                    lost=events.lost,
                )
            )
        client = Client(
            Ready(streams),
            cache=None,
            # Of all but calls, which bring their own: a listing may take as long as the start.
            read_timeout_seconds=max(
                config.rules.timeout_seconds, config.rules.connect_timeout_seconds
            ),
            client_info=types.Implementation(name="opspawn", version=__version__),
            **callbacks(events),
        )
        try:
            await stack.enter_async_context(client)
        except Exception as failure:
            raise ToolServerFault(config.name, hint=why(line, failure)) from failure
        if isinstance(line, http.Guard):
            line.is_open = True
        yield SdkConnection(client, line)


def _authentication(
    server: str, resolved: Resolved, events: Open, access: Access
) -> httpx2.Auth | None:
    """None where the configuration brings a key of its own."""
    if any(name.lower() == "authorization" for name in resolved.headers):
        return None
    door = Door(
        server=server,
        url=resolved.url,
        oauth=resolved.oauth,
        access=access,
        log_in=events.log_in,
    )
    return authentication(door)
