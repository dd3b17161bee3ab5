"""A workflow: a graph of steps, and what passes between them.

Running a workflow is a task of kind ``workflow``. Each step is a task of the step's own kind, with
``Task.parent_id`` and ``Task.step``, its own run directory, state and policy; it is submitted when
its turn has come, because only then its values are known. ``for_each`` makes a task of each item.

How values reach a step:

- A template (``${{ tasks.ingest.outputs.rows }}``) in the step's config is replaced before the
  task is submitted, so the spec holds plain JSON. What the template names is a dependency.
- ``inputs.json`` is pinned into the step's run directory: an ``Inputs`` record with the outputs
  of everything upstream by step id. ``step.input("ingest.rows")`` and the plugins' ``context``
  read it.
- An output is JSON of at most 64 kB. Anything larger is a ``FileValue`` in the output's place: a
  file in the run directory of the task that gave it. A template that stands for one becomes the
  file's absolute path.

What a step's kind gets as ``spec``: its ``config``, as it is, for every kind that a plugin or we
add (``{"command": "ls"}``); ``NotebookRequest`` for a notebook, whose ``with`` are its parameters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar

from opspawn_jupyter.model.fault import Fault
from opspawn_jupyter.model.policy import STRICT, Policy
from opspawn_jupyter.model.states import State

#: Kind of the tasks that are workflows.
WORKFLOW = "workflow"
#: Kind of a step that only asks a person and runs nothing.
APPROVAL = "approval"
#: Kinds whose tasks the server moves on itself.
WORKERLESS = frozenset({WORKFLOW, APPROVAL})
#: Name of the pinned file with what comes from upstream.
INPUTS_NAME = "inputs.json"
#: Key that tells a ``FileValue`` from any other JSON object.
FILE_KEY = "$file"


class TriggerRule(StrEnum):
    """Which ends of the steps that it depends on let a step run; Airflow's words."""

    ALL_SUCCESS = "all_success"
    ALL_FAILED = "all_failed"
    ALL_DONE = "all_done"
    ALL_SKIPPED = "all_skipped"
    ALL_DONE_MIN_ONE_SUCCESS = "all_done_min_one_success"
    ONE_SUCCESS = "one_success"
    ONE_FAILED = "one_failed"
    ONE_DONE = "one_done"
    NONE_FAILED = "none_failed"
    NONE_FAILED_MIN_ONE_SUCCESS = "none_failed_min_one_success"
    NONE_SKIPPED = "none_skipped"
    ALWAYS = "always"


@dataclass(frozen=True, kw_only=True)
class ForEach:
    """A task for each item, each of which sees its own as ``${{ item }}``."""

    #: A list, a template that gives one, or lists by name: then every combination of their
    #: values, each of which is an object.
    items: Any
    #: How many of the tasks may be unfinished at once.
    max_parallel: int | None = None


@dataclass(frozen=True, kw_only=True)
class Step:
    """A node of the graph, as the file has it: its templates are not replaced yet."""

    id: str
    #: Kind of the step's task; the file says ``plugin`` or ``kind``.
    kind: str
    #: What the task's spec is made of.
    config: Mapping[str, Any] = field(default_factory=dict)
    description: str = ""
    #: Ids of steps: those named by ``depends_on``, and those that templates name.
    depends_on: tuple[str, ...] = ()
    policy: Policy = field(default_factory=Policy)
    trigger_rule: TriggerRule = TriggerRule.ALL_SUCCESS
    #: A template; the step is skipped where its value is false.
    when: str | None = None
    for_each: ForEach | None = None
    #: Whether an earlier result may be taken over.
    cache: bool = False
    #: Files whose content counts for the cache: paths from the root, patterns allowed.
    inputs: tuple[str, ...] = ()
    #: What somebody is asked before the step may run.
    approve: str | None = None
    #: A template; where its value is true after the step, the workflow ends with success and what
    #: has not begun is skipped.
    end_when: str | None = None


