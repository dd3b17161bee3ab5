"""Pruning: the directory goes, the task stays, and nothing else is touched."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from opspawn_jupyter.errors import InvalidRequest, SettingInvalid, StoreUnavailable
from opspawn_jupyter.model.retention import PruneRequest
from opspawn_jupyter.model.states import EventType, State
from opspawn_jupyter.model.task import Task
from opspawn_jupyter.orchestrator import disposal
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.orchestrator.find import find
from opspawn_jupyter.orchestrator.prune import prune, settings_retention
from opspawn_jupyter.orchestrator.report import report
from opspawn_jupyter.orchestrator.submit import submit
from tests.unit.orchestrator.stage import SUCCEEDED, note, of, started

ALL = PruneRequest(keep=0)


async def done(o: Orchestration) -> Task:
    task = await started(o)
    await report(o, "w", of(task, SUCCEEDED))
    return await find(o, task.id)


def directory(o: Orchestration, task: Task) -> Path:
    return o.settings.root_directory / task.run_directory


def test_the_directory_goes_and_the_task_stays(play: Callable[..., None]) -> None:
    """History is cheap, notebooks are not; an audit can still tell what there was."""

    async def scenario(o: Orchestration) -> None:
        task, waiting = await done(o), (await submit(o, note(), "ada"))[0]

        pruned = await prune(o, ALL, "ada")

        assert [one.task_id for one in pruned.removals] == [task.id]
        assert pruned.size_bytes == pruned.removals[0].size_bytes > 0
        assert not directory(o, task).exists()
        assert directory(o, waiting).exists()
        now = await find(o, task.id)
        assert (now.state, now.pruned_at is not None) == (State.SUCCESS, True)
        *_, event = await o.store.events(task_id=task.id)
        assert event.type is EventType.PRUNED
        assert event.data["by"] == "ada"
        assert len(event.data["files"]["note.txt"]) == 64
        assert (await prune(o, ALL, "ada")).removals == ()

    play(scenario)


def test_a_dry_run_only_tells(play: Callable[..., None]) -> None:
    """People look before they leap."""

    async def scenario(o: Orchestration) -> None:
        task = await done(o)

        pruned = await prune(o, PruneRequest(keep=0, dry_run=True), "ada")

        assert [one.task_id for one in pruned.removals] == [task.id]
        assert directory(o, task).exists()
        assert (await find(o, task.id)).pruned_at is None

    play(scenario)


def test_without_any_limit_nothing_is_guessed(play: Callable[..., None]) -> None:
    """`prune` without options must not be `prune everything`."""

    async def scenario(o: Orchestration) -> None:
        with pytest.raises(InvalidRequest, match="say what may go"):
            await prune(o, PruneRequest(), "ada")
        with pytest.raises(InvalidRequest, match="keep"):
            await prune(o, PruneRequest(keep=-1), "ada")

    play(scenario)


def test_the_settings_hold_where_nothing_else_is_said(play: Callable[..., None]) -> None:
    """The hourly round asks so."""

    async def scenario(o: Orchestration) -> None:
        tasks = [await done(o) for _ in range(3)]

        pruned = await prune(o, PruneRequest(), "retention")

        assert {one.task_id for one in pruned.removals} == set(
            sorted(task.id for task in tasks)[:2]
        )

    play(scenario, retention_max_tasks=1)


@pytest.mark.parametrize("rule", [{"nolabel": {}}, {"a:b": {"weeks": 1}}, {"a:b": {"days": "x"}}])
def test_a_wrong_rule_is_named(play: Callable[..., None], rule: dict[str, object]) -> None:
    """A typing error in a rule must not delete."""

    async def scenario(o: Orchestration) -> None:
        with pytest.raises(SettingInvalid):
            settings_retention(o.settings)

    play(scenario, retention_by_label=rule)


def test_links_are_not_followed(play: Callable[..., None], tmp_path: Path) -> None:
    """User code writes into its run directory, and links lie in wait there."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("x")

    async def scenario(o: Orchestration) -> None:
        inner, whole = await done(o), await done(o)
        (directory(o, inner) / "artifacts" / "link").symlink_to(outside)
        elsewhere = directory(o, whole).rename(outside / "moved")
        directory(o, whole).symlink_to(elsewhere)

        pruned = await prune(o, ALL, "ada")

        problems = {one.task_id: one.problem for one in pruned.removals}
        assert problems[inner.id] is None
        assert "is a link" in (problems[whole.id] or "")
        assert (outside / "precious").exists()
        assert (elsewhere / "note.txt").exists()
        assert (await find(o, whole.id)).pruned_at is None

    play(scenario)


@pytest.mark.parametrize("path", ["..", ".", "../other", "runs", "runs/a/b", "/etc"])
def test_nothing_outside_the_runs_directory_is_ours(tmp_path: Path, path: str) -> None:
    """Whatever a record says that the directory is."""
    (tmp_path / "runs" / "a" / "b").mkdir(parents=True)

    with pytest.raises(disposal.NotOurs):
        disposal.require_ours(tmp_path / path, tmp_path / "runs")


def test_a_removal_that_cannot_be_recorded_is_taken_back(play: Callable[..., None]) -> None:
    """With a full disk there must not be a directory gone and a history that denies it."""

    async def scenario(o: Orchestration) -> None:
        task = await done(o)
        journal = o.store._writer._journal  # type: ignore[attr-defined]  # the real disk is not full
        real, journal.append = journal.append, _full

        with pytest.raises(StoreUnavailable):
            await prune(o, ALL, "ada")

        assert directory(o, task).exists()
        journal.append = real
        assert len((await prune(o, ALL, "ada")).removals) == 1

    play(scenario)


def _full(*_: object) -> None:
    raise StoreUnavailable(hint="No space left on device")


def test_what_a_crash_left_aside_is_settled_by_the_next_round(play: Callable[..., None]) -> None:
    """Killed before the record: the directory is back. Killed after it: it is gone."""

    async def scenario(o: Orchestration) -> None:
        recorded, unrecorded = await done(o), await done(o)
        await prune(o, PruneRequest(keep=1), "ada")
        (o.settings.runs_directory / f".pruned-{directory(o, recorded).name}").mkdir()
        disposal.set_aside(directory(o, unrecorded))

        await prune(o, PruneRequest(keep=5), "ada")

        assert list(o.settings.runs_directory.iterdir()) == [directory(o, unrecorded)]

    play(scenario)
