"""Every provider's own protocol over real HTTP: what is sent, what is understood, what fails."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from opspawn_jupyter.agentkit.budget import Account
from opspawn_jupyter.agentkit.patience import PatientModel
from opspawn_jupyter.agentkit.providers import ProviderModel
from opspawn_jupyter.errors import ModelUnavailable
from opspawn_jupyter.model.agent import AgentLimits, ModelOptions
from opspawn_jupyter.model.conversation import Message, Prompt, Reply, Role, Tool
from tests.integration.provider_servers import (
    Speak,
    anthropic,
    google,
    openrouter,
    provider_server,
)

KEY = "key-of-the-provider-0123456789"
TOOL = Tool(
    name="run_python",
    description="Run code.",
    parameters={"type": "object", "properties": {"code": {"type": "string"}}, "required": ["code"]},
)
ASKED = (
    Message(role=Role.SYSTEM, text="Be brief."),
    Message(role=Role.USER, text="Add one and one."),
)
SCRIPT: list[Any] = [[("run_python", {"code": "1 + 1"})], "It is two."]


@dataclass(frozen=True)
class Case:
    """A provider: how its server speaks, and where the parts of a request are."""

    name: str
    speak: Speak
    suffix: str
    path: str
    told: Callable[[Mapping[str, Any]], tuple[Any, Any, Any]]

    def __repr__(self) -> str:
        return self.name.partition(":")[0]


def _of_anthropic(request: Mapping[str, Any]) -> tuple[Any, Any, Any]:
    system = request["system"]
    said = system if isinstance(system, str) else system[0]["text"]
    result = request["messages"][-1]["content"][0]
    return said, request["tools"][0]["input_schema"], (result["type"], result["tool_use_id"])


def _of_google(request: Mapping[str, Any]) -> tuple[Any, Any, Any]:
    said = request["systemInstruction"]["parts"][0]["text"]
    (declared,) = request["tools"][0]["functionDeclarations"]
    schema = declared.get("parametersJsonSchema") or declared["parameters_json_schema"]
    result = request["contents"][-1]["parts"][0]["functionResponse"]
    return said, schema, ("functionResponse", result["name"])


def _of_openrouter(request: Mapping[str, Any]) -> tuple[Any, Any, Any]:
    result = request["messages"][-1]
    schema = request["tools"][0]["function"]["parameters"]
    return request["messages"][0]["content"], schema, (result["role"], result["tool_call_id"])


CASES = [
    Case("anthropic:claude-test", anthropic, "", "/v1/messages", _of_anthropic),
    Case(
        "google:gemini-test", google, "", "/v1beta/models/gemini-test:generateContent",
        _of_google,
    ),
    Case(
        "openrouter:some/model", openrouter, "/api/v1", "/api/v1/chat/completions",
        _of_openrouter,
    ),
]  # fmt: skip


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROVIDER_TEST_KEY", KEY)


def options(url: str, **more: Any) -> ModelOptions:
    given = {"retry_delay_seconds": 0.01, "input_price": 1.0, "output_price": 2.0, **more}
    return ModelOptions(base_url=url, api_key_env="PROVIDER_TEST_KEY", **given)


class Counted(ProviderModel):
    """Keeps which model was asked, whether or not the machine found time to send that."""

    def __init__(self, model: str, options: ModelOptions, path: Path, asked: list[str]) -> None:
        super().__init__(model, options, path)
        self._model_name, self._asked = model, asked

    async def reply(self, prompt: Prompt) -> Reply:
        self._asked.append(self._model_name)
        return await super().reply(prompt)


def patient(
    names: Sequence[str], options: ModelOptions, path: Path, asked: list[str] | None = None
) -> PatientModel:
    kept = [] if asked is None else asked

    def make(model: str) -> ProviderModel:
        return Counted(model, options, path, kept)

    return PatientModel(names, make, options, Account(AgentLimits()))


async def two_turns(model: PatientModel) -> tuple[Reply, Reply]:
    first = await model.reply(Prompt(messages=ASKED, tools=(TOOL,)))
    (call,) = first.calls
    done = (
        *ASKED,
        Message(role=Role.ASSISTANT, calls=first.calls),
        Message(role=Role.TOOL, text="2", call_id=call.id, tool=call.name),
    )
    return first, await model.reply(Prompt(messages=done, tools=(TOOL,)))


@pytest.mark.parametrize("case", CASES, ids=repr)
def test_a_loop_of_two_turns_in_the_providers_own_words(case: Case, tmp_path: Path) -> None:
    """System prompt, tools, arguments, results, usage and key are where the provider has them; a
    status that passes is asked again, by us alone."""
    with provider_server(case.speak, [503, 429, *SCRIPT]) as server:
        model = patient([case.name], options(f"{server.url}{case.suffix}"), tmp_path)
        first, last = asyncio.run(two_turns(model))

    assert set(server.paths) == {case.path}
    assert len(server.requests) == 4
    assert all(KEY in str(headers) for headers in server.headers)
    assert json.loads(first.calls[0].arguments) == {"code": "1 + 1"}
    assert (last.text, last.usage.tokens) == ("It is two.", 110)
    assert last.usage.cost == pytest.approx((100 * 1.0 + 10 * 2.0) / 1e6)
    said, schema, result = case.told(server.requests[-1])
    assert said == "Be brief."
    assert schema["properties"] == {"code": {"type": "string"}}
    assert result[1] in (first.calls[0].id, "run_python")
    assert KEY not in json.dumps(server.requests)


@pytest.mark.parametrize("case", CASES, ids=repr)
def test_a_provider_that_does_not_answer_is_given_up_in_time(case: Case, tmp_path: Path) -> None:
    """A connection that hangs would hold a worker for ever."""
    asked: list[str] = []
    with provider_server(case.speak, [], hanging=case.name.partition(":")[2]) as server:
        given = options(f"{server.url}{case.suffix}", timeout_seconds=0.5, max_retries=1)
        with pytest.raises(ModelUnavailable, match="no answer came within"):
            asyncio.run(patient([case.name], given, tmp_path, asked).reply(Prompt(messages=ASKED)))
    assert asked == [case.name] * 2


def test_another_model_answers_where_the_first_one_hangs(tmp_path: Path) -> None:
    """Its time-outs are retried as its errors are, and then it is the next one's turn."""
    asked: list[str] = []
    with provider_server(openrouter, ["It is two."], hanging="some/hanging") as server:
        given = options(f"{server.url}/api/v1", timeout_seconds=3, max_retries=1)
        names = ["openrouter:some/hanging", "openrouter:some/ready"]
        reply = asyncio.run(patient(names, given, tmp_path, asked).reply(Prompt(messages=ASKED)))

    assert (reply.text, reply.model) == ("It is two.", "openrouter:some/ready")
    assert asked[:3] == [names[0], names[0], names[1]]
    assert server.requests[-1]["model"] == "some/ready"
