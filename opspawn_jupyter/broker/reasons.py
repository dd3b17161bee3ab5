"""What a failure of an upstream server comes to, in one line for whoever called it."""

from __future__ import annotations

from opspawn_jupyter.errors import OpspawnError, ToolLoginNeeded

_MOST_CHARACTERS = 300


def first_of(failure: BaseException) -> BaseException:
    """The failure itself, out of the groups that it comes in; a login's before all others."""
    while isinstance(failure, BaseExceptionGroup):
        failure = (failure.subgroup(ToolLoginNeeded) or failure).exceptions[0]
    return failure


def first_line(failure: BaseException) -> str:
    """What it says, in short."""
    failure = first_of(failure)
    return shortened(str(failure) or type(failure).__name__)


def reason(failure: BaseException) -> str:
    """Why a server is not ready."""
    failure = first_of(failure)
    if isinstance(failure, OpspawnError):
        return failure.message
    if isinstance(failure, FileNotFoundError):
        return f"there is no program {failure.filename!r}"
    return first_line(failure)


def shortened(text: str) -> str:
    """Its first line, or as much of that as anybody reads."""
    return text.splitlines()[0][:_MOST_CHARACTERS]
