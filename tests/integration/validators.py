"""Reads a bundle with tools of others, which know nothing of us; run by their own Python.

``validators.py BUNDLE_DIRECTORY EVENTS``: all complaints are printed, and end it with 1. Nothing is
fetched: the crate's vocabulary is taken from what these packages bring.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_RUN = "https://w3id.org/ro/terms/workflow-run#"
_BIOSCHEMAS = "https://bioschemas.org"
#: Terms of the profiles that lie outside of RO-Crate's own context.
_TERMS = {
    **{name: _RUN + name for name in (
        "ParameterConnection", "connection", "sourceParameter", "targetParameter", "sha256",
        "environment", "containerImage", "resourceUsage")},
    "ComputationalWorkflow": f"{_BIOSCHEMAS}/ComputationalWorkflow",
    "FormalParameter": f"{_BIOSCHEMAS}/FormalParameter",
    "input": f"{_BIOSCHEMAS}/ComputationalWorkflow#input",
    "output": f"{_BIOSCHEMAS}/ComputationalWorkflow#output",
    "buildInstructions": "https://codemeta.github.io/terms/buildInstructions",
}  # fmt: skip
_PROFILES = ("ro-crate-1.1", "process-run-crate-0.5", "workflow-run-crate-0.5",
             "provenance-run-crate-0.5")  # fmt: skip


def complaints(bundle: Path, events: Path) -> Iterator[str]:
    """What is wrong, by whom."""
    yield from _bag(bundle)
    crate = bundle / "data"
    yield from _crate(crate)
    yield from _report(crate)
    yield from _sbom(crate / "sbom.cdx.json")
    yield from _lineage(events)


def _bag(bundle: Path) -> Iterator[str]:
    import bagit

    try:
        bagit.Bag(str(bundle)).validate()
        print("bagit: valid")
    except bagit.BagError as failure:
        yield f"bagit: {failure}"


def _crate(crate: Path) -> Iterator[str]:
    from rocrate_validator import services

    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch, "crate")
        shutil.copytree(crate, copy)
        path = copy / "ro-crate-metadata.json"
        path.write_text(json.dumps(_spelled_out(json.loads(path.read_text()))))
        for profile in _PROFILES:
            settings = services.ValidationSettings(
                rocrate_uri=str(copy),
                profile_identifier=profile,
                offline=True,
                cache_path=str(Path(scratch, "cache")),
            )
            result = services.validate(settings)
            print(f"roc-validator: {profile}: {'valid' if result.passed() else 'not valid'}")
            for issue in result.get_issues():
                yield f"roc-validator: {profile}: {issue.check.identifier}: {issue.message}"


def _spelled_out(crate: dict[str, Any]) -> dict[str, Any]:
    """The crate with the words that it uses defined in it, so that none has to be fetched."""
    from rocrate.vocabs import RO_CRATE

    known = {**RO_CRATE["@context"], **_TERMS}
    used: set[str] = set()
    for entity in crate["@graph"]:
        used |= {name for name in entity if not name.startswith("@")}
        kinds = entity["@type"]
        used |= set(kinds if isinstance(kinds, list) else [kinds])
    return {**crate, "@context": {name: known[name] for name in sorted(used) if name in known}}


def _report(crate: Path) -> Iterator[str]:
    command = [str(Path(sys.executable).with_name("runcrate")), "report", str(crate)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode or "action:" not in done.stdout:
        yield f"runcrate: {done.stderr or done.stdout}"
    else:
        print(f"runcrate: {done.stdout.count('action:')} actions")


def _sbom(path: Path) -> Iterator[str]:
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    text = path.read_text()
    version = SchemaVersion.from_version(json.loads(text)["specVersion"])
    problem = JsonStrictValidator(version).validate_str(text)
    if problem is not None:
        yield f"cyclonedx: {problem}"
    else:
        print(f"cyclonedx: valid {version.to_version()}")


def _lineage(events: Path) -> Iterator[str]:
    """Each event through the official client's own models."""
    from openlineage.client.event_v2 import (
        InputDataset,
        Job,
        OutputDataset,
        Run,
        RunEvent,
        RunState,
    )

    lines = events.read_text().splitlines()
    for number, line in enumerate(lines, start=1):
        said = json.loads(line)
        try:
            RunEvent(
                eventType=RunState[said["eventType"]],
                eventTime=said["eventTime"],
                run=Run(**said["run"]),
                job=Job(**said["job"]),
                inputs=[InputDataset(**one) for one in said["inputs"]],
                outputs=[OutputDataset(**one) for one in said["outputs"]],
                producer=said["producer"],
            )
        except (ValueError, TypeError, KeyError) as failure:
            yield f"openlineage: event {number}: {failure}"
    print(f"openlineage: {len(lines)} events read")


def main() -> int:
    """Print all; 1 where anything is wrong."""
    found = list(complaints(Path(sys.argv[1]), Path(sys.argv[2])))
    for one in found:
        print(one)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
