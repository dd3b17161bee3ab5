"""The key of a task: a route that takes it lets the task's own kernel in, and says who it is.

A route that does not take keys sees a token that Jupyter does not know, and refuses it.
"""

from __future__ import annotations

from jupyter_server.auth.identity import User
from tornado import web

from opspawn_jupyter.broker.keys import PREFIX
from opspawn_jupyter.errors import NotAuthenticated
from opspawn_jupyter.model.tool import Principal
from opspawn_jupyter.server.handlers.base import EnvelopeMixin


class TaskKeyMixin(EnvelopeMixin):
    """Lets a task in by its key, beside everybody whom Jupyter lets in."""

    #: How the keys begin that are taken.
    key_prefix = PREFIX
    #: The task that calls; None for everybody else.
    task_principal: Principal | None = None

    async def prepare(self, **more: object) -> None:
        """Look for a key first: Jupyter would take it for a wrong token."""
        _, _, shown = self.request.headers.get("Authorization", "").partition(" ")
        if not shown.startswith(self.key_prefix):
            await super().prepare(**more)
            return
        self.task_principal = await (await self.service.running()).tools.principal(shown)
        if self.task_principal is None:
            self.current_user = self._jupyter_current_user = None
            raise NotAuthenticated(hint="this task's key is not valid, or its attempt has ended")
        self.current_user = self._jupyter_current_user = User(username=self.task_principal.user)
        if not self.check_host() or not self.check_origin():
            raise web.HTTPError(403)
