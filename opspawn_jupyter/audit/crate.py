"""The meaning of a bundle's files: a Workflow Run RO-Crate, Provenance profile 0.5, RO-Crate 1.1.

An audit is a workflow whose steps run the notebook, each in other surroundings. Written by hand
as JSON-LD, so that the same audit gives the same bytes; the tests have it judged by others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any

from opspawn_jupyter.model.audit import RunRecord, Verdict
from opspawn_jupyter.model.states import State
from opspawn_jupyter.model.task import Task
from opspawn_jupyter.version import __version__

METADATA = "ro-crate-metadata.json"
WORKFLOW = "workflow.json"
NOTEBOOK = "notebook.ipynb"

Entity = dict[str, Any]

_TERMS = "https://w3id.org/ro/terms/workflow-run"
_PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": ("Process Run Crate", "0.5"),
    "https://w3id.org/ro/wfrun/workflow/0.5": ("Workflow Run Crate", "0.5"),
    "https://w3id.org/ro/wfrun/provenance/0.5": ("Provenance Run Crate", "0.5"),
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": ("Workflow RO-Crate", "1.0"),
}
_WORKFLOW_PROFILE = "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE"
_PARAMETER_PROFILE = "https://bioschemas.org/profiles/FormalParameter/1.0-RELEASE"
_HOME = "https://jupyter.org/"
_PYTHON = "https://www.python.org/"
_TYPES = {
    ".ipynb": "application/x-ipynb+json",
    ".json": "application/json",
    ".jsonl": "application/jsonl",
    ".html": "text/html",
    ".xml": "application/xml",
    ".md": "text/markdown",
}

_WELL = (State.SUCCESS.value, "")


def workflow(runs: Sequence[RunRecord]) -> dict[str, Any]:
    """What the audit did, as a plan: a step for each run."""
    return {
        "name": "notebook audit",
        "steps": [
            {"id": _slug(run.name), "notebook": NOTEBOOK, "made_different": list(run.perturbed)}
            for run in runs
        ],
    }


def metadata(task: Task, verdict: Verdict, files: Mapping[str, bytes]) -> dict[str, Any]:
    """``ro-crate-metadata.json`` over these files, by path from the crate's root."""
    graph = [
        _descriptor(),
        _root(task, verdict, files),
        *_context_entities(task),
        *(_file(path, files[path]) for path in sorted(files) if path not in (WORKFLOW, NOTEBOOK)),
        _workflow_file(verdict, files[WORKFLOW]),
        _tool(files[NOTEBOOK]),
        *_parameters(verdict),
        *(one for run in verdict.runs for one in _step(task, run)),
        *_whole(task, verdict),
    ]
    context = [
        "https://w3id.org/ro/crate/1.1/context",
        f"{_TERMS}/context",
        {"buildInstructions": "https://codemeta.github.io/terms/buildInstructions"},
    ]
    return {"@context": context, "@graph": graph}


def _ref(identifier: str) -> Entity:
    return {"@id": identifier}


def _one(references: list[Entity]) -> Any:
    """JSON-LD's habit: a list of one is the one."""
    return references[0] if len(references) == 1 else references


def _slug(name: str) -> str:
    return name.replace(" ", "-")


def _executed(run: RunRecord) -> str:
    return f"runs/{_slug(run.name)}.ipynb"


def _descriptor() -> Entity:
    profiles = [
        "https://w3id.org/ro/crate/1.1",
        "https://w3id.org/workflowhub/workflow-ro-crate/1.0",
    ]
    return {
        "@id": METADATA,
        "@type": "CreativeWork",
        "about": _ref("./"),
        "conformsTo": [_ref(one) for one in profiles],
    }


