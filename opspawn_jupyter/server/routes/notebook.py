"""Notebooks that are to be run."""

from __future__ import annotations

from opspawn_jupyter.server import schemas
from opspawn_jupyter.server.handlers.notebook import ParametersHandler
from opspawn_jupyter.server.route import Area, get, route

ROUTES = (
    route(
        "notebooks/parameters",
        ParametersHandler,
        Area.NOTEBOOKS,
        get("What a notebook declares", schemas.ParameterList, query=schemas.PathQuery),
    ),
)
