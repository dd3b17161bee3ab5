"""Who answers what a server wants to know in the middle of a call.

The program that calls answers where it says that it can and the server's rules let it
(``to_caller``). Else a person answers, if it is a form that people can fill in
(``questions``). Everything else is refused: no server reaches a model or files through us unless
the configuration says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from opspawn_jupyter.broker.config import Rules
from opspawn_jupyter.broker.ports import Host, Inquiry, NotAnswered, People, Question
from opspawn_jupyter.model.tool import Principal

#: MCP's client capability for each request that a server may make.
CAPABILITIES = {
    "elicitation/create": "elicitation",
    "sampling/createMessage": "sampling",
    "roots/list": "roots",
}
#: From the least to the gravest, as MCP has them.
LEVELS = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")

_DECLINED = {"action": "decline"}


def offered(rules: Rules, people: People | None) -> frozenset[str]:
    """Client capabilities that some caller of the server may have."""
    by_person = {"elicitation"} if people is not None and rules.questions else set()
    return frozenset(by_person | (set(rules.to_caller) & set(CAPABILITIES.values())))


def held(
    host: Host | None, rules: Rules, people: People | None, principal: Principal, server: str
) -> Host:
    """The host as the server may see it, with a person behind it where there is one."""
    given = host or Host(principal=principal)
    allowed = set[str](rules.to_caller)
    passed = {name: said for name, said in given.capabilities.items() if name in allowed}
    person = people if people is not None and rules.questions else None
    hears = "logging" in allowed

    async def ask(inquiry: Inquiry) -> Mapping[str, Any]:
        if given.ask is not None and _is_for(passed, inquiry):
            return await given.ask(inquiry)
        return await _by_person(person, principal, server, inquiry)

    by_person: dict[str, Any] = {"elicitation": {"form": {}}} if person is not None else {}
    return replace(
        given,
        capabilities={**by_person, **passed},
        ask=ask,
        log=given.log if hears else None,
        log_level=given.log_level if hears else None,
    )


def is_heard(host: Host, level: str) -> bool:
    """Whether the host wants log messages of this level."""
    if host.log_level not in LEVELS or level not in LEVELS:
        return False
    return LEVELS.index(level) >= LEVELS.index(host.log_level)


def _is_for(passed: Mapping[str, Any], inquiry: Inquiry) -> bool:
    said = passed.get(CAPABILITIES.get(inquiry.method, ""))
    if said is None:
        return False
    if inquiry.method != "elicitation/create":
        return True
    # A capability without modes is one for forms.
    return inquiry.params.get("mode", "form") in (set(said) or {"form"})


async def _by_person(
    person: People | None, principal: Principal, server: str, inquiry: Inquiry
) -> Mapping[str, Any]:
    is_form = inquiry.params.get("mode", "form") == "form"
    if person is None or inquiry.method != "elicitation/create" or not is_form:
        raise NotAnswered(f"{inquiry.method} is not supported for this caller")
    schema = inquiry.params.get("requestedSchema", {})
    question = Question(message=str(inquiry.params.get("message", "")), schema=schema)
    answer = await person.ask(principal, server, question)
    return _DECLINED if answer is None else {"action": "accept", "content": dict(answer)}