@dataclass(frozen=True, kw_only=True)
class Workflow:
    """A graph that was found good: every id is known, and there is no cycle."""

    name: str
    description: str = ""
    #: Values by parameter name, which templates see as ``parameters``.
    parameters: Mapping[str, Any] = field(default_factory=dict)
    #: In the file's order.
    steps: tuple[Step, ...]
    #: How many steps may be unfinished at once.
    max_parallel: int | None = None
    #: Templates by name: the outputs of the workflow itself.
    outputs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class WorkflowRequest:
    """``spec`` of a submission of kind ``workflow``. Give ``path``, ``source`` or ``graph``."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    #: Path of the file: absolute, or relative to the server's root.
    path: str | None = None
    #: The text of the file, where there is none.
    source: str | None = None
    #: What the text would say, as JSON.
    graph: Mapping[str, Any] | None = None
    #: Where relative paths start; the directory of the file where it is left out.
    directory: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    #: As a person types them; each is read by its declared type or that of its default.
    parameters_text: Mapping[str, str] = field(default_factory=dict)
    #: Run every step, whatever the cache has.
    force: bool = False
    #: Tasks whose results are taken over, by step as in ``Task.step``: what a repair keeps.
    reuse: Mapping[str, str] = field(default_factory=dict)
    #: A further directory for this run's files, made new: ``--log-dir``.
    log_directory: str | None = None


@dataclass(frozen=True, kw_only=True)
class WorkflowSpec:
    """``spec`` of a task of kind ``workflow``. The graph itself is pinned as ``graph.json``."""

    #: Relative to the server's root; None for what came without a file.
    path: str | None
    directory: str
    parameters: Mapping[str, Any]
    #: How many steps the graph has.
    steps: int
    #: Of the pinned text.
    source_sha256: str
    force: bool = False
    reuse: Mapping[str, str] = field(default_factory=dict)
    log_directory: str | None = None


@dataclass(frozen=True, kw_only=True)
class WorkflowCheck:
    """What is known of a workflow before it is run."""

    #: What it is called in messages: its path, where it has one.
    label: str
    #: None where not even its shape could be read.
    workflow: Workflow | None
    #: In the order of the text; none where all is well.
    faults: tuple[Fault, ...] = ()


#: Names of the pinned files.
SOURCE_NAME = "workflow.yaml"
GRAPH_NAME = "graph.json"


@dataclass(frozen=True, kw_only=True)
class FileValue:
    """An output that lies in a file. In JSON it is ``{"$file": path, "sha256": …, …}``."""

    #: Relative to the run directory of the task that gave it, with forward slashes.
    path: str
    sha256: str
    size_bytes: int
    #: How to read it: ``parquet``, ``json``, ``file``…
    format: str = "file"


@dataclass(frozen=True, kw_only=True)
class Upstream:
    """What became of one step, for the steps after it."""

    task_id: str | None
    state: State
    #: Relative to the server's root; None for a step that was skipped.
    run_directory: str | None
    #: By name; of a ``for_each`` each output is the list of its items' values.
    outputs: Mapping[str, Any] = field(default_factory=dict)
    #: The task that did the work, where its result was taken over.
    reused_from: str | None = None
    #: Of a ``for_each``: its tasks in the order of the items.
    items: tuple[Upstream, ...] = ()

    @property
    def producer_id(self) -> str | None:
        """The task that did the work."""
        return self.reused_from or self.task_id


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """``inputs.json``: what a step's task is given beside its spec."""

    workflow_id: str
    workflow: str
    #: Empty where small steps that are given the same share the file.
    step: str = ""
    #: Where relative paths in the step's config start: the directory of the workflow's file, or
    #: of the caller where it came without one; relative to the server's root.
    directory: str = "."
    parameters: Mapping[str, Any] = field(default_factory=dict)
    #: This task's item, of a ``for_each``.
    item: Any = None
    #: By step id: everything that the step depends on, directly and through others.
    tasks: Mapping[str, Upstream] = field(default_factory=dict)


def file_value(value: Any) -> FileValue | None:
    """The file that an output stands for; None for a plain value."""
    if not isinstance(value, Mapping) or not isinstance(value.get(FILE_KEY), str):
        return None
    return FileValue(
        path=value[FILE_KEY],
        sha256=str(value.get("sha256", "")),
        size_bytes=int(value.get("size_bytes", 0)),
        format=str(value.get("format", "file")),
    )


def as_output(value: FileValue) -> dict[str, Any]:
    """The file value as the JSON that stands in an output's place."""
    return {
        FILE_KEY: value.path,
        "sha256": value.sha256,
        "size_bytes": value.size_bytes,
        "format": value.format,
    }
