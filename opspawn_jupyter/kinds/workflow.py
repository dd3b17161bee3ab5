"""Workflow tasks: the whole graph is checked, with every step's own kind, before any of it runs."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opspawn_jupyter.errors import (
    InvalidRequest,
    NotFound,
    OpspawnError,
    OutsideRoot,
    WorkflowInvalid,
)
from opspawn_jupyter.files import regular_size
from opspawn_jupyter.kinds import positions, values
from opspawn_jupyter.kinds.findings import Findings
from opspawn_jupyter.kinds.kernel_specs import read_once
from opspawn_jupyter.kinds.positions import Document
from opspawn_jupyter.kinds.step_check import StepChecks
from opspawn_jupyter.kinds.workflow_graph import build
from opspawn_jupyter.model import wire
from opspawn_jupyter.model.fault import Fault
from opspawn_jupyter.model.json_text import encoder
from opspawn_jupyter.model.workflow import (
    GRAPH_NAME,
    SOURCE_NAME,
    Workflow,
    WorkflowCheck,
    WorkflowRequest,
    WorkflowSpec,
)
from opspawn_jupyter.parsing import parse
from opspawn_jupyter.ports import Kind, Prepared
from opspawn_jupyter.settings import Settings

_line = encoder(ensure_ascii=False)
#: How many mistakes the sentence of the error holds; its detail has them all.
_MOST_SAID = 10


#: Files whose steps are being checked: a workflow may be a step of another.
_OPEN: ContextVar[tuple[Path, ...]] = ContextVar("open workflows", default=())
_DEEPEST = 20


@contextmanager
def _opened(path: Path | None) -> Iterator[None]:
    outer = _OPEN.get()
    if len(outer) >= _DEEPEST:
        raise InvalidRequest(hint=f"workflows are steps of each other more than {_DEEPEST} deep")
    token = _OPEN.set((*outer, path) if path else outer)
    try:
        yield
    finally:
        _OPEN.reset(token)


@dataclass(frozen=True, kw_only=True)
class _Source:
    """A workflow as submitted."""

    content: bytes
    document: Document
    #: What it is called in messages.
    label: str
    #: Where its relative paths start.
    directory: Path
    path: Path | None = None


class WorkflowKind:
    """Checks and pins workflows of one server."""

    def __init__(self, settings: Settings, *_: object) -> None:
        self._root = settings.root_directory
        self._kinds: Mapping[str, Kind] = {}

    def meet(self, kinds: Mapping[str, Kind]) -> None:
        """Get to know the kinds of steps. Called once, when all are there."""
        self._kinds = kinds

    def prepare(self, spec: Mapping[str, Any]) -> Prepared:
        """The checked graph, pinned. Raises ``WorkflowInvalid`` with every mistake."""
        request = parse(WorkflowRequest, spec, "spec of a workflow")
        source = self._source(request)
        workflow, bound, faults = self._read(source, request)
        if workflow is None or faults:
            raise _invalid(source.label, faults)
        checked = WorkflowSpec(
            path=source.path.relative_to(self._root).as_posix() if source.path else None,
            directory=source.directory.relative_to(self._root).as_posix(),
            parameters=bound,
            steps=len(workflow.steps),
            source_sha256=hashlib.sha256(source.content).hexdigest(),
            force=request.force,
            reuse=request.reuse,
            log_directory=self._log_directory(request.log_directory),
        )
        return Prepared(
            name=workflow.name,
            spec=wire.encode(checked),
            files={SOURCE_NAME: source.content, GRAPH_NAME: wire.to_json(workflow).encode()},
        )

    def outputs(self, spec: Mapping[str, Any]) -> frozenset[str] | None:
        """What the workflow at the path gives."""
        path = spec.get("path")
        if not isinstance(path, str):
            return None
        found = positions.read(_content(self._inside(path), path)).value
        given = found.get("outputs") if isinstance(found, Mapping) else None
        return frozenset(given) if isinstance(given, Mapping) else frozenset()

    def check(self, request: WorkflowRequest) -> WorkflowCheck:
        """What the graph is, and every mistake in it; nothing is raised for these."""
        source = self._source(request)
        workflow, _, faults = self._read(source, request)
        return WorkflowCheck(label=source.label, workflow=workflow, faults=tuple(faults))

    def _read(
        self, source: _Source, request: WorkflowRequest
    ) -> tuple[Workflow | None, Mapping[str, Any], list[Fault]]:
        findings = Findings(source.document)
        if source.path is not None and source.path in _OPEN.get():
            findings.add((), "this workflow is a step of itself")
            return None, {}, findings.faults
        with _opened(source.path), read_once():
            return self._checked(source, request, findings)

    def _checked(
        self, source: _Source, request: WorkflowRequest, findings: Findings
    ) -> tuple[Workflow | None, Mapping[str, Any], list[Fault]]:
        built = build(source.document, self._name(source), findings)
        if built is None:
            return None, {}, findings.faults
        bound = built.workflow.parameters
        try:
            given = values.bind(built.declared, request.parameters, request.parameters_text)
            bound = {**bound, **given}
        except InvalidRequest as problem:
            for name, said in problem.detail["fields"].items():
                findings.add(("parameters", name), f"{said[0].lower()}{said[1:]}".removesuffix("."))
        checks = StepChecks(self._kinds, self._relative(source.directory), bound, findings)
        for step, path in zip(built.workflow.steps, built.paths, strict=True):
            checks.check(step, path)
        checks.check_references(built.workflow, built.paths)
        return built.workflow, bound, findings.faults

    def _name(self, source: _Source) -> str:
        return source.path.stem if source.path else "workflow"

    def _relative(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()

    def _source(self, request: WorkflowRequest) -> _Source:
        given = (request.path, request.source, request.graph)
        if sum(one is not None for one in given) != 1:
            raise InvalidRequest(hint="give one of path, source and graph")
        directory = self._directory(request.directory)
        if request.path is not None:
            path = self._inside(request.path)
            content = _content(path, request.path)
            own = directory if request.directory is not None else path.parent
            return _Source(
                content=content,
                document=positions.read(content),
                label=request.path,
                directory=own,
                path=path,
            )
        if request.source is not None:
            content = request.source.encode("utf-8", "surrogatepass")
            return _Source(
                content=content,
                document=positions.read(content),
                label="workflow",
                directory=directory,
            )
        content = _text(request.graph or {}).encode()
        document = Document(value=request.graph)
        return _Source(content=content, document=document, label="graph", directory=directory)

    def _directory(self, given: str | None) -> Path:
        path = self._inside(given or ".")
        if not path.is_dir():
            raise InvalidRequest(given, hint="there is no such directory")
        return path

    def _log_directory(self, given: str | None) -> str | None:
        return None if given is None else self._relative(self._inside(given))

    def _inside(self, given: str) -> Path:
        path = Path(os.path.normpath(self._root / given))
        for candidate in (path, path.resolve()) if "\0" not in given else ():
            if candidate.is_relative_to(self._root):
                return candidate
        raise OutsideRoot(given)


def _text(graph: Mapping[str, Any]) -> str:
    """The graph as JSON, a step in each line: to indent all of it takes ten times as long."""
    members = (f"{_line(name)}: {_lines(value)}" for name, value in graph.items())
    return "{\n " + ",\n ".join(members) + "\n}"


def _lines(value: Any) -> str:
    is_many = isinstance(value, list) and len(value) > 1
    return "[\n  " + ",\n  ".join(map(_line, value)) + "\n ]" if is_many else _line(value)


def _content(path: Path, given: str) -> bytes:
    try:
        if regular_size(path) > positions.LARGEST_BYTES:
            hint = f"a workflow has at most {positions.LARGEST_BYTES} bytes"
            raise InvalidRequest(given, hint=hint)
        return path.read_bytes()
    except FileNotFoundError as failure:
        raise NotFound(given, hint="there is no workflow file at this path") from failure
    except OSError as failure:
        raise InvalidRequest(given, hint=f"it cannot be read ({failure.strerror})") from failure


def _invalid(label: str, faults: list[Fault]) -> OpspawnError:
    said = [f"{label}:{fault}" for fault in faults[:_MOST_SAID]]
    if len(faults) > _MOST_SAID:
        said.append(f"and {len(faults) - _MOST_SAID} more")
    detail = {"path": label, "faults": wire.encode(faults)}
    return WorkflowInvalid(hint="; ".join(said), detail=detail)
