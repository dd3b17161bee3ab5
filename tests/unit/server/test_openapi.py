"""The description of the interface, and the routes that it is made from."""

from __future__ import annotations

import re

import pytest

from opspawn_jupyter.server.openapi import document
from opspawn_jupyter.server.route import Area
from opspawn_jupyter.server.routing import ROUTES


@pytest.fixture(scope="module")
def described():
    return document()


def test_it_is_valid(described):
    """Clients of other languages are generated from it."""
    validator = pytest.importorskip("openapi_spec_validator")

    validator.validate(described)


def test_every_method_of_a_handler_is_described():
    """A method that is not in the table would be in no test of access either."""
    for route in ROUTES:
        described = {operation.method for operation in route.operations}
        written = {name for name in ("get", "post", "put", "patch", "delete") if _has(route, name)}
        assert described == written, route.path


def _has(route, name: str) -> bool:
    method = getattr(route.handler, name)
    return "_unimplemented_method" not in method.__qualname__


def test_only_health_the_workers_door_and_webhooks_are_open_to_jupyter():
    """Jupyter warns of handlers without a mark at start; ours have one each."""
    opened = {
        route.path
        for route in ROUTES
        for operation in route.operations
        if getattr(getattr(route.handler, operation.method), "__allow_unauthenticated", False)
    }

    # A webhook knows the schedule's own token; its handler asks for it.
    own = {"health", "schedules/{reference}/webhook"}
    assert opened == own | {r.path for r in ROUTES if r.area is Area.WORKERS}


def test_paths_do_not_shadow_each_other():
    """A task's parts must not be taken for its id."""
    for route in ROUTES:
        address = re.sub(r"\{\+?\w+\}", "x", route.path)
        matching = [one.path for one in ROUTES if re.fullmatch(one.pattern, address)]
        assert matching == [route.path]


def test_every_record_is_referred_to_and_defined(described):
    """A generator stops at the first reference that leads nowhere."""
    referred = set(re.findall(r"#/components/schemas/(\w+)", str(described)))

    assert referred <= set(described["components"]["schemas"])
    assert {"Task", "Submission", "ErrorEnvelope"} <= referred
