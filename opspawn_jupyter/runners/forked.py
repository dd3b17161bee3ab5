"""The kernel of a task, forked from a spare that waits for it."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from string import Template
from typing import Any

from jupyter_client.kernelspec import NoSuchKernel

from opspawn_jupyter import files
from opspawn_jupyter.kernels import defaults, servers
from opspawn_jupyter.kernels.command import KernelCommand, parse
from opspawn_jupyter.kernels.launching import Forked, Launch, launch, order
from opspawn_jupyter.kernels.leash import Leash
from opspawn_jupyter.kernels.provisioner import TIER_KERNEL
from opspawn_jupyter.kernels.socket_channels import connected
from opspawn_jupyter.kernels.task import PATIENCE_SECONDS, TaskKernelManager
from opspawn_jupyter.kernels.wire_channels import Wire
from opspawn_jupyter.model.work import TASK_VARIABLE
from opspawn_jupyter.runners import processes, sockets
from opspawn_jupyter.runners.conversation import Conversation
from opspawn_jupyter.runners.kernel import POLITE_SECONDS, Kernel
from opspawn_jupyter.runners.messages import Messages

#: Stands for a connection file in a command that is read before there is one.
_SOME_FILE = "/kernel.json"


class ForkedKernel(Kernel):
    """As its base class, which starts it where it cannot be forked.

    jupyter_client's manager comes to the same fork, but takes as long as two cells to get there,
    and its client as long as a cell to read what one has to say.
    """

    _leash: Leash | None = None
    _is_dismissed = False
    _planned: Launch | str | None = None
    #: Both ends of the line to it, until they are where they belong.
    _line: socket.socket | None = None
    _theirs: socket.socket | None = None
    #: Where the answer to ``order`` comes.
    _asked: socket.socket | None = None

    def order(self) -> None:
        """See the base class."""
        try:
            wanted = self._plan()
        except NoSuchKernel:
            return  # as ``launch`` will say
        if not isinstance(wanted, str):
            self._asked = order(wanted, *self._lines())

    async def launch(self) -> None:
        """Fork it, or start it as the base class does."""
        wanted = self._plan()
        if isinstance(wanted, str):
            await super().launch()
            return
        made = await self._launched(wanted)
        self._close_theirs()
        if isinstance(made, str):
            self._forgo_line()
            self.start_afresh(made)
            await super().launch()
            return
        self._hold(made)
        self._adopt(made.connection, Path(wanted.command.connection_file))
        if not made.has_line:
            self._forgo_line()
            self._tell_everybody()

    async def _launched(self, wanted: Launch) -> Forked | str:
        asked, self._asked = self._asked, None
        return await launch(wanted, *self._lines(), asked=asked)

    def _plan(self) -> Launch | str:
        """How it is to be launched, or why it cannot be forked; worked out once."""
        if self._planned is None:
            self._directory = sockets.private_directory()
            self._planned = self._wanted(TIER_KERNEL, self._directory / "kernel.json")
        return self._planned

    def _lines(self) -> tuple[int, ...]:
        """Descriptors that it is given beside its standard streams."""
        if self._theirs is None:
            self._line, self._theirs = socket.socketpair()
        return (self._theirs.fileno(),)

    def _close_theirs(self) -> None:
        """Its end of the line, once it has that: the line ends when it does."""
        if self._theirs is not None:
            self._theirs.close()
            self._theirs = None

    def _forgo_line(self) -> None:
        """It is reached otherwise, and has not heard what was said on the line."""
        talk, self.conversation = self.conversation, None
        if talk is not None:
            talk.close()
        self._close_line()

    def _close_line(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None

    def _wanted(self, tier: str, connection_file: Path) -> Launch | str:
        """How it is to be launched; or why it cannot be forked. Raises ``NoSuchKernel``."""
        directory = servers.directory() if servers.is_possible() else None
        if directory is None:
            return "this system has no fork servers"
        spec = self.spec
        options = defaults.options(directory, mark=TASK_VARIABLE)
        command = _command(spec, options.spare_arguments)
        if command is None or command.extra != options.spare_arguments or not _is_plain(spec):
            return f"{self.name} is not an ordinary ipykernel"
        own = {name: Template(v).safe_substitute(self._env) for name, v in spec.env.items()}
        return Launch(
            tier=tier,
            kernel_name=self.name,
            command=command.with_file(os.path.realpath(connection_file)),
            environment={**self._env, **own},
            directory=self._cwd or str(Path.cwd()),
            options=options,
            patience_seconds=PATIENCE_SECONDS,
        )

    def _hold(self, made: Forked) -> None:
        self._leash, self.pid, self.info = made.leash, made.leash.pid, dict(made.info)

    def _adopt(self, connection: Mapping[str, Any], connection_file: Path) -> None:
        """Know how to reach it."""
        self._connection, self._connection_file = connection, connection_file

    def _tell_everybody(self) -> None:
        """Write its connection file; with a line it has done that itself."""
        told = {**self._connection, "kernel_name": self.name, "jupyter_session": ""}
        files.write_json(self._connection_file, told, mode=0o600)

    @property
    def connection_file(self) -> Path:
        """See the base class."""
        return super().connection_file if self._leash is None else self._connection_file

    @property
    def tier(self) -> Mapping[str, str]:
        """See the base class."""
        return super().tier if self._leash is None else {"tier": TIER_KERNEL}

    async def connect(self) -> None:
        """As the base class, save that no answer is waited for, only what shows that no output is
        lost from here on; on a line nothing is."""
        if self._is_elsewhere and self._line is None:
            await super().connect()
        elif self.conversation is None:
            conversation = self._converse()
            if not conversation.takes_ahead:
                await self._before_start_ends(self._subscribed(conversation))

    @property
    def listens_early(self) -> bool:
        """See the base class: the line is there before the kernel."""
        return self._line is not None

    @property
    def _is_elsewhere(self) -> bool:
        """It is jupyter_client's to reach: it could not be forked."""
        return self._leash is None

    async def _subscribed(self, conversation: Conversation) -> None:
        while not conversation.is_subscribed:
            if not await self._hear(conversation) and not conversation.is_subscribed:
                self._ask_for_info(conversation)  # it may be one that greets nobody

    def _new_conversation(self) -> Conversation:
        if self._line is not None:
            line, self._line = Wire(self._line), None
            return Conversation(line, Messages(b""))
        if self._is_elsewhere:
            return super()._new_conversation()
        known = self._connection
        messages = Messages(known["key"].encode(), known["signature_scheme"])
        return Conversation(connected(known), messages)

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

    async def end(self) -> None:
        """As it says itself, or the fork server, before the system has taken the memory back."""
        if self._leash is None or not self.is_ready:
            await self.stop()
            return
        self.dismiss()
        if not await self._has_said_last(self._leash):
            await self.stop(politely=False)

    async def _has_said_last(self, leash: Leash) -> bool:
        wire = None if self.conversation is None else self.conversation.wire
        if wire is None or leash.poll() is not None:
            await leash.wait_for_ending(POLITE_SECONDS)
            return leash.ending is not None

        def has_ended() -> bool:
            return leash.poll() is not None or leash.ending is not None

        wire.look()
        if wire.ending is None:
            with leash.watched(wire.tell):
                await wire.wait_for_ending(has_ended, POLITE_SECONDS)
        return wire.ending is not None or leash.ending is not None

    async def stop(self, *, politely: bool = True) -> None:
        """End it; the fork server ends what it had started."""
        if self._leash is None:
            await super().stop(politely=politely)
            return
        if politely and self.is_ready:
            self.dismiss()
            await self._leash.wait(POLITE_SECONDS)
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self._leash.poll() is None:
                self._leash.signal(number)
                await self._leash.wait(self._grace.terminate_seconds)
        if self._leash.is_lost and TASK_VARIABLE in self._env:
            processes.kill(processes.marked(TASK_VARIABLE, self._env[TASK_VARIABLE]))
        self.is_ready = False

    def hang_up(self) -> None:
        """See the base class."""
        if self.conversation is not None and not self._is_dismissed:
            self.conversation.release()
        super().hang_up()
        self._close_line()
        self._close_theirs()
        if self._asked is not None:
            self._asked.close()
            self._asked = None

    def dismiss(self) -> None:
        """See the base class."""
        if self._leash is not None and self.conversation is not None and not self._is_dismissed:
            self._is_dismissed = True
            self.conversation.dismiss()

    @property
    def is_dismissed(self) -> bool:
        """See the base class."""
        return self._is_dismissed

    def dismiss_ahead(self) -> None:
        """See the base class."""
        if self._conversation_ahead is not None and not self._is_dismissed:
            self._is_dismissed = True
            self._conversation_ahead.dismiss(is_ahead=True)

    def stay(self) -> None:
        """See the base class."""
        self._is_dismissed = False

    def retract(self) -> None:
        """See the base class. It ends then."""
        if self._conversation_ahead is not None:
            self._is_dismissed = True
            self._conversation_ahead.retract()

    @property
    def _conversation_ahead(self) -> Conversation | None:
        """The one with a kernel that takes cells ahead."""
        talk = self.conversation
        return talk if talk is not None and talk.takes_ahead else None


@lru_cache(maxsize=16)
def _command(spec: Any, arguments: tuple[str, ...]) -> KernelCommand | None:
    """The kernelspec's command, for any connection file, where it is that of an ordinary
    ipykernel."""
    manager = TaskKernelManager()
    manager._kernel_spec = spec  # noqa: SLF001  as found; it would look for it once more
    manager.connection_file = _SOME_FILE
    return parse(manager.format_kernel_cmd(list(arguments)))


def _is_plain(spec: Any) -> bool:
    """It is started and interrupted as most kernels are."""
    return "kernel_provisioner" not in spec.metadata and spec.interrupt_mode == "signal"
