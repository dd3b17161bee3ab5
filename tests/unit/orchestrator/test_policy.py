"""Which policies are taken."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from opspawn_jupyter.errors import InvalidRequest
from opspawn_jupyter.model.policy import Policy
from opspawn_jupyter.model.states import State
from opspawn_jupyter.orchestrator.policy import check_policy


@pytest.mark.parametrize(
    "changes",
    [
        {"timeout_seconds": 0.0},
        {"cell_timeout_seconds": float("nan")},
        {"max_retries": -1},
        {"max_retries": 101},
        {"retry_delay_seconds": float("nan")},
        {"retry_delay_seconds": -1.0},
        {"retry_backoff": 0.5},
        {"retry_backoff": float("inf")},
        {"retry_max_delay_seconds": 1e9},
        {"retry_on": ()},
        {"retry_on": (State.SUCCESS,)},
        {"priority": 10**9},
        {"not_before": datetime(2030, 1, 1)},  # noqa: DTZ001 (that is the fault)
        {"concurrency_key": ""},
        {"concurrency_key": "x" * 201},
    ],
)
def test_a_policy_that_cannot_be_kept_is_refused_with_the_field(changes: dict[str, Any]) -> None:
    """The caller must see which field is wrong, before anything is stored."""
    (field,) = changes

    with pytest.raises(InvalidRequest, match=field):
        check_policy(Policy(**changes))


def test_a_full_policy_is_taken() -> None:
    """Every field at once, at the edge of what is allowed."""
    check_policy(
        Policy(
            timeout_seconds=1,
            cell_timeout_seconds=0.5,
            max_retries=100,
            retry_delay_seconds=0,
            retry_backoff=1,
            retry_max_delay_seconds=0,
            retry_on=(State.CRASHED,),
            priority=-5,
            not_before=datetime(2030, 1, 1, tzinfo=UTC),
            concurrency_key="k",
        )
    )
