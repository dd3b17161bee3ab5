"""Every error that opspawn raises, in one tree.

    OpspawnError
    ├── InvalidRequest            what was asked for cannot be done as asked
    │   ├── UsageError            a command line that does not parse
    │   ├── UnknownKind
    │   ├── UnknownKernel
    │   ├── NotANotebook
    │   ├── OutsideRoot
    │   ├── ParameterUnknown
    │   ├── ParameterInvalid
    │   ├── ParameterMissing
    │   ├── PluginBroken
    │   ├── WorkflowInvalid
    │   ├── SettingInvalid
    │   ├── QueryInvalid
    │   └── ToolArgumentsInvalid
    ├── NotFound                  the thing named does not exist
    │   ├── NotebookNotFound
    │   ├── TaskNotFound
    │   ├── ScheduleNotFound
    │   ├── QuestionNotFound
    │   ├── ArtifactNotFound
    │   ├── FilesPruned
    │   └── ToolNotFound
    ├── Conflict                  it exists, but its state forbids this
    │   ├── IllegalTransition
    │   ├── TaskNotFinished
    │   ├── IdempotencyConflict
    │   ├── RecordChanged
    │   ├── KeyTaken
    │   ├── AmbiguousReference
    │   ├── ToolNotApproved
    │   └── ToolLoginNeeded
    ├── NotAuthenticated          the server does not know the caller
    ├── NotAuthorized             the server knows the caller and refuses
    │   └── ToolNotAllowed
    ├── Unavailable               try again, or repair something first
    │   ├── StoreUnavailable
    │   ├── ServerNotFound
    │   ├── ServerAmbiguous
    │   ├── ServerUnreachable
    │   ├── ToolLimitReached
    │   └── ToolServerUnavailable
    │       ├── ToolServerFault
    │       └── ToolTimedOut
    ├── ToolFailed                a tool ran and says that it did not succeed
    └── TaskError                 a finished task that did not succeed
        ├── TaskFailed
        ├── TaskTimedOut
        ├── TaskCrashed
        ├── TaskCancelled
        ├── TaskSkipped
        └── AgentStopped          why an agent gave up; seen as the error of its task
            ├── BudgetExceeded
            ├── ModelUnavailable
            ├── ModelRefused
            ├── TooManyMistakes
            └── TapeMismatch

A class's docstring is its message: what happened and what to do. The offending
value follows in ``repr``. ``code`` is stable; the server maps it to an HTTP
status once and the client maps it back to the class once, so the error raised
in the server is the error seen in the cell.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from inspect import cleandoc
from typing import Any, Self


class OpspawnError(Exception):
    """Something went wrong inside opspawn; the Jupyter server's log says more."""

    code = "internal"

    def __init__(
        self, value: object = None, *, hint: str = "", detail: Mapping[str, Any] | None = None
    ) -> None:
        self.message = _compose(cleandoc(type(self).__doc__ or ""), value, hint)
        self.detail = dict(detail or {})  # JSON values only: it travels to the client
        super().__init__(self.message)

    @classmethod
    def restore(cls, message: str, detail: Mapping[str, Any]) -> Self:
        """The error as it was raised elsewhere, from its message and detail on the wire."""
        error = cls(detail=detail)
        error.message = message
        error.args = (message,)
        return error

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self).restore, (self.message, self.detail))


def _compose(sentence: str, value: object, hint: str) -> str:
    message = " ".join(sentence.split())
    if value is not None:
        message = f"{message.removesuffix('.')}: {value!r}."
    return f"{message.removesuffix('.')}; {hint}." if hint else message


class InvalidRequest(OpspawnError):
    """The request cannot be carried out as it is."""

    code = "invalid_request"


class UsageError(InvalidRequest):
    """This command line is not understood."""

    code = "usage"


class UnknownKind(InvalidRequest):
    """There is no task kind of this name."""

    code = "unknown_kind"


class UnknownKernel(InvalidRequest):
    """No kernel of this name is installed; `jupyter kernelspec list` shows those that are."""

    code = "unknown_kernel"


class NotANotebook(InvalidRequest):
    """The file is not a notebook that can be run."""

    code = "not_a_notebook"


class OutsideRoot(InvalidRequest):
    """The path lies outside the Jupyter server's root directory; move it inside, or start the
    server in a directory above it."""

    code = "outside_root"


class ParameterUnknown(InvalidRequest):
    """There is no parameter of this name."""

    code = "parameter_unknown"


class ParameterInvalid(InvalidRequest):
    """The parameter's value does not fit its declared type."""

    code = "parameter_invalid"


class ParameterMissing(InvalidRequest):
    """A parameter that has no default needs a value."""

    code = "parameter_missing"


class PluginBroken(InvalidRequest):
    """The plugin is installed, but cannot be used; repair its package or remove it."""

    code = "plugin_broken"


class WorkflowInvalid(InvalidRequest):
    """The workflow has mistakes, so nothing of it is run."""

    code = "workflow_invalid"


class SettingInvalid(InvalidRequest):
    """The setting has a value that cannot be used."""

    code = "setting_invalid"


class QueryInvalid(InvalidRequest):
    """The SQL query was refused; only a single read-only query over the history may run."""

    code = "query_invalid"


class ToolArgumentsInvalid(InvalidRequest):
    """The arguments do not fit the tool; `opspawn tools SERVER.TOOL` shows what it takes."""

    code = "tool_arguments_invalid"


class NotFound(OpspawnError):
    """There is nothing of this name."""

    code = "not_found"


class NotebookNotFound(NotFound):
    """There is no notebook at this path; check the spelling and the current directory."""

    code = "notebook_not_found"


