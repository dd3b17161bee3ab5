"""``mcp_tool``: one call of an MCP tool."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from opspawn_jupyter.client.tool_proxy import mcp
from opspawn_jupyter.plugins.configuration import StrictConfig


class McpTool:
    """Call a tool of an MCP server that the Jupyter server is connected to."""

    class Config(StrictConfig):
        """``server`` and ``tool`` as ``opspawn tools`` shows them."""

        server: str = Field(min_length=1)
        tool: str = Field(min_length=1)
        arguments: dict[str, Any] = Field(default_factory=dict)

    def tools(self, config: Config) -> tuple[str, ...]:
        """See ``ports.Plugin``."""
        return (f"{config.server}.{config.tool}",)

    def run(self, config: Config, context: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        """``result``: the tool's structured value, else its text. Raises ``ToolFailed``."""
        return {"result": mcp[config.server][config.tool].call(config.arguments)}
