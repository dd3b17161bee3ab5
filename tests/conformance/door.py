"""What the official suite starts for each scenario: it tells ``client.py``, and waits for it.

python -I -S door.py SOCKET URL        with MCP_CONFORMANCE_SCENARIO in the environment
"""

from __future__ import annotations

import json
import os
import socket
import sys

with socket.socket(socket.AF_UNIX) as client:
    client.connect(sys.argv[1])
    scenario = {
        "url": sys.argv[2],
        "name": os.environ.get("MCP_CONFORMANCE_SCENARIO", ""),
        "context": json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT") or "{}"),
    }
    client.sendall(json.dumps(scenario).encode() + b"\n")
    print(said := client.makefile().read())
    sys.exit(not said)
