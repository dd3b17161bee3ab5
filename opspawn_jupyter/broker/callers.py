"""Who is calling one server at this moment, for what it wants to know or to tell meanwhile."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import Context, ContextVar, copy_context
from typing import Any

from opspawn_jupyter.broker.asking import is_heard
from opspawn_jupyter.broker.ports import Host, Inquiry, NotAnswered
from opspawn_jupyter.broker.words import clean

_host: ContextVar[Host | None] = ContextVar("host of a tool call", default=None)


def nobodys_context() -> Context:
    """A context in which nobody calls, for what outlives the call that begins it."""
    context = copy_context()
    context.run(_host.set, None)
    return context


class Callers:
    """Hosts of the requests that run."""

    def __init__(self) -> None:
        self._hosts: list[Host] = []
        #: Those who look for an answer at this moment.
        self._asked: list[Host] = []

    @property
    def current(self) -> Host | None:
        """The host of the request in whose context this is asked."""
        return _host.get()

    @contextmanager
    def calling(self, host: Host | None) -> Iterator[None]:
        """The host's request runs within the block."""
        token = _host.set(host)
        if host is not None:
            self._hosts.append(host)
        try:
            yield
        finally:
            _host.reset(token)
            if host is not None:
                self._hosts = [one for one in self._hosts if one is not host]

    async def ask(self, inquiry: Inquiry) -> Mapping[str, Any]:
        """See ``ports.Open``."""
        host = self._meant()
        if host is None or host.ask is None:
            raise NotAnswered("nobody can tell for which call this is")
        self._asked.append(host)
        try:
            return await host.ask(inquiry)
        finally:
            self._asked = [one for one in self._asked if one is not host]

    async def log(self, said: Mapping[str, Any]) -> None:
        """See ``ports.Open``. What nobody asked for is dropped."""
        host = self._meant()
        if host is None or host.log is None or not is_heard(host, str(said.get("level"))):
            return
        data = said.get("data")
        await host.log({**said, "data": clean(data) if isinstance(data, str) else data})

    def _meant(self) -> Host | None:
        """Whose request it is about. Over standard streams nothing tells: it is about none where
        several people call, else about the newest request that waits for no answer yet."""
        host = _host.get()
        if host is not None or not self._hosts:
            return host
        if any(other.principal != self._hosts[0].principal for other in self._hosts):
            return None
        free = [one for one in self._hosts if not any(one is asked for asked in self._asked)]
        return (free or self._hosts)[-1]
