"""The interface as an OpenAPI 3.1 document, from the route table and the records."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from opspawn_jupyter.server.envelope import ErrorEnvelope
from opspawn_jupyter.server.route import Area, Content, Operation, Route
from opspawn_jupyter.server.routing import ROUTES
from opspawn_jupyter.version import __version__

Json = dict[str, Any]

_REFERENCE = "#/components/schemas/{model}"
_ENVELOPE = _REFERENCE.format(model=ErrorEnvelope.__name__)


def document() -> Json:
    """The whole document. Takes tens of milliseconds, the first time more."""
    schemas = _schemas()
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "opspawn",
            "version": __version__,
            "description": "Notebooks run in the background by a Jupyter server.",
        },
        # Relative to this document, whatever base URL the server has.
        "servers": [{"url": "."}],
        "security": [{"token": []}, {"cookie": []}],
        "paths": {_path(route): dict(_operations(route, schemas)) for route in ROUTES},
        "components": {"schemas": schemas, "securitySchemes": _SECURITY},
    }


_SECURITY: Mapping[str, Json] = {
    "token": {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "The Jupyter server's token, as `token <token>`.",
    },
    "cookie": {
        "type": "apiKey",
        "in": "cookie",
        "name": "_xsrf",
        "description": "A browser's login; requests that change something repeat the `_xsrf` "
        "cookie in the header `X-XSRFToken`.",
    },
    "worker": {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "A worker's secret, as `worker <worker_token>`.",
    },
}


def _schemas() -> Json:
    """Schemas of all records that go over the wire, by class name."""
    from pydantic import TypeAdapter  # costs the server's start 0.1 s

    inputs, outputs = set(), {ErrorEnvelope}
    for operation in (operation for route in ROUTES for operation in route.operations):
        inputs |= {record for record in (operation.body, operation.query) if record}
        if isinstance(operation.answer, type):
            outputs.add(operation.answer)
    adapters: list[tuple[str, Literal["validation", "serialization"], TypeAdapter[Any]]] = [
        *((cls.__name__, "validation", TypeAdapter(cls)) for cls in _sorted(inputs)),
        *((cls.__name__, "serialization", TypeAdapter(cls)) for cls in _sorted(outputs)),
    ]
    _, shared = TypeAdapter.json_schemas(adapters, ref_template=_REFERENCE)
    return dict(shared["$defs"])


def _sorted(records: set[type[Any]]) -> list[type[Any]]:
    return sorted(records, key=lambda record: record.__name__)


def _path(route: Route) -> str:
    return "/" + route.path.replace("{+", "{")


def _operations(route: Route, schemas: Json) -> Iterator[tuple[str, Json]]:
    for operation in route.operations:
        yield operation.method, _operation(route, operation, schemas)


def _operation(route: Route, operation: Operation, schemas: Json) -> Json:
    described: Json = {
        "operationId": f"{operation.method}_{re.sub(r'[^a-z]+', '_', route.path).strip('_')}",
        "summary": operation.summary,
        "tags": [route.area.value],
        "parameters": [*_path_parameters(route), *_query_parameters(operation, schemas)],
        "responses": _responses(operation),
    }
    if operation.body is not None:
        described["requestBody"] = {
            "required": True,
            "content": _json_of(_REFERENCE.format(model=operation.body.__name__)),
        }
    if operation.is_open:
        described["security"] = []
    elif route.area is Area.WORKERS:
        described["security"] = [{"worker": []}]
    return described


def _path_parameters(route: Route) -> Iterator[Json]:
    for name in re.findall(r"\{\+?(\w+)\}", route.path):
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _query_parameters(operation: Operation, schemas: Json) -> Iterator[Json]:
    if operation.query is None:
        return
    described = schemas[operation.query.__name__]
    for name, schema in described["properties"].items():
        is_required = name in described.get("required", ())
        yield {"name": name, "in": "query", "required": is_required, "schema": schema}


def _responses(operation: Operation) -> Json:
    error = {"description": "An error", "content": _json_of(_ENVELOPE)}
    return {**dict(_answers(operation)), "default": error}


def _answers(operation: Operation) -> Iterator[tuple[str, Json]]:
    status = operation.status
    if operation.answer is Content.MESSAGES:
        yield "101", {"description": "The websocket opens; its messages are JSON"}
    elif isinstance(operation.answer, Content):
        yield (
            str(status.value),
            {
                "description": status.phrase,
                "content": {operation.answer.value: {}},
            },
        )
    else:
        reference = _REFERENCE.format(model=operation.answer.__name__)
        yield str(status.value), {"description": status.phrase, "content": _json_of(reference)}


def _json_of(reference: str) -> Json:
    return {"application/json": {"schema": {"$ref": reference}}}
