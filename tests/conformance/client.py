"""Our side towards MCP servers, for the official suite: a broker of its own for each scenario,
connected to the suite's server, that does what the scenario asks for.

    python client.py SOCKET

One process plays them all, because the SDK takes seconds to import; the suite starts ``door.py``,
which brings the scenario here.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2

from opspawn_jupyter.broker.broker import ToolBroker
from opspawn_jupyter.broker.login import Logins
from opspawn_jupyter.broker.opening import open_broker
from opspawn_jupyter.broker.ports import Question
from opspawn_jupyter.errors import OpspawnError
from opspawn_jupyter.model.tool import Principal, Tool, ToolCall, ToolCallRequest
from opspawn_jupyter.settings import Settings

ME = Principal(user="me")
#: A value for each type that a schema may name.
VALUES = {"string": "x", "integer": 5, "number": 3, "boolean": True, "object": {}, "array": []}


class Records:
    """See ``broker.ports.CallLog``."""

    async def record(self, call: ToolCall) -> None:
        """Nobody looks at it here."""

    async def is_known(self, _: str) -> bool:
        return False


class Person:
    """See ``broker.ports.People``: somebody who takes what is proposed."""

    def __init__(self) -> None:
        self.logins: Logins | None = None
        self.has_logged_in = asyncio.Event()

    async def may_call(self, *_: Any) -> bool:
        return True

    async def log_in(self, who: Principal, _: str, url: str, __: object) -> None:
        """Follow the address as a browser does, and bring back what it is sent on with."""
        async with httpx2.AsyncClient(timeout=150) as browser:
            answer = await browser.get(url)
        query = parse_qs(urlsplit(answer.headers["location"]).query)
        said = {name: values[0] for name, values in query.items()}
        assert self.logins is not None
        _, outcome = self.logins.arrive(
            who,
            said["state"],
            code=said.get("code", ""),
            issuer=said.get("iss"),
            problem=said.get("error", ""),
        )
        await outcome
        self.has_logged_in.set()

    async def ask(self, _: Principal, __: str, question: Question) -> Mapping[str, Any]:
        fields: Mapping[str, Any] = question.schema.get("properties", {})
        return {name: one.get("default", VALUES[one["type"]]) for name, one in fields.items()}


def _arguments(tool: Tool) -> dict[str, Any]:
    properties = tool.input_schema.get("properties", {})
    return {
        name: VALUES.get(properties.get(name, {}).get("type"), "x")
        for name in tool.input_schema.get("required", ())
    }


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """What the suite says: where its server is, what is tried, and with what."""

    url: str
    name: str
    context: Mapping[str, Any]

    @property
    def wants_login(self) -> bool:
        return self.name.startswith("auth/")


async def _play(broker: ToolBroker, scenario: Scenario) -> None:
    """List everything, and call what the suite says, or each tool."""
    listed = {tool.name: tool for tool in (await broker.tools(ME, "suite")).tools}
    said = scenario.context.get("toolCalls")
    if "json_schema_echo" in listed:  # it gets the schema of the other one, as it arrived here
        other = next(tool for name, tool in listed.items() if name != "json_schema_echo")
        said = [{"name": "json_schema_echo", "arguments": {"schema": dict(other.input_schema)}}]
    calls = [(one["name"], one.get("arguments") or {}) for one in said or ()]
    for name, arguments in calls or [(one.name, _arguments(one)) for one in listed.values()]:
        if name in listed:
            request = ToolCallRequest(server="suite", tool=name, arguments=arguments)
            with suppress(OpspawnError):  # some scenarios have the server refuse
                await broker.call(ME, request)


async def _oauth(scenario: Scenario) -> dict[str, Any]:
    """What the configuration says of OAuth: what the suite gives us. Which authorization server it
    means, it does not say; so that is asked for here, as nobody should who has a secret."""
    given = scenario.context
    oauth = {key: given[key] for key in ("client_id", "client_secret") if key in given}
    if "private_key_pem" in given:
        oauth |= {"private_key": given["private_key_pem"], "algorithm": given["signing_algorithm"]}
    if scenario.name.startswith("auth/client-credentials"):
        oauth["grant"] = "client_credentials"
    if oauth:
        parts = urlsplit(scenario.url)
        where = f"{parts.scheme}://{parts.netloc}/.well-known/oauth-protected-resource{parts.path}"
        async with httpx2.AsyncClient(timeout=150) as client:
            oauth["issuer"] = (await client.get(where)).json()["authorization_servers"][0]
    return {**oauth, "client_metadata_url": "https://conformance-test.local/client-metadata.json"}


async def _played(scenario: Scenario, root: Path) -> str:
    """Play it; gives what went wrong, which some scenarios want."""
    person = Person()
    rules = {"oauth": await _oauth(scenario)} if scenario.wants_login else {}
    settings = Settings(
        root_directory=root,
        state_directory=root,
        runs_directory=root,
        mcp_servers={"suite": {"url": scenario.url, "opspawn": rules}},
        public_url="http://localhost:3000/",
    )
    broker = open_broker(settings, Records(), person)
    person.logins = broker.logins
    try:
        if scenario.wants_login and (await broker.log_in(ME, "suite")).url:
            await person.has_logged_in.wait()
        await _play(broker, scenario)
    except OpspawnError as problem:
        return problem.message
    finally:
        await broker.close()
    return "played"


async def _serve(incoming: asyncio.StreamReader, outgoing: asyncio.StreamWriter) -> None:
    scenario = Scenario(**json.loads(await incoming.readline()))
    with tempfile.TemporaryDirectory() as place:
        said = await asyncio.wait_for(_played(scenario, Path(place)), 250)
    outgoing.write(said.encode())
    outgoing.close()


async def main(socket: str) -> None:
    server = await asyncio.start_unix_server(_serve, socket)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
