"""Which ends of the steps before let a step run, by Airflow's names."""

from __future__ import annotations

import pytest

from opspawn_jupyter.model.states import State
from opspawn_jupyter.model.trigger import Ends, Verdict, verdict
from opspawn_jupyter.model.workflow import TriggerRule

_STATES = {"s": State.SUCCESS, "f": State.FAILED, "k": State.SKIPPED}
_VERDICTS = {"R": Verdict.RUN, "S": Verdict.SKIP, "W": Verdict.WAIT}

#: How all steps before have ended: succeeded, failed or skipped.
ENDS = ("s", "f", "k", "sf", "sk", "fk", "sfk")
#: For each of them whether the step runs or is skipped.
AT_THE_END = {
    TriggerRule.ALL_SUCCESS: "RSSSSSS",
    TriggerRule.ALL_FAILED: "SRSSSSS",
    TriggerRule.ALL_DONE: "RRRRRRR",
    TriggerRule.ALL_SKIPPED: "SSRSSSS",
    TriggerRule.ALL_DONE_MIN_ONE_SUCCESS: "RSSRRSR",
    TriggerRule.ONE_SUCCESS: "RSSRRSR",
    TriggerRule.ONE_FAILED: "SRSRSRR",
    TriggerRule.ONE_DONE: "RRSRRRR",
    TriggerRule.NONE_FAILED: "RSRSRSS",
    TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS: "RSSSRSS",
    TriggerRule.NONE_SKIPPED: "RRSRSSS",
    TriggerRule.ALWAYS: "RRRRRRR",
}
#: One of two has ended so, and of the last neither: it runs, is skipped, or waits.
_HALF_WAY = {
    TriggerRule.ALL_SUCCESS: "WSSW",
    TriggerRule.ALL_FAILED: "SWSW",
    TriggerRule.ALL_DONE: "WWWW",
    TriggerRule.ALL_SKIPPED: "SSWW",
    TriggerRule.ALL_DONE_MIN_ONE_SUCCESS: "WWWW",
    TriggerRule.ONE_SUCCESS: "RWWW",
    TriggerRule.ONE_FAILED: "WRWW",
    TriggerRule.ONE_DONE: "RRWW",
    TriggerRule.NONE_FAILED: "WSWW",
    TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS: "WSWW",
    TriggerRule.NONE_SKIPPED: "WWSW",
    TriggerRule.ALWAYS: "RRRR",
}


def _verdict(rule: TriggerRule, ended: str, total: int) -> Verdict:
    ends = Ends(total=total)
    for letter in ended:
        ends.add(_STATES[letter])
    return verdict(rule, ends)


@pytest.mark.parametrize("rule", TriggerRule)
def test_a_rule_decides_once_all_before_have_ended(rule: TriggerRule) -> None:
    """The whole table: every rule, and every mixture of ends."""
    found = {ended: _verdict(rule, ended, len(ended)) for ended in ENDS}

    assert found == {
        ended: _VERDICTS[letter] for ended, letter in zip(ENDS, AT_THE_END[rule], strict=True)
    }
    assert _verdict(rule, "", 0) is Verdict.RUN


@pytest.mark.parametrize("rule", TriggerRule)
def test_a_rule_decides_as_soon_as_it_can(rule: TriggerRule) -> None:
    """``one_failed`` must not wait for hours, and nothing may be decided too early."""
    found = [_verdict(rule, ended, 2) for ended in ("s", "f", "k", "")]

    assert found == [_VERDICTS[letter] for letter in _HALF_WAY[rule]]
