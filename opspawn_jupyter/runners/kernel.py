"""One kernel process and the way to it, from start to the last of its children's end."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import Awaitable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import psutil
import zmq
from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import DeadKernelError

from opspawn_jupyter.kernels.defaults import SPARE_ARGUMENTS
from opspawn_jupyter.kernels.provisioner import TIER_COLD, TIER_KERNEL, ForkProvisioner
from opspawn_jupyter.kernels.socket_channels import Sockets
from opspawn_jupyter.kernels.task import tier
from opspawn_jupyter.model.work import TASK_VARIABLE, Grace
from opspawn_jupyter.runners import kernel_manager, kernelspecs, processes, sockets
from opspawn_jupyter.runners.conversation import Conversation, Heard, parent
from opspawn_jupyter.runners.messages import Messages

#: How often a silent kernel is looked at whether it lives.
_ALIVE_SECONDS = 0.2
#: What a kernel said before it ended is read at once; this is for its last packet.
_LAST_SECONDS = 0.1
#: How often a process is looked at while its end is waited for.
_POLL_SECONDS = 0.01
#: How long a kernel that is asked politely may take to leave: what jupyter_client gives it.
POLITE_SECONDS = 2.5


class Kernel:
    """A kernel that is started once and stopped once. Belongs to one event loop.

    ``is_alone`` says that this process exists for this kernel only: it is forked where that is
    possible, and whatever hangs on it in the end came from the kernel, and goes with it.
    ``prefix`` are words before its command; with any, or none in a list, it is started afresh.
    """

    def __init__(
        self,
        name: str,
        *,
        grace: Grace,
        cwd: str | None = None,
        env: Mapping[str, str],
        is_alone: bool = False,
        prefix: Sequence[str] | None = None,
    ) -> None:
        self.name = name
        self.conversation: Conversation | None = None
        #: Content of the kernel's own ``kernel_info_reply``, once it is ``identified``.
        self.info: dict[str, Any] = {}
        self.pid = 0
        #: It has answered, and can be interrupted, and asked to end.
        self.is_ready = False
        self._grace = grace
        self._cwd = cwd
        self._env = dict(env)
        self._is_alone = is_alone
        self._prefix = prefix
        self._client: AsyncKernelClient | None = None
        self._cold_reason = "it was asked for" if prefix is not None else ""
        self._directory: Path | None = None
        self._exit_code: int | None = None

    @cached_property
    def manager(self) -> AsyncKernelManager:
        """jupyter_client's, for kernels that are started as it does."""
        return kernel_manager.manager(self.name, is_alone=self._is_alone, prefix=self._prefix)

    def order(self) -> None:
        """Have it come already, where that takes no waiting. It is still to be launched, or else
        closed."""

    async def launch(self) -> None:
        """Start the process. Raises ``NoSuchKernel``, or ``OSError`` where it cannot be run."""
        manager = self.manager
        directory = self._directory = self._directory or sockets.private_directory()
        manager.connection_file = str(directory / "kernel.json")
        manager.transport = kernel_manager.transport(self.spec.argv, directory)
        in_memory = list(SPARE_ARGUMENTS) if manager.ipykernel else []
        await manager.start_kernel(extra_arguments=in_memory, cwd=self._cwd, env=self._env)
        self.pid = getattr(manager.provisioner, "pid", None) or 0

    def start_afresh(self, reason: str) -> None:
        """Have it started the ordinary way, for this reason. Called before it is launched."""
        self._prefix, self._cold_reason = (), reason

    @property
    def tier(self) -> Mapping[str, str]:
        """How it was started: ``tier``, and where it was not forked ``tier_reason``."""
        if self._cold_reason:
            return {"tier": TIER_COLD, "tier_reason": self._cold_reason}
        return tier(self.manager.provisioner)

    async def connect(self) -> None:
        """Wait until cells can be sent. Raises ``DeadKernelError`` where it dies or takes too long.

        jupyter_client's own ``wait_for_ready`` always takes 200 ms more, to empty the output
        channel; here each message is told apart by its parent instead.
        """
        await self._before_start_ends(self._answers(self._converse()))

    async def take_on(self, request: str) -> None:
        """Wait until it carries out the first request that was sent to it: it may have to come up
        before. Raises as ``connect`` does."""
        if not self.is_ready and self.conversation is not None:
            await self._before_start_ends(self._taken_on(self.conversation, request))
            self.is_ready = True

    async def identify(self) -> None:
        """Wait until it has said what it is. Raises as ``connect`` does."""
        if not (self.info and self.is_ready) and self.conversation is not None:
            self._ask_for_info(self.conversation)
            await self._before_start_ends(self._introduced(self.conversation))

    async def _before_start_ends(self, waiting: Awaitable[None]) -> None:
        seconds = self._grace.kernel_start_seconds
        try:
            async with asyncio.timeout(seconds):
                await waiting
        except TimeoutError as timeout:
            message = f"The kernel did not answer within {seconds:g} seconds."
            raise DeadKernelError(message) from timeout

    def _converse(self) -> Conversation:
        self.conversation = self._new_conversation()
        return self.conversation

    def _new_conversation(self) -> Conversation:
        client = self._client = self.manager.client(context=self.manager.context)
        client.start_channels(stdin=False, hb=False)
        lines = (client.shell_channel.socket, client.iopub_channel.socket)
        session: Any = client.session  # of traits
        messages = Messages(session.key, session.signature_scheme)
        return Conversation(Sockets(*map(_plain, lines)), messages)

    async def _answers(self, conversation: Conversation) -> None:
        """Both channels work: a reply came, and its busy or idle message too."""
        while not (self.info and conversation.is_subscribed):
            self._ask_for_info(conversation)
            while not self.info:
                await self._hear(conversation)
            if not conversation.is_subscribed:
                await self._hear(conversation)

    async def _introduced(self, conversation: Conversation) -> None:
        others: list[Heard] = []
        while not self.is_ready:
            others += await self._hear(conversation)
        conversation.put_back(others)

    async def _taken_on(self, conversation: Conversation, request: str) -> None:
        heard: list[Heard] = []
        while not any(parent(message) == request for _, message in heard[-1:]):
            heard += await self._hear(conversation)
        conversation.put_back(heard)

    async def hear(self, conversation: Conversation) -> Heard | None:
        """What it says next; None where that is nothing for a moment, or had its taker.

        Raises ``DeadKernelError``, with how it died, where the process has ended and all that it
        said was heard: it may say its last, and end, just before it is looked at.
        """
        came = await conversation.hear(_ALIVE_SECONDS)
        if came is None and (code := await self.exit_code()) is not None:
            came = await conversation.hear(_LAST_SECONDS)
            if came is None:
                raise death(code)
        return came

    async def _hear(self, conversation: Conversation) -> list[Heard]:
        came = await self.hear(conversation)
        return [] if came is None else [came]

    def _ask_for_info(self, conversation: Conversation) -> None:
        conversation.ask("kernel_info_request", {}, self._note_info)

    def _note_info(self, content: dict[str, Any]) -> None:
        self.info, self.is_ready = content, True

    @cached_property
    def spec(self) -> Any:
        """The kernelspec, as it was when it was first asked for. Raises ``NoSuchKernel``."""
        return kernelspecs.find(self.name)

    async def exit_code(self) -> int | None:
        """The process's exit code, negative for a signal; None while it lives."""
        if self._exit_code is None and self.manager.provisioner is not None:
            self._exit_code = await self.manager.provisioner.poll()
        return self._exit_code

    async def interrupt(self) -> None:
        """Interrupt the code that runs, as the kernel's language does."""
        if await self.exit_code() is None:
            await self.manager.interrupt_kernel()

    def dismiss(self) -> None:
        """Have it end already, where that can be done at once: nothing more is to run. It is still
        to be stopped."""

    @property
    def is_dismissed(self) -> bool:
        """It has been asked to end."""
        return False

    def dismiss_ahead(self) -> None:
        """Have it end once it has run what was sent to it, where it takes that ahead."""

    def stay(self) -> None:
        """It has dropped what was sent ahead, and is still to be dismissed."""

    def retract(self) -> None:
        """Have it begin nothing any more of what was sent ahead."""

    @property
    def listens_early(self) -> bool:
        """It can be sent cells while it is launched."""
        return False

    async def end(self) -> None:
        """Wait until nothing of the user's runs any more, exit handlers included. What is left of
        it is for ``close``."""
        await self.stop()

    async def stop(self, *, politely: bool = True) -> None:
        """End the process and everything that it started. Safe to call more than once."""
        fork = self._fork
        family = processes.descendants(self.pid) if self.pid and fork is None else []
        if politely and self.is_ready and await self.exit_code() is None:
            await self.manager.request_shutdown()
            await self._ended(POLITE_SECONDS)
        if self.pid and await self.exit_code() is None:
            await self.manager.signal_kernel(signal.SIGTERM)
            await self._ended(self._grace.terminate_seconds)
        if fork is None:
            self._kill(family)
        else:
            await self._kill_fork(fork)
        await self._ended(self._grace.terminate_seconds)
        self.is_ready = False

    @property
    def _fork(self) -> ForkProvisioner | None:
        """Who holds the kernel, if it is a forked one."""
        provisioner = self.manager.provisioner
        if isinstance(provisioner, ForkProvisioner) and provisioner.tier == TIER_KERNEL:
            return provisioner
        return None

    def _kill(self, family: list[psutil.Process]) -> None:
        """Kill what is left, whatever group it moved to, and orphans that came to us."""
        if self.pid:
            processes.kill_session(self.pid, family)
        if self._is_alone:
            processes.kill(processes.descendants(os.getpid()))

    async def _kill_fork(self, fork: ForkProvisioner) -> None:
        """The fork server kills what the kernel leaves; without one its mark has to be found."""
        if await self.exit_code() is None:
            await fork.kill()
        if fork.is_lost and TASK_VARIABLE in self._env:
            processes.kill(processes.marked(TASK_VARIABLE, self._env[TASK_VARIABLE]))

    async def _ended(self, seconds: float) -> bool:
        if self._fork is not None:
            return await self._fork.ended(seconds)
        deadline = asyncio.get_running_loop().time() + seconds
        while self.pid and await self.exit_code() is None:
            if asyncio.get_running_loop().time() > deadline:
                return False
            await asyncio.sleep(_POLL_SECONDS)
        return True

    @property
    def connection_file(self) -> Path:
        """Where others find how to reach it, once it was launched."""
        return Path(self.manager.connection_file)

    def hang_up(self) -> None:
        """Leave it to others to talk to. After this, another event loop may ``close`` it."""
        if self.conversation is not None:
            self.conversation.close()
            self.conversation = None
        if self._client is not None:
            self._client.stop_channels()
            self._client = None
        if self._has_manager:
            self.manager.context.destroy(linger=0)
        self.is_ready = False

    @property
    def _has_manager(self) -> bool:
        return "manager" in vars(self)

    async def close(self) -> None:
        """Stop it if need be, and remove its sockets and files."""
        try:
            await self.stop()
            self.hang_up()
            if self._has_manager:
                await self.manager.cleanup_resources()
        finally:
            if self._directory is not None:
                shutil.rmtree(self._directory, ignore_errors=True)


def death(exit_code: int | None) -> DeadKernelError:
    """What to raise for a kernel that ended so."""
    name = processes.signal_name(exit_code)
    if name == "SIGKILL":
        hint = "where nobody did that, memory may have run out"
        return DeadKernelError(f"The kernel was killed by SIGKILL; {hint}.")
    if name:
        return DeadKernelError(f"The kernel was killed by {name}.")
    return DeadKernelError(f"The kernel exited with code {exit_code}.")


def _plain(line: Any) -> zmq.Socket[bytes]:
    """The socket without asyncio's futures around it. It lives as long as the one it came from."""
    return zmq.Socket.shadow(line.underlying)
