"""The tool broker over servers that behave, and over such as do not."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from jupyter_process import PATIENCE_SECONDS
from opspawn_jupyter import errors
from opspawn_jupyter.model.tool import (
    ApprovalRequest,
    CallOutcome,
    Principal,
    ServerState,
    ToolCallRequest,
)
from tests.integration.broker_stage import ME, Stage, habit, play, write_config

pytestmark = pytest.mark.usefixtures("jupyter_home")

#: Looked up here: a test sees no variables of ours.
CYCLES = 1_000 if os.environ.get("OPSPAWN_CHAOS_LONG") else 5
GOOD = {"good": habit("none")}


def test_one_server_serves_many_calls(tmp_path: Path) -> None:
    """A process for each call would take a second each."""

    async def story(stage: Stage) -> set[str]:
        results = await asyncio.gather(*(stage.call("good.pid", text="") for _ in range(20)))
        return {result.text for result in results}

    assert len(play(tmp_path, GOOD, story)) == 1


def test_every_call_leaves_a_record_and_no_values(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        await stage.call("good.echo", text="private words")
        await stage.call("good.fail", text="no")
        for name in ("good.nothing", "nowhere.echo"):
            with pytest.raises(errors.ToolNotFound):
                await stage.call(name, text="x")
        with pytest.raises(errors.ToolArgumentsInvalid, match="required"):
            await stage.call("good.echo")
        outcomes = [(call.outcome, call.error) for call in stage.log.calls]
        assert outcomes == [
            (CallOutcome.SUCCESS, None),
            (CallOutcome.FAILED, None),
            (CallOutcome.REFUSED, "tool_not_found"),
            (CallOutcome.REFUSED, "tool_not_found"),
            (CallOutcome.REFUSED, "tool_arguments_invalid"),
        ]
        assert "private words" not in repr(stage.log.calls)

    play(tmp_path, GOOD, story)


def test_values_are_recorded_where_the_configuration_says_so(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        await stage.call("good.echo", text="public words")
        assert stage.log.calls[0].arguments == {"text": "public words"}

    play(tmp_path, {"good": habit("none", record_arguments=True)}, story)


def test_no_secret_is_recorded(tmp_path: Path) -> None:
    """Neither one that we gave out, wherever it stands, nor what is named like one."""
    (tmp_path / "state").mkdir()
    file = tmp_path / "state" / "secrets.json"
    file.write_text('{"KEY": "s3cr3t-value"}')
    file.chmod(0o600)
    server = {**habit("none", record_arguments=True), "env": {"KEY": "${secret:KEY}"}}

    async def story(stage: Stage) -> list[Any]:
        await stage.call("one.echo", text="plain", password="hunter2", more=["a s3cr3t-value"])
        await stage.call("one.echo", text="x s3cr3t-value", auth={"apiKey": "k", "max_tokens": 5})
        return [call.arguments for call in stage.log.calls]

    assert play(tmp_path, {"one": server}, story) == [
        {"text": "plain", "password": "***", "more": ["a ***"]},
        {"text": "x ***", "auth": {"apiKey": "***", "max_tokens": 5}},
    ]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("mute", "did not answer within"),
        ("crash", "no licence"),
        ("noise", "not MCP"),
    ],
)
def test_a_server_that_does_not_start_says_why_and_disturbs_no_other(
    tmp_path: Path, name: str, says: str
) -> None:
    """The others answer while it is still being waited for."""

    async def story(stage: Stage) -> None:
        bad = asyncio.ensure_future(stage.call("bad.echo", text="x"))
        assert (await stage.call("good.echo", text="still here")).text == "still here"
        with pytest.raises(errors.ToolServerUnavailable, match=says):
            await bad
        listed = await stage.tools()
        assert {tool.server for tool in listed.tools} == {"good"}
        assert says in listed.problems["bad"]

    seconds = 3 if name == "mute" else 60  # a machine under load takes long to start anything
    servers = {**GOOD, "bad": habit(name, connect_timeout_seconds=seconds)}
    play(tmp_path, servers, story)


def test_a_server_that_dies_in_a_call_is_started_again_and_the_call_is_not_repeated(
    tmp_path: Path,
) -> None:
    async def story(stage: Stage) -> None:
        first = (await stage.call("good.pid", text="")).text
        with pytest.raises(errors.ToolServerUnavailable):
            await stage.call("good.die", text="")
        second = (await stage.call("good.pid", text="")).text
        assert first != second
        assert [call.outcome for call in stage.log.calls].count(CallOutcome.UNAVAILABLE) == 1

    play(tmp_path, GOOD, story)


def test_a_call_that_takes_too_long_ends_and_the_next_one_works(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        with pytest.raises(errors.ToolTimedOut):
            await stage.call("slow.sleep", text="2")
        assert stage.log.calls[0].outcome is CallOutcome.TIMED_OUT
        assert (await stage.call("good.echo", text="others go on")).text == "others go on"

    play(tmp_path, {**GOOD, "slow": habit("none", timeout_seconds=0.5)}, story)


@pytest.mark.parametrize("size", [300_000, 20_000_000])
def test_a_result_above_the_limit_is_refused(tmp_path: Path, size: int) -> None:
    """The larger one is never even read to its end."""

    async def story(stage: Stage) -> None:
        with pytest.raises(errors.ToolServerUnavailable, match=r"larger|above"):
            await stage.call("big.large", text=str(size))
        assert (await stage.call("big.echo", text="again")).text == "again"

    play(tmp_path, {"big": habit("none", max_result_bytes=100_000)}, story)


def test_a_result_that_breaks_the_servers_own_promise_is_refused(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        with pytest.raises(errors.ToolServerFault):
            await stage.call("liar.echo", text="x")
        with pytest.raises(errors.ToolServerFault, match="schema"):
            await stage.call("odd.echo", text="x")

    play(tmp_path, {"liar": habit("lie"), "odd": habit("nonsense-schema")}, story)


def test_a_tool_that_changes_is_refused_until_somebody_approves_it(tmp_path: Path) -> None:
    """The rug pull: harmless when it is approved, something else afterwards."""
    changed = tmp_path / "changed"
    servers = {"shop": habit("rug-pull", str(changed))}

    async def before(stage: Stage) -> None:
        await stage.call("shop.echo", text="x")

    async def after(stage: Stage) -> None:
        with pytest.raises(errors.ToolNotApproved, match="not the one that was approved"):
            await stage.call("shop.echo", text="x")
        assert (await stage.call("shop.fail", text="the others may be called")).is_error
        tool = next(one for one in (await stage.tools()).tools if one.name == "echo")
        with pytest.raises(errors.ToolNotApproved):
            await stage.broker.approve(ME, ApprovalRequest(name="shop.echo", digest="other"))
        await stage.broker.approve(ME, ApprovalRequest(name="shop.echo", digest=tool.digest))
        assert (await stage.call("shop.echo", text="good")).text == "good"

    play(tmp_path, servers, before)
    changed.touch()
    play(tmp_path, servers, after)


def test_hidden_words_do_not_reach_people_or_models(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        (tool,) = (await stage.tools()).tools
        assert tool.description == "Nice hidden words"

    play(tmp_path, {"painter": habit("paint")}, story)


def test_a_command_in_a_file_runs_only_once_it_was_approved(tmp_path: Path) -> None:
    write_config(tmp_path, {"filed": habit("none")})

    async def story(stage: Stage) -> None:
        with pytest.raises(errors.ToolNotApproved, match=r"habits\.py"):
            await stage.call("filed.echo", text="x")
        (server,) = (await stage.broker.servers(ME)).servers
        assert server.state is ServerState.UNAPPROVED
        task = Principal(user="me", task_id="t", tools=("*.*",))
        request = ApprovalRequest(name="filed", digest=server.digest)
        with pytest.raises(errors.NotAuthorized):
            await stage.broker.approve(task, request)
        await stage.broker.approve(ME, request)
        assert (await stage.call("filed.echo", text="x")).text == "x"

    play(tmp_path, {}, story)


def test_an_approval_holds_for_that_very_command(tmp_path: Path) -> None:
    write_config(tmp_path, {"filed": habit("none")})

    async def approve(stage: Stage) -> None:
        (server,) = (await stage.broker.servers(ME)).servers
        await stage.broker.approve(ME, ApprovalRequest(name="filed", digest=server.digest))

    async def call(stage: Stage) -> None:
        with pytest.raises(errors.ToolNotApproved):
            await stage.call("filed.echo", text="x")

    play(tmp_path, {}, approve)
    write_config(tmp_path, {"filed": habit("none", "--also")})
    play(tmp_path, {}, call)


def test_servers_of_other_programs_are_offered_and_never_taken_silently(tmp_path: Path) -> None:
    """A repository that was cloned must not start programs."""
    (tmp_path / ".mcp.json").write_text(json.dumps({"mcpServers": {"theirs": habit("none")}}))
    editor = {"servers": {"good": {"command": "x"}, "code": {"command": "${workspaceFolder}/x"}}}
    (tmp_path / ".vscode").mkdir()
    (tmp_path / ".vscode" / "mcp.json").write_text(json.dumps(editor))

    async def story(stage: Stage) -> None:
        listed = await stage.broker.servers(ME)
        assert [server.name for server in listed.servers] == ["good"]
        assert listed.offers == {".mcp.json": ("theirs",), ".vscode/mcp.json": ("code",)}
        for path, problem in (("../x", errors.OutsideRoot), ("none", errors.InvalidRequest)):
            with pytest.raises(problem):
                await stage.broker.take_over(ME, path)
        await stage.broker.take_over(ME, ".mcp.json")
        with pytest.raises(errors.ToolNotApproved):
            await stage.call("theirs.echo", text="x")
        await stage.broker.take_over(ME, ".vscode/mcp.json")
        targets = {one.name: one.target for one in (await stage.broker.servers(ME)).servers}
        assert targets["code"] == "${JUPYTER_ROOT_DIR}/x"

    play(tmp_path, GOOD, story)


def test_rules_decide_what_may_be_called(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        for name in ("ruled.fail", "ruled.sleep"):
            with pytest.raises(errors.ToolNotAllowed):
                await stage.call(name, text="x")
        with pytest.raises(errors.ToolNotAllowed, match="switched off"):
            await stage.call("off.echo", text="x")
        listed = (await stage.tools()).tools
        assert {tool.name for tool in listed} == {"echo", "environment"}

    rules = habit("none", allow=["e*", "fail"], deny=["fail"])
    play(tmp_path, {"ruled": rules, "off": habit("none", enabled=False)}, story)


def test_a_caller_above_the_rate_is_told_to_wait(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        for _ in range(2):
            await stage.call("rare.echo", text="x")
        with pytest.raises(errors.ToolLimitReached):
            await stage.call("rare.echo", text="x")

    play(tmp_path, {"rare": habit("none", calls_per_minute=2)}, story)


def test_a_task_reaches_its_own_tools_only(tmp_path: Path) -> None:
    task = Principal(user="me", task_id="t", tools=("good.e*",))

    async def story(stage: Stage) -> None:
        assert (await stage.call("good.echo", task, text="x")).text == "x"
        for name in ("good.fail", "other.echo"):
            with pytest.raises(errors.ToolNotFound):
                await stage.call(name, task, text="x")
        listed = await stage.tools(task)
        assert {tool.full_name for tool in listed.tools} == {"good.echo", "good.environment"}
        assert [one.name for one in (await stage.broker.servers(task)).servers] == ["good"]

    play(tmp_path, {**GOOD, "other": habit("none")}, story)


def test_a_server_gets_what_is_configured_and_no_secret_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTER_TOKEN", "ours")
    monkeypatch.setenv("PLACE", "here")
    secrets = tmp_path / "state" / "secrets.json"
    secrets.parent.mkdir()
    secrets.write_text(json.dumps({"KEY": "a-long-secret"}))
    secrets.chmod(0o600)
    environment = {"WHERE": "${PLACE}", "KEY": "${secret:KEY}", "ELSE": "${NONE:-else}"}

    async def story(stage: Stage) -> dict[str, str]:
        said: dict[str, str] = json.loads((await stage.call("good.environment", text="")).text)
        return said

    found = play(tmp_path, {"good": {**habit("none"), "env": environment}}, story)
    assert (found["WHERE"], found["KEY"], found["ELSE"]) == ("here", "a-long-secret", "else")
    assert "JUPYTER_TOKEN" not in found


def test_a_secret_that_others_can_read_is_not_used(tmp_path: Path) -> None:
    secrets = tmp_path / "state" / "secrets.json"
    secrets.parent.mkdir()
    secrets.write_text("{}")
    secrets.chmod(0o644)

    async def story(stage: Stage) -> None:
        with pytest.raises(errors.ToolServerUnavailable, match="chmod 600"):
            await stage.call("good.echo", text="x")

    play(tmp_path, {"good": {**habit("none"), "env": {"K": "${secret:K}"}}}, story)


def test_a_changed_file_is_gone_by_and_the_old_server_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("opspawn_jupyter.broker.upstreams._FRESH_SECONDS", 0.0)
    write_config(tmp_path, {"web": {"url": "http://127.0.0.1:9/"}})

    async def story(stage: Stage) -> None:
        pid = int((await stage.call("good.pid", text="")).text)
        assert [one.name for one in (await stage.broker.servers(ME)).servers] == ["good", "web"]
        write_config(tmp_path, {})
        assert [one.name for one in (await stage.broker.servers(ME)).servers] == ["good"]
        assert psutil.pid_exists(pid)

    play(tmp_path, GOOD, story)


def test_stubborn_servers_end_with_all_that_they_started(tmp_path: Path) -> None:
    """They ignore that their input is closed, and SIGTERM; and they have children."""

    async def story(stage: Stage) -> list[psutil.Process]:
        names = [f"s{number}" for number in range(3)]
        pids = await asyncio.gather(*(stage.call(f"{name}.pid", text="") for name in names))
        found = [psutil.Process(int(pid.text)) for pid in pids]
        return [*found, *(child for one in found for child in one.children(recursive=True))]

    servers = {f"s{number}": habit("stubborn") for number in range(3)}
    processes = play(tmp_path, servers, story)
    assert len(processes) == 6
    _, left = psutil.wait_procs(processes, timeout=PATIENCE_SECONDS)
    assert not left


@pytest.mark.timeout(3_600)
def test_connect_cycles_leave_no_process_and_no_descriptor(tmp_path: Path) -> None:
    """A thousand with OPSPAWN_CHAOS_LONG, a handful otherwise."""

    async def story(stage: Stage) -> None:
        await stage.call("good.pid", text="")
        descriptors = psutil.Process().num_fds()
        for _ in range(CYCLES):
            with pytest.raises(errors.ToolServerUnavailable):
                await stage.call("good.die", text="")
            await stage.call("good.echo", text="x")
        while len(list(_servers())) > 1 or psutil.Process().num_fds() > descriptors + 5:  # noqa: ASYNC110
            await asyncio.sleep(0.05)  # the last one may still be ending

    play(tmp_path, GOOD, story, timeout_seconds=3_600 if CYCLES > 5 else PATIENCE_SECONDS)


def _servers() -> Iterator[psutil.Process]:
    for child in psutil.Process().children():
        with suppress(psutil.NoSuchProcess):  # it has just died, and nobody has asked how yet
            if "habits" in str(child.cmdline()):
                yield child


def test_a_caller_who_leaves_ends_its_call_and_no_others(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        await stage.call("good.echo", text="warm")
        request = ToolCallRequest(server="good", tool="sleep", arguments={"text": "0.5"})
        call = asyncio.ensure_future(stage.broker.call(ME, request))
        await asyncio.sleep(0)
        call.cancel()
        await asyncio.wait({call})
        assert (await stage.call("good.echo", text="on")).text == "on"
        assert CallOutcome.CANCELLED in {one.outcome for one in stage.log.calls}

    play(tmp_path, GOOD, story)
