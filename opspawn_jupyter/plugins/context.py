"""What a plugin sees of the steps before it."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import Any

from opspawn_jupyter.client.inputs import StepInputs


class Context(MutableMapping[str, Any]):
    """By step id what each earlier step gave, loaded when it is looked up.

    ``context["ingest"]`` holds the outputs of that step by name, or the value itself where the
    step gave a single one without a name. A name that is no step's id (``context["dataframe"]``)
    is looked for among the outputs of all steps before; it must be in one of them only. What the
    plugin sets itself becomes an output of its own step.
    """

    def __init__(self, inputs: StepInputs) -> None:
        self.inputs = inputs
        #: What the plugin has set.
        self.given: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name in self.given:
            return self.given[name]
        if name in self.inputs:
            return self.inputs.value(name)
        return self.inputs[self._only_giver(name)][name]

    def __setitem__(self, name: str, value: Any) -> None:
        self.given[name] = value

    def __delitem__(self, name: str) -> None:
        del self.given[name]

    def __contains__(self, name: object) -> bool:
        if name in self.given or name in self.inputs:
            return True
        return len(self._givers(name)) == 1

    def __iter__(self) -> Iterator[str]:
        yield from self.inputs
        yield from (name for name in self.given if name not in self.inputs)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"<context: {', '.join(self) or 'empty'}>"

    def _only_giver(self, name: str) -> str:
        givers = self._givers(name)
        if len(givers) == 1:
            return givers[0]
        if givers:
            choices = " or ".join(f"context[{step!r}][{name!r}]" for step in givers)
            message = f"several steps before this one gave {name!r}: say {choices}"
        else:
            known = ", ".join(self.inputs) or "none"
            message = f"no step {name!r} comes before this one, and none gave it; steps: {known}"
        raise KeyError(message)

    def _givers(self, name: object) -> list[str]:
        return [step for step, outputs in self.inputs.items() if name in outputs]
