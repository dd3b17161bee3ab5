"""Errors on the wire: one table of statuses, one JSON envelope."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from tornado.web import HTTPError

from opspawn_jupyter import errors

#: Status by error class; a class that is not listed has its parent's.
STATUS: Mapping[type[errors.OpspawnError], HTTPStatus] = {
    errors.OpspawnError: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.InvalidRequest: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.NotFound: HTTPStatus.NOT_FOUND,
    errors.FilesPruned: HTTPStatus.GONE,
    errors.Conflict: HTTPStatus.CONFLICT,
    errors.NotAuthenticated: HTTPStatus.UNAUTHORIZED,
    errors.NotAuthorized: HTTPStatus.FORBIDDEN,
    errors.Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.ToolLimitReached: HTTPStatus.TOO_MANY_REQUESTS,
    errors.ToolServerFault: HTTPStatus.BAD_GATEWAY,
    errors.ToolTimedOut: HTTPStatus.GATEWAY_TIMEOUT,
    # What a tool says is an answer; the client makes an error of it.
    errors.ToolFailed: HTTPStatus.INTERNAL_SERVER_ERROR,
    # What became of a task is an answer, never the failure of a request.
    errors.TaskError: HTTPStatus.INTERNAL_SERVER_ERROR,
}


@dataclass(frozen=True, kw_only=True)
class ErrorEnvelope:
    """Every error answer."""

    #: Stable name of the error; see docs/reference.
    code: str
    #: What happened and what to do, for people.
    message: str
    detail: Mapping[str, Any] = field(default_factory=dict)
    #: As in the ``X-Request-Id`` header and the server's log.
    request_id: str


def status_of(error: errors.OpspawnError) -> HTTPStatus:
    """The HTTP status of an error of ours."""
    return next(STATUS[cls] for cls in type(error).__mro__ if cls in STATUS)


def envelope_of(error: errors.OpspawnError, request_id: str) -> ErrorEnvelope:
    """The error as the caller may see it: of our own faults only that there was one."""
    if status_of(error) is HTTPStatus.INTERNAL_SERVER_ERROR:
        error = errors.OpspawnError()
    return ErrorEnvelope(
        code=error.code, message=error.message, detail=error.detail, request_id=request_id
    )


def translate(
    failure: BaseException | None, status: int = 500, *, is_known_caller: bool
) -> tuple[errors.OpspawnError, int]:
    """Whatever ended a request, as an error of ours and the status to send.

    tornado and Jupyter raise ``HTTPError``; its status is kept, save that a caller who is not
    known is told so.
    """
    if isinstance(failure, errors.OpspawnError):
        return failure, status_of(failure)
    if isinstance(failure, HTTPError):
        status = failure.status_code
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        if is_known_caller:
            return errors.NotAuthorized(hint=_reason(failure)), STATUS[errors.NotAuthorized]
        # Jupyter's reason would be a missing XSRF argument, which is no way in either.
        return errors.NotAuthenticated(), STATUS[errors.NotAuthenticated]
    return _of_status(status)(hint=_reason(failure)), status


def _of_status(status: int) -> type[errors.OpspawnError]:
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return errors.OpspawnError
    for cls, own in STATUS.items():
        if own == status:
            return cls
    return errors.InvalidRequest


def _reason(failure: BaseException | None) -> str:
    if not isinstance(failure, HTTPError):
        return ""
    said: str = failure.get_message() or ""
    if failure.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        return said or "its address takes other methods; see openapi.json for which"
    return said
