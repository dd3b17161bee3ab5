"""A period of the history, sealed: nothing in it can be changed, and none of it left out."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from opspawn_jupyter.audit import bag, bundle, period, signing
from opspawn_jupyter.audit.verify import verify
from opspawn_jupyter.model.event import Draft, Event
from opspawn_jupyter.model.states import EventType
from opspawn_jupyter.stores import chain

AT = datetime(2026, 11, 20, 12, 0, 0, tzinfo=UTC)
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


def history() -> list[Event]:
    events: list[Event] = []
    for seq in range(1, 21):
        data = {"by": "alice", "reason": f"=reason {seq}"}
        draft = Draft(task_id="t", type=EventType.PRUNED, at=AT + timedelta(hours=seq), data=data)
        events.append(chain.link(draft, seq, events[-1].hash if events else "")[0])
    return events


def sealed(chosen: slice) -> bytes:
    events = history()
    asked = period.Period(
        since=AT,
        until=AT + timedelta(days=1),
        events=events[chosen],
        hashes=[event.hash for event in events],
    )
    return period.sealed(asked, KEY)


@pytest.mark.parametrize("chosen", [slice(0, 20), slice(5, 9), slice(19, 20), slice(0, 0)])
def test_a_period_verifies_whatever_part_of_the_history_it_is(
    tmp_path: Path, chosen: slice
) -> None:
    path = tmp_path / "period.zip"
    path.write_bytes(sealed(chosen))

    found = verify(path, signing.public_pem(KEY))

    assert found.problem is None
    assert f"{len(range(*chosen.indices(20)))} events" in found.headline


def test_the_trail_says_who_did_what_when_and_why() -> None:
    """It is opened in programs that would take a reason that begins so for a formula."""
    with zipfile.ZipFile(io.BytesIO(sealed(slice(5, 7)))) as archive:
        rows = list(csv.DictReader(io.StringIO(archive.read("data/trail.csv").decode())))

    assert [(row["seq"], row["who"], row["what"]) for row in rows] == [
        ("6", "alice", "task.pruned"),
        ("7", "alice", "task.pruned"),
    ]
    assert rows[0]["at"].startswith("2026-11-20T18:00")
    assert rows[0]["why"] == "'=reason 6"


def test_an_event_that_was_left_out_is_missed_though_all_is_sealed_anew(tmp_path: Path) -> None:
    """Whoever holds the key can make manifests and signature again; the chain has a gap then."""
    path = tmp_path / "period.zip"
    path.write_bytes(sealed(slice(3, 9)))
    files = dict(bag.unpacked(path))
    name = f"{bag.PAYLOAD}{bundle.EVENTS}"
    lines = files[name].splitlines(keepends=True)
    files[name] = b"".join(lines[:2] + lines[3:])
    payload = {p: c for p, c in files.items() if p.startswith(bag.PAYLOAD)}
    files[bag.MANIFEST] = bag.manifest(payload)
    around = {p: c for p, c in files.items() if p not in payload and p != bag.TAG_MANIFEST}
    files[bag.TAG_MANIFEST] = bag.manifest(around)
    path.write_bytes(bag.packed(files))

    assert "some are missing" in (verify(path).problem or "")


def test_every_line_carries_the_event_as_it_was_hashed() -> None:
    with zipfile.ZipFile(io.BytesIO(sealed(slice(5, 9)))) as archive:
        lines = archive.read("data/log/events.jsonl").decode().splitlines()

    events = history()
    assert [json.loads(line)["hash"] for line in lines] == [one.hash for one in events[5:9]]
