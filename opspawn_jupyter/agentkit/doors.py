"""Who carries out what kind of call inside of the run: code, functions, and the plan."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from typing import Any

from opspawn_jupyter.agentkit.observation import observed
from opspawn_jupyter.agentkit.tools import Checked, Mistake, Result, check
from opspawn_jupyter.model.agent import Act, Plan
from opspawn_jupyter.ports import Workbench

PLAN_CELL = "plan"


class CodeDoor:
    """Code that the model wrote, as the cell that it is."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench

    async def use(self, checked: Checked, recorded: Result | None) -> Result:
        """See ``Door``."""
        act = Act(cell_id=checked.cell_id, source=str(checked.arguments["code"]), tags=("code",))
        return await acted(self._bench, act, recorded)


class FunctionDoor:
    """A Python function of the user's: a cell that calls it, in the kernel."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench

    async def use(self, checked: Checked, recorded: Result | None) -> Result:
        """See ``Door``. What comes back must be what the function says that it gives."""
        source = called(checked.spec.name, checked.arguments)
        act = Act(cell_id=checked.cell_id, source=source, tags=("tool",))
        result = await acted(self._bench, act, recorded)
        if recorded is not None or result.has_failed or checked.spec.returns is None:
            return result
        try:
            check(_value(result), checked.spec.returns, f"result of {checked.spec.name}")
        except Mistake as misfit:
            text = f"The tool gave something else than it says: {misfit}\n{result.text}"
            return Result(text=text, outputs=result.outputs, has_failed=True)
        return result


class McpDoor:
    """A tool of an MCP server: a cell that calls it through the kernel's way to the broker."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench

    async def use(self, checked: Checked, recorded: Result | None) -> Result:
        """See ``Door``."""
        source = _mcp_source(checked.spec.target, checked.arguments)
        act = Act(cell_id=checked.cell_id, source=source, tags=("mcp",), is_repeatable=False)
        return await acted(self._bench, act, recorded)


class PlanDoor:
    """The plan: one cell that changes as the work goes on."""

    def __init__(self, bench: Workbench, changed: Callable[[Plan], None]) -> None:
        self._bench = bench
        self._changed = changed
        self.plan = Plan()

    async def use(self, checked: Checked, recorded: Result | None) -> Result:
        """See ``Door``."""
        steps = tuple(checked.arguments["steps"])
        done = min(int(checked.arguments.get("done", 0)), len(steps))
        self.plan = Plan(steps=steps, done=done)
        self._bench.write(PLAN_CELL, f"### Plan\n\n{self.plan.checklist}", ("plan",))
        self._changed(self.plan)
        return recorded or Result(text=f"{done} of {len(steps)} steps are done.")


async def acted(bench: Workbench, act: Act, recorded: Result | None) -> Result:
    """The result of an act in the kernel; on the tape it has one already."""
    ran = await bench.run(act, recorded.outputs if recorded else None)
    if recorded is not None:
        return recorded
    text = observed(ran.outputs)
    if ran.was_cut:
        text += "\n(It took too long and was interrupted.)"
    return Result(text=text, outputs=ran.outputs, has_failed=ran.has_failed)


def _mcp_source(target: str, arguments: Mapping[str, Any]) -> str:
    """As a person would write it, where Python can write the names."""
    server, _, tool = target.partition(".")
    if all(name.isidentifier() for name in (server, tool, *arguments)):
        return called(f"mcp.{target}", arguments)
    return f"mcp[{server!r}][{tool!r}].call({dict(arguments)!r})"


def called(name: str, arguments: Mapping[str, Any]) -> str:
    """Python source of a call. JSON values are the same in Python, once they are read."""
    given = ", ".join(f"{key}={value!r}" for key, value in arguments.items())
    return f"{name}({given})"


def _value(result: Result) -> Any:
    """What the function gave, as far as its text tells."""
    shown = [output["data"]["text/plain"] for output in result.outputs if _is_result(output)]
    try:
        return ast.literal_eval(shown[-1]) if shown else None
    except (ValueError, SyntaxError):
        return shown[-1]


def _is_result(output: Mapping[str, Any]) -> bool:
    return output["output_type"] == "execute_result" and "text/plain" in output["data"]
