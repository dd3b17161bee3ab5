"""How long to wait before trying again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opspawn_jupyter.model.backoff import delay_seconds
from opspawn_jupyter.model.policy import Jitter


def delay(retry: int, jitter: Jitter = Jitter.NONE, chance: float = 0.5) -> float:
    return delay_seconds(
        retry, first_seconds=5, factor=2, cap_seconds=60, jitter=jitter, chance=chance
    )


def test_delays_double_up_to_the_cap() -> None:
    """A service that is down must not be asked ever faster, nor be forgotten."""
    assert [delay(retry) for retry in range(1, 7)] == [5, 10, 20, 40, 60, 60]


@pytest.mark.parametrize(
    ("jitter", "least", "most"),
    [(Jitter.NONE, 20, 20), (Jitter.EQUAL, 10, 20), (Jitter.FULL, 0, 20)],
)
def test_jitter_takes_its_share(jitter: Jitter, least: float, most: float) -> None:
    """Many tasks that failed together must not come back together."""
    assert delay(3, jitter, chance=0.0) == least
    assert delay(3, jitter, chance=1.0) == most


_SECONDS = st.floats(0, 2_592_000)


@given(st.data())
def test_every_delay_lies_between_nothing_and_the_cap(data: st.DataObject) -> None:
    """Whatever policy is accepted can be kept: no overflow, no delay into the past."""
    cap = data.draw(_SECONDS)

    delay = delay_seconds(
        data.draw(st.integers(1, 100)),
        first_seconds=data.draw(_SECONDS),
        factor=data.draw(st.floats(1, 100)),
        cap_seconds=cap,
        jitter=data.draw(st.sampled_from(Jitter)),
        chance=data.draw(st.floats(0, 1)),
    )

    assert 0 <= delay <= cap
