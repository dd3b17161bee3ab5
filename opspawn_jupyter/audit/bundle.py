"""An audit's evidence, sealed: what others can verify without this server and without opspawn.

A bag (BagIt) whose payload is an RO-Crate. Beside the manifest lies a signed statement over it,
and in the payload the task's events with a proof that each stands in the journal.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from opspawn_jupyter.audit import bag, crate, publish, signing
from opspawn_jupyter.audit.merkle import Tree
from opspawn_jupyter.model import event_hash, wire
from opspawn_jupyter.model.audit import Answer, Sameness, Verdict
from opspawn_jupyter.model.event import Event
from opspawn_jupyter.model.signature import Signature, SignatureList
from opspawn_jupyter.model.task import Task

ATTESTATION = "attestation.dsse.json"
PUBLIC_KEY = "public-key.pem"
EVENTS = "log/events.jsonl"
TREE_HEAD = "log/tree-head.json"
#: What people signed under the report; absent where nobody did.
SIGNATURES = "signatures.json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://in-toto.io/attestation/test-result/v0.1"
_RESULTS = {Answer.FAIL: "FAILED", Answer.INCONCLUSIVE: "WARNED"}


@dataclass(frozen=True, kw_only=True)
class Journal:
    """The history up to the last event about the audit."""

    #: Hash of each event, the first one's first.
    hashes: Sequence[str]
    #: Those about the audit.
    events: Sequence[Event]
    #: What people signed under it, the oldest first.
    signatures: tuple[Signature, ...] = ()


def sealed(
    task: Task,
    artifacts: Mapping[str, bytes],
    notebook: bytes,
    journal: Journal,
    key: Ed25519PrivateKey,
) -> bytes:
    """The bundle as a zip file. The same evidence gives the same bytes."""
    verdict = wire.decode(Verdict, json.loads(artifacts[publish.REPORT]))
    payload = _payload(task, verdict, artifacts, notebook, journal)
    files = {f"{bag.PAYLOAD}{path}": content for path, content in payload.items()}
    manifest = bag.manifest(files)
    tags = {
        "bagit.txt": bag.DECLARATION,
        "bag-info.txt": _info(task, files),
        bag.MANIFEST: manifest,
        ATTESTATION: signing.sign(_statement(verdict, notebook, manifest), key),
        PUBLIC_KEY: signing.public_pem(key),
    }
    return bag.packed({**files, **tags, bag.TAG_MANIFEST: bag.manifest(tags)})


def _payload(
    task: Task,
    verdict: Verdict,
    artifacts: Mapping[str, bytes],
    notebook: bytes,
    journal: Journal,
) -> dict[str, bytes]:
    tree = Tree(journal.hashes)
    plain = {
        **artifacts,
        crate.NOTEBOOK: notebook,
        crate.WORKFLOW: _json(crate.workflow(verdict.runs)),
        "README.md": _readme(task, verdict, journal.signatures).encode(),
        "task.json": _json(wire.encode(task)),
        EVENTS: "".join(_line(event, journal, tree) for event in journal.events).encode(),
        TREE_HEAD: _json({"tree_size": len(journal.hashes), "root_sha256": tree.root}),
    }
    if journal.signatures:
        plain[SIGNATURES] = _json(wire.encode(SignatureList(signatures=journal.signatures)))
    return {**plain, crate.METADATA: _json(crate.metadata(task, verdict, plain))}


def _line(event: Event, journal: Journal, tree: Tree) -> str:
    """The event as it was hashed, what it follows, and its way to the root."""
    place = event.seq - 1
    line = {
        "event": json.loads(event_hash.body(event)),
        "hash": event.hash,
        "previous": journal.hashes[place - 1] if place else "",
        "inclusion": tree.path(place),
    }
    return json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n"


def _info(task: Task, files: Mapping[str, bytes]) -> bytes:
    size = sum(map(len, files.values()))
    date = f"{task.finished_at:%Y-%m-%d}" if task.finished_at else ""
    lines = (
        f"Bagging-Date: {date}",
        f"External-Identifier: {task.id}",
        f"Payload-Oxum: {size}.{len(files)}",
    )
    return "".join(f"{line}\n" for line in lines).encode()


def _statement(verdict: Verdict, notebook: bytes, manifest: bytes) -> dict[str, Any]:
    """What is signed: the verdict about this notebook, over the digest of everything."""
    answers = {lamp.light.value: lamp.answer for lamp in verdict.lamps}
    worst = next((one for one in _RESULTS if one in answers.values()), Answer.PASS)
    different = [
        f"cell {cell.index}" for cell in verdict.cells if cell.stored is Sameness.DIFFERENT
    ]
    return {
        "_type": STATEMENT_TYPE,
        "subject": [
            {"name": verdict.notebook, "digest": {"sha256": _sha256(notebook)}},
            {"name": bag.MANIFEST, "digest": {"sha256": _sha256(manifest)}},
        ],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "result": _RESULTS.get(worst, "PASSED"),
            "configuration": [{"name": bag.MANIFEST, "digest": {"sha256": _sha256(manifest)}}],
            "passedTests": [name for name, one in answers.items() if one is Answer.PASS],
            "warnedTests": [n for n, one in answers.items() if one is Answer.INCONCLUSIVE],
            "failedTests": [*(n for n, one in answers.items() if one is Answer.FAIL), *different],
            "headline": verdict.headline.value,
        },
    }


def _readme(task: Task, verdict: Verdict, signatures: Sequence[Signature]) -> str:
    signed = (
        "".join(
            f"- {one.name}, {one.meaning}, {one.signed_at:%Y-%m-%d %H:%M} UTC: {one.reason}\n"
            for one in signatures
        )
        or "- nobody\n"
    )
    lights = "\n".join(f"- {lamp.light}: {lamp.answer}. {lamp.reason}" for lamp in verdict.lamps)
    why = task.spec.get("reason") or "not stated"
    return (
        f"# Audit of {verdict.notebook}\n\nHeadline: **{verdict.headline}**\n\n{lights}\n\n"
        f"Asked for by {task.submitted_by or 'unknown'}; reason: {why}.\n\n"
        f"Signed by:\n\n{signed}\n"
        "`report.html` is for people, `report.json` for programs. Verify the bundle with\n"
        "`opspawn verify`, or with `sha256sum -c manifest-sha256.txt`, a BagIt tool, an RO-Crate\n"
        "validator and any DSSE verifier.\n"
    )


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=1, ensure_ascii=False, sort_keys=True).encode() + b"\n"


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
