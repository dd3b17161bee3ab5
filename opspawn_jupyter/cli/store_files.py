"""The files of a store, replaced by ones that are rebuilt from the run directories."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

from opspawn_jupyter.client.state_files import living_workers, server_pid
from opspawn_jupyter.errors import Conflict, StoreUnavailable
from opspawn_jupyter.model import clock
from opspawn_jupyter.orchestrator.rebuild import Rebuilt, rebuild
from opspawn_jupyter.stores.database import FILE_NAME, reading
from opspawn_jupyter.stores.duckdb import DuckDBStore

_PARTS = ("journal", f"{FILE_NAME}.wal", FILE_NAME)


def rebuild_store(
    root: Path, state_directory: Path, runs_directory: Path
) -> tuple[Rebuilt, Path | None]:
    """What came of it, and where the files lie that were there before.

    Nothing is replaced until the new store is whole. Raises ``Conflict`` while a server has the
    store, ``StoreUnavailable`` where the new one cannot be written.
    """
    _require_unused(state_directory)
    scratch = state_directory / "rebuilding"
    try:
        state_directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.rmtree(scratch, ignore_errors=True)
        living = {worker.worker_id for worker in living_workers(state_directory)}
        rebuilt = asyncio.run(_fill(scratch, root, runs_directory, living))
        aside = _move_aside(state_directory)
        for part in _PARTS:
            if (scratch / part).exists():
                (scratch / part).rename(state_directory / part)
    except OSError as failure:
        hint = f"{failure.strerror}: make room there or put the permissions right"
        raise StoreUnavailable(str(state_directory), hint=hint) from failure
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return rebuilt, aside


async def _fill(scratch: Path, root: Path, runs: Path, living: set[str]) -> Rebuilt:
    store = await DuckDBStore.open(scratch)
    try:
        return await rebuild(store, root, runs, living)
    finally:
        await store.close()


def _require_unused(state_directory: Path) -> None:
    pid = server_pid(state_directory)
    if pid is None and (state_directory / FILE_NAME).exists():
        pid = _holder(state_directory / FILE_NAME)
    if pid is not None:
        raise Conflict(str(state_directory), hint=f"stop the server first: it is process {pid}")


def _holder(path: Path) -> int | None:
    """Who has the database open. One that is damaged beyond opening nobody has."""
    try:
        with reading(path):
            return None
    except StoreUnavailable as failure:
        pid = failure.detail.get("holder_pid")
        return int(pid) if pid is not None else None


def _move_aside(state_directory: Path) -> Path | None:
    """Where the present files are now; None where there were none."""
    present = [part for part in _PARTS if (state_directory / part).exists()]
    if not present:
        return None
    aside = state_directory / f"before-rebuild-{clock.now():%Y%m%dT%H%M%S%fZ}"
    aside.mkdir(mode=0o700)
    for part in present:
        (state_directory / part).rename(aside / part)
    return aside
