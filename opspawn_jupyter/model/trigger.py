"""Whether a step may run, given how the steps before it ended: Airflow's trigger rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

from opspawn_jupyter.model.states import State
from opspawn_jupyter.model.workflow import TriggerRule


class Verdict(Enum):
    """What the ends so far mean for a step."""

    RUN = "run"
    SKIP = "skip"
    #: It depends on steps that have not ended.
    WAIT = "wait"


@dataclass(kw_only=True)
class Ends:
    """How many of the steps before have ended, and how."""

    total: int
    success: int = 0
    #: Whatever is neither success nor skipped.
    failed: int = 0
    skipped: int = 0

    def add(self, state: State) -> None:
        """Count one."""
        if state is State.SUCCESS:
            self.success += 1
        elif state is State.SKIPPED:
            self.skipped += 1
        else:
            self.failed += 1

    @property
    def all_done(self) -> bool:
        """None is left."""
        return self.success + self.failed + self.skipped >= self.total


def verdict(rule: TriggerRule, ends: Ends) -> Verdict:
    """Whether a step with this rule runs now, later or not at all."""
    if not ends.total or rule is TriggerRule.ALWAYS:
        return Verdict.RUN
    if _RUNS_EARLY[rule](ends):
        return Verdict.RUN
    if _SKIPS_EARLY[rule](ends):
        return Verdict.SKIP
    if not ends.all_done:
        return Verdict.WAIT
    return Verdict.RUN if _RUNS_AT_END[rule](ends) else Verdict.SKIP


_Test = Callable[[Ends], bool]


def _never(_ends: Ends) -> bool:
    return False


def _surely(_ends: Ends) -> bool:
    return True


_RUNS_EARLY: Mapping[TriggerRule, _Test] = {
    **dict.fromkeys(TriggerRule, _never),
    TriggerRule.ONE_SUCCESS: lambda ends: ends.success > 0,
    TriggerRule.ONE_FAILED: lambda ends: ends.failed > 0,
    TriggerRule.ONE_DONE: lambda ends: ends.success + ends.failed > 0,
}
_SKIPS_EARLY: Mapping[TriggerRule, _Test] = {
    **dict.fromkeys(TriggerRule, _never),
    TriggerRule.ALL_SUCCESS: lambda ends: ends.failed + ends.skipped > 0,
    TriggerRule.ALL_FAILED: lambda ends: ends.success + ends.skipped > 0,
    TriggerRule.ALL_SKIPPED: lambda ends: ends.success + ends.failed > 0,
    TriggerRule.NONE_FAILED: lambda ends: ends.failed > 0,
    TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS: lambda ends: ends.failed > 0,
    TriggerRule.NONE_SKIPPED: lambda ends: ends.skipped > 0,
}
_RUNS_AT_END: Mapping[TriggerRule, _Test] = {
    **dict.fromkeys(TriggerRule, _surely),
    TriggerRule.ONE_SUCCESS: _never,
    TriggerRule.ONE_FAILED: _never,
    TriggerRule.ONE_DONE: _never,
    TriggerRule.ALL_DONE_MIN_ONE_SUCCESS: lambda ends: ends.success > 0,
    TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS: lambda ends: ends.success > 0,
}
