"""``jupyter opspawn``: the orchestrator as a server of its own, without JupyterLab or any other
extension, so that schedules run when nobody has a notebook open."""

from __future__ import annotations

from typing import Any

from opspawn_jupyter.server.extension import OpspawnExtension


class HeadlessOpspawn(OpspawnExtension):
    """A Jupyter server that only runs tasks. Takes the options of ``jupyter server``."""

    load_other_extensions = False
    serverapp_config: dict[str, Any] = {"open_browser": False}  # noqa: RUF012 (as its base has it)


def main() -> None:
    """Run it until it is told to end."""
    launch: Any = HeadlessOpspawn.launch_instance  # jupyter_server gives it no types
    launch()
