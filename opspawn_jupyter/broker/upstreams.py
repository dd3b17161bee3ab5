"""All servers: as configured at this moment, and the connections to those that are in use."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from opspawn_jupyter.broker.approvals import Approvals
from opspawn_jupyter.broker.changes import Changes
from opspawn_jupyter.broker.config import Configuration, Isolation, ServerConfig
from opspawn_jupyter.broker.login import Logins
from opspawn_jupyter.broker.ports import Change, Changed
from opspawn_jupyter.broker.tokens import Tokens
from opspawn_jupyter.broker.upstream import Connect, Upstream
from opspawn_jupyter.errors import ToolNotAllowed, ToolNotApproved, ToolServerUnavailable
from opspawn_jupyter.model.tool import Principal, ServerState, ToolServer

#: How old the configuration may be that is gone by.
_FRESH_SECONDS = 2.0


class Upstreams:
    """Connections by server and by whoever shares them."""

    def __init__(
        self,
        read: Callable[[], Configuration],
        approvals: Approvals,
        connect: Connect,
        logins: Logins,
        tokens: Tokens,
    ) -> None:
        self._read = read
        self._approvals = approvals
        self._connect = connect
        self.logins = logins
        self._tokens = tokens
        self._configuration = Configuration()
        self._read_at: float | None = None
        self._reading = asyncio.Lock()
        self._open: dict[tuple[str, str], Upstream] = {}
        self._is_closed = False
        self.changes = Changes()

    @property
    def problems(self) -> Mapping[str, str]:
        """What is wrong with whole files."""
        return self._configuration.problems

    async def refresh(self) -> None:
        """Go by what the files say now; what has changed or gone is ended."""
        async with self._reading:
            now = time.monotonic()
            if self._read_at is not None and now - self._read_at < _FRESH_SECONDS:
                return
            self._configuration = await asyncio.to_thread(self._read)
            self._read_at = now
        stale = [
            key
            for key, upstream in self._open.items()
            if self._configuration.servers.get(key[0]) != upstream.config
        ]
        await self._end(stale)
        for name, sharers in stale:
            self.tell_all(name, sharers)

    def tell_all(self, server: str, sharers: str) -> None:
        """The server may have other tools, prompts and resources than before."""
        for what in (Changed.TOOLS, Changed.PROMPTS, Changed.RESOURCES):
            self.changes.tell(server, sharers, Change(what=what))

    def forget(self) -> None:
        """The files were just changed: read them at the next look."""
        self._read_at = None

    def configs(self) -> Sequence[ServerConfig]:
        """Every configured server, by name."""
        servers = self._configuration.servers
        return [servers[name] for name in sorted(servers)]

    def config(self, name: str) -> ServerConfig | None:
        """The server of this name."""
        return self._configuration.servers.get(name)

    def names(self, principal: Principal) -> Sequence[str]:
        """Servers that the caller may know of."""
        return [name for name in self._configuration.servers if principal.may_reach(name)]

    def get(self, config: ServerConfig, principal: Principal) -> Upstream:
        """The connection that the caller shares. Raises why there can be none."""
        if config.problem is not None or self._is_closed:
            raise ToolServerUnavailable(
                config.name, hint=config.problem or "the server is stopping"
            )
        if not config.rules.enabled:
            raise ToolNotAllowed(config.name, hint="it is switched off in the configuration")
        if not self._approvals.may_run(config):
            raise ToolNotApproved(config.name, hint=f"it would run `{config.target}`")
        key = (config.name, _sharers(config, principal))
        if key not in self._open:
            tell = partial(self.changes.tell, *key)
            self._open[key] = Upstream(config, self._connect, self.logins, tell, key[1])
        self._open[key].caller = principal
        return self._open[key]

    def describe(self, config: ServerConfig, principal: Principal) -> ToolServer:
        """The server as it stands: the caller's connection, or else the best of the others'."""
        own = self._open.get((config.name, _sharers(config, principal)))
        others = [upstream for key, upstream in self._open.items() if key[0] == config.name]
        of_others = min(others, key=lambda one: _BEST_FIRST.index(one.state), default=None)
        best = own or of_others
        connection = best.connection if best else None
        state, problem = self._standing(config, best)
        known = best.known_definitions if best else None
        return ToolServer(
            name=config.name,
            transport=config.transport,
            state=state,
            target=config.target,
            digest=config.digest if config.needs_approval else "",
            problem=problem,
            tool_count=None if known is None else len(known),
            protocol_version=connection.protocol_version if connection else None,
            pid=connection.pid if connection else None,
        )

    async def forget_task(self, task_id: str) -> None:
        """End what was started for this task alone, and forget its logins."""
        sharers = f"task {task_id}"
        await self._end([key for key in self._open if key[1] == sharers])
        await self._tokens.forget_all(sharers)

    async def log_out(self, config: ServerConfig, principal: Principal) -> None:
        """Forget the login that the caller shares, and end what it let in."""
        key = (config.name, _sharers(config, principal))
        await self._end([one for one in self._open if one == key])
        await self._tokens.forget(*key)

    async def close(self) -> None:
        """End everything, side by side."""
        self._is_closed = True
        await asyncio.gather(self.logins.close(), self._end(list(self._open)))

    def _standing(
        self, config: ServerConfig, best: Upstream | None
    ) -> tuple[ServerState, str | None]:
        if config.problem is not None:
            return ServerState.INVALID, config.problem
        if not config.rules.enabled:
            return ServerState.DISABLED, None
        if not self._approvals.may_run(config):
            return ServerState.UNAPPROVED, f"run `opspawn tools {config.name} --approve` to let it"
        return (best.state, best.problem) if best else (ServerState.IDLE, None)

    async def _end(self, keys: Sequence[tuple[str, str]]) -> None:
        ended = [self._open.pop(key) for key in keys if key in self._open]
        if ended:
            await asyncio.gather(*(upstream.close() for upstream in ended))


_BEST_FIRST = (
    ServerState.READY,
    ServerState.LOGIN_NEEDED,
    ServerState.CONNECTING,
    ServerState.IDLE,
    ServerState.FAILED,
)


def _sharers(config: ServerConfig, principal: Principal) -> str:
    isolation = config.rules.isolation
    if isolation is Isolation.TASK and principal.task_id is not None:
        return f"task {principal.task_id}"
    return "" if isolation is Isolation.SHARED else f"user {principal.user}"