class TaskNotFound(NotFound):
    """There is no task with this id; `opspawn tasks` lists them."""

    code = "task_not_found"


class QuestionNotFound(NotFound):
    """There is no question of this id; `opspawn questions` lists those that are open."""

    code = "question_not_found"


class ScheduleNotFound(NotFound):
    """There is no schedule of this name; `opspawn schedule list` shows those that there are."""

    code = "schedule_not_found"


class ArtifactNotFound(NotFound):
    """The task has no such file."""

    code = "artifact_not_found"


class FilesPruned(NotFound):
    """The task's files were removed to save room; what its history says of it is still there."""

    code = "files_pruned"


class ToolNotFound(NotFound):
    """There is no such tool, or it is not for this caller; `opspawn tools` lists them."""

    code = "tool_not_found"


class Conflict(OpspawnError):
    """The present state does not allow this."""

    code = "conflict"


class IllegalTransition(Conflict):
    """The task's state does not allow this."""

    code = "illegal_transition"


class TaskNotFinished(Conflict):
    """The task has no result yet; wait for it, or look at its status."""

    code = "task_not_finished"


class IdempotencyConflict(Conflict):
    """This idempotency key was already used for a different task."""

    code = "idempotency_conflict"


class RecordChanged(Conflict):
    """Somebody else changed it at the same time; look at it again, then repeat what is still to be
    done."""

    code = "record_changed"


class KeyTaken(Conflict):
    """There is one of this name already; choose another name."""

    code = "key_taken"


class AmbiguousReference(Conflict):
    """More than one task's id ends so; give more of the id."""

    code = "ambiguous_reference"


class ToolNotApproved(Conflict):
    """This may run only once somebody has approved it; look at it with `opspawn tools`, then
    `opspawn tools NAME --approve`."""

    code = "tool_not_approved"


class ToolLoginNeeded(Conflict):
    """The tool server wants somebody to log in; `opspawn tools SERVER --login` shows where."""

    code = "tool_login_needed"


class NotAuthenticated(OpspawnError):
    """The Jupyter server did not accept the token; check OPSPAWN_TOKEN or the server's own."""

    code = "not_authenticated"


class NotAuthorized(OpspawnError):
    """The Jupyter server does not allow this user to do this."""

    code = "not_authorized"


class ToolNotAllowed(NotAuthorized):
    """The configuration does not allow this caller to use this tool."""

    code = "tool_not_allowed"


class Unavailable(OpspawnError):
    """This is not available at the moment."""

    code = "unavailable"


class StoreUnavailable(Unavailable):
    """The task history cannot be opened or written, so no task is accepted."""

    code = "store_unavailable"


class ServerNotFound(Unavailable):
    """No running Jupyter server with the opspawn extension was found; start one with
    `jupyter lab`, or set OPSPAWN_URL and OPSPAWN_TOKEN."""

    code = "server_not_found"


class ServerAmbiguous(Unavailable):
    """Several Jupyter servers are running; choose one with --server URL or OPSPAWN_URL."""

    code = "server_ambiguous"


class ServerUnreachable(Unavailable):
    """The Jupyter server does not answer; check that it runs and that the address is right."""

    code = "server_unreachable"


class ToolLimitReached(Unavailable):
    """The tool server's limit is reached; try again a little later."""

    code = "tool_limit_reached"


class ToolServerUnavailable(Unavailable):
    """The tool server cannot be reached; it is tried again with the next calls."""

    code = "tool_server_unavailable"


class ToolServerFault(ToolServerUnavailable):
    """The tool server gave an answer that cannot be used."""

    code = "tool_server_fault"


class ToolTimedOut(ToolServerUnavailable):
    """The tool did not answer in time."""

    code = "tool_timed_out"


class ToolFailed(OpspawnError):
    """The tool did not succeed."""

    code = "tool_failed"


class TaskError(OpspawnError):
    """The task did not succeed."""

    code = "task_error"


class TaskFailed(TaskError):
    """The task failed: its code raised an error."""

    code = "task_failed"


class TaskTimedOut(TaskError):
    """The task was stopped because it ran into its time limit."""

    code = "task_timed_out"


class TaskCrashed(TaskError):
    """The task crashed: its kernel or worker process died."""

    code = "task_crashed"


class TaskCancelled(TaskError):
    """The task was cancelled."""

    code = "task_cancelled"


class TaskSkipped(TaskError):
    """The task was not run."""

    code = "task_skipped"


class AgentStopped(TaskError):
    """The agent could not go on."""

    code = "agent_stopped"


class BudgetExceeded(AgentStopped):
    """The agent's budget is used up; resume the task with a larger one."""

    code = "budget_exceeded"


class ModelUnavailable(AgentStopped):
    """The language model did not answer; resume the task once it does."""

    code = "model_unavailable"


class ModelRefused(AgentStopped):
    """The language model's provider refused the request."""

    code = "model_refused"


class TooManyMistakes(AgentStopped):
    """The model's calls were wrong too often in a row."""

    code = "too_many_mistakes"


class TapeMismatch(AgentStopped):
    """The tape does not fit this run; it was made by another goal, another tool or another
    version."""

    code = "tape_mismatch"


def tree(root: type[OpspawnError] = OpspawnError) -> Iterator[type[OpspawnError]]:
    """Every error class, parents first."""
    yield root
    for child in root.__subclasses__():
        yield from tree(child)


def restore(code: str, message: str, detail: Mapping[str, Any]) -> OpspawnError:
    """The error that the server named, as the class that carries this code."""
    by_code = {error.code: error for error in tree()}
    return by_code.get(code, OpspawnError).restore(message, detail)
