"""Evidence of audits."""

from __future__ import annotations

from http import HTTPStatus

from opspawn_jupyter.model.lineage import Lineage
from opspawn_jupyter.model.signature import Signature, SignatureList, SignRequest
from opspawn_jupyter.model.tree_head import TreeHead
from opspawn_jupyter.server import schemas
from opspawn_jupyter.server.handlers.bundle import PeriodHandler, TaskBundleHandler, TreeHeadHandler
from opspawn_jupyter.server.handlers.lineage import TaskLineageHandler
from opspawn_jupyter.server.handlers.signature import TaskSignaturesHandler
from opspawn_jupyter.server.route import Area, Content, get, post, route

ROUTES = (
    route(
        "tasks/{reference}/bundle",
        TaskBundleHandler,
        Area.TASKS,
        get("The sealed evidence of an audit, as a zip file", Content.FILE),
    ),
    route(
        "tasks/{reference}/signatures",
        TaskSignaturesHandler,
        Area.SIGNATURES,
        get("What people have signed under an audit", SignatureList),
        post("Sign an audit's report", SignRequest, Signature, status=HTTPStatus.CREATED),
    ),
    route(
        "tasks/{reference}/lineage",
        TaskLineageHandler,
        Area.TASKS,
        get("What went into a task and its parts, and what came out", Lineage),
    ),
    route(
        "history/head",
        TreeHeadHandler,
        Area.EVENTS,
        get("Length and Merkle root of the history as it stands", TreeHead),
    ),
    route(
        "history/period",
        PeriodHandler,
        Area.EVENTS,
        get(
            "A period of the history, sealed, as a zip file",
            Content.FILE,
            query=schemas.PeriodQuery,
        ),
    ),
)
