"""Our side towards MCP servers, as a program that the official suite can start: it connects a
broker to the suite's server and does what the scenario asks for.

    python client.py URL        with MCP_CONFORMANCE_SCENARIO in the environment
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from opspawn_jupyter.broker.broker import ToolBroker
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

    async def may_call(self, *_: Any) -> bool:
        return True

    async def ask(self, _: Principal, __: str, question: Question) -> Mapping[str, Any]:
        fields: Mapping[str, Any] = question.schema.get("properties", {})
        return {name: one.get("default", VALUES[one["type"]]) for name, one in fields.items()}


def _arguments(tool: Tool) -> dict[str, Any]:
    properties = tool.input_schema.get("properties", {})
    return {
        name: VALUES.get(properties.get(name, {}).get("type"), "x")
        for name in tool.input_schema.get("required", ())
    }


async def _play(broker: ToolBroker) -> None:
    """List everything, and call what the suite says, or each tool."""
    listed = {tool.name: tool for tool in (await broker.tools(ME, "suite")).tools}
    said = json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT", "{}")).get("toolCalls")
    if "json_schema_echo" in listed:  # it gets the schema of the other one, as it arrived here
        other = next(tool for name, tool in listed.items() if name != "json_schema_echo")
        said = [{"name": "json_schema_echo", "arguments": {"schema": dict(other.input_schema)}}]
    calls = [(one["name"], one.get("arguments") or {}) for one in said or ()]
    for name, arguments in calls or [(one.name, _arguments(one)) for one in listed.values()]:
        if name not in listed:
            continue
        request = ToolCallRequest(server="suite", tool=name, arguments=arguments)
        try:
            print(name, await broker.call(ME, request))
        except OpspawnError as problem:  # some scenarios have the server refuse
            print(name, problem.message)


async def main(url: str) -> None:
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        settings = Settings(
            root_directory=root,
            state_directory=root,
            runs_directory=root,
            mcp_servers={"suite": {"url": url}},
        )
        broker = open_broker(settings, Records(), Person())
        try:
            await _play(broker)
        finally:
            await broker.close()


if __name__ == "__main__":
    asyncio.run(asyncio.wait_for(main(sys.argv[1]), 250))