def _root(task: Task, verdict: Verdict, files: Mapping[str, bytes]) -> Entity:
    actions = ["#audit", *(f"#run-{_slug(run.name)}" for run in verdict.runs)]
    return {
        "@id": "./",
        "@type": "Dataset",
        "name": f"opspawn audit of {verdict.notebook}",
        "description": f"Evidence of re-executing the notebook; it came to {verdict.headline}.",
        "datePublished": _stamp(task.finished_at),
        "license": _ref("#terms"),
        "author": _ref("#requester"),
        "publisher": _ref("#publisher"),
        "conformsTo": [_ref(one) for one in _PROFILES],
        "hasPart": [_ref(path) for path in sorted(files)],
        "mainEntity": _ref(WORKFLOW),
        "mentions": [_ref(one) for one in actions],
    }


def _context_entities(task: Task) -> list[Entity]:
    profiles = [
        {"@id": url, "@type": "CreativeWork", "name": name, "version": version}
        for url, (name, version) in _PROFILES.items()
    ]
    shapes = [
        {"@id": url, "@type": "CreativeWork", "name": name, "version": "1.0-RELEASE"}
        for url, name in ((_WORKFLOW_PROFILE, "ComputationalWorkflow"),
                          (_PARAMETER_PROFILE, "FormalParameter"))
    ]  # fmt: skip
    publisher = {"@id": "#publisher", "@type": "Organization", "name": "the server's operator",
                 "url": _HOME}  # fmt: skip
    terms = "The terms of the notebook and its project apply."
    return [
        *profiles,
        *shapes,
        publisher,
        {"@id": "#requester", "@type": "Person", "name": task.submitted_by or "unknown",
         "affiliation": _ref("#publisher")},
        {"@id": "#terms", "@type": "CreativeWork", "name": "as the project's", "description": terms,
         "identifier": "#terms"},
        {"@id": "#language", "@type": "ComputerLanguage", "name": "opspawn audit",
         "alternateName": "opspawn", "identifier": _ref(_HOME), "url": _ref(_HOME),
         "version": __version__},
        {"@id": _HOME, "@type": "WebPage", "name": "Jupyter"},
        {"@id": "#engine", "@type": "SoftwareApplication", "name": "opspawn_jupyter",
         "softwareVersion": __version__, "url": _HOME},
        {"@id": _PYTHON, "@type": "ComputerLanguage", "name": "Python", "url": _PYTHON},
    ]  # fmt: skip


def _file(path: str, content: bytes, **more: Any) -> Entity:
    suffix = PurePosixPath(path).suffix
    return {
        "@id": path,
        "@type": "File",
        "name": PurePosixPath(path).name,
        "encodingFormat": _TYPES.get(suffix, "application/octet-stream"),
        "contentSize": str(len(content)),
        "sha256": hashlib.sha256(content).hexdigest(),
        **({"about": _ref("./")} if path == "README.md" else {}),
        **({"exampleOfWork": _ref(_output(path))} if path.startswith("runs/") else {}),
        **more,
    }


def _output(path: str) -> str:
    return f"{WORKFLOW}#{PurePosixPath(path).stem}"


def _workflow_file(verdict: Verdict, content: bytes) -> Entity:
    outputs = [_ref(_output(_executed(run))) for run in verdict.runs]
    steps = [_ref(f"{WORKFLOW}#step-{_slug(run.name)}") for run in verdict.runs]
    return _file(
        WORKFLOW,
        content,
        **{
            "@type": ["File", "SoftwareSourceCode", "ComputationalWorkflow", "HowTo"],
            "conformsTo": _ref(_WORKFLOW_PROFILE),
            "programmingLanguage": _ref("#language"),
            "version": str(verdict.policy_version),
            "url": _HOME,
            "hasPart": _ref(NOTEBOOK),
            "step": _one(steps),
            "input": _ref(f"{WORKFLOW}#notebook"),
            "output": _one(outputs),
        },
    )


