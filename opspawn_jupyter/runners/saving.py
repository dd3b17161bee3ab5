"""The executed notebook on its way to the disk: papermill's manager, but seldom and safely.

papermill writes the whole notebook three times for each cell, over the file that it replaces. Here
each wish to save only marks the notebook as changed; it is written at the start, at the end, and
in between by ``keep_saved``: atomically, and so seldom that saving stays under 5 % of the time.
Most runs of a task are over before anybody could look: there the start is written a moment later,
if there is still one.
"""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from papermill.engines import NotebookExecutionManager
from papermill.iorw import papermill_io

from opspawn_jupyter import faults, files
from opspawn_jupyter.model import executed_notebook
from opspawn_jupyter.model.states import CellState
from opspawn_jupyter.runners.notebook_text import serialised

_log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.25
#: A run that is over by then writes its notebook once.
_FIRST_LOOK_SECONDS = 0.1
#: Pauses before the last save is tried again, where the disk is full.
_LAST_PAUSES_SECONDS = (1.0, 2.0, 4.0)
_SHORTEST_INTERVAL_SECONDS = 2.0
#: Time between saves in terms of the time that one takes: 5 % at most.
_INTERVAL_PER_SAVE = 20


class SavingManager(NotebookExecutionManager):  # type: ignore[misc]  # papermill has no types
    """Keeps times and states of the cells, and saves them with their outputs."""

    def __init__(
        self,
        nb: Any,
        output_path: str | None,
        *,
        progress_bar: bool | dict[str, Any] = False,
        log_output: bool = False,
        may_wait: bool = False,
    ) -> None:
        """``may_wait``: nobody looks for the notebook before it has run for a moment."""
        super().__init__(nb, output_path, progress_bar=progress_bar, log_output=log_output)
        self._may_wait = may_wait
        self._target = _local_target(output_path)
        self._changed = False
        self._due = 0.0

    def save(self, **_options: Any) -> None:
        """Have the notebook saved before long."""
        self._changed = True

    autosave_cell = save

    def write(self) -> None:
        """Save the notebook now."""
        started = time.monotonic()
        faults.reach("runner.before_save")
        if self._target is None:
            super().save()  # nowhere, a remote store or a pipe: papermill's own writers
        else:
            files.write_atomic(self._target, serialised(self.nb))
        self._changed = False
        now = time.monotonic()
        pause = max(_SHORTEST_INTERVAL_SECONDS, _INTERVAL_PER_SAVE * (now - started))
        self._due = now + pause

    async def keep_saved(self) -> None:
        """Save changes as they come, until cancelled."""
        await asyncio.sleep(_FIRST_LOOK_SECONDS)
        while True:
            if self._changed and time.monotonic() >= self._due:
                self._try_to_write()
            await asyncio.sleep(_LOOK_SECONDS)

    def _try_to_write(self) -> None:
        try:
            self.write()
        except OSError as failure:  # the run goes on; there may be room again by its end
            _log.warning("notebook not saved reason=%s", failure)
            self._due = time.monotonic() + _SHORTEST_INTERVAL_SECONDS

    def notebook_start(self, **options: Any) -> None:
        """Clear what an earlier run left, save in cells that are not to run, and save."""
        kept = {
            index: (cell.outputs, cell.execution_count)
            for index, cell in executed_notebook.code_cells(self.nb)
            if executed_notebook.is_skipped(cell)  # `jupyter execute` leaves them as they are
        }
        super().notebook_start(**options)
        for index, cell in executed_notebook.code_cells(self.nb):
            cell.outputs, cell.execution_count = kept.get(index, ([], None))
            executed_notebook.set_state(cell, CellState.NOT_RUN, None)
        # What an earlier attempt left must not be taken for this one's.
        if self._may_wait and self._target is not None and not self._target.exists():
            self.save()
        else:
            self.write()

    def begin(self, cell: Any, index: int) -> None:
        """The cell runs from now."""
        self.cell_start(cell, index)
        executed_notebook.set_state(cell, CellState.RUNNING, None)

    def end(self, cell: Any, index: int, state: CellState, seconds: float) -> None:
        """The cell has ended so."""
        if state is not CellState.SUCCESS:
            self.cell_exception(cell, cell_index=index)
        self._complete(cell, index)
        executed_notebook.set_state(cell, state, seconds)

    def _complete(self, cell: Any, index: int) -> None:
        """papermill's, but its beginning read by Python: dateutil takes as long as a save."""
        times = cell.metadata.papermill
        started, times["start_time"] = times["start_time"], None
        self.cell_complete(cell, index)
        times["start_time"] = started
        lasted = datetime.fromisoformat(times["end_time"]) - datetime.fromisoformat(started)
        times["duration"] = lasted.total_seconds()

    def pass_by(self, cell: Any) -> None:
        """The cell is one that does not run: text, nothing, or tagged so."""
        if cell.cell_type != "code":
            cell.metadata.papermill["status"] = self.COMPLETED
        if self.pbar:
            self.pbar.update(1)

    def notebook_complete(self, **_options: Any) -> None:
        """Put the end down and save."""
        self.put_end_down()
        self.write_at_last()

    def put_end_down(self) -> None:
        """When it ended. Unlike papermill's, leaves cells that never ran pending."""
        self.end_time = self.now()
        times = self.nb.metadata.papermill
        times["end_time"] = self.end_time.isoformat()
        times["duration"] = (self.end_time - self.start_time).total_seconds()
        self.cleanup_pbar()

    def write_at_last(self) -> None:
        """Save, patiently: hours of work are in it. Raises ``OSError``."""
        for pause in _LAST_PAUSES_SECONDS:
            try:
                self.write()
            except OSError as failure:
                _log.warning("notebook not saved reason=%s", failure)
                time.sleep(pause)
            else:
                return
        self.write()


def _local_target(output_path: str | None) -> Path | None:
    """The file to replace; None where there is none that can be replaced by a rename."""
    if not output_path or output_path == "-" or "://" in output_path:
        return None
    target = (_papermill_directory() / output_path).resolve()
    return None if target.exists() and not target.is_file() else target


def _papermill_directory() -> Path:
    """Where papermill was started: it moves the process before an engine is called."""
    handler = papermill_io.get_handler("local")
    directory = handler.cwd(None)
    handler.cwd(directory)
    return Path(directory or ".").absolute()
