"""``jupyter opspawn``: the orchestrator as a server of its own, without JupyterLab or any other
extension, so that schedules run when nobody has a notebook open."""

from __future__ import annotations

import sys
from typing import Any

from opspawn_jupyter.server.extension import OpspawnExtension


class HeadlessOpspawn(OpspawnExtension):
    """A Jupyter server that only runs tasks. Takes the options of ``jupyter server``."""

    load_other_extensions = False


def main() -> None:
    """Run it until it is told to end."""
    launch: Any = HeadlessOpspawn.launch_instance  # jupyter_server gives it no types
    # As an option, because the server makes an extension of the base class, with its own defaults.
    launch(["--no-browser", *sys.argv[1:]])
