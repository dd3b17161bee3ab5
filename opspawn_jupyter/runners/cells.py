"""Running cells in a kernel: papermill's client, which stands on nbclient's.

nbclient does the hard part (replies, outputs, display updates, widgets). Changed here: streams
are joined as they come, messages of the step API are taken out, what is put out is told at once,
and a dead kernel is noticed soon, with the output it still gave.
"""

from __future__ import annotations

import asyncio
from typing import Any

from nbclient.exceptions import DeadKernelError
from papermill.clientwrap import PapermillNotebookClient

from opspawn_jupyter.runners.kernel import Kernel
from opspawn_jupyter.runners.outputs import STEP_MIME, Outputs, overwrite
from opspawn_jupyter.runners.saving import SavingManager

_ALIVE_SECONDS = 0.2
#: Output that a kernel sent before it died is read at once; this is for its last packet.
_LAST_OUTPUT_SECONDS = 0.1
#: How long output may come after the reply that a cell is done. nbclient's 4 seconds lose the end
#: of a large output; a kernel that died in the meantime is noticed all the same.
_LATE_OUTPUT_SECONDS = 600
#: Joining text again and again costs the square of its length; from here a new output is begun.
_JOINED_LENGTH = 1 << 20


class CellClient(PapermillNotebookClient):  # type: ignore[misc]  # papermill has no types
    """Runs one cell after another in a kernel that somebody else starts and stops."""

    def __init__(
        self, manager: SavingManager, kernel: Kernel, outputs: Outputs, **options: Any
    ) -> None:
        super().__init__(
            manager, km=kernel.manager, iopub_timeout=_LATE_OUTPUT_SECONDS, timeout=None, **options
        )
        self.kc = kernel.client
        self._kernel = kernel
        self._outputs = outputs

    async def _async_poll_kernel_alive(self) -> None:
        try:
            while True:
                await asyncio.sleep(_ALIVE_SECONDS)
                await self._kernel.check_alive()
        except DeadKernelError:
            await asyncio.sleep(_LAST_OUTPUT_SECONDS)
            if self.task_poll_for_reply is not None:
                self.task_poll_for_reply.cancel()

    async def _async_check_alive(self) -> None:
        await self._kernel.check_alive()

    def process_message(self, msg: dict[str, Any], cell: Any, cell_index: int) -> Any:
        """Called for each message about the running cell; gives the output that it added."""
        content = msg["content"]
        kind = msg["msg_type"]
        if kind == "display_data" and STEP_MIME in content.get("data", {}):
            self._outputs.step(content["data"][STEP_MIME])
            return None
        if kind == "clear_output" and not content.get("wait") and not self._is_hooked(msg):
            self._outputs.clear(cell_index)
        if kind == "update_display_data":
            self._tell_update(content, cell_index)
        return super().process_message(msg, cell, cell_index)

    def output(self, outs: list[Any], msg: dict[str, Any], display_id: Any, cell_index: int) -> Any:
        """Called for each output; adds it to ``outs`` or joins it to the last."""
        if self._is_hooked(msg):  # an Output widget takes it
            return super().output(outs, msg, display_id, cell_index)
        if self.clear_before_next_output:
            self._outputs.clear(cell_index)
        joins = not self.clear_before_next_output and _joins(outs, msg)
        before = outs[-1] if joins else None
        output = super().output(outs, msg, display_id, cell_index)
        if output is None:
            return None
        if output.output_type != "stream":
            self._outputs.show(cell_index, output)
            return output
        self._outputs.stream(cell_index, output.name, output.text)
        if before is None:
            output.text = overwrite(output.text)
        else:
            outs.pop()
            before.text = overwrite(before.text + output.text)
        return output

    def _tell_update(self, content: dict[str, Any], cell_index: int) -> None:
        output = {
            "output_type": "display_data",
            "data": content["data"],
            "metadata": content["metadata"],
        }
        self._outputs.update(cell_index, content["transient"]["display_id"], output)

    def _is_hooked(self, msg: dict[str, Any]) -> bool:
        return bool(self.output_hook_stack[msg["parent_header"].get("msg_id")])


def _joins(outs: list[Any], msg: dict[str, Any]) -> bool:
    """The message goes on where the last output of the same stream ended."""
    if msg["msg_type"] != "stream" or not outs or outs[-1].output_type != "stream":
        return False
    last = outs[-1]
    return bool(last.name == msg["content"]["name"] and len(last.text) < _JOINED_LENGTH)
