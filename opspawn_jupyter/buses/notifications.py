"""Notifications to people (mail, chat, telephone) through Apprise, the extra ``notify``.

Apprise's addresses hold secrets, so they stand in the server's settings, each under a name, and
submissions name them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec

from opspawn_jupyter.buses.hooks import Undelivered
from opspawn_jupyter.errors import SettingInvalid
from opspawn_jupyter.model.event import Event
from opspawn_jupyter.model.ids import short
from opspawn_jupyter.model.task import Task

_TIMEOUT_SECONDS = 30.0


class Notifications:
    """Sends to the services that the settings name."""

    def __init__(self, notifiers: Mapping[str, str]) -> None:
        """Raises ``SettingInvalid`` where Apprise is missing, or does not know an address."""
        self._notifiers = notifiers
        if not notifiers:
            return
        if find_spec("apprise") is None:
            raise SettingInvalid(
                ", ".join(sorted(notifiers)),
                hint="notifiers need Apprise: pip install 'opspawn-jupyter[notify]'",
            )
        for name, address in notifiers.items():
            self._check(name, address)

    async def send(self, hook: str, event: Event, task: Task) -> None:  # noqa: ARG002 (as Sender)
        """As ``Sender.send``."""
        address = self._notifiers.get(hook)
        if address is None:
            raise Undelivered(f"no notifier named {hook}", is_final=True)
        service = import_module("apprise").Apprise()
        service.add(address)
        try:
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                arrived = await service.async_notify(title=_title(task), body=_text(task))
        except TimeoutError:
            raise Undelivered(f"{hook}: no answer in {_TIMEOUT_SECONDS:g} s") from None
        if not arrived:
            raise Undelivered(f"{hook}: the service did not take it")

    def _check(self, name: str, address: str) -> None:
        # Apprise takes 0.2 s to import; without notifiers nobody waits for it.
        if not import_module("apprise").Apprise().add(address):
            # Its address is not repeated: it holds a secret.
            raise SettingInvalid(name, hint="Apprise does not know the address of this notifier")


def _title(task: Task) -> str:
    return f"{task.name}: {task.state.value.replace('_', ' ')}"


def _text(task: Task) -> str:
    lines = [f"task {short(task.id)}, attempt {task.attempt}"]
    if task.duration_seconds is not None:
        lines.append(f"took {task.duration_seconds:.1f} s")
    if task.error is not None:
        lines.append(f"{task.error.name}: {task.error.message[:500]}")
    lines.append(f"run directory: {task.run_directory}")
    return "\n".join(lines)
