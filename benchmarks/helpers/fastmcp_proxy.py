"""fastmcp's proxy before a server over standard streams: PORT COMMAND [ARGUMENT …]."""

import sys

from fastmcp.server import create_proxy

port, command, *arguments = sys.argv[1:]
upstream = {"mcpServers": {"echo": {"command": command, "args": arguments}}}
create_proxy(upstream).run(transport="http", host="127.0.0.1", port=int(port))
