"""Where a step's task comes from: which step of which run, and what it asks for there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from opspawn_jupyter.errors import InvalidRequest
from opspawn_jupyter.model import template
from opspawn_jupyter.model.step_spec import step_spec
from opspawn_jupyter.model.task import Submission
from opspawn_jupyter.model.workflow import Step
from opspawn_jupyter.orchestrator.accept import Accepted
from opspawn_jupyter.orchestrator.context import Orchestration
from opspawn_jupyter.orchestrator.workflow import scope
from opspawn_jupyter.orchestrator.workflow.progress import Progress, step_name
from opspawn_jupyter.ports import Kind, Prepared


@dataclass(frozen=True, kw_only=True)
class Place:
    """Which step of which run, and which of its items."""

    progress: Progress
    step: Step
    number: int | None = None
    item: Any = None
    #: Why its step cannot be begun, where that is known already.
    fault: str | None = None

    @property
    def name(self) -> str:
        """``Task.step``."""
        return step_name(self.step.id, self.number)


def asked_of(o: Orchestration, place: Place) -> tuple[Kind, Mapping[str, Any]]:
    """What is to check the step, and its config with its values. Raises ``InvalidRequest`` or
    ``TemplateError``."""
    progress, step = place.progress, place.step
    kind = o.kinds.get(step.kind)
    if kind is None:
        raise InvalidRequest(step.kind, hint="this plugin is not installed any more")
    names = scope.scope(progress, step.id, o.settings.root_directory, place.item)
    config = template.resolve(step.config, names)
    return kind, step_spec(step.kind, kind, config, progress.task.spec.get("directory", "."))


def accepted_of(place: Place, prepared: Prepared, files: Mapping[str, bytes]) -> Accepted:
    """Its task, which was found good; ``files`` are pinned beside those of its kind."""
    return Accepted(
        submission=submission_of(place, prepared.spec),
        prepared=replace(prepared, files={**prepared.files, **files}),
        submitted_by=place.progress.task.submitted_by,
        parent_id=place.progress.task.id,
        step=place.name,
    )


def submission_of(place: Place, spec: Mapping[str, Any]) -> Submission:
    """What a caller would have asked for."""
    return Submission(
        kind=place.step.kind,
        spec=spec,
        name=place.name,
        policy=place.step.policy,
        labels=place.progress.task.labels,
    )
