"""The history of a period, sealed: every event of it, in the chain, for whoever has to look.

A bag (BagIt) like that of an audit. The events stand one after the other, so their chain shows
that none is missing between the first and the last; those two carry a proof that they stand in
the journal.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from opspawn_jupyter.audit import bag, bundle, signing
from opspawn_jupyter.audit.merkle import Tree
from opspawn_jupyter.model import event_hash, wire
from opspawn_jupyter.model.event import Event
from opspawn_jupyter.model.period import Entry, entry
from opspawn_jupyter.model.states import EventType

TRAIL = "trail.csv"
PREDICATE_TYPE = "urn:opspawn:period:v1"
#: What begins so is taken for a formula by programs that show tables.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, kw_only=True)
class Period:
    """What is exported: from ``since`` on, before ``until``."""

    since: datetime
    until: datetime
    #: Those of the period, in order.
    events: Sequence[Event]
    #: Hash of each event of the journal, the first one's first, as far as it is known.
    hashes: Sequence[str]


def sealed(period: Period, key: Ed25519PrivateKey) -> bytes:
    """The bag as a zip file. The same history gives the same bytes."""
    payload = _payload(period)
    files = {f"{bag.PAYLOAD}{path}": content for path, content in payload.items()}
    manifest = bag.manifest(files)
    size = sum(map(len, files.values()))
    tags = {
        "bagit.txt": bag.DECLARATION,
        "bag-info.txt": f"Payload-Oxum: {size}.{len(files)}\n".encode(),
        bag.MANIFEST: manifest,
        bundle.ATTESTATION: signing.sign(_statement(period, manifest), key),
        bundle.PUBLIC_KEY: signing.public_pem(key),
    }
    return bag.packed({**files, **tags, bag.TAG_MANIFEST: bag.manifest(tags)})


def _payload(period: Period) -> dict[str, bytes]:
    tree = Tree(period.hashes)
    ends = {period.events[0].seq, period.events[-1].seq} if period.events else set()
    lines = [_line(event, period, tree, event.seq in ends) for event in period.events]
    head = {"tree_size": len(period.hashes), "root_sha256": tree.root}
    return {
        bundle.EVENTS: "".join(lines).encode(),
        bundle.TREE_HEAD: json.dumps(head, sort_keys=True).encode() + b"\n",
        TRAIL: _trail([entry(event) for event in period.events]),
        "README.md": _readme(period).encode(),
    }


def _line(event: Event, period: Period, tree: Tree, is_end: bool) -> str:
    place = event.seq - 1
    line = {
        "event": json.loads(event_hash.body(event)),
        "hash": event.hash,
        "previous": period.hashes[place - 1] if place else "",
        "inclusion": tree.path(place) if is_end else None,
    }
    return json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n"


def _trail(entries: Sequence[Entry]) -> bytes:
    target = io.StringIO()
    writer = csv.writer(target, lineterminator="\n")
    writer.writerow([field.name for field in fields(Entry)])
    for one in entries:
        seq, at, *said = astuple(one)
        writer.writerow([seq, at.isoformat(), *map(_harmless, said)])
    return target.getvalue().encode()


def _harmless(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


def _readme(period: Period) -> str:
    kinds = {
        "signatures": EventType.SIGNATURE_GIVEN,
        "removed run directories, with the digests of their files": EventType.PRUNED,
    }
    counts = "".join(
        f"- {sum(event.type is kind for event in period.events)} {name}\n"
        for name, kind in kinds.items()
    )
    return (
        f"# History from {period.since.isoformat()} to {period.until.isoformat()}\n\n"
        f"- {len(period.events)} events\n{counts}\n"
        "`trail.csv` says who did what, when and why; `log/events.jsonl` has every event whole,\n"
        "in its chain. Verify with `opspawn verify`, or with any BagIt and DSSE tool.\n"
    )


def _statement(period: Period, manifest: bytes) -> Mapping[str, object]:
    digest = hashlib.sha256(manifest).hexdigest()
    said = {"since": period.since, "until": period.until, "events": len(period.events)}
    return {
        "_type": bundle.STATEMENT_TYPE,
        "subject": [{"name": bag.MANIFEST, "digest": {"sha256": digest}}],
        "predicateType": PREDICATE_TYPE,
        "predicate": wire.encode(said),
    }
