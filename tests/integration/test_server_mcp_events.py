"""What servers ask and tell in the middle of things, on its way to MCP clients of both eras."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import mcp_types as types
import pytest
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.subscriptions import ResourceUpdated, ToolsListChanged

from jupyter_process import PATIENCE_SECONDS
from tests.integration.broker_stage import habit
from tests.integration.conftest import Running, Server
from tests.integration.tool_servers.over_http import Upstream, over_http

ERAS = ("legacy", "2026-07-28")


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with over_http() as one:
        yield one


@pytest.fixture(scope="module")
def server(
    running: Running, upstream: Upstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    own = {
        "remote": {"url": upstream.url},
        "asking": habit("ask"),
        "silenced": habit("ask", to_caller=[], questions=False),
        "sampling": habit("sample"),
        "telling": habit("announce"),
    }
    root, home = tmp_path_factory.mktemp("root"), tmp_path_factory.mktemp("home")
    with running(root, home, f"--OpspawnExtension.mcp_servers={own!r}") as one:
        one.await_tools()
        yield one


@asynccontextmanager
async def _client(server: Server, era: str, **more: Any) -> AsyncIterator[Client]:
    headers = {"Authorization": f"Bearer {server.jupyter.token}"}
    url = f"{server.jupyter.url}opspawn/mcp"
    async with (
        httpx2.AsyncClient(headers=headers, timeout=PATIENCE_SECONDS) as http,
        Client(streamable_http_client(url, http_client=http), mode=era, **more) as client,
    ):
        yield client


async def _ada(_: Any, params: Any) -> types.ElicitResult:
    assert params.message == "Your name?"
    return types.ElicitResult(action="accept", content={"name": "Ada"})


def _text(result: types.CallToolResult) -> str:
    return result.content[0].text  # type: ignore[union-attr]


@pytest.mark.parametrize("era", ERAS)
def test_a_client_that_can_ask_its_person_is_asked(server: Server, era: str) -> None:
    """The server speaks the older era, in which it asks while the call is open. A client of the
    modern era has no open call to be asked in, and still is."""

    async def story() -> None:
        async with _client(server, era, elicitation_callback=_ada) as client:
            assert '"Ada"' in _text(await client.call_tool("asking__echo", {"text": "x"}))

    asyncio.run(asyncio.wait_for(story(), PATIENCE_SECONDS))


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("name", ["silenced__echo", "sampling__echo"])
def test_no_server_reaches_a_caller_unless_the_configuration_lets_it(
    server: Server, era: str, name: str
) -> None:
    """Sampling spends the caller's money and sees what it likes: never by default."""

    async def sampled(_: Any, __: Any) -> types.CreateMessageResult:
        pytest.fail("the caller's model was reached")

    async def asked(_: Any, __: Any) -> types.ElicitResult:
        pytest.fail("the caller was asked")

    async def story() -> None:
        client = _client(server, era, elicitation_callback=asked, sampling_callback=sampled)
        async with client as one:
            assert "not supported" in _text(await one.call_tool(name, {"text": "x"}))

    asyncio.run(asyncio.wait_for(story(), PATIENCE_SECONDS))


def test_an_unfinished_request_is_its_callers_alone(server: Server) -> None:
    """Its state names it. Neither a made-up one nor another tool's opens anything."""

    async def story() -> None:
        async with _client(server, "2026-07-28", elicitation_callback=_ada) as client:
            session = client.session
            await client.list_tools()
            begun = await session.call_tool(
                "asking__echo", {"text": "x"}, allow_input_required=True
            )
            assert isinstance(begun, types.InputRequiredResult)
            assert begun.input_requests
            answers = {
                key: types.ElicitResult(action="accept", content={"name": "Ada"})
                for key in begun.input_requests
            }
            for name, state in (
                ("asking__echo", f"{begun.request_state}x"),
                ("asking__pid", begun.request_state),
            ):
                with pytest.raises(MCPError, match="requestState"):
                    await session.call_tool(
                        name, {"text": "x"}, input_responses=answers, request_state=state
                    )
            ended = await session.call_tool(
                "asking__echo",
                {"text": "x"},
                input_responses=answers,
                request_state=begun.request_state,
            )
            assert '"Ada"' in _text(ended)

    asyncio.run(asyncio.wait_for(story(), PATIENCE_SECONDS))


