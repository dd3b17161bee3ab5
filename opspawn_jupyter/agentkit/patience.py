"""Several models as one: each is asked again for a while, then the next one steps in."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Sequence

from opspawn_jupyter.agentkit.budget import Account
from opspawn_jupyter.errors import BudgetExceeded, ModelRefused, ModelUnavailable
from opspawn_jupyter.model.agent import ModelOptions
from opspawn_jupyter.model.conversation import Prompt, Reply
from opspawn_jupyter.ports import LanguageModel

_LONGEST_PAUSE_SECONDS = 60.0
_log = logging.getLogger(__name__)

#: A model by its name; made when it is first asked, because its library is imported then.
Make = Callable[[str], LanguageModel]


class PatientModel:
    """Asks models in order. One that failed all its retries is not asked again in this run."""

    def __init__(
        self, names: Sequence[str], make: Make, options: ModelOptions, account: Account
    ) -> None:
        self._names = list(names)
        self._make = make
        self._made: dict[str, LanguageModel] = {}
        self._options = options
        self._account = account

    async def reply(self, prompt: Prompt) -> Reply:
        """See ``ports.LanguageModel``."""
        while True:
            try:
                return await self._ask(self._names[0], prompt)
            except (ModelUnavailable, ModelRefused) as failure:
                if len(self._names) == 1:
                    raise
                _log.warning("model given up model=%s code=%s", self._names[0], failure.code)
                self._names.pop(0)

    async def _ask(self, name: str, prompt: Prompt) -> Reply:
        pause = self._options.retry_delay_seconds
        for left in reversed(range(self._options.max_retries + 1)):
            try:
                return await self._ask_once(name, prompt)
            except ModelUnavailable as failure:
                if left == 0:
                    raise
                _log.info("model asked again model=%s reason=%s", name, failure)
            await self._sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 (no secret)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
        raise ModelUnavailable(name)

    async def _ask_once(self, name: str, prompt: Prompt) -> Reply:
        if name not in self._made:
            self._made[name] = await asyncio.to_thread(self._make, name)
        remaining = self._account.remaining_seconds
        limit = self._options.timeout_seconds
        try:
            async with asyncio.timeout(limit if remaining is None else min(limit, remaining)):
                return await self._made[name].reply(prompt)
        except TimeoutError as late:
            if remaining is not None and remaining < limit:
                raise BudgetExceeded("wall time", hint="the model did not answer in time") from late
            hint = f"no answer came within {limit:g} seconds"
            raise ModelUnavailable(name, hint=hint) from late

    async def _sleep(self, seconds: float) -> None:
        remaining = self._account.remaining_seconds
        await asyncio.sleep(seconds if remaining is None else min(seconds, remaining))
