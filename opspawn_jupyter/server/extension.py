"""The Jupyter Server extension: its settings and its place in the server. Only wiring."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from jupyter_server.extension.application import ExtensionApp
from jupyter_server.serverapp import ServerApp
from traitlets import Float, Int, TraitError, TraitType, Unicode
from traitlets.config import Config

from opspawn_jupyter.errors import SettingInvalid
from opspawn_jupyter.server import openapi, routes
from opspawn_jupyter.server.service import Running, Service
from opspawn_jupyter.server.system import System
from opspawn_jupyter.settings import Settings

#: Addresses that stand for every interface, and how to reach the server through one of them.
_WILDCARDS = {"": "127.0.0.1", "*": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104


class OpspawnExtension(ExtensionApp):
    """Runs notebooks in the background.

    Each setting can also be given as an environment variable: OPSPAWN_ and its name in capitals.
    A configuration file overrides the environment, the command line overrides both.
    """

    name = "opspawn_jupyter"

    state_directory = Unicode(
        ".opspawn",
        help="Where the journal and the database lie; relative to the server's root directory.",
    ).tag(config=True)
    runs_directory = Unicode(
        "opspawn_runs",
        help="Where run directories are made; relative to the server's root directory and in it.",
    ).tag(config=True)
    max_running_tasks = Int(
        Settings.max_running_tasks,
        min=1,
        help="How many tasks run at once; by default one for each processor, and at least 4.",
    ).tag(config=True)
    interrupt_grace_seconds = Float(
        Settings.interrupt_grace_seconds,
        min=0,
        help="How long a cancelled or timed-out kernel gets to obey an interrupt.",
    ).tag(config=True)
    terminate_grace_seconds = Float(
        Settings.terminate_grace_seconds,
        min=0,
        help="How long a process gets between being asked to end and being killed.",
    ).tag(config=True)
    kernel_start_timeout_seconds = Float(
        Settings.kernel_start_timeout_seconds,
        min=1,
        help="How long a kernel may take to start.",
    ).tag(config=True)
    sql_timeout_seconds = Float(
        Settings.sql_timeout_seconds, min=0.1, help="Longest time of one SQL query."
    ).tag(config=True)
    sql_max_rows = Int(
        Settings.sql_max_rows, min=1, help="Most rows that one SQL query gives."
    ).tag(config=True)
    max_notebook_bytes = Int(
        Settings.max_notebook_bytes, min=1, help="Largest notebook that is accepted."
    ).tag(config=True)

    service: Service

    def initialize_settings(self) -> None:
        """Called by Jupyter with all configuration read; what the environment sets is added."""
        _speak_through(self._server.log)
        self._environment_problem: SettingInvalid | None = None
        try:
            self._adopt_environment(os.environ)
        except SettingInvalid as problem:
            self._environment_problem = problem
        self.service = Service(self._open, openapi.document)

    def initialize_handlers(self) -> None:
        """Called by Jupyter to learn the routes."""
        self.handlers.extend(routes.handlers(self.service))

    async def _start_jupyter_server_extension(self, serverapp: ServerApp) -> None:  # noqa: ARG002
        """Called by Jupyter when its event loop runs."""
        self.service.start()

    async def stop_extension(self) -> None:
        """Called by Jupyter when the server stops."""
        await self.service.stop()

    def current_activity(self) -> int | None:
        """Called by Jupyter before it shuts down a server that seems idle."""
        return self.service.unfinished_count() or None

    def _adopt_environment(self, environment: Mapping[str, str]) -> None:
        """Take from the environment what no configuration file and no command line gives."""
        given = self.config.get(type(self).__name__, {})
        for name, trait in self.class_own_traits(config=True).items():
            variable = f"OPSPAWN_{name.upper()}"
            if variable in environment and name not in given:
                self._set(name, trait, variable, environment[variable])

    def _set(self, name: str, trait: TraitType[Any, Any], variable: str, text: str) -> None:
        try:
            setattr(self, name, trait.from_string(text))
        except (TraitError, ValueError) as failure:
            raise SettingInvalid(text, hint=f"{variable}: {failure}") from failure
        # So that `jupyter server --show-config` shows it.
        self._server.update_config(Config({type(self).__name__: {name: getattr(self, name)}}))

    async def _open(self) -> Running:
        if self._environment_problem is not None:
            raise self._environment_problem
        kernel_specs = self.settings["kernel_spec_manager"].get_all_specs
        return await System.open(self._read_settings(), kernel_specs, self._url())

    def _read_settings(self) -> Settings:
        root = Path(self._server.root_dir).resolve()
        runs_directory = (root / Path(self.runs_directory).expanduser()).resolve()
        if not runs_directory.is_relative_to(root):
            raise SettingInvalid(
                self.runs_directory, hint="runs_directory must lie in the server's root directory"
            )
        return Settings(
            root_directory=root,
            state_directory=(root / Path(self.state_directory).expanduser()).resolve(),
            runs_directory=runs_directory,
            max_running_tasks=self.max_running_tasks,
            interrupt_grace_seconds=self.interrupt_grace_seconds,
            terminate_grace_seconds=self.terminate_grace_seconds,
            kernel_start_timeout_seconds=self.kernel_start_timeout_seconds,
            sql_timeout_seconds=self.sql_timeout_seconds,
            sql_max_rows=self.sql_max_rows,
            max_notebook_bytes=self.max_notebook_bytes,
        )

    def _url(self) -> str:
        """Where processes of this machine reach the server."""
        server = self._server
        if server.sock:
            raise SettingInvalid(
                server.sock, hint="opspawn's worker needs a server that listens on a TCP port"
            )
        parts = urlsplit(server.connection_url)
        if server.ip in _WILDCARDS:
            parts = parts._replace(netloc=f"{_WILDCARDS[server.ip]}:{server.port}")
        return urlunsplit(parts)

    @property
    def _server(self) -> ServerApp:
        if self.serverapp is None:
            msg = "the extension is not linked to a server"
            raise RuntimeError(msg)
        return self.serverapp


def _speak_through(log: logging.Logger | logging.LoggerAdapter[Any]) -> None:
    """Let our loggers write where Jupyter's do, as Jupyter itself does with tornado's."""
    ours = logging.getLogger("opspawn_jupyter")
    ours.parent = log.logger if isinstance(log, logging.LoggerAdapter) else log
    ours.setLevel(log.getEffectiveLevel())
