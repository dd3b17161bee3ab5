"""A workflow's file in its shape: the right fields, of the right types.

A file with a mistake in its shape is still read as far as it goes, without the fields that are
wrong, so that the mistakes in its graph are told together with them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from opspawn_jupyter.kinds.findings import Findings, Path
from opspawn_jupyter.kinds.meant import meant
from opspawn_jupyter.kinds.positions import Document
from opspawn_jupyter.kinds.workflow_file import FILE, RetryFile, StepFile, WorkflowFile

_BRANCHES = frozenset({"str", "int", "constrained-int", "bool", "RetryFile"})
_STEPS = "tasks"


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What of the file has its shape."""

    file: WorkflowFile
    #: Place in the file of each step that is left.
    paths: tuple[Path, ...]


def shape(document: Document, findings: Findings) -> Shape | None:
    """The file; None where there is no telling which steps it has."""
    value = document.value
    if value is None:
        if not document.faults:
            findings.add((), "the file is empty")
        return None
    if not isinstance(value, Mapping):
        findings.add((), "a workflow is a mapping with name and tasks")
        return None
    wrong = list(_faults(value))
    for path, fault in wrong:
        # Of thousands, those that are only counted need no sentence.
        findings.leave_out(path, "" if findings.is_full else _sentence(path, fault))
    left = _without(value, {path for path, _ in wrong})
    if left is None or next(_faults(left.value), None):
        return None
    paths = tuple((_STEPS, number) for number in left.numbers)
    return Shape(file=FILE.validate_python(left.value), paths=paths)


def _faults(value: Mapping[str, Any]) -> Iterator[tuple[Path, Any]]:
    """Place and pydantic's record of everything that has not its shape."""
    try:
        FILE.validate_python(value)
    except ValidationError as failure:
        found = failure.errors(include_url=False, include_input=False)
        paths = [tuple(part for part in fault["loc"] if not _is_branch(part)) for fault in found]
        within = {path[:n] for path in paths for n in range(len(path))}
        for fault, path in zip(found, paths, strict=True):
            if path not in within:  # else what lies in it says more
                yield path, fault


@dataclass(frozen=True)
class _Left:
    value: Mapping[str, Any]
    #: Which of the file's steps its steps are.
    numbers: tuple[int, ...]


def _without(value: Mapping[str, Any], wrong: set[Path]) -> _Left | None:
    """The file without its wrong fields; a step whose id is wrong is left out whole."""
    steps = value.get(_STEPS)
    if not isinstance(steps, list) or (_STEPS,) in wrong:
        return None
    fields: dict[int, set[str | int]] = {}
    for path in wrong:
        if path[0] == _STEPS and len(path) > 1:
            fields.setdefault(int(path[1]), set()).update(path[2:3] or ("id",))
    numbers = tuple(n for n in range(len(steps)) if "id" not in fields.get(n, ()))
    broken = {path[0] for path in wrong}
    head = {name: one for name, one in value.items() if name not in broken}
    left = [_less(steps[n], fields[n]) if n in fields else steps[n] for n in numbers]
    return _Left({**head, _STEPS: left}, numbers) if left else None


def _less(step: Mapping[str, Any], fields: set[str | int]) -> dict[str, Any]:
    return {name: value for name, value in step.items() if name not in fields}


def _is_branch(part: str | int) -> bool:
    """pydantic names the branch of a union, too."""
    return isinstance(part, str) and ("[" in part or part in _BRANCHES)


def _sentence(path: Path, fault: Any) -> str:  # pydantic's own record of an error
    name = path[-1] if path else "the file"
    if fault["type"] == "model_type":
        what = f"step {int(name) + 1}" if path[:-1] == (_STEPS,) else repr(name)
        return f"{what} is no mapping of fields"
    if fault["type"] == "extra_forbidden":
        known = _known_fields(path)
        return f"there is no field {name!r}; {meant(str(name), known)}known are {', '.join(known)}"
    if fault["type"] == "missing":
        return f"{name!r} is missing"
    message = fault["msg"]
    return f"{name!r}: {message[0].lower()}{message[1:]}"


def _known_fields(path: Path) -> list[str]:
    if "retry" in path[:-1]:
        model: Any = RetryFile
    else:
        model = StepFile if _STEPS in path[:-1] else WorkflowFile
    return [field.alias or name for name, field in model.model_fields.items()]
