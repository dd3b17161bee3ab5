"""A sealed bundle: others can read it, and no byte of it can be changed unnoticed."""

from __future__ import annotations

import hashlib
import json
import subprocess
import zipfile
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from opspawn_jupyter.audit import bundle, publish, signing
from opspawn_jupyter.audit.verify import verify
from opspawn_jupyter.model import wire
from opspawn_jupyter.model.audit import (
    Answer,
    Headline,
    Lamp,
    Light,
    Perturbation,
    RunRecord,
    Verdict,
)
from opspawn_jupyter.model.event import Draft, Event
from opspawn_jupyter.model.states import EventType, State
from opspawn_jupyter.model.task import Task
from opspawn_jupyter.stores import chain

AT = datetime(2026, 11, 20, 12, 0, 0, tzinfo=UTC)
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
NOTEBOOK = b'{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}'


def _verdict() -> Verdict:
    lamps = tuple(Lamp(light=light, answer=Answer.PASS, reason="so it is") for light in Light)
    runs = [
        RunRecord(name=name, perturbed=changes, state="success", seconds=1.0, cells_run=0,
                  cells_total=0)
        for name, changes in (("control", ()), ("perturbed", tuple(Perturbation)))
    ]  # fmt: skip
    digest = hashlib.sha256(NOTEBOOK).hexdigest()
    return Verdict(
        headline=Headline.HERMETIC,
        lamps=lamps,
        notebook="a.ipynb",
        source_sha256=digest,
        kernel="python3",
        cells=(),
        runs=tuple(runs),
    )


def _events() -> list[Event]:
    """A history in which the audit's events stand among others."""
    events: list[Event] = []
    for seq in range(1, 12):
        task = "audit" if seq % 3 == 0 else "other"
        draft = Draft(task_id=task, type=EventType.STEP_LOG, at=AT, data={"text": f"line {seq}"})
        events.append(chain.link(draft, seq, events[-1].hash if events else "")[0])
    return events


@cache
def sealed() -> bytes:
    """The bundle of an audit."""
    verdict = _verdict()
    artifacts = {
        publish.REPORT: json.dumps(wire.encode(verdict)).encode(),
        publish.PAGE: b"<html></html>",
        publish.JUNIT: b"<testsuites/>",
        publish.SBOM: b"{}",
        "runs/control.ipynb": NOTEBOOK,
        "runs/perturbed.ipynb": NOTEBOOK,
    }
    task = Task(
        id="0192aaaa-0000-7000-8000-000000000001",
        kind="audit",
        name="audit-a",
        state=State.SUCCESS,
        spec={"notebook": "a.ipynb", "reason": "the review"},
        run_directory="opspawn_runs/a",
        submitted_by="alice",
        created_at=AT,
        started_at=AT,
        finished_at=AT,
    )
    events = _events()
    journal = bundle.Journal(
        hashes=[event.hash for event in events],
        events=[event for event in events if event.task_id == "audit"],
    )
    return bundle.sealed(task, artifacts, NOTEBOOK, journal, KEY)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    target = tmp_path / "evidence.zip"
    target.write_bytes(sealed())
    return target


def unpack(path: Path) -> Path:
    directory = path.with_suffix("")
    with zipfile.ZipFile(path) as archive:
        archive.extractall(directory)
    return directory


def test_a_bundle_verifies_zipped_and_unpacked(path: Path) -> None:
    assert verify(path).problem is None
    assert verify(path).headline == "HERMETIC"
    assert verify(unpack(path)).problem is None


def test_the_same_evidence_gives_the_same_bytes() -> None:
    """Two exports can be compared, and a change of the archive itself can be told."""
    first = sealed()
    sealed.cache_clear()

    assert sealed() == first


@settings(max_examples=120, deadline=None)
@given(place=st.integers(0, len(sealed()) - 1), flip=st.integers(1, 255))
def test_no_byte_can_be_changed_unnoticed(
    tmp_path_factory: pytest.TempPathFactory, place: int, flip: int
) -> None:
    """Files, manifests, signature, key, and the archive's own tables."""
    changed = bytearray(sealed())
    changed[place] ^= flip
    target = tmp_path_factory.getbasetemp() / "flipped.zip"
    target.write_bytes(changed)

    assert verify(target).problem is not None


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("data/report.html", "data/report.html was changed"),
        ("data/log/events.jsonl", "data/log/events.jsonl was changed"),
        ("bag-info.txt", "bag-info.txt was changed"),
        ("attestation.dsse.json", "attestation.dsse.json was changed"),
    ],
)
def test_the_changed_file_is_named(path: Path, name: str, said: str) -> None:
    directory = unpack(path)
    (directory / name).write_bytes((directory / name).read_bytes() + b" ")

    assert said in (verify(directory).problem or "")


def test_whoever_seals_anew_with_another_key_is_found_by_the_right_one(path: Path) -> None:
    """The bundle's own key shows only that nothing changed; a pinned one shows who sealed it."""
    stranger = signing.public_pem(Ed25519PrivateKey.generate())

    assert "signature" in (verify(path, stranger).problem or "")
    assert verify(path, signing.public_pem(KEY)).problem is None


def test_sha256sum_reads_the_manifests(path: Path) -> None:
    """Nothing of ours is needed to check that files are whole."""
    directory = unpack(path)

    for manifest in ("manifest-sha256.txt", "tagmanifest-sha256.txt"):
        command = ["sha256sum", "--check", "--strict", "--quiet", manifest]
        subprocess.run(command, cwd=directory, check=True)
