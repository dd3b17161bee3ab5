"""The kernel provisioner ``opspawn-fork``: forked kernels for every Jupyter client.

``jupyter_client`` finds it by its entry point. With ``JUPYTER_DEFAULT_PROVISIONER_NAME`` set to
its name, unmodified kernelspecs use it. Where a kernel cannot be forked it is started the
ordinary way, and ``tier`` says so.
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning.provisioner_base import KernelProvisionerBase

from opspawn_jupyter.kernels import recipe, servers
from opspawn_jupyter.kernels.command import KernelCommand, parse
from opspawn_jupyter.kernels.configuration import ConfiguredProvisioner
from opspawn_jupyter.kernels.forking import wire
from opspawn_jupyter.kernels.forking.options import Options
from opspawn_jupyter.kernels.leash import Leash, request

#: As the entry point names it.
PROVISIONER_NAME = "opspawn-fork"
#: A forked ipykernel, and one that was started the ordinary way.
TIER_KERNEL = "kernel"
TIER_COLD = "cold"

#: Launch arguments that a fork can honour. Anything else is for ``subprocess.Popen``.
_KNOWN_ARGUMENTS = frozenset(
    ["cwd", "env", "extra_arguments", "kernel_id", "stderr", "stdin", "stdout"]
)
_STREAMS = ("stdin", "stdout", "stderr")
_LOOPBACK = "127.0.0.1"
_LAUNCH_SECONDS = 30.0
#: How long ending a kernel waits for its end, so that managers, which look only every 100 ms,
#: find it gone.
_END_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True)
class _Launch:
    """A launch that may be served by a fork."""

    options: Options
    #: What ``pre_launch`` was called with, to start the ordinary way after all.
    arguments: Mapping[str, Any]
    #: Whether the kernel may choose its own ports and key, as waiting kernels did.
    by_spare: bool


class ForkProvisioner(ConfiguredProvisioner):
    """Starts kernels by fork, and all others as its base class does."""

    #: "kernel" or "cold" once a kernel was launched.
    tier: str | None = None
    #: Why the launch was cold.
    tier_reason: str = ""

    _launch: _Launch | None = None
    _leash: Leash | None = None

    # Launching

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        """Find out who can serve the launch, and prepare it."""
        self._launch = self._plan(kwargs)
        if self._launch is None or not self._launch.by_spare:
            return await self._prepare_file(kwargs)
        self._name_connection_file()
        extra = list(kwargs.get("extra_arguments", []))
        plain = {k: v for k, v in kwargs.items() if k != "extra_arguments"}
        command = self.parent.format_kernel_cmd(extra)
        # Past the base class: it would choose ports and write them into the connection file.
        return await KernelProvisionerBase.pre_launch(self, cmd=command, **plain)

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Launch the kernel, forked if it can be."""
        launch, self._launch = self._launch, None
        if launch is not None and await self._fork(launch, cmd, kwargs):
            self._say(TIER_KERNEL)
            return self.connection_info
        if launch is not None and launch.by_spare:
            kwargs = await self._prepare_file(dict(launch.arguments))
            cmd = kwargs.pop("cmd")
        self._say(TIER_COLD)
        return await super().launch_kernel(cmd, **kwargs)

    async def _prepare_file(self, kwargs: dict[str, Any]) -> dict[str, Any]:
        """As the base class does; ports that the manager has already, as at a restart, stay."""
        has_ports = self.parent is not None and all(self.parent.ports)
        cached = self.ports_cached
        self.ports_cached = cached or has_ports
        try:
            return await super().pre_launch(**kwargs)
        finally:
            self.ports_cached = cached or (self.ports_cached and not has_ports)

    def _plan(self, kwargs: Mapping[str, Any]) -> _Launch | None:
        self.tier, self.tier_reason = None, ""
        place = servers.directory() if servers.is_possible() else None
        if place is None or self.parent is None:
            self.tier_reason = "fork servers are not possible here"
            return None
        unknown = sorted(set(kwargs) - _KNOWN_ARGUMENTS)
        if unknown or subprocess.PIPE in (kwargs.get(name) for name in _STREAMS):
            self.tier_reason = f"launch arguments need an ordinary start: {unknown or 'pipes'}"
            return None
        command = parse(self.parent.format_kernel_cmd(list(kwargs.get("extra_arguments", []))))
        if command is None:
            self.tier_reason = "not an ordinary ipykernel"
            return None
        options = self.options(place)
        return _Launch(
            options=options,
            arguments=dict(kwargs),
            by_spare=self._suits_spare(command, options),
        )

    def _suits_spare(self, command: KernelCommand, options: Options) -> bool:
        manager = self.parent
        return (
            options.spares > 0
            and command.extra == options.spare_arguments
            and not any(manager.ports)
            and (manager.transport == "ipc" or manager.ip == _LOOPBACK)
            and getattr(manager, "transport_encryption", "disabled") == "disabled"
        )

    async def _fork(self, launch: _Launch, words: list[str], kwargs: Mapping[str, Any]) -> bool:
        """Ask the fork server for the kernel; whether there is one now."""
        command = parse(words)
        directory = os.fspath(kwargs.get("cwd") or Path.cwd())
        found = recipe.for_launch(command, kwargs["env"], launch.options) if command else None
        if command is None or found is None or not os.path.isdir(directory):  # noqa: ASYNC240, PTH112
            return self._refuse("the interpreter or the directory is not found")
        order = self._order(command, launch.by_spare, kwargs["env"], directory)
        answer = await self._request(found, order, kwargs)
        if answer.get("refused") == wire.RETIRED:
            answer = await self._request(found, order, kwargs)
        if "refused" in answer:
            return self._refuse(answer["refused"])
        self.cwd = directory
        if answer["connection"] is not None:
            self._adopt(answer["connection"], launch.arguments)
        return True

    async def _request(
        self, found: recipe.Recipe, order: Mapping[str, Any], kwargs: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """The fork server's answer; the kernel, if it gives one, is held from here on."""
        line = await servers.connect_within(found, self.patience_seconds)
        if line is None:
            return {"refused": "the fork server is not up"}
        with line, ExitStack() as stack:
            answer = await request(line, order, list(_files(kwargs, stack)), _LAUNCH_SECONDS)
            if "refused" not in answer:
                self._leash = Leash(line, answer["pid"])
                self.process = None
                self.pid = self.pgid = answer["pid"]
        return answer

    def _order(
        self,
        command: KernelCommand,
        by_spare: bool,
        environment: Mapping[str, str],
        directory: str,
    ) -> dict[str, Any]:
        return {
            "op": "kernel",
            "command": command.words,
            "arguments": command.arguments,
            # As the stock launcher sets it: kernels find their client by it.
            "environment": {**environment, "JPY_PARENT_PID": str(os.getpid())},
            "directory": directory,
            "connection_file": command.connection_file,
            "spare": by_spare,
            "ipc_prefix": self.parent.ip if self.parent.transport == "ipc" else None,
        }

    def _name_connection_file(self) -> None:
        """Choose the file's name before the manager writes it: the kernel is to know it."""
        if not self.parent.connection_file:
            descriptor, self.parent.connection_file = tempfile.mkstemp(".json")
            os.close(descriptor)

    def _adopt(self, connection: Mapping[str, Any], arguments: Mapping[str, Any]) -> None:
        """Give the manager the connection that the kernel chose, in memory and in its file."""
        manager = self.parent
        manager.load_connection_info({**connection, "key": connection["key"].encode()})
        session = {}
        if "env" in arguments:
            session["jupyter_session"] = arguments["env"].get("JPY_SESSION_NAME", "")
        manager.write_connection_file(**session)
        self.connection_info = manager.get_connection_info()

    def _refuse(self, reason: str) -> bool:
        self.tier_reason = reason
        return False

    def _say(self, tier: str) -> None:
        self.tier = tier
        if tier == TIER_KERNEL:
            self.tier_reason = ""
        self.log.info(f"kernel launched tier={tier} reason={self.tier_reason!r}")

    # Life and end

    @property
    def has_process(self) -> bool:
        """Whether there is a kernel that nobody has waited for."""
        return self._leash is not None or super().has_process

    async def poll(self) -> int | None:
        """Exit code, ``None`` while the kernel lives, 0 where there is none."""
        return self._leash.poll() if self._leash else await super().poll()

    async def wait(self) -> int | None:
        """Wait for the end; the exit code, negative for the signal that ended the kernel."""
        if self._leash is None:
            return await super().wait()
        code = await self._leash.wait()
        self._leash = None
        return code

    async def ended(self, timeout_seconds: float) -> bool:
        """Wait for a forked kernel's end; whether it came in time."""
        return self._leash is None or await self._leash.wait(timeout_seconds) is not None

    @property
    def is_lost(self) -> bool:
        """The fork server died: what the kernel had started may have outlived it."""
        return self._leash is not None and self._leash.is_lost

    async def send_signal(self, signum: int) -> None:
        """Send the signal to the kernel's process group."""
        if self._leash is None:
            await super().send_signal(signum)
        elif signum:
            self._leash.signal(signum)

    async def kill(self, restart: bool = False) -> None:
        """Kill the kernel and the processes of its group."""
        if self._leash is None:
            await super().kill(restart)
            return
        self._leash.signal(signal.SIGKILL)
        await self._leash.wait(_END_SECONDS)

    async def terminate(self, restart: bool = False) -> None:
        """Ask the kernel's process group to end."""
        if self._leash is None:
            await super().terminate(restart)
        else:
            self._leash.signal(signal.SIGTERM)

    async def shutdown_requested(self, restart: bool = False) -> None:
        """The kernel was asked to end: wait a little for it."""
        await super().shutdown_requested(restart)
        if self._leash is not None:
            await self._leash.wait(_END_SECONDS)

    async def get_provisioner_info(self) -> dict[str, Any]:
        """What is known of the kernel, with its tier."""
        return {**await super().get_provisioner_info(), "tier": self.tier}


def _files(kwargs: Mapping[str, Any], stack: ExitStack) -> Iterator[int]:
    """Descriptors for standard input, output and error, as ``subprocess.Popen`` reads them."""
    null = os.open(os.devnull, os.O_RDWR)
    stack.callback(os.close, null)
    output = 1
    for name, inherited in zip(_STREAMS, (null, 1, 2), strict=True):
        wanted = kwargs.get(name)
        if wanted is None:
            file = inherited
        elif wanted == subprocess.DEVNULL:
            file = null
        elif wanted == subprocess.STDOUT:
            file = output
        else:
            file = wanted if isinstance(wanted, int) else wanted.fileno()
        output = file if name == "stdout" else output
        yield file
