"""Tool servers over HTTP: what they are sent, and what they cannot make us do."""

from __future__ import annotations

from pathlib import Path

import pytest

from opspawn_jupyter import errors
from tests.integration.broker_stage import Stage, play
from tests.integration.tool_servers.over_http import over_http


def test_a_server_gets_the_headers_that_are_configured(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        assert (await stage.call("remote.echo")).text == "answered"

    with over_http() as upstream:
        headers = {"Authorization": "Bearer its-own"}
        play(tmp_path, {"remote": {"url": upstream.url, "headers": headers}}, story)
    assert {one.get("authorization") for one in upstream.headers} == {"Bearer its-own"}


def test_redirects_are_not_followed(tmp_path: Path) -> None:
    """They could lead to addresses that only this machine reaches."""

    async def story(stage: Stage) -> None:
        with pytest.raises(errors.ToolServerUnavailable, match="redirects elsewhere"):
            await stage.call("remote.echo")

    with over_http("redirect") as upstream:
        play(tmp_path, {"remote": {"url": upstream.url}}, story)


def test_redirects_are_not_followed_to_a_login_either(tmp_path: Path) -> None:
    """What is not found where it has to be is not looked for elsewhere."""

    async def story(stage: Stage) -> None:
        with pytest.raises(errors.ToolServerUnavailable, match="cannot be logged in to"):
            await stage.call("remote.echo")

    with over_http() as other, over_http("redirects logins", other.url) as upstream:
        play(tmp_path, {"remote": {"url": upstream.url}}, story, public_url="http://localhost:1/")
        assert len(upstream.headers) > 2
        assert other.headers == []


def test_an_answer_without_end_is_cut_off(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        with pytest.raises(errors.OpspawnError, match="larger than the limit"):
            await stage.call("remote.echo")

    with over_http("flood") as upstream:
        rules = {"max_result_bytes": 100_000}
        play(tmp_path, {"remote": {"url": upstream.url, "opspawn": rules}}, story)
