"""What of a long conversation is sent with each request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from opspawn_jupyter.model.conversation import Message, Role

#: Of English text and code; good enough to stay below a limit that is set with room to spare.
_CHARACTERS_PER_TOKEN = 4
_FORGOTTEN = "[left out to keep the conversation short; the notebook and the kernel have it all]"


class WindowMemory:
    """The beginning and the newest messages in full, the results in between in a line each, and
    the oldest turns not at all where even that is too much."""

    def __init__(self, context_tokens: int) -> None:
        self._budget = context_tokens

    def recent(self, messages: Sequence[Message]) -> Sequence[Message]:
        """See ``ports.Memory``. Calls and their results stay together: providers refuse one
        without the other."""
        if tokens(messages) <= self._budget:
            return messages
        head, turns = _turns(messages)
        for place in range(len(turns) - 1):
            turns[place] = [_shortened(message) for message in turns[place]]
            if tokens(_joined(head, turns)) <= self._budget:
                break
        while len(turns) > 1 and tokens(_joined(head, turns)) > self._budget:
            turns.pop(0)
        return _joined(head, turns)


class WholeMemory:
    """Everything, however long."""

    def __init__(self, context_tokens: int) -> None:
        """The budget is not held."""

    def recent(self, messages: Sequence[Message]) -> Sequence[Message]:
        """See ``ports.Memory``."""
        return messages


def tokens(messages: Sequence[Message]) -> int:
    """About how many tokens the messages take."""
    characters = sum(
        len(message.text) + sum(len(call.name) + len(call.arguments) for call in message.calls)
        for message in messages
    )
    return characters // _CHARACTERS_PER_TOKEN + 4 * len(messages)


def _turns(messages: Sequence[Message]) -> tuple[list[Message], list[list[Message]]]:
    """What comes before the model first speaks, and its turns with what answers them."""
    head: list[Message] = []
    turns: list[list[Message]] = []
    for message in messages:
        if message.role is Role.ASSISTANT:
            turns.append([message])
        else:
            (turns[-1] if turns else head).append(message)
    return head, turns


def _joined(head: list[Message], turns: list[list[Message]]) -> list[Message]:
    return [*head, *(message for turn in turns for message in turn)]


def _shortened(message: Message) -> Message:
    if message.role is not Role.TOOL or len(message.text) <= len(_FORGOTTEN):
        return message
    return replace(message, text=_FORGOTTEN)
