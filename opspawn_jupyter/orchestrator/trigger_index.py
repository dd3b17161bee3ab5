"""Which schedules something other than the clock starts, kept in memory: so that the end of a task
or a look at the disk costs nothing for all the others."""

from __future__ import annotations

from collections import defaultdict

from opspawn_jupyter.model.schedule import Plan, Schedule
from opspawn_jupyter.model.task import Task


class TriggerIndex:
    """Ids of schedules by what they wait for. Used from the server's event loop only."""

    def __init__(self) -> None:
        #: Plans of those that are in here.
        self._plans: dict[str, Plan] = {}
        self._by_schedule: defaultdict[str, set[str]] = defaultdict(set)
        self._by_workflow: defaultdict[str, set[str]] = defaultdict(set)

    def take(self, schedule: Schedule) -> None:
        """The schedule as it stands now, in place of what was known of it."""
        self.drop(schedule.id)
        plan = schedule.plan
        if not schedule.is_open or not (plan.files or plan.follows or plan.follows_workflows):
            return
        self._plans[schedule.id] = plan
        for name in plan.follows:
            self._by_schedule[name].add(schedule.id)
        for name in plan.follows_workflows:
            self._by_workflow[name].add(schedule.id)

    def drop(self, schedule_id: str) -> None:
        """There is no such schedule any more."""
        plan = self._plans.pop(schedule_id, None)
        if plan is None:
            return
        for name in plan.follows:
            self._by_schedule[name].discard(schedule_id)
        for name in plan.follows_workflows:
            self._by_workflow[name].discard(schedule_id)

    def watching(self) -> tuple[str, ...]:
        """Those that files start."""
        return tuple(one for one, plan in self._plans.items() if plan.files)

    def follows_workflows(self) -> bool:
        """Some schedule waits for a workflow."""
        return any(self._by_workflow.values())

    def after_schedule(self, name: str) -> tuple[str, ...]:
        """Those that the end of a task of this schedule concerns."""
        return tuple(sorted(self._by_schedule.get(name, ())))

    def after_workflow(self, task: Task) -> tuple[str, ...]:
        """Those that the end of this task concerns: a workflow's run of its own, whoever started
        it."""
        if task.kind != "workflow" or task.parent_id is not None:
            return ()
        names = {str(task.spec.get("path")), task.name}
        return tuple(sorted({one for name in names for one in self._by_workflow.get(name, ())}))
