"""The kernel of a task, forked from a spare that waits for it."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Any

from jupyter_client.asynchronous.client import AsyncKernelClient

from opspawn_jupyter import files
from opspawn_jupyter.kernels import defaults, servers
from opspawn_jupyter.kernels.command import parse
from opspawn_jupyter.kernels.launching import Launch, launch
from opspawn_jupyter.kernels.leash import Leash
from opspawn_jupyter.kernels.provisioner import TIER_KERNEL
from opspawn_jupyter.kernels.task import PATIENCE_SECONDS
from opspawn_jupyter.model.work import TASK_VARIABLE
from opspawn_jupyter.runners import processes, sockets
from opspawn_jupyter.runners.kernel import POLITE_SECONDS, Kernel
from opspawn_jupyter.runners.session import new_session


class ForkedKernel(Kernel):
    """As its base class, which starts it where it cannot be forked.

    jupyter_client's manager comes to the same fork, but takes as long as two cells to get there.
    """

    _leash: Leash | None = None

    async def launch(self) -> None:
        """Fork it, or start it as the base class does."""
        self._directory = sockets.private_directory()
        wanted = self._wanted(TIER_KERNEL, self._directory / "kernel.json")
        if isinstance(wanted, str):
            await super().launch()
            return
        made = await launch(wanted)
        if isinstance(made, str):
            self.start_afresh(made)
            await super().launch()
            return
        self._hold(made.leash)
        self._adopt(made.connection)

    def _wanted(self, tier: str, connection_file: Path) -> Launch | str:
        """How it is to be launched; or why it cannot be forked. Raises ``NoSuchKernel``."""
        directory = servers.directory() if servers.is_possible() else None
        if directory is None:
            return "this system has no fork servers"
        manager, spec = self.manager, self.spec
        manager.connection_file = str(connection_file)
        options = defaults.options(directory, mark=TASK_VARIABLE)
        command = parse(manager.format_kernel_cmd(list(options.spare_arguments)))
        if command is None or command.extra != options.spare_arguments or not _is_plain(spec):
            return f"{self.name} is not an ordinary ipykernel"
        own = {name: Template(v).safe_substitute(self._env) for name, v in spec.env.items()}
        return Launch(
            tier=tier,
            command=command,
            environment={**self._env, **own},
            directory=self._cwd or str(Path.cwd()),
            options=options,
            patience_seconds=PATIENCE_SECONDS,
        )

    def _hold(self, leash: Leash) -> None:
        self._leash, self.pid = leash, leash.pid

    def _adopt(self, connection: Mapping[str, Any]) -> None:
        """Let this process know how to reach it, and whoever reads its connection file."""
        self._connection = connection
        told = {**connection, "kernel_name": self.name, "jupyter_session": ""}
        files.write_json(self.connection_file, told, mode=0o600)

    @property
    def tier(self) -> Mapping[str, str]:
        """See the base class."""
        return super().tier if self._leash is None else {"tier": TIER_KERNEL}

    def _new_client(self) -> AsyncKernelClient:
        return super()._new_client() if self._leash is None else self._connected_client()

    def _connected_client(self) -> AsyncKernelClient:
        told: Any = {**self._connection, "key": self._connection["key"].encode()}
        client = AsyncKernelClient(context=self.manager.context, session=new_session(told["key"]))
        client.load_connection_info(told)
        return client

    async def exit_code(self) -> int | None:
        """As the fork server tells it."""
        if self._leash is None:
            return await super().exit_code()
        if self._exit_code is None:
            self._exit_code = self._leash.poll()
        return self._exit_code

    async def interrupt(self) -> None:
        """Interrupt the code that runs."""
        if self._leash is None:
            await super().interrupt()
        else:
            self._leash.signal(signal.SIGINT)

    async def stop(self, *, politely: bool = True) -> None:
        """End it; the fork server ends what it had started."""
        if self._leash is None:
            await super().stop(politely=politely)
            return
        if politely and self.is_ready and self.client is not None:
            self._ask_to_end(self.client)
            await self._leash.wait(POLITE_SECONDS)
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self._leash.poll() is None:
                self._leash.signal(number)
                await self._leash.wait(self._grace.terminate_seconds)
        if self._leash.is_lost and TASK_VARIABLE in self._env:
            processes.kill(processes.marked(TASK_VARIABLE, self._env[TASK_VARIABLE]))
        self.is_ready = False

    def _ask_to_end(self, client: AsyncKernelClient) -> None:
        client.shutdown()


def _is_plain(spec: Any) -> bool:
    """It is started and interrupted as most kernels are."""
    return "kernel_provisioner" not in spec.metadata and spec.interrupt_mode == "signal"
