"""What workers ask and tell. Their own secret opens it."""

from __future__ import annotations

from opspawn_jupyter.model.work import ReportAnswer, ReportRequest, TakeAnswer, TakeRequest
from opspawn_jupyter.server.handlers.worker import ReportHandler, TakeHandler
from opspawn_jupyter.server.route import Area, post, route

ROUTES = (
    route(
        "workers/{worker_id}/take",
        TakeHandler,
        Area.WORKERS,
        post("Wait for work", TakeRequest, TakeAnswer),
    ),
    route(
        "workers/{worker_id}/reports",
        ReportHandler,
        Area.WORKERS,
        post("Report what happened", ReportRequest, ReportAnswer),
    ),
)
