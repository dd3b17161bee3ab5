"""Running cells in a kernel: papermill's client, which stands on nbclient's.

nbclient does the hard part (outputs, display updates, widgets). Changed here: one loop takes what
comes on all channels, where nbclient has three tasks for each cell; streams are joined as they
come, messages of the step API are taken out, what is put out is told at once, outputs beyond the
budget are left out, and a dead kernel is noticed soon, with the output it still gave.
"""

from __future__ import annotations

import time
from typing import Any

from nbclient.client import timestamp
from nbclient.exceptions import (
    CellExecutionComplete,
    CellExecutionError,
    CellTimeoutError,
)
from nbformat.notebooknode import from_dict
from papermill.clientwrap import PapermillNotebookClient

from opspawn_jupyter.kernels.forking.line import DROPS
from opspawn_jupyter.runners import glue
from opspawn_jupyter.runners.ahead import Sender, may_raise
from opspawn_jupyter.runners.budget import RESULT_BYTES, Budget
from opspawn_jupyter.runners.conversation import parent
from opspawn_jupyter.runners.iopub import LEFT_OUT, SIZE
from opspawn_jupyter.runners.kernel import Kernel
from opspawn_jupyter.runners.outputs import STEP_MIME, Outputs, overwrite
from opspawn_jupyter.runners.saving import SavingManager

#: How long output may come after the reply that a cell is done. nbclient's 4 seconds lose the end
#: of a large output; a kernel that died in the meantime is noticed all the same.
_LATE_OUTPUT_SECONDS = 600
#: Joining text again and again costs the square of its length; from here a new output is begun.
_JOINED_LENGTH = 1 << 20
#: What of a message's content belongs to the output, by kind (nbformat's ``output_from_msg``).
_FIELDS = {
    "execute_result": ("execution_count", "data", "metadata"),
    "display_data": ("data", "metadata"),
    "stream": ("name", "text"),
    "error": ("ename", "evalue", "traceback"),
}


