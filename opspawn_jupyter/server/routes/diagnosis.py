"""What the server says of itself."""

from __future__ import annotations

from opspawn_jupyter.model.diagnosis import Diagnosis
from opspawn_jupyter.model.health import Health
from opspawn_jupyter.server.handlers.diagnosis import DiagnosisHandler
from opspawn_jupyter.server.handlers.health import HealthHandler, OpenApiHandler
from opspawn_jupyter.server.route import Area, Content, get, route

ROUTES = (
    route(
        "health",
        HealthHandler,
        Area.SERVER,
        get("Whether tasks can be submitted", Health, is_open=True),
    ),
    route(
        "diagnosis",
        DiagnosisHandler,
        Area.SERVER,
        get("What the server knows of itself", Diagnosis),
    ),
    route("openapi.json", OpenApiHandler, Area.SERVER, get("This description", Content.DOCUMENT)),
)
