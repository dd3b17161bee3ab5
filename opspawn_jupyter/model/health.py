"""What the server says about itself to anybody."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Health:
    """Whether tasks can be submitted. Open to anonymous callers, so it names no path or task."""

    #: "ok", or "degraded" while tasks cannot be accepted.
    status: str
    version: str
    #: What is wrong and what to do about it, where something is; with status "ok" something that
    #: does not keep tasks from being run, a lost history for one.
    problem: str | None = None
