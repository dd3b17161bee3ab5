"""Run notebooks in the background from a notebook cell.

``%load_ext opspawn_jupyter`` gives the ``%opspawn`` magic. The public names are loaded when they
are first used, so that importing the package costs next to nothing in a kernel:

    connect, connect_async   a client of the Jupyter server that runs the tasks
    step                     what a running notebook says to its task
    mcp                      tools of MCP servers: mcp.<server>.<tool>(...)
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from opspawn_jupyter.version import __version__

__all__ = ["__version__", "connect", "connect_async", "mcp", "step"]

#: Where each public name lives. No submodule bears one of these names: importing it would put
#: the module in the name's place.
_HOMES = {
    "connect": "opspawn_jupyter.client.client",
    "connect_async": "opspawn_jupyter.client.client",
    "mcp": "opspawn_jupyter.client.tool_proxy",
    "step": "opspawn_jupyter.client.running",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})


def load_ipython_extension(shell: Any) -> None:
    """``%load_ext opspawn_jupyter``."""
    import_module("opspawn_magics").load(shell)


def unload_ipython_extension(shell: Any) -> None:
    """``%unload_ext opspawn_jupyter``."""
    import_module("opspawn_magics").unload(shell)


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    # Called by the Jupyter server only; a kernel never loads the server side.
    extension = import_module("opspawn_jupyter.server.extension")
    return [{"module": extension.__name__, "app": extension.OpspawnExtension}]