def _tool(content: bytes) -> Entity:
    return _file(
        NOTEBOOK,
        content,
        **{
            "@type": ["File", "SoftwareSourceCode", "SoftwareApplication"],
            "programmingLanguage": _ref(_PYTHON),
            "softwareRequirements": _ref("#engine"),
            "version": hashlib.sha256(content).hexdigest()[:12],
            "url": _HOME,
            "input": _ref(f"{NOTEBOOK}#source"),
            "output": _ref(f"{NOTEBOOK}#executed"),
            "exampleOfWork": [_ref(f"{WORKFLOW}#notebook"), _ref(f"{NOTEBOOK}#source")],
        },
    )


def _parameters(verdict: Verdict) -> list[Entity]:
    names = [
        f"{WORKFLOW}#notebook",
        f"{NOTEBOOK}#source",
        f"{NOTEBOOK}#executed",
        *(_output(_executed(run)) for run in verdict.runs),
    ]
    return [
        {
            "@id": name,
            "@type": "FormalParameter",
            "name": name.rpartition("#")[2],
            "additionalType": "File",
            "encodingFormat": _TYPES[".ipynb"],
            "conformsTo": _ref(_PARAMETER_PROFILE),
        }
        for name in names
    ]


def _step(task: Task, run: RunRecord) -> list[Entity]:
    slug = _slug(run.name)
    made = ", ".join(run.perturbed) or "nothing"
    said = f"Run of the notebook, made different: {made}"
    seconds = {
        "@id": f"#seconds-{slug}",
        "@type": "PropertyValue",
        "propertyID": f"{_HOME}#wall-seconds",
        "name": "wall seconds",
        "unitCode": "https://qudt.org/vocab/unit/SEC",
        "value": str(run.seconds),
    }
    action = {
        **_action(f"#run-{slug}", "CreateAction", said, task, (run.state, run.problem)),
        "instrument": _ref(NOTEBOOK),
        "object": _ref(NOTEBOOK),
        "result": _ref(_executed(run)),
        "resourceUsage": _ref(f"#seconds-{slug}"),
    }
    step = {
        "@id": f"{WORKFLOW}#step-{slug}",
        "@type": "HowToStep",
        "name": run.name,
        "position": "0",
        "workExample": _ref(NOTEBOOK),
        "buildInstructions": _ref("sbom.cdx.json"),
    }
    control = {
        **_action(f"#control-{slug}", "ControlAction", f"Step {run.name}", task, (run.state, "")),
        "instrument": _ref(f"{WORKFLOW}#step-{slug}"),
        "object": _ref(f"#run-{slug}"),
    }
    return [seconds, step, action, control]


def _whole(task: Task, verdict: Verdict) -> list[Entity]:
    results = [_ref(_executed(run)) for run in verdict.runs]
    audit = {
        **_action("#audit", "CreateAction", "Audit of the notebook", task, _WELL),
        "instrument": _ref(WORKFLOW),
        "object": _ref(NOTEBOOK),
        "result": _one(results),
    }
    controls = [_ref(f"#control-{_slug(run.name)}") for run in verdict.runs]
    organised = {
        **_action("#organised", "OrganizeAction", "Run of the engine", task, _WELL),
        "instrument": _ref("#engine"),
        "object": _one(controls),
        "result": _ref("#audit"),
    }
    return [audit, organised]


def _action(identifier: str, kind: str, name: str, task: Task, end: tuple[str, str]) -> Entity:
    """``end``: the final state, and what went wrong."""
    state, problem = end
    has_failed = state != State.SUCCESS
    status = "FailedActionStatus" if has_failed else "CompletedActionStatus"
    return {
        "@id": identifier,
        "@type": kind,
        "name": name,
        "description": name,
        "startTime": _stamp(task.started_at),
        "endTime": _stamp(task.finished_at),
        "actionStatus": f"http://schema.org/{status}",
        "agent": _ref("#requester"),
        **({"error": problem} if has_failed and problem else {}),
    }


def _stamp(at: datetime | None) -> str:
    """Milliseconds and an explicit offset: what the profiles' checks accept."""
    return (at or datetime.fromtimestamp(0, UTC)).astimezone(UTC).isoformat(timespec="milliseconds")
