"""What a run has used of what it may use."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping

from opspawn_jupyter.errors import BudgetExceeded
from opspawn_jupyter.model.agent import AgentLimits
from opspawn_jupyter.model.agent_door import Allowance
from opspawn_jupyter.model.conversation import Usage


class Account:
    """Keeps count. Asked before anything new is done, not for what comes from the tape, so that a
    run with a larger budget can go on where a smaller one ended.

    ``shared`` says whether something is left of budgets that several runs have together.
    """

    def __init__(
        self, limits: AgentLimits, shared: Callable[[], Awaitable[Allowance]] | None = None
    ) -> None:
        self.usage = Usage()
        self.steps = 0
        self._limits = limits
        self._shared = shared
        self._started = time.monotonic()

    @property
    def remaining_seconds(self) -> float | None:
        """Wall time left; None without limit."""
        limit = self._limits.max_seconds
        return None if limit is None else max(0.0, limit - (time.monotonic() - self._started))

    @property
    def remaining(self) -> Mapping[str, float]:
        """What is left of the limits that there are, by name; never less than a little."""
        used = {
            "max_requests": self.usage.requests,
            "max_tokens": self.usage.tokens,
            "max_cost": self.usage.cost or 0.0,
            "max_tool_calls": self.usage.tool_calls,
        }
        limits = {name: getattr(self._limits, name) for name in used}
        left = {
            name: max(limit - used[name], 1e-9 if name == "max_cost" else 1)
            for name, limit in limits.items()
            if limit is not None
        }
        seconds = self.remaining_seconds
        return left if seconds is None else {**left, "max_seconds": max(seconds, 1e-3)}

    def add(self, usage: Usage) -> None:
        """So much more was used."""
        self.usage = self.usage + usage

    async def check_request(self) -> None:
        """Raise ``BudgetExceeded`` where no further turn may be taken."""
        limits, usage = self._limits, self.usage
        self._check_time()
        _hold("steps", self.steps, limits.max_steps)
        _hold("requests", usage.requests, limits.max_requests)
        _hold("tokens", usage.tokens, limits.max_tokens)
        if limits.max_cost is not None and usage.cost is None:
            hint = "the model's price is not known, so max_cost cannot be held; give its price"
            raise BudgetExceeded("cost", hint=hint)
        _hold("cost", usage.cost or 0.0, limits.max_cost)
        await self._check_shared()

    async def check_call(self) -> None:
        """Raise ``BudgetExceeded`` where no further tool may be called."""
        self._check_time()
        _hold("tool calls", self.usage.tool_calls, self._limits.max_tool_calls)
        await self._check_shared()

    async def _check_shared(self) -> None:
        allowance = Allowance() if self._shared is None else await self._shared()
        if allowance.exceeded is not None:
            raise BudgetExceeded(allowance.exceeded, hint=allowance.hint)

    def _check_time(self) -> None:
        if self.remaining_seconds == 0.0:
            hint = f"at most {self._limits.max_seconds:g} seconds are allowed"
            raise BudgetExceeded("wall time", hint=hint)


def _hold(what: str, used: float, limit: float | None) -> None:
    if limit is not None and used >= limit:
        raise BudgetExceeded(what, hint=f"{used:g} were used, at most {limit:g} are allowed")
