"""Models of all providers, through pydantic-ai: the one place that knows that library.

Its models, messages and prices are used; its agent loop is not, because a run here is made of
units that are kept (see ``tape``). The library is imported when a run first asks a model, in the
runner's process.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path

import pydantic_ai
from pydantic_ai import exceptions
from pydantic_ai.direct import model_request
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    SystemPromptPart,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.settings import ModelSettings
from pydantic_ai.tools import ToolDefinition

from opspawn_jupyter.agentkit.connecting import connected, key_of
from opspawn_jupyter.errors import ModelRefused, ModelUnavailable
from opspawn_jupyter.model.agent import ModelOptions
from opspawn_jupyter.model.conversation import Call, Message, Prompt, Reply, Role, Tool, Usage

pydantic_ai.BANNER_ENABLED = False  # run.log is not the place for it

#: Asking again helps against these; all other failures of a provider are refusals.
_PASSING = (
    exceptions.ModelRateLimitError,
    exceptions.ModelUnavailableError,
    exceptions.ModelServerError,
    exceptions.ModelConnectionError,
    exceptions.ModelRequestTimeout,
    exceptions.UnexpectedModelBehavior,
)
_PASSING_STATUS = frozenset({408, 409, 425, 429})
_LONGEST_REASON = 500


class ProviderModel:
    """A model of a provider, or of a server that speaks OpenAI's protocol."""

    def __init__(self, name: str, options: ModelOptions, directory: Path) -> None:  # noqa: ARG002
        self._name = name
        self._options = options
        self._key = key_of(name, options)
        try:
            self._model = connected(name, options, self._key)
        except (exceptions.UserError, ImportError, ValueError) as failure:
            raise ModelRefused(name, hint=self._clean(failure)) from failure
        settings: ModelSettings = {}
        if options.temperature is not None:
            settings["temperature"] = options.temperature
        self._settings = settings

    async def reply(self, prompt: Prompt) -> Reply:
        """See ``ports.LanguageModel``."""
        try:
            response = await model_request(
                self._model,
                to_provider(prompt.messages),
                model_settings=self._settings,
                model_request_parameters=_parameters(prompt.tools),
            )
        except exceptions.AgentRunError as failure:
            raise self._translated(failure) from None  # its cause holds the request's headers
        return self._reply(response)

    def _translated(self, failure: exceptions.AgentRunError) -> ModelUnavailable | ModelRefused:
        status = getattr(failure, "status_code", 0)
        is_passing = isinstance(failure, _PASSING) or status in _PASSING_STATUS or status >= 500
        error = ModelUnavailable if is_passing else ModelRefused
        return error(self._name, hint=self._clean(failure))

    def _reply(self, response: ModelResponse) -> Reply:
        text = [part.content for part in response.parts if isinstance(part, TextPart)]
        thoughts = [part.content for part in response.parts if isinstance(part, ThinkingPart)]
        calls = [part for part in response.parts if isinstance(part, ToolCallPart)]
        return Reply(
            text=self._clean("".join(text)),
            thought=self._clean("\n\n".join(thoughts)),
            calls=tuple(self._call(part) for part in calls),
            usage=_usage(response, self._options),
            model=self._name,
        )

    def _call(self, part: ToolCallPart) -> Call:
        given = part.args if isinstance(part.args, str) else json.dumps(part.args or {})
        return Call(id=part.tool_call_id, name=part.tool_name, arguments=self._clean(given))

    def _clean(self, text: object) -> str:
        """A provider that sends the key back must not get it into a notebook."""
        said = str(text)
        if isinstance(text, Exception):
            said = " ".join(said.split())[:_LONGEST_REASON]
        return said.replace(self._key, "[key]") if self._key else said


def to_provider(messages: Sequence[Message]) -> list[ModelMessage]:
    """The conversation in the library's records."""
    return [_message(message) for message in messages]


def _message(message: Message) -> ModelMessage:
    match message.role:
        case Role.SYSTEM:
            return ModelRequest(parts=[SystemPromptPart(message.text)])
        case Role.USER:
            return ModelRequest(parts=[UserPromptPart(message.text)])
        case Role.TOOL:
            part = ToolReturnPart(
                tool_name=message.tool or "",
                content=message.text,
                tool_call_id=message.call_id or "",
            )
            return ModelRequest(parts=[part])
    parts = [TextPart(message.text)] if message.text else []
    calls = [
        ToolCallPart(tool_name=call.name, args=_sendable(call), tool_call_id=call.id)
        for call in message.calls
    ]
    return ModelResponse(parts=[*parts, *calls])


def _sendable(call: Call) -> str:
    """Providers refuse a conversation in which they find their own broken JSON."""
    try:
        return call.arguments if isinstance(json.loads(call.arguments), dict) else "{}"
    except ValueError:
        return json.dumps({"broken": call.arguments[:1000]})


def _parameters(tools: Iterable[Tool]) -> ModelRequestParameters:
    definitions = [
        ToolDefinition(
            name=tool.name,
            description=tool.description,
            parameters_json_schema=dict(tool.parameters),
        )
        for tool in tools
    ]
    return ModelRequestParameters(function_tools=definitions, allow_text_output=True)


def _usage(response: ModelResponse, options: ModelOptions) -> Usage:
    used = response.usage
    return Usage(
        requests=1,
        input_tokens=used.input_tokens,
        output_tokens=used.output_tokens,
        cost=_cost(response, options),
    )


def _cost(response: ModelResponse, options: ModelOptions) -> float | None:
    """In dollars; None where nobody knows the price."""
    used = response.usage
    if options.input_price is not None or options.output_price is not None:
        given = used.input_tokens * (options.input_price or 0.0)
        taken = used.output_tokens * (options.output_price or 0.0)
        return (given + taken) / 1e6
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return float(response.cost().total_price)
    except (LookupError, ValueError, AssertionError):
        return None
