"""The end of a tool server that was started here."""

from __future__ import annotations

import asyncio
import signal
import sys

from opspawn_jupyter.broker import stdio

#: From the Jupyter server's own signal on, for all tool servers together.
_PROMISED_SECONDS = 2.0
_DEAF = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print('{"jsonrpc": "2.0", "method": "notifications/deaf"}', flush=True)
while True:
    time.sleep(60)
"""


def test_a_server_that_ignores_everything_is_given_a_second_in_all() -> None:
    """Whoever ends the Jupyter server waits for it: one grace after its input was closed, one after
    it was asked, and then it is killed. The graces are added up, not measured: what else takes time
    is the machine's."""

    async def returncode() -> int | None:
        async with stdio.started(
            [sys.executable, "-c", _DEAF],
            environment={},
            working_directory=None,
            largest_message_bytes=1 << 20,
            lost=lambda: None,
        ) as ((heard, _), running):
            await heard.receive()  # from here on it is deaf
        return running.process.returncode

    assert asyncio.run(returncode()) == -signal.SIGKILL
    assert 2 * stdio.GRACE_SECONDS <= _PROMISED_SECONDS / 2
