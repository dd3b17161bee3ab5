"""A model that says what a file tells it to: for demos, documentation and tests.

The file is a YAML list of replies, one for each turn::

    - think: I look at the data first.
      call: run_python
      with: {code: "print(1 + 1)"}
    - say: It is two.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

from opspawn_jupyter.errors import ModelRefused, ModelUnavailable
from opspawn_jupyter.model.conversation import Call, Prompt, Reply, Usage

_USAGE = {"input_tokens": 0, "output_tokens": 0, "cost": 0.0}


class ScriptedModel:
    """Answers each turn with its entry of the script."""

    def __init__(self, name: str, script: Sequence[Mapping[str, Any]]) -> None:
        self._name = name
        self._script = script
        self._failures: dict[int, int] = {}

    async def reply(self, prompt: Prompt) -> Reply:
        """See ``ports.LanguageModel``."""
        if prompt.turn >= len(self._script):
            hint = f"the script has {len(self._script)} replies and no more"
            raise ModelRefused(self._name, hint=hint)
        entry = self._script[prompt.turn]
        await asyncio.sleep(float(entry.get("wait", 0)))
        self._fail(prompt.turn, entry)
        usage = {**_USAGE, **entry.get("usage", {})}
        return Reply(
            text=str(entry.get("say", "")),
            thought=str(entry.get("think", "")),
            calls=tuple(_calls(entry, prompt.turn)),
            usage=Usage(requests=1, **usage),
            model=self._name,
        )

    def _fail(self, turn: int, entry: Mapping[str, Any]) -> None:
        """As often as the entry says."""
        times = int(entry.get("fails", 0))
        if self._failures.setdefault(turn, 0) < times:
            self._failures[turn] += 1
            raise ModelUnavailable(self._name, hint="the script lets this request fail")


def _calls(entry: Mapping[str, Any], turn: int) -> list[Call]:
    entries = entry.get("calls", [entry] if "call" in entry else [])
    return [
        Call(
            id=str(one.get("id", f"call-{turn + 1}-{place + 1}")),
            name=str(one["call"]),
            arguments=_arguments(one.get("with", {})),
        )
        for place, one in enumerate(entries)
    ]


def _arguments(given: Any) -> str:
    """A text is taken as it is, to show what becomes of a model that writes no JSON."""
    return given if isinstance(given, str) else json.dumps(given)
