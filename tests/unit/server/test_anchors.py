"""Tree heads left with others: in a file, with a webhook, in a repository."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tornado import web

from jupyter_process import PATIENCE_SECONDS
from opspawn_jupyter.audit.merkle import Tree
from opspawn_jupyter.buses.webhook import signature
from opspawn_jupyter.errors import SettingInvalid
from opspawn_jupyter.server.anchors import HEADS_NAME, Anchors, require_places
from tests.contract.store_steps import life
from tests.unit.orchestrator.stage import orchestration

SECRET = "a secret"


def play(root: Path, scenario: Callable[[Any, Anchors], Awaitable[None]], **settings: Any) -> None:
    async def main() -> None:
        async with orchestration(root, **settings) as o:
            await asyncio.wait_for(
                scenario(o.store, Anchors(o.store, o.settings)), PATIENCE_SECONDS
            )

    asyncio.run(main())


def heads(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_head_is_the_tree_over_all_events_and_told_once(tmp_path: Path) -> None:
    """What did not grow is not told again; what did has another line."""

    async def scenario(store: Any, anchors: Anchors) -> None:
        await store.append(life())
        await anchors.anchor()
        await anchors.anchor()
        await store.append(life())
        await anchors.anchor()
        hashes = [event.hash for event in await store.events()]

        noted = heads(tmp_path / "kept" / "heads.jsonl")
        assert [one["tree_size"] for one in noted] == [len(hashes) // 2, len(hashes)]
        assert [one["root_sha256"] for one in noted] == [
            Tree(hashes[: len(hashes) // 2]).root,
            Tree(hashes).root,
        ]

    play(tmp_path, scenario, anchors=("kept/heads.jsonl",))


def test_a_repository_gets_a_commit_with_nothing_else_in_it(tmp_path: Path) -> None:
    """Whatever else somebody has staged there stays staged."""
    place = tmp_path / "elsewhere"
    place.mkdir()
    git(place, "init", "--quiet")
    git(place, "config", "user.email", "a@host.example")
    git(place, "config", "user.name", "A")
    (place / "other.txt").write_text("mine")
    git(place, "add", "other.txt")

    async def scenario(store: Any, anchors: Anchors) -> None:
        await store.append(life())
        await anchors.anchor()

    play(tmp_path, scenario, anchors=(f"git:{place}",))

    shown = git(place, "show", "--name-only", "--format=%s", "HEAD").split("\n")
    assert shown[0].startswith("Note the tree head of ")
    assert [line for line in shown[1:] if line] == [HEADS_NAME]
    assert heads(place / HEADS_NAME)[0]["tree_size"] > 0


def test_a_webhook_is_sent_the_head_signed(tmp_path: Path) -> None:
    taken: list[tuple[str, bytes]] = []

    class Hook(web.RequestHandler):
        def post(self) -> None:
            taken.append((self.request.headers["X-Opspawn-Signature"], self.request.body))

    async def scenario(store: Any, anchors: Anchors) -> None:
        server = web.Application([("/heads", Hook)]).listen(0, "127.0.0.1")
        port = next(iter(server._sockets.values())).getsockname()[1]
        place = f"http://127.0.0.1:{port}/heads"
        anchors = Anchors(store, replace(anchors._settings, anchors=(place,)))
        await store.append(life())
        head = await anchors.anchor()
        server.stop()
        await server.close_all_connections()

        ((signed, body),) = taken
        assert json.loads(body)["root_sha256"] == head.root_sha256
        assert signed == signature(SECRET, body)

    play(tmp_path, scenario, webhook_secret=SECRET)


def test_a_place_that_fails_keeps_no_other_from_being_told(tmp_path: Path) -> None:
    """It is tried again at the next round."""
    (tmp_path / "blocked").write_text("a file where a directory would have to be")

    async def scenario(store: Any, anchors: Anchors) -> None:
        await store.append(life())
        await anchors.anchor()
        assert heads(tmp_path / "good.jsonl")
        (tmp_path / "blocked").unlink()
        await anchors.anchor()
        assert heads(tmp_path / "blocked" / "heads.jsonl")
        assert len(heads(tmp_path / "good.jsonl")) == 1

    play(tmp_path, scenario, anchors=("blocked/heads.jsonl", "good.jsonl"))


@pytest.mark.parametrize("place", ["ftp://host.example/heads", "git:nowhere"])
def test_a_place_that_can_be_none_is_refused_at_start(tmp_path: Path, place: str) -> None:
    with pytest.raises(SettingInvalid):
        require_places((place,), tmp_path)


def git(place: Path, *words: str) -> str:
    command = ["git", "-C", str(place), *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
