"""Lineage: START and one terminal event for each run that began, with what it read and made."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from jupyter_process import PATIENCE_SECONDS
from opspawn_jupyter.buses.openlineage import LineageBus, require_target
from opspawn_jupyter.errors import SettingInvalid
from opspawn_jupyter.model.event import Draft
from opspawn_jupyter.model.ids import new_id
from opspawn_jupyter.model.states import EventType
from tests.contract.store_steps import queued, report, run
from tests.unit.orchestrator.stage import orchestration

FILE = {"$file": "artifacts/table.parquet", "sha256": "c" * 64, "size_bytes": 5}


@dataclass
class World:
    """A store, and a bus that hears of all that is appended."""

    store: Any
    bus: LineageBus
    target: Path

    async def append(self, drafts: Sequence[Draft]) -> None:
        self.bus.tell(await self.store.append(drafts))

    async def told(self) -> list[dict[str, Any]]:
        """The events in the file, once all is written."""
        await asyncio.wait_for(self.bus._waiting.join(), PATIENCE_SECONDS)
        return [json.loads(line) for line in self.target.read_text().splitlines()]


@asynccontextmanager
async def world(root: Path) -> AsyncIterator[World]:
    async with orchestration(root, openlineage="lineage/events.jsonl") as o:
        bus = LineageBus(o.store, o.settings)
        await bus.start()
        yield World(o.store, bus, root / "lineage" / "events.jsonl")
        await bus.close()


def test_a_run_is_begun_once_and_ended_once(tmp_path: Path) -> None:
    """A cell that raises ends the run as FAIL, and says why."""

    async def scenario() -> list[dict[str, Any]]:
        async with world(tmp_path) as w:
            good, bad = new_id(), new_id()
            problem = {"error": {"name": "ValueError", "message": "no rows"}}
            await w.append([*queued(good), *queued(bad)])
            await w.append([*run(good), *run(bad, EventType.FAILED, **problem)])
            return await w.told()

    told = asyncio.run(scenario())

    assert [one["eventType"] for one in told] == ["START", "COMPLETE", "START", "FAIL"]
    assert told[0]["run"]["runId"] == told[1]["run"]["runId"]
    assert "no rows" in told[3]["run"]["facets"]["errorMessage"]["message"]


def test_a_step_names_its_workflow_and_the_files_that_it_read_and_made(tmp_path: Path) -> None:
    async def scenario() -> list[dict[str, Any]]:
        async with world(tmp_path) as w:
            flow, step = new_id(), new_id()
            await w.append(queued(flow, name="daily", kind="workflow"))
            given = {"rows": FILE}
            upstream = {"task_id": step, "state": "success", "run_directory": "opspawn_runs/up",
                        "outputs": given}  # fmt: skip
            directory = tmp_path / "opspawn_runs" / step
            directory.mkdir(parents=True)
            inputs = {"workflow_id": flow, "workflow": "daily", "step": "train",
                      "tasks": {"ingest": upstream}}  # fmt: skip
            (directory / "inputs.json").write_text(json.dumps(inputs))
            await w.append(queued(step, parent_id=flow, step="train"))
            model = {"name": "model", "value": {**FILE, "$file": "model.bin"}}
            made = report(step, 6, EventType.STEP_OUTPUT, **model)
            *before, outcome = run(step)
            await w.append([*before, made, report(step, 7, outcome.type)])
            return await w.told()

    told = asyncio.run(scenario())

    assert [one["job"]["name"] for one in told] == ["daily.train", "daily.train"]
    assert told[1]["run"]["facets"]["parent"]["job"]["name"] == "daily"
    read = {one["name"]: one["facets"]["version"]["datasetVersion"] for one in told[1]["inputs"]}
    assert read == {f"{tmp_path}/opspawn_runs/up/artifacts/table.parquet": "c" * 64}
    assert [Path(one["name"]).name for one in told[1]["outputs"]] == ["model.bin"]


def test_what_never_began_is_not_told(tmp_path: Path) -> None:
    """Without a START there is no run that could end."""

    async def scenario() -> list[dict[str, Any]]:
        async with world(tmp_path) as w:
            never, then = new_id(), new_id()
            await w.append([*queued(never), Draft(task_id=never, type=EventType.WITHDRAWN)])
            await w.append([*queued(then), *run(then)])
            return await w.told()

    assert len(asyncio.run(scenario())) == 2


def test_the_next_server_tells_what_the_last_one_could_not(tmp_path: Path) -> None:
    async def scenario() -> int:
        task = new_id()
        async with world(tmp_path) as w:
            await w.append([*queued(task), *run(task)])
            await w.told()
            silent = new_id()
            await w.store.append([*queued(silent), *run(silent)])
        async with world(tmp_path) as w:
            return len(await w.told())

    assert asyncio.run(scenario()) == 4


def test_an_address_that_nobody_can_be_told_at_is_refused_at_start() -> None:
    with pytest.raises(SettingInvalid, match="http"):
        require_target("ftp://host.example/lineage")