class CellClient(PapermillNotebookClient):  # type: ignore[misc]  # papermill has no types
    """Runs one cell after another in a kernel that somebody else starts and stops."""

    def __init__(
        self,
        manager: SavingManager,
        kernel: Kernel,
        outputs: Outputs,
        budget: Budget,
        **options: Any,
    ) -> None:
        super().__init__(manager, **options)
        assert kernel.conversation is not None  # noqa: S101  it was connected
        self.kc = self._conversation = kernel.conversation
        self._conversation.budget = budget
        self._kernel = kernel
        self._outputs = outputs
        self._budget = budget
        self._mark: Any = None
        self.clear_before_next_output = False
        #: The kernel has dropped what was sent ahead of the end of the last cell.
        self.has_dropped = False

    async def run_cell(self, cell: Any, index: int) -> None:
        """Run one cell to its end. Raises ``CellExecutionError``, ``CellTimeoutError`` where the
        end of its output does not come, ``DeadKernelError``."""
        request = Sender(self._conversation).send(cell)
        self.begin_cell(cell)
        await self.end_cell(request, cell, index)

    def begin_cell(self, cell: Any) -> None:
        """Make ready for what it puts out, as nbclient does."""
        self._budget.begin()
        self._mark = None
        self.clear_before_next_output = False
        cell.outputs = []
        cell["metadata"]["execution"] = {}
        self.code_cells_executed += 1

    async def end_cell(self, request: str, cell: Any, index: int) -> None:
        """Take what it puts out to its end. Raises as ``run_cell`` does."""
        try:
            reply = await self._reply(request, cell, index)
        finally:
            if self._mark is not None:
                self._outputs.update(index, _mark_id(index), self._refreshed_mark())
        content = reply["content"]
        self.has_dropped = bool(reply["metadata"].get(DROPS))
        if content["status"] == "error" and not may_raise(cell):
            raise CellExecutionError.from_cell_and_msg(cell, content)

    async def _reply(self, request: str, cell: Any, index: int) -> dict[str, Any]:
        """The reply, once it has come and the kernel says that all its outputs have, too."""
        reply: dict[str, Any] | None = None
        is_idle, latest = False, 0.0
        while reply is None or not is_idle:
            came = await self._kernel.hear(self._conversation)
            if came is None:
                if reply is not None and time.monotonic() > latest:
                    message = "Timeout waiting for IOPub output"
                    raise CellTimeoutError.error_from_timeout_and_cell(
                        message, _LATE_OUTPUT_SECONDS, cell
                    )
            elif parent(came[1]) != request:
                continue
            elif came[0]:
                is_idle = is_idle or self._shows_end(came[1], cell, index)
            else:
                reply, latest = came[1], time.monotonic() + _LATE_OUTPUT_SECONDS
                cell["metadata"]["execution"]["shell.execute_reply"] = timestamp(reply)
        return reply

    def _shows_end(self, message: dict[str, Any], cell: Any, index: int) -> bool:
        """Take an output; whether it says that it was the last."""
        try:
            self.process_message(message, cell, index)
        except CellExecutionComplete:
            return True
        return False

    def process_message(self, msg: dict[str, Any], cell: Any, cell_index: int) -> Any:
        """Called for each message about the running cell; gives the output that it added."""
        content = msg["content"]
        kind = msg["msg_type"]
        if LEFT_OUT in msg and not content:  # too long, and nothing of it can be shown
            return self._leave_out(msg, cell.outputs, cell_index)
        if kind == "display_data" and STEP_MIME in content.get("data", {}):
            self._outputs.step(content["data"][STEP_MIME])
            return None
        if kind == "display_data" and (message := glue.scrap(content.get("data", {}))):
            self._outputs.step(message)
        if kind == "clear_output" and not self._is_hooked(msg):
            self._clear(cell_index, waits=bool(content.get("wait")))
        if kind == "update_display_data" and not self._update(msg, cell, cell_index):
            return None
        return super().process_message(msg, cell, cell_index)

    def output(self, outs: list[Any], msg: dict[str, Any], display_id: Any, cell_index: int) -> Any:
        """Called for each output; adds it to ``outs`` or joins it to the last."""
        if self._is_hooked(msg):  # an Output widget takes it
            if self._budget.keep(msg[SIZE]):
                return super().output(outs, msg, display_id, cell_index)
            return self._place_mark(outs, cell_index)
        if self.clear_before_next_output:
            outs[:] = []
            self.clear_display_id_mapping(cell_index)
            self.clear_before_next_output = False
            self._clear(cell_index, waits=False)
        if msg["msg_type"] == "stream":
            return self._stream(outs, msg, display_id, cell_index)
        if not self._is_kept(msg, display_id):
            return self._place_mark(outs, cell_index)
        output = self._add(outs, msg, display_id, cell_index)
        if output is not None:
            self._outputs.show(cell_index, output, display_id)
        return output

    def _add(self, outs: list[Any], msg: dict[str, Any], display_id: Any, index: int) -> Any:
        """As nbclient does, save that it compares each output with the whole schema, which takes
        as long as everything else about a small cell."""
        if msg["msg_type"] not in _FIELDS:
            return super().output(outs, msg, display_id, index)  # it says so in the log
        output = _output(msg["msg_type"], msg["content"])
        if display_id:
            self._display_id_map.setdefault(display_id, {}).setdefault(index, []).append(len(outs))
        outs.append(output)
        return output

    def _stream(self, outs: list[Any], msg: dict[str, Any], display_id: Any, index: int) -> Any:
        text = msg["content"]["text"]
        before = outs[-1] if _joins(outs, msg) else None
        kept = self._budget.keep_text(len(text), is_new=before is None)
        missing = msg.get(LEFT_OUT, len(text)) - kept
        if missing > 0:
            self._budget.cut(missing)
        output = None
        if kept:
            msg["content"]["text"] = text[:kept]
            output = self._add(outs, msg, display_id, index)
            self._outputs.stream(index, output.name, output.text)
            if before is None:
                output.text = overwrite(output.text)
            else:
                outs.pop()
                before.text = overwrite(before.text + output.text)
        if missing > 0:
            self._place_mark(outs, index)
        return output

    def _is_kept(self, msg: dict[str, Any], display_id: Any) -> bool:
        """Within the budget, or something of which a cell has one and a reader needs it."""
        is_needed = msg["msg_type"] in ("execute_result", "error") and msg[SIZE] <= RESULT_BYTES
        return is_needed or self._budget.keep(msg[SIZE], display_id)

    def _leave_out(self, msg: dict[str, Any], outs: list[Any], index: int) -> None:
        self._budget.leave_out(msg[LEFT_OUT])
        self._place_mark(outs, index)

    def _place_mark(self, outs: list[Any], index: int) -> None:
        """Have the mark stand where the first output was left out, with the latest figures."""
        if self._mark is not None:
            self._refreshed_mark()
            return
        self._mark = self._budget.mark()
        outs.append(self._mark)
        self._outputs.show(index, self._mark, _mark_id(index))

    def _refreshed_mark(self) -> Any:
        self._mark.update(self._budget.mark())
        return self._mark

    def _clear(self, index: int, *, waits: bool) -> None:
        if waits:
            self._budget.clear_next()
            return
        self._budget.clear()
        self._mark = None
        self._outputs.clear(index)

    def _update(self, msg: dict[str, Any], cell: Any, index: int) -> bool:
        """Whether what is displayed may be replaced; it is told then."""
        content = msg["content"]
        if not self._budget.update(msg[SIZE], content["transient"]["display_id"]):
            self._place_mark(cell.outputs, index)
            return False
        self._tell_update(content, index)
        return True

    def _tell_update(self, content: dict[str, Any], cell_index: int) -> None:
        output = {
            "output_type": "display_data",
            "data": content["data"],
            "metadata": content["metadata"],
        }
        self._outputs.update(cell_index, content["transient"]["display_id"], output)

    def _is_hooked(self, msg: dict[str, Any]) -> bool:
        return bool(self.output_hook_stack[msg["parent_header"].get("msg_id")])


def _output(kind: str, content: dict[str, Any]) -> Any:
    """The output that a message tells, of one of the four kinds that the notebook format has."""
    return from_dict({"output_type": kind, **{name: content[name] for name in _FIELDS[kind]}})


def _mark_id(index: int) -> str:
    """The display id under which listeners know the mark of this cell."""
    return f"opspawn-left-out-{index}"


def _joins(outs: list[Any], msg: dict[str, Any]) -> bool:
    """The message goes on where the last output of the same stream ended."""
    if msg["msg_type"] != "stream" or not outs or outs[-1].output_type != "stream":
        return False
    last = outs[-1]
    return bool(last.name == msg["content"]["name"] and len(last.text) < _JOINED_LENGTH)
