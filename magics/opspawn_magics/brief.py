"""Errors as one line in the cell: where in our code they arose helps nobody there."""

from __future__ import annotations

from typing import Any, TypeVar

E = TypeVar("E", bound=BaseException)

_RED, _PLAIN = "\x1b[31m", "\x1b[0m"


def brief(problem: E) -> E:
    """The same error, shown by IPython without a traceback.

    Only this one instance is: an error that reaches a user's own code through the client keeps
    its traceback, which tells where that code failed.
    """
    marked: Any = problem
    marked._render_traceback_ = lambda: [f"{_RED}{type(problem).__name__}{_PLAIN}: {problem}"]
    return problem
