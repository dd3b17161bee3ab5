"""Errors on the wire."""

from __future__ import annotations

import pytest
from tornado.web import HTTPError

from opspawn_jupyter import errors
from opspawn_jupyter.server.envelope import STATUS, envelope_of, status_of, translate

FAMILIES = set(STATUS) - {errors.OpspawnError}


@pytest.mark.parametrize("cls", [cls for cls in errors.tree() if cls is not errors.OpspawnError])
def test_every_error_has_a_status(cls):
    """A new error without one would be answered as our own fault."""
    assert FAMILIES & set(cls.__mro__)
    assert status_of(cls()) == STATUS[next(c for c in cls.__mro__ if c in STATUS)]


@pytest.mark.parametrize("cls", list(errors.tree()))
def test_what_is_sent_becomes_the_same_error_again(cls):
    """The error raised in the server is the error seen in the cell."""
    sent = envelope_of(cls("x", detail={"a": 1}), "r1")

    restored = errors.restore(sent.code, sent.message, sent.detail)

    if status_of(cls()) == 500:
        assert type(restored) is errors.OpspawnError
    else:
        assert (type(restored), restored.detail) == (cls, {"a": 1})


def test_our_own_faults_are_not_told_in_detail():
    """A message made from an exception could hold a path, a value or a secret."""
    error, status = translate(RuntimeError("secret"), 500, is_known_caller=True)

    assert status == 500
    assert "secret" not in envelope_of(error, "r1").message


@pytest.mark.parametrize(
    ("failure", "is_known", "code", "status"),
    [
        (HTTPError(403), False, "not_authenticated", 401),
        (HTTPError(403), True, "not_authorized", 403),
        (HTTPError(404), True, "not_found", 404),
        (HTTPError(405), True, "invalid_request", 405),
        (HTTPError(413), True, "invalid_request", 413),
        (HTTPError(503), True, "internal", 503),
        (errors.TaskNotFound("x"), True, "task_not_found", 404),
    ],
)
def test_foreign_refusals_are_put_in_our_words(failure, is_known, code, status):
    """Callers read one kind of envelope, whoever refused them."""
    error, sent = translate(failure, is_known_caller=is_known)

    assert (error.code, sent) == (code, status)


def test_a_wrong_method_is_told_where_the_right_ones_stand():
    """A bare refusal would leave a caller with nothing to change."""
    error, _ = translate(HTTPError(405), is_known_caller=True)

    assert "openapi.json" in str(error)


def test_whoever_has_a_wrong_token_is_told_of_the_token_alone():
    """For a POST Jupyter complains of an XSRF argument, which nobody with a token needs."""
    failure = HTTPError(403, "'_xsrf' argument missing from POST")

    unknown, _ = translate(failure, is_known_caller=False)
    known, _ = translate(failure, is_known_caller=True)

    assert "_xsrf" not in str(unknown)
    assert "_xsrf" in str(known)
