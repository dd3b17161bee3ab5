"""What a workflow's file may say, as pydantic reads it; editors get the same as JSON Schema."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from opspawn_jupyter.model.policy import (
    HIGHEST_PRIORITY,
    LARGEST_BACKOFF,
    LONGEST_DELAY_SECONDS,
    LONGEST_KEY,
    MOST_RETRIES,
    Jitter,
    Policy,
)
from opspawn_jupyter.model.workflow import TriggerRule

#: What an id may be. Editors are told; whether it holds is checked with the graph.
ID = r"[A-Za-z_][A-Za-z0-9_-]*"
LONGEST_ID = 100
_MOST_STEPS = 20_000

Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Delay = Annotated[float, Field(ge=0, le=LONGEST_DELAY_SECONDS, allow_inf_nan=False)]
Number = Annotated[int, Field(ge=1)]
Retries = Annotated[int, Field(ge=0, le=MOST_RETRIES)]
Priority = Annotated[int, Field(ge=-HIGHEST_PRIORITY, le=HIGHEST_PRIORITY)]
Key = Annotated[str, Field(min_length=1, max_length=LONGEST_KEY)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True, strict=True)


class RetryFile(_Model):
    """How often a step is tried again, and after what."""

    max_retries: Retries = 1
    delay_seconds: Delay = Policy.retry_delay_seconds
    backoff: float = Field(default=Policy.retry_backoff, ge=1, le=LARGEST_BACKOFF)
    max_delay_seconds: Delay = Policy.retry_max_delay_seconds
    jitter: str = Field(
        default=Policy.retry_jitter.value,
        json_schema_extra={"enum": [jitter.value for jitter in Jitter]},
    )
    on: list[str] | None = None
    """Outcomes that are retried: failed, timed_out, crashed."""


class StepFile(_Model):
    """One step. ``plugin``, ``kind``, ``notebook``, ``cell`` or ``workflow`` says what it runs."""

    id: str = Field(json_schema_extra={"pattern": f"^{ID}$", "maxLength": LONGEST_ID})
    """Names the step: letters, digits, ``_`` and ``-``."""
    plugin: str | None = None
    """Name of the plugin or task kind that runs it."""
    kind: str | None = None
    """The same as ``plugin``."""
    notebook: str | None = None
    """Path of a notebook, from the workflow's own directory."""
    cell: str | None = None
    """Code to run as one cell, like that below ``%%opspawn run``; values come by ``with``."""
    workflow: str | None = None
    """Path of another workflow's file, to run as one step."""
    description: str = ""
    config: dict[str, Any] | None = None
    """What the plugin wants to know."""
    with_: dict[str, Any] | None = Field(default=None, alias="with")
    """Parameters of the notebook, cell or workflow; for a plugin, more of its config."""
    depends_on: list[str] | str | None = None
    """Ids of steps that come before. What templates name is added."""
    retry: Retries | RetryFile | None = None
    timeout_seconds: Seconds | None = None
    cell_timeout_seconds: Seconds | None = None
    priority: Priority | None = None
    concurrency_key: Key | None = None
    trigger_rule: str | None = Field(
        default=None, json_schema_extra={"enum": [rule.value for rule in TriggerRule]}
    )
    """Which ends of the steps before let this one run; all_success where it is left out."""
    when: str | bool | None = None
    """A condition, or a trigger rule: the step is skipped where it does not hold."""
    for_each: Any = None
    """A list, or a template that gives one: a task for each ``item``."""
    matrix: dict[str, Any] | None = None
    """Lists by name: a task for every combination, as ``item.NAME``."""
    max_parallel: Number | None = None
    """How many of the items' tasks may run at once."""
    cache: bool | None = None
    """Take over the result of an earlier run in which nothing was different."""
    inputs: list[str] | str | None = None
    """Files that count for the cache; patterns are allowed."""
    approve: str | bool | None = None
    """What somebody is asked before the step may run."""
    end_when: str | None = None
    """A condition: where it holds after the step, the workflow ends here, with success."""


class WorkflowFile(_Model):
    """A workflow: steps, and what each depends on."""

    name: str | None = Field(default=None, max_length=200)
    description: str = ""
    parameters: dict[str, Any] | None = None
    """Default values by name, or ``{type, default, description}``; a run may give others."""
    tasks: list[StepFile] = Field(min_length=1, max_length=_MOST_STEPS)
    """The steps, in any order."""
    max_parallel: Number | None = None
    """How many steps may run at once."""
    cache: bool = False
    """Whether steps that do not say so themselves use the cache."""
    outputs: dict[str, Any] | None = None
    """Templates by name: what the workflow as a whole gives."""


FILE = TypeAdapter(WorkflowFile)


def json_schema() -> dict[str, Any]:
    """The schema of the file, for editors."""
    schema = FILE.json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
