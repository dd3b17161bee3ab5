"""Servers that want a login: who is asked, what is kept, and what a login cannot be made to do."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from jupyter_process import PATIENCE_SECONDS
from opspawn_jupyter import errors
from opspawn_jupyter.broker.login import Logins
from opspawn_jupyter.model.tool import Principal, ServerState
from tests.integration.broker_stage import ME, Stage, play
from tests.integration.tool_servers.guarded import Guarded, guarded

pytestmark = pytest.mark.usefixtures("jupyter_home")

YOU = Principal(user="you")


@pytest.fixture(name="door")
def _door() -> Iterator[Guarded]:
    with guarded() as door:
        yield door


class Person:
    """See ``broker.ports.People``: somebody with a browser, who logs in, says no, or is away."""

    def __init__(self, habit: str = "logs in") -> None:
        self.habit = habit
        self.logins: Logins
        self.asked: list[tuple[str, str]] = []
        self.outcomes: list[str] = []

    async def may_call(self, *_: Any) -> bool:
        return True

    async def ask(self, *_: Any) -> None:
        return None

    async def log_in(
        self, principal: Principal, server: str, url: str, outcome: asyncio.Future[str]
    ) -> None:
        self.asked.append((principal.user, server))
        if self.habit == "logs in":
            self.logins.arrive(principal, **await brought_back(url))
        if self.habit != "says no":
            self.outcomes.append(await outcome)


async def brought_back(url: str) -> dict[str, Any]:
    """What a browser comes back with from the login page."""
    async with httpx2.AsyncClient(timeout=PATIENCE_SECONDS) as browser:
        answer = await browser.get(url)
    said = parse_qs(urlsplit(answer.headers["location"]).query)
    return {
        "state": said["state"][0],
        "code": said.get("code", [""])[0],
        "issuer": None,
        "problem": said.get("error", [""])[0],
    }


def act(place: Path, door: Guarded, person: Person, story: Any, **rules: Any) -> Any:
    """Play with a server that wants a login, and this person."""

    async def told(stage: Stage) -> Any:
        person.logins = stage.broker.logins
        return await story(stage)

    servers = {"guarded": {"url": door.url, "opspawn": rules}}
    return play(place, servers, told, people=person, public_url="http://localhost:1/base/")


def test_a_call_waits_for_the_login_and_goes_on(
    tmp_path: Path, door: Guarded, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever calls sees a slow call; what was given is kept for this account alone."""
    person = Person()
    caplog.set_level(logging.DEBUG)

    async def story(stage: Stage) -> None:
        found = await asyncio.gather(*(stage.call("guarded.who") for _ in range(5)))
        assert {one.text for one in found} == set(door.clients)
        assert secrets_in(door, repr(stage.log.calls)) == []

    act(tmp_path, door, person, story)
    assert (person.asked, person.outcomes) == ([("me", "guarded")], [""])
    kept = tmp_path / "state" / "mcp_logins.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert secrets_in(door, kept.read_text())
    ours = "\n".join(one.getMessage() for one in caplog.records if "uvicorn" not in one.name)
    assert secrets_in(door, ours) == []


def secrets_in(door: Guarded, text: str) -> list[str]:
    """Those of the server's that are in the text."""
    assert door.secrets
    return [one for one in door.secrets if one in text]


def test_a_login_outlives_the_server_and_is_renewed(tmp_path: Path, door: Guarded) -> None:
    """Else people would log in each time that a token ends, or the server."""
    person = Person()

    async def story(stage: Stage) -> str:
        return (await stage.call("guarded.who")).text

    first = act(tmp_path, door, person, story)
    kept = tmp_path / "state" / "mcp_logins.json"
    logins = json.loads(kept.read_text())
    logins["logins"]["guarded"]["user me"]["place"]["expires_at"] = 1.0
    kept.write_text(json.dumps(logins))
    door.access.clear()
    assert first == act(tmp_path, door, person, story)
    assert door.renewals == 1
    assert len(person.asked) == 1


def test_a_login_that_counts_no_more_is_asked_for_again(tmp_path: Path, door: Guarded) -> None:
    """In the middle of a connection as well."""
    person = Person()

    async def story(stage: Stage) -> None:
        await stage.call("guarded.who")
        door.revoke_all()
        await stage.call("guarded.who")

    act(tmp_path, door, person, story)
    assert person.outcomes == ["", ""]


def test_a_refused_login_is_one_clear_error(tmp_path: Path, door: Guarded) -> None:
    """And the next caller may try at once."""
    person = Person("says no")

    async def story(stage: Stage) -> None:
        with pytest.raises(errors.ToolLoginNeeded, match="the answer was no") as caught:
            await stage.call("guarded.who")
        assert "opspawn tools SERVER --login" in caught.value.message
        (server,) = (await stage.broker.servers(ME)).servers
        assert server.state is ServerState.LOGIN_NEEDED
        person.habit = "logs in"
        await stage.call("guarded.who")

    act(tmp_path, door, person, story)
    assert len(person.asked) == 2


def test_a_login_that_nobody_makes_ends(tmp_path: Path, door: Guarded) -> None:
    person = Person("is away")

    async def story(stage: Stage) -> None:
        with pytest.raises(errors.ToolLoginNeeded, match="nobody logged in within"):
            await stage.call("guarded.who")

    act(tmp_path, door, person, story, login_timeout_seconds=0.2)
    assert person.outcomes == ["nobody waits for it any more"]


