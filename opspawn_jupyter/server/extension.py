"""The Jupyter Server extension: its settings and its place in the server. Only wiring."""

from __future__ import annotations

import atexit
import gc
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from jupyter_server.extension.application import ExtensionApp
from jupyter_server.serverapp import ServerApp
from traitlets import Bool, Dict, Float, Int, List, TraitError, TraitType, Unicode
from traitlets.config import Config

from opspawn_jupyter.buses.openlineage import require_target
from opspawn_jupyter.errors import SettingInvalid
from opspawn_jupyter.orchestrator.allowance import check_agent_limits
from opspawn_jupyter.orchestrator.prune import settings_retention
from opspawn_jupyter.server import openapi, plain_routes, routing
from opspawn_jupyter.server.activity import show_activity
from opspawn_jupyter.server.anchors import require_places
from opspawn_jupyter.server.browsers import configured_address
from opspawn_jupyter.server.kept_kernels import Managers
from opspawn_jupyter.server.loggers import speak_through
from opspawn_jupyter.server.routes import job
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
    spare_runners = Int(
        Settings.spare_runners,
        min=0,
        help="How many runner processes wait for a task, from soon after the server's start on; "
        "with 0 the first task starts the worker, and each task waits for its runner.",
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
    max_cell_output_bytes = Int(
        Settings.max_cell_output_bytes,
        min=1024,
        help="What is kept of one cell's output; the executed notebook says what was left out.",
    ).tag(config=True)
    max_notebook_output_bytes = Int(
        Settings.max_notebook_output_bytes,
        min=1024,
        help="What is kept of the outputs of all cells of a run.",
    ).tag(config=True)
    max_cell_outputs = Int(
        Settings.max_cell_outputs, min=1, help="How many outputs of one cell are kept."
    ).tag(config=True)
    kept_kernels = Int(
        Settings.kept_kernels,
        min=0,
        help="How many kernels of failed runs stay open, where that was asked for; the newest.",
    ).tag(config=True)
    kept_kernel_seconds = Float(
        Settings.kept_kernel_seconds, min=0, help="How long the kernel of a failed run stays open."
    ).tag(config=True)
    kind_limits = Dict(
        value_trait=Int(min=1),
        key_trait=Unicode(),
        help="How many tasks of a kind run at once, as {'notebook': 4}; no limit for the others.",
    ).tag(config=True)
    key_limits = Dict(
        value_trait=Int(min=1),
        key_trait=Unicode(),
        help="How many tasks with a concurrency key run at once, as {'gpu': 2}; one for the "
        "others.",
    ).tag(config=True)
    breaker_failures = Int(
        Settings.breaker_failures,
        min=0,
        help="So many attempts of one kind that end badly in a row hold the kind for a while; "
        "0 never does.",
    ).tag(config=True)
    breaker_window_seconds = Float(
        Settings.breaker_window_seconds, min=0, help="Time within which they all must end."
    ).tag(config=True)
    breaker_cooldown_seconds = Float(
        Settings.breaker_cooldown_seconds,
        min=0,
        help="How long a kind is held before one of its tasks is tried.",
    ).tag(config=True)
    webhook_secret = Unicode(
        Settings.webhook_secret,
        help="Signs what webhooks are sent; without one nothing is signed. Better given in the "
        "environment than on a command line, which others can read.",
    ).tag(config=True)
    notifiers = Dict(
        value_trait=Unicode(),
        key_trait=Unicode(),
        help="Notification services by name, with addresses as Apprise takes them, as "
        "{'team': 'slack://…'}; tasks name them in on_success and on_failure.",
    ).tag(config=True)

    serves_jobs = Bool(
        Settings.serves_jobs,
        help="Serve jupyter-scheduler's REST interface under scheduler/, so that its JupyterLab UI "
        "works on opspawn; never where its own server extension is enabled.",
    ).tag(config=True)

    retention_days = Float(
        Settings.retention_days,
        min=0,
        help="For how many days after its end a task keeps its run directory; 0 for ever.",
    ).tag(config=True)
    retention_max_tasks = Int(
        Settings.retention_max_tasks,
        min=0,
        help="How many finished tasks keep their run directory, the newest ones; 0 all.",
    ).tag(config=True)
    retention_max_bytes = Int(
        Settings.retention_max_bytes,
        min=0,
        help="How many bytes the run directories of finished tasks may hold; 0 any number.",
    ).tag(config=True)
    retention_by_label = Dict(
        value_trait=Dict(),
        key_trait=Unicode(),
        help="Other limits for tasks with a label, as {'project:audit': {'days': 3650}}; any of "
        "days, max_tasks and max_bytes. {} keeps them for ever.",
    ).tag(config=True)

    agent_limits = Dict(
        value_trait=Dict(),
        key_trait=Unicode(),
        help="What agents may use together, as {'day': {'max_cost': 20}, 'user_day': {'max_cost': "
        "5}}: 'day' for all agents in a day (UTC), 'user_day' for those of one user in a day, "
        "'user' for those of one user ever; each with any of max_requests, max_tokens, max_cost, "
        "max_tool_calls and max_seconds.",
    ).tag(config=True)
    anchors = List(
        trait=Unicode(),
        help="Where heads of the history are left with others, as ['heads.jsonl', "
        "'https://…', 'git:DIRECTORY']: a line in a file, a webhook, a commit.",
    ).tag(config=True)
    anchor_seconds = Float(
        Settings.anchor_seconds, min=1, help="How often a new head of the history is left."
    ).tag(config=True)
    openlineage = Unicode(
        Settings.openlineage,
        help="Who is told of runs, as OpenLineage events: a file, or an http(s) address.",
    ).tag(config=True)
    openlineage_namespace = Unicode(
        Settings.openlineage_namespace, help="Namespace of the jobs in OpenLineage events."
    ).tag(config=True)
    openlineage_api_key = Unicode(
        Settings.openlineage_api_key,
        help="Bearer token for the address of openlineage. Better given in the environment.",
    ).tag(config=True)

    mcp_servers = Dict(
        key_trait=Unicode(),
        help="MCP servers by name, as {'time': {'command': 'mcp-server-time'}}, beside those in "
        "opspawn_mcp.json. Their commands need no approval.",
    ).tag(config=True)
    public_url = Unicode(
        Settings.public_url,
        help="Where browsers reach this server, as https://hub.example.com/user/me/, for those "
        "that come back from a login to a tool server. By default what JupyterHub says, or where "
        "a browser was last seen.",
    ).tag(config=True)

    service: Service
    #: What the configuration or the environment has that is no setting; the service does not start.
    _setting_problem: SettingInvalid | None = None

    def update_config(self, config: Config) -> None:
        """Called by Jupyter with configuration of files and the command line. It would log a value
        that is none, and go on without any of ours: with another state directory, say."""
        try:
            super().update_config(config)
        except TraitError as problem:
            self._setting_problem = SettingInvalid(type(self).__name__, hint=str(problem))

    def initialize_settings(self) -> None:
        """Called by Jupyter with all configuration read; what the environment sets is added."""
        speak_through(self._server.log)
        try:
            self._adopt_environment(os.environ)
        except SettingInvalid as problem:
            self._setting_problem = problem
        self.service = Service(self._open, openapi.document)

    def initialize_handlers(self) -> None:
        """Called by Jupyter to learn the routes."""
        known = routing.handlers(self.service)
        self.handlers.extend(known)
        plain_routes.put_first(self._server.web_app, known)
        if self.serves_jobs and not _has_extension(self._server, "jupyter_scheduler"):
            self.handlers.extend(job.handlers(self.service))

    async def _start_jupyter_server_extension(self, serverapp: ServerApp) -> None:  # noqa: ARG002
        """Called by Jupyter when its event loop runs."""
        self.service.start()
        activity = show_activity(self.service.unfinished_count, self._server.web_app.settings)
        self.service.background.start(activity, "activity")

    async def stop_extension(self) -> None:
        """Called by Jupyter when the server stops."""
        await self.service.stop()
        # The interpreter's last act is to look for garbage in everything that was ever loaded, for
        # half a second of a processor, which a busy machine takes two for. All of it goes anyway.
        atexit.register(gc.freeze)

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
        if self._setting_problem is not None:
            raise self._setting_problem
        kernel_specs = self.settings["kernel_spec_manager"].get_all_specs
        managers = Managers(
            kernels=self.settings["kernel_manager"], sessions=self.settings["session_manager"]
        )
        return await System.open(self._read_settings(), kernel_specs, self._url(), managers)

    def _read_settings(self) -> Settings:
        root = Path(self._server.root_dir).resolve()
        runs_directory = (root / Path(self.runs_directory).expanduser()).resolve()
        if not runs_directory.is_relative_to(root):
            raise SettingInvalid(
                self.runs_directory, hint="runs_directory must lie in the server's root directory"
            )
        given = {name: getattr(self, name) for name in self.class_own_traits(config=True)}
        state_directory = (root / Path(self.state_directory).expanduser()).resolve()
        placed = {
            "state_directory": state_directory,
            "runs_directory": runs_directory,
            "public_url": configured_address(self.public_url, os.environ),
        }
        settings = Settings(root_directory=root, **given | placed | {"anchors": (*self.anchors,)})
        check_agent_limits(settings)
        require_places(settings.anchors, root)
        require_target(settings.openlineage)
        settings_retention(settings)  # says what is wrong with it, now and not at the first round
        return settings

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


def _has_extension(server: ServerApp, name: str) -> bool:
    known = server.extension_manager.extensions
    return name in known and bool(known[name].enabled)
