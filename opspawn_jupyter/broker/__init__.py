"""The tool broker: the one place where an MCP tool call is authorised, made and recorded."""
