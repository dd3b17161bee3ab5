"""The fork servers from which this worker's kernels come.

A run cannot start them itself: everything that hangs on its runner ends with it. So the runner
asks, and the worker starts them; they end with the worker.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil

from opspawn_jupyter.kernels import defaults, recipe, servers
from opspawn_jupyter.kernels.recipe import Recipe
from opspawn_jupyter.model.work import TASK_VARIABLE
from opspawn_jupyter.runners import sockets

#: How long a fork server is given to come up.
_START_SECONDS = 120.0
_log = logging.getLogger(__name__)


class ForkServers:
    """Starts what runners ask for. The runners find them by the environment."""

    def __init__(self) -> None:
        #: Where their sockets lie.
        self.directory = sockets.private_directory()
        self._coming: dict[str, asyncio.Task[None]] = {}
        os.environ[servers.DIRECTORY_VARIABLE] = str(self.directory)
        os.environ[servers.OWNER_VARIABLE] = str(os.getpid())

    def start(self, wanted: Recipe) -> None:
        """Have the server of this recipe come up, unless it is up or coming."""
        name = wanted.name
        if name not in self._coming:
            bringing = asyncio.ensure_future(self._bring_up(wanted))
            self._coming[name] = bringing
            bringing.add_done_callback(lambda _: self._coming.pop(name, None))

    def warm_up(self) -> None:
        """Have the one come up that the first task probably needs."""
        if servers.is_possible():
            options = defaults.options(self.directory, mark=TASK_VARIABLE)
            self.start(recipe.ordinary(os.environ, options))

    async def _bring_up(self, wanted: Recipe) -> None:
        line = await servers.connect_within(wanted, _START_SECONDS)
        servers.note_arrival(wanted, has_come=line is not None)
        if line is None:
            _log.warning("fork server does not come up interpreter=%r", wanted.interpreter)
        else:
            line.close()

    def close(self) -> None:
        """Stop waiting, and remove the directory. The servers notice that the worker ends."""
        for coming in self._coming.values():
            coming.cancel()
        servers.stop_all(self.directory)
        shutil.rmtree(self.directory, ignore_errors=True)
