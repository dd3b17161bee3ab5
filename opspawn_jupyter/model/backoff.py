"""How long to wait before trying again."""

from __future__ import annotations

from opspawn_jupyter.model.policy import Jitter


def delay_seconds(
    retry: int,
    *,
    first_seconds: float,
    factor: float,
    cap_seconds: float,
    jitter: Jitter,
    chance: float,
) -> float:
    """The delay before a retry, counted from 1: exponential up to the cap, less what chance takes.

    ``chance`` is a random number from 0 to 1. The two kinds of jitter are those of Marc Brooker,
    "Exponential Backoff and Jitter", AWS Architecture Blog, 2015.
    """
    whole = min(first_seconds * factor ** (retry - 1), cap_seconds)
    match jitter:
        case Jitter.NONE:
            return whole
        case Jitter.EQUAL:
            return whole * (1 + chance) / 2
        case Jitter.FULL:
            return whole * chance