def test_what_the_authorization_server_refuses_is_told(tmp_path: Path, door: Guarded) -> None:
    person = Person()
    door.is_refusing = True

    async def story(stage: Stage) -> None:
        with pytest.raises(errors.ToolLoginNeeded, match="access_denied"):
            await stage.call("guarded.who")

    act(tmp_path, door, person, story)
    assert "access_denied" in person.outcomes[0]


def test_nobody_is_asked_for_those_who_only_look(tmp_path: Path, door: Guarded) -> None:
    """Listings are made all the time, and by programs; they say what is to be done."""
    person = Person("is away")

    async def story(stage: Stage) -> None:
        for _ in range(2):
            listed = await stage.tools()
            assert "--login" in listed.problems["guarded"]
        assert person.asked == []
        login = await stage.broker.log_in(ME, "guarded")
        assert login.url.startswith(door.url.removesuffix("mcp"))
        assert "redirect_uri=http%3A%2F%2Flocalhost%3A1%2Fbase%2Fopspawn%2Flogin" in login.url
        assert login.url in (await stage.tools()).problems["guarded"]
        stage.broker.logins.arrive(ME, **await brought_back(login.url))
        assert (await stage.call("guarded.who")).text
        assert (await stage.broker.log_in(ME, "guarded")).is_logged_in

    act(tmp_path, door, person, story)
    assert len(person.asked) == 1


def test_a_browser_counts_once_and_for_its_own_user(tmp_path: Path, door: Guarded) -> None:
    """Else somebody could have another's server act for an account of their own choice."""
    person = Person("is away")

    async def story(stage: Stage) -> None:
        url = (await stage.broker.log_in(ME, "guarded")).url
        back = await brought_back(url)
        logins = stage.broker.logins
        with pytest.raises(errors.NotFound, match="never begun"):
            logins.arrive(ME, **{**back, "state": "made-up"})
        with pytest.raises(errors.NotAuthorized, match="somebody else"):
            logins.arrive(YOU, **back)
        _, outcome = logins.arrive(ME, **back)
        with pytest.raises(errors.NotFound):
            logins.arrive(ME, **back)
        assert await outcome == ""
        with pytest.raises(errors.NotFound):
            logins.arrive(ME, **back)

    act(tmp_path, door, person, story)


@pytest.mark.parametrize(("isolation", "logins"), [("user", ["me", "you"]), ("shared", ["me"])])
def test_a_login_is_of_those_who_share_the_connection(
    tmp_path: Path, door: Guarded, isolation: str, logins: list[str]
) -> None:
    person = Person()

    async def story(stage: Stage) -> int:
        await stage.call("guarded.who")
        await stage.call("guarded.who", YOU)
        return len(door.access)

    assert act(tmp_path, door, person, story, isolation=isolation) == len(logins)
    assert [user for user, _ in person.asked] == logins


def test_a_tasks_own_login_ends_with_it(tmp_path: Path, door: Guarded) -> None:
    person = Person()
    task = Principal(user="me", task_id="t1", tools=("guarded.*",))
    kept = tmp_path / "state" / "mcp_logins.json"

    async def story(stage: Stage) -> None:
        await stage.call("guarded.who", task)
        assert "task t1" in kept.read_text()
        with pytest.raises(errors.NotAuthorized, match="a person does"):
            await stage.broker.log_out(task, "guarded")
        await stage.broker.forget_task("t1")
        assert json.loads(kept.read_text()) == {"logins": {"guarded": {}}}

    act(tmp_path, door, person, story, isolation="task")


def test_who_logs_out_is_asked_again(tmp_path: Path, door: Guarded) -> None:
    person = Person()

    async def story(stage: Stage) -> None:
        await stage.call("guarded.who")
        assert not (await stage.broker.log_out(ME, "guarded")).is_logged_in
        await stage.call("guarded.who")

    act(tmp_path, door, person, story)
    assert len(person.asked) == 2


def test_a_login_is_for_the_address_that_it_was_made_for(tmp_path: Path, door: Guarded) -> None:
    """A changed file must not carry a token to another server."""
    person = Person()

    async def story(stage: Stage) -> str:
        return (await stage.call("guarded.who")).text

    act(tmp_path, door, person, story)
    with guarded() as other:
        act(tmp_path, other, person, story)
        assert not set(other.access) & set(door.access)
    assert len(person.asked) == 2


def test_a_key_of_the_configuration_is_no_login(tmp_path: Path, door: Guarded) -> None:
    """Where one is configured, or OAuth switched off, nobody is asked."""
    person = Person()

    async def story(stage: Stage) -> None:
        for server in ("keyed", "closed"):
            with pytest.raises(errors.ToolServerUnavailable):
                await stage.call(f"{server}.who")

    headers = {"Authorization": "Bearer of-no-use"}
    servers = {
        "keyed": {"url": door.url, "headers": headers},
        "closed": {"url": door.url, "opspawn": {"oauth": {"grant": "none"}}},
    }
    play(tmp_path, servers, story, people=person)
    assert (person.asked, door.clients) == ([], {})


def test_where_browsers_come_back_to_must_be_known(tmp_path: Path, door: Guarded) -> None:
    async def story(stage: Stage) -> None:
        with pytest.raises(errors.ToolLoginNeeded, match="set OpspawnExtension"):
            await stage.call("guarded.who")

    play(tmp_path, {"guarded": {"url": door.url}}, story, people=Person())
    assert door.clients == {}
