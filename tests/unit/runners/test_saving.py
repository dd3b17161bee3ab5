"""The executed notebook is on the disk when somebody may look for it, and not before."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import nbformat.v4

from opspawn_jupyter.runners.saving import SavingManager

_SECONDS = 60


def _manager(target: Path, *, may_wait: bool) -> SavingManager:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1")])
    notebook.metadata["papermill"] = {}
    for cell in notebook.cells:
        cell.metadata["papermill"] = {}
    return SavingManager(notebook, str(target), may_wait=may_wait)


def _state(target: Path) -> str:
    state: str = json.loads(target.read_text())["cells"][0]["metadata"]["opspawn"]["state"]
    return state


def test_a_run_that_is_over_at_once_is_saved_once(tmp_path: Path) -> None:
    """A file that is replaced a moment later costs as much as a cell."""
    target = tmp_path / "output.ipynb"
    manager = _manager(target, may_wait=True)

    manager.notebook_start()
    assert not target.exists()

    manager.notebook_complete()
    assert _state(target) == "not_run"


def test_a_run_that_goes_on_is_saved_meanwhile(tmp_path: Path) -> None:
    """Whoever looks for the notebook of a run finds it, though no cell has ended yet."""
    target = tmp_path / "output.ipynb"
    manager = _manager(target, may_wait=True)
    manager.notebook_start()

    async def watch() -> None:
        saving = asyncio.ensure_future(manager.keep_saved())
        async with asyncio.timeout(_SECONDS):
            while not target.exists():  # noqa: ASYNC110  a file has no event
                await asyncio.sleep(0)
        saving.cancel()

    asyncio.run(watch())
    assert _state(target) == "not_run"


def test_what_an_earlier_attempt_left_is_replaced_at_once(tmp_path: Path) -> None:
    """It would be taken for this attempt's where that is killed."""
    target = tmp_path / "output.ipynb"
    target.write_text("of an earlier attempt")

    _manager(target, may_wait=True).notebook_start()

    assert _state(target) == "not_run"


def test_papermill_finds_the_notebook_from_the_start(tmp_path: Path) -> None:
    """Its own engine writes it before the first cell."""
    target = tmp_path / "output.ipynb"

    _manager(target, may_wait=False).notebook_start()

    assert _state(target) == "not_run"