def test_a_client_of_the_modern_era_hears_what_changed(server: Server) -> None:
    async def story() -> None:
        async with _client(server, "2026-07-28") as client:
            await client.list_tools()
            listening = client.listen(
                tools_list_changed=True, resource_subscriptions=["test://watched"]
            )
            async with listening as heard:
                found = set()
                while len(found) < 2:  # the server is subscribed to in its own time
                    await client.call_tool("telling__echo", {"text": "x"})
                    found.add(type(await anext(aiter(heard))))
                assert found == {ToolsListChanged, ResourceUpdated}

    asyncio.run(asyncio.wait_for(story(), PATIENCE_SECONDS))


def test_a_client_of_the_older_era_hears_what_changed(server: Server) -> None:
    async def story() -> None:
        heard: asyncio.Queue[Any] = asyncio.Queue()
        async with _client(server, "legacy", message_handler=heard.put) as client:
            assert client.server_capabilities.tools
            assert client.server_capabilities.tools.list_changed
            await client.list_tools()
            watched = types.SubscribeRequestParams(uri="test://watched")
            await client.session.send_request(
                types.SubscribeRequest(params=watched), types.EmptyResult
            )
            found = set()
            while len(found) < 2:  # its stream is opened in its own time
                await client.call_tool("telling__echo", {"text": "x"})
                while not heard.empty():
                    found.add(type(heard.get_nowait()))
            assert found == {types.ToolListChangedNotification, types.ResourceUpdatedNotification}

    asyncio.run(asyncio.wait_for(story(), PATIENCE_SECONDS))


@pytest.mark.parametrize("era", ERAS)
def test_a_host_behind_the_bridge_is_asked_and_told_as_well(server: Server, era: str) -> None:
    """``opspawn-mcp`` passes on what the server says of itself, too: questions and log messages."""
    code = "import sys; from opspawn_jupyter.cli.mcp_bridge import main; sys.exit(main())"
    bridge = StdioServerParameters(
        command=sys.executable, args=["-c", code], env=server.jupyter.environment
    )

    async def story() -> None:
        heard: asyncio.Queue[Any] = asyncio.Queue()
        more: Any = {"elicitation_callback": _ada, "message_handler": heard.put}
        async with Client(stdio_client(bridge), mode=era, **more) as client:
            await client.list_tools()
            assert '"Ada"' in _text(await client.call_tool("asking__echo", {"text": "x"}))
            if era == "legacy":
                while heard.empty():  # its stream is opened in its own time
                    await client.call_tool("telling__echo", {"text": "x"})
                return
            async with client.listen(tools_list_changed=True) as listening:
                await client.call_tool("telling__echo", {"text": "x"})
                assert isinstance(await anext(aiter(listening)), ToolsListChanged)

    asyncio.run(asyncio.wait_for(story(), PATIENCE_SECONDS))


def test_no_header_of_the_caller_reaches_a_server(server: Server, upstream: Upstream) -> None:
    """Least of all Jupyter's token."""

    async def story() -> None:
        token = server.jupyter.token
        headers = {"Authorization": f"Bearer {token}", "X-Mine": "mine", "Cookie": "mine=mine"}
        url = f"{server.jupyter.url}opspawn/mcp"
        async with (
            httpx2.AsyncClient(headers=headers, timeout=PATIENCE_SECONDS) as http,
            Client(streamable_http_client(url, http_client=http)) as client,
        ):
            assert _text(await client.call_tool("remote__echo", {})) == "answered"
        seen = repr(upstream.headers)
        assert upstream.headers
        assert token not in seen
        assert "mine" not in seen

    asyncio.run(asyncio.wait_for(story(), PATIENCE_SECONDS))
