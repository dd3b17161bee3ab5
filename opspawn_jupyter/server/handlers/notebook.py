"""What a notebook declares, before it is run."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from jupyter_server.auth.decorator import authorized
from tornado import web

from opspawn_jupyter.errors import UnknownKind
from opspawn_jupyter.model.notebook import Parameter
from opspawn_jupyter.server.handlers.base import ApiHandler
from opspawn_jupyter.server.schemas import ParameterList, PathQuery


@runtime_checkable
class DeclaresParameters(Protocol):
    """A kind whose tasks have parameters that can be known beforehand."""

    def parameters(self, path: str) -> Sequence[Parameter]:
        """What the file at the path declares. Called in a thread."""


class ParametersHandler(ApiHandler):
    """Parameters of a notebook."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Name them with their types and defaults."""
        o = await self.orchestration()
        kind: object = o.kinds.get("notebook")
        if not isinstance(kind, DeclaresParameters):
            raise UnknownKind("notebook")
        declared = await asyncio.to_thread(kind.parameters, self.query(PathQuery).path)
        await self.answer(ParameterList(parameters=tuple(declared)))
