"""How an agent is led: in steps as they come, or along a plan that is made first."""

from __future__ import annotations

from collections.abc import Sequence

from opspawn_jupyter.model.agent import PLAN_TOOL, Plan

_REACT = (
    "Work in small steps: think about what is needed next, act with one tool, look at what came "
    f"of it. Where more than two steps are needed, write them down with `{PLAN_TOOL}` and keep "
    "count of what is done."
)
_FIRST = (
    f"Begin with a plan: call `{PLAN_TOOL}` with all the steps and `done` 0, before anything else. "
    "Then carry the steps out one after the other, and keep count of what is done."
)


class ReactPlanner:
    """Think, act, observe; a plan is the agent's own affair."""

    instructions = _REACT

    def offered(self, plan: Plan, tools: Sequence[str]) -> Sequence[str]:  # noqa: ARG002
        """Everything, always."""
        return tools

    def reminder(self, plan: Plan) -> str:
        """The step at work."""
        return _reminder(plan)


class PlanFirstPlanner:
    """Nothing but the plan can be called until there is one."""

    instructions = _FIRST

    def offered(self, plan: Plan, tools: Sequence[str]) -> Sequence[str]:
        """The plan, then everything."""
        return tools if plan.steps else [name for name in tools if name == PLAN_TOOL]

    def reminder(self, plan: Plan) -> str:
        """The step at work, or that there must be a plan."""
        return _reminder(plan) if plan.steps else f"There is no plan yet; call `{PLAN_TOOL}`."


class PlaceholderPlanner:
    """Says nothing and holds nothing back."""

    instructions = ""

    def offered(self, plan: Plan, tools: Sequence[str]) -> Sequence[str]:  # noqa: ARG002
        """Everything, always."""
        return tools

    def reminder(self, plan: Plan) -> str:  # noqa: ARG002
        """Nothing."""
        return ""


def _reminder(plan: Plan) -> str:
    if not plan.current:
        return ""
    return f"Plan: {plan.done} of {len(plan.steps)} steps are done; now: {plan.current}"
