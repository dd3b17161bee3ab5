"""Tools of MCP servers."""

from __future__ import annotations

from opspawn_jupyter.model.tool import (
    ApprovalRequest,
    ImportRequest,
    LoginRequest,
    PromptList,
    PromptRequest,
    PromptText,
    ResourceContent,
    ResourceList,
    ResourceRequest,
    ToolCallRequest,
    ToolList,
    ToolLogin,
    ToolResult,
    ToolServerList,
)
from opspawn_jupyter.server import schemas
from opspawn_jupyter.server.handlers.login import LoginHandler, LogoutHandler
from opspawn_jupyter.server.handlers.tool import (
    PromptHandler,
    PromptsHandler,
    ResourceHandler,
    ResourcesHandler,
    ToolApprovalHandler,
    ToolCallHandler,
    ToolImportHandler,
    ToolServersHandler,
    ToolsHandler,
)
from opspawn_jupyter.server.route import Area, get, post, route

ROUTES = (
    route(
        "mcp/servers",
        ToolServersHandler,
        Area.TOOLS,
        get("Configured MCP servers", ToolServerList),
    ),
    route(
        "mcp/approvals",
        ToolApprovalHandler,
        Area.TOOLS,
        post("Approve a server's command or a changed tool", ApprovalRequest, ToolServerList),
    ),
    route(
        "mcp/imports",
        ToolImportHandler,
        Area.TOOLS,
        post("Take over the servers of another program's file", ImportRequest, ToolServerList),
    ),
    route(
        "mcp/login",
        LoginHandler,
        Area.TOOLS,
        post("Begin a login to an MCP server", LoginRequest, ToolLogin),
    ),
    route(
        "mcp/logout",
        LogoutHandler,
        Area.TOOLS,
        post("Forget a login to an MCP server", LoginRequest, ToolLogin),
    ),
    route(
        "mcp/tools",
        ToolsHandler,
        Area.TOOLS,
        get("Tools of MCP servers", ToolList, query=schemas.ToolQuery),
    ),
    route(
        "mcp/call",
        ToolCallHandler,
        Area.TOOLS,
        post("Call a tool", ToolCallRequest, ToolResult),
    ),
    route(
        "mcp/resources",
        ResourcesHandler,
        Area.TOOLS,
        get("What MCP servers let read", ResourceList, query=schemas.ToolQuery),
    ),
    route(
        "mcp/resource",
        ResourceHandler,
        Area.TOOLS,
        post("Read a resource", ResourceRequest, ResourceContent),
    ),
    route(
        "mcp/prompts",
        PromptsHandler,
        Area.TOOLS,
        get("Prompts of MCP servers", PromptList, query=schemas.ToolQuery),
    ),
    route(
        "mcp/prompt",
        PromptHandler,
        Area.TOOLS,
        post("Have a prompt written", PromptRequest, PromptText),
    ),
)
