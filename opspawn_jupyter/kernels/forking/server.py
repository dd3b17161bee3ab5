"""The fork server itself: one thread, one loop, no state but its kernels and spares.

A client's connection is its kernel's leash. The kernel's exit status comes back on it; when the
connection ends, or the client's process does (a fork of the client may hold the connection open),
the kernel's process group is killed.
"""

from __future__ import annotations

import logging
import os
import selectors
import signal
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from . import direct, family, ipc_files, kernel, packages, pages, safety, wire
from .client import Client, signal_group
from .door import Door
from .exercise import exercise
from .forks import Forks, bring_up_direct, bring_up_kernel
from .nursery import BringUp, Exercise, Nursery, Spare
from .options import Options
from .surroundings import Surroundings

log = logging.getLogger("opspawn_forking")


class ForkServer:
    """Forks kernels until its owner ends, it was idle too long, or it is told to stop."""

    def __init__(
        self,
        options: Options,
        door: Door,
        surroundings: Surroundings,
        obstacle: str | None,
        files: Sequence[str],
    ) -> None:
        self._options = options
        self._door = door
        self._surroundings = surroundings
        self._forks = Forks(options, surroundings, self._give_up)
        self._obstacle = obstacle
        #: Why forking would have been unsafe when the last spares were made.
        self._hazard: str | None = None
        self._pid = os.getpid()
        self._places = [*packages.places(), *files]
        self._packages = packages.snapshot(self._places)
        self._selector = selectors.PollSelector()  # unlike epoll it opens no file
        self._signals, self._signal_writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._clients: dict[int, Client] = {}
        self._kernels: dict[int, Client] = {}
        self._stops = False
        self._busy_at = time.monotonic()
        self._nurseries = {
            "kernel": self._nursery("k", bring_up_kernel, exercise),
            "direct": self._nursery(
                "d", bring_up_direct, direct.DirectKernelApp.exercise, is_wanted=False
            ),
        }

    def _nursery(
        self, name: str, bring_up: BringUp, exercise: Exercise, *, is_wanted: bool = True
    ) -> Nursery:
        return Nursery(
            options=self._options,
            prefix=f"{self._door.prefix}.{self._pid}{name}",
            selector=self._selector,
            fork=self._forks.make,
            surroundings=self._surroundings,
            on_change=self._serve_waiting,
            bring_up=bring_up,
            exercise=exercise,
            is_wanted=is_wanted,
        )

    def rehearse(self) -> None:
        """Learn which memory kernels write to, where they are made in two halves. Nobody may come
        in the meantime."""
        if self._obstacle is None and kernel.is_made_early() and pages.can_be_copied():
            for nursery in self._nurseries.values():
                nursery.rehearse()

    def serve(self) -> None:
        """Until the end."""
        if self._options.mark:
            family.adopt_orphans()
        self._listen()
        while not self._is_over():
            if self._obstacle is None:
                self._top_up()
            for key, _ in self._selector.select(self._timeout()):
                if self._selector.get_map().get(key.fd) is key:  # else closed a moment ago
                    key.data()
        self._end()

    def _top_up(self) -> None:
        for tier, nursery in self._nurseries.items():
            wanted = len(self._waiting(tier))
            if nursery.seconds_to_work(wanted) == 0.0:
                self._hazard = safety.running_threads()
                nursery.top_up(wanted)

    # What is listened to

    def _listen(self) -> None:
        signal.set_wakeup_fd(self._signal_writer, warn_on_full_buffer=False)
        for signum in (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP):
            signal.signal(signum, lambda *_: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self._watch(self._signals, self._on_signal)
        self._watch(self._door.listener, self._on_client)
        if self._options.owner:
            self._watch(os.pidfd_open(self._options.owner), self._stop)

    def _watch(self, file: Any, on_event: Callable[[], None]) -> None:
        self._selector.register(file, selectors.EVENT_READ, on_event)

    def _on_signal(self) -> None:
        received = os.read(self._signals, 4096)
        self._reap()
        if signal.SIGTERM in received or signal.SIGHUP in received:
            self._stop()

    def _on_client(self) -> None:
        line, _ = self._door.listener.accept()
        pid, user = wire.peer(line)
        if user != os.getuid():
            line.close()
            return
        try:
            pidfd = os.pidfd_open(pid)
        except OSError:  # it has ended already, or lives where we cannot see it
            line.close()
            return
        client = Client(line=line, pidfd=pidfd)
        self._clients[line.fileno()] = client
        self._watch(line, lambda: self._on_request(client))
        self._watch(pidfd, lambda: self._drop(client))
        if wire.has_come(line):
            self._on_request(client)

    def _on_request(self, client: Client) -> None:
        message, files = wire.receive(client.line)
        if message is None:
            self._drop(client)
            return
        self._busy_at = time.monotonic()
        client.files.extend(files)
        operations: dict[str, Callable[[], None]] = {
            "kernel": lambda: self._launch(client, message),
            "signal": lambda: self._signal(client, message["signum"]),
            "status": lambda: self._answer(client, self._status()),
            "stop": self._stop,
        }
        operations[message["op"]]()

    # Requests

    def _launch(self, client: Client, order: dict[str, Any]) -> None:
        refusal = self._refusal(is_to_fork=not order["spare"])
        if refusal is not None:
            self._refuse(client, refusal)
        elif order["spare"]:
            client.order = order
            self._serve_waiting()
        else:
            self._start(client, order)

    def _start(self, client: Client, order: dict[str, Any]) -> None:
        """A fresh fork; it is announced once clients can connect, or else it has died."""
        files, client.files = client.files, []
        bound, writer = os.pipe()
        pid = self._forks.start(order, files, (bound, writer))
        os.close(writer)
        client.files = files
        self._hold(client, pid, order["ipc_prefix"])

        def announce() -> None:
            self._selector.unregister(bound)
            os.close(bound)
            self._answer(client, {"pid": pid, "connection": None, "info": None})

        self._watch(bound, announce)

    def _refusal(self, *, is_to_fork: bool) -> str | None:
        """Spares were forked before: whether that was safe was asked then."""
        if is_to_fork or self._hazard is not None:
            self._hazard = safety.running_threads()
        if (obstacle := self._obstacle or self._hazard) is not None:
            return obstacle
        if packages.snapshot(self._places) != self._packages:
            self._retire()
            return wire.RETIRED
        return None

    def _serve_waiting(self) -> None:
        """Give spares to those who wait; called whenever there is one more or one less."""
        for tier, nursery in self._nurseries.items():
            for client in self._waiting(tier):
                spare = nursery.take(client)
                if spare is not None:
                    self._hand_over(spare, client)
                elif not nursery.works:
                    self._refuse(client, "kernels do not come up")

    def _waiting(self, tier: str) -> list[Client]:
        return [
            client
            for client in self._clients.values()
            if client.order is not None and client.order.get("tier", "kernel") == tier
        ]

    @property
    def _spares(self) -> dict[int, str]:
        """All that wait, or come up: process and ipc address."""
        return {
            pid: address
            for nursery in self._nurseries.values()
            for pid, address in nursery.addresses.items()
        }

    def _hand_over(self, spare: Spare, client: Client) -> None:
        self._hold(client, spare.pid, spare.prefix if spare.connection else None)
        client.kernel_line = spare.line
        self._watch(spare.line, lambda: self._on_last_word(client))
        told = {"connection": spare.connection, "info": spare.info, "lines": spare.lines}
        self._answer(client, {"pid": spare.pid, **told})

    def _on_last_word(self, client: Client) -> None:
        """A kernel has done all that it does, or has gone without a word."""
        if client.kernel_line is not None:
            message, _ = wire.receive(client.kernel_line)
            self._hang_up(client)
            if message is not None:
                self._answer(client, message)

    def _hang_up(self, client: Client) -> None:
        line, client.kernel_line = client.kernel_line, None
        if line is not None:
            self._selector.unregister(line)
            line.close()

    def _hold(self, client: Client, pid: int, ipc_prefix: str | None) -> None:
        client.kernel_pid, client.ipc_prefix = pid, ipc_prefix
        self._kernels[pid] = client
        client.close_files()

    def _refuse(self, client: Client, reason: str) -> None:
        client.order = None
        client.close_files()
        log.warning("launch refused reason=%r", reason)
        self._answer(client, {"refused": reason})

    def _signal(self, client: Client, signum: int) -> None:
        if client.kernel_pid in self._kernels:  # not reaped, so the number is still its own
            signal_group(client.kernel_pid, signum)

    def _status(self) -> wire.Message:
        return {
            "pid": self._pid,
            "interpreter": sys.executable,
            "kernels": list(self._kernels),
            "spares": list(self._spares),
            "preload": [name for name in self._options.preload if name in sys.modules],
            "obstacle": self._obstacle,
        }

    def _answer(self, client: Client, message: wire.Message) -> None:
        try:
            wire.send(client.line, message)
        except OSError:  # it has gone; its end is noticed in its own place
            log.info("client gone before its answer")

    # Ends

    def _reap(self) -> None:
        while True:
            try:
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if ended is None:
                return
            self._bury(ended.si_pid)

    def _bury(self, pid: int) -> None:
        """Take note of a child's end, and of a marked kernel end the rest as well."""
        client = self._kernels.get(pid)
        if self._options.mark:
            if client is not None:
                signal_group(pid, signal.SIGKILL)  # not reaped, so the number is still its own
            family.kill_strays({*self._kernels, *self._spares})
        _, status = os.waitpid(pid, 0)
        if client is None:
            for nursery in self._nurseries.values():
                nursery.died(pid)
            return
        del self._kernels[pid]
        if client.kernel_line is not None and wire.has_come(client.kernel_line):
            self._on_last_word(client)  # which was on its way when the end was noticed
        self._hang_up(client)
        ipc_files.remove(client.ipc_prefix)
        self._busy_at = time.monotonic()
        self._answer(client, {"exit": os.waitstatus_to_exitcode(status)})

    def _drop(self, client: Client) -> None:
        self._clients.pop(client.line.fileno(), None)
        self._signal(client, signal.SIGKILL)
        client.close_files()
        for file in (client.line, client.pidfd):
            self._selector.unregister(file)
        client.line.close()
        os.close(client.pidfd)

    def _stop(self) -> None:
        self._stops = True

    def _retire(self) -> None:
        """Look after the kernels there are, and leave the door to a successor."""
        log.info("retiring kernels=%s", len(self._kernels))
        if self._door.is_open:
            self._selector.unregister(self._door.listener)
            self._door.close()

    def _is_over(self) -> bool:
        if self._kernels:
            return self._stops
        return self._stops or not self._door.is_open or self._idle_seconds_left() <= 0

    def _idle_seconds_left(self) -> float:
        return self._busy_at + self._options.idle_seconds - time.monotonic()

    def _timeout(self) -> float | None:
        idle = None if self._kernels else max(0.0, self._idle_seconds_left())
        times = [idle]
        if self._obstacle is None:
            times += [
                nursery.seconds_to_work(len(self._waiting(tier)))
                for tier, nursery in self._nurseries.items()
            ]
        return min((t for t in times if t is not None), default=None)

    def _end(self) -> None:
        addresses = {pid: client.ipc_prefix for pid, client in self._kernels.items()}
        for pid, address in {**addresses, **self._spares}.items():
            signal_group(pid, signal.SIGKILL)
            ipc_files.remove(address)
        if self._options.mark:
            family.end_all()
        self._door.close()
        log.info("ended")

    def _give_up(self) -> None:
        """In a fork: close what is the server's."""
        for key in list(self._selector.get_map().values()):
            _close(key.fileobj)
        for client in self._clients.values():
            client.close_files()
        os.close(self._signal_writer)
        self._door.leave()


def _close(file: Any) -> None:
    if isinstance(file, int):
        os.close(file)
    else:
        file.close()
