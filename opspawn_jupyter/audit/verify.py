"""A bundle verified without a server: every file, every event, the signature, and the archive."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opspawn_jupyter.audit import approval, bag, bundle, crate, period, publish, signing
from opspawn_jupyter.audit.merkle import root_from
from opspawn_jupyter.model import event_hash, wire
from opspawn_jupyter.model.event import Event


@dataclass(frozen=True, kw_only=True)
class Verified:
    """What was found."""

    #: The first thing that is wrong, named; None where nothing is.
    problem: str | None
    #: What was found to be right, in order.
    checks: tuple[str, ...] = ()
    #: Names the key that signed.
    key_id: str = ""
    headline: str = ""


class _Bad(Exception):
    """Something is not as it was sealed."""


@dataclass(frozen=True)
class _Sealed:
    files: Mapping[str, bytes]

    def read(self, path: str) -> bytes:
        """A file's content."""
        try:
            return self.files[path]
        except KeyError:
            raise _Bad(f"{path} is missing") from None

    def json(self, path: str) -> Any:
        """A file's content, parsed."""
        try:
            return json.loads(self.read(path))
        except ValueError as failure:
            raise _Bad(f"{path} is no JSON: {failure}") from failure


def verify(path: Path, key: bytes | None = None) -> Verified:
    """Verify a bundle. ``key``: the public key (PEM) that must have signed it; else the bundle's
    own, which shows that nothing changed since, not who it was."""
    checks: list[str] = []
    try:
        files = bag.unpacked(path)
        sealed = _Sealed(files)
        is_period = f"{bag.PAYLOAD}{period.TRAIL}" in files
        for said, check in (_OF_A_PERIOD if is_period else _OF_AN_AUDIT).items():
            check(sealed)
            checks.append(said)
        statement = _signed(sealed, key, is_period=is_period)
        checks.append("the signature is right, and is over this manifest")
        _require_same_archive(path, files)
    except _Bad as bad:
        return Verified(problem=str(bad), checks=tuple(checks))
    except (OSError, ValueError) as failure:
        return Verified(problem=f"{path.name} cannot be read: {failure}", checks=tuple(checks))
    return Verified(
        problem=None,
        checks=tuple(checks),
        key_id=signing.key_id(key or sealed.read(bundle.PUBLIC_KEY)),
        headline=_headline(statement),
    )


def _headline(statement: Mapping[str, Any]) -> str:
    said = statement["predicate"]
    if "headline" in said:
        return str(said["headline"])
    return f"history from {said['since']} to {said['until']}, {said['events']} events"


def _require_same_archive(path: Path, files: Mapping[str, bytes]) -> None:
    if path.is_file() and bag.packed(files) != path.read_bytes():
        raise _Bad(f"{path.name}: the archive around the files was changed")


def _payload_is_whole(sealed: _Sealed) -> None:
    payload = {p: c for p, c in sealed.files.items() if p.startswith(bag.PAYLOAD)}
    _compare(sealed, bag.MANIFEST, payload)


def _tags_are_whole(sealed: _Sealed) -> None:
    if sealed.read("bagit.txt") != bag.DECLARATION:
        raise _Bad("bagit.txt was changed")
    tags = {
        path: content
        for path, content in sealed.files.items()
        if not path.startswith(bag.PAYLOAD) and path != bag.TAG_MANIFEST
    }
    _compare(sealed, bag.TAG_MANIFEST, tags)


def _compare(sealed: _Sealed, name: str, files: Mapping[str, bytes]) -> None:
    """The manifest's lines with the files, then its bytes with what they must be."""
    stated = dict(_lines(sealed.read(name), name))
    for path in sorted({*stated, *files}):
        if path not in files:
            raise _Bad(f"{path} is missing")
        if path not in stated:
            raise _Bad(f"{path} is not in {name}: it was added")
        if hashlib.sha256(files[path]).hexdigest() != stated[path]:
            raise _Bad(f"{path} was changed, or its line in {name}")
    if bag.manifest(files) != sealed.read(name):
        raise _Bad(f"{name} was changed")


def _lines(manifest: bytes, name: str) -> Iterator[tuple[str, str]]:
    try:
        text = manifest.decode()
    except UnicodeDecodeError as failure:
        raise _Bad(f"{name} was changed: it is no text") from failure
    for line in text.splitlines():
        digest, _, path = line.partition("  ")
        if not path:
            raise _Bad(f"{name} was changed: {line!r} is no line of it")
        yield path, digest


def _events_are_in_the_journal(sealed: _Sealed) -> None:
    head = sealed.json(f"{bag.PAYLOAD}{bundle.TREE_HEAD}")
    lines = list(_events(sealed))
    if not lines:
        raise _Bad(f"{bundle.EVENTS} holds no event")
    for given in lines:
        _require_in_journal(_linked(given), given["inclusion"], head)


def _events(sealed: _Sealed) -> Iterator[Mapping[str, Any]]:
    text = sealed.read(f"{bag.PAYLOAD}{bundle.EVENTS}").decode("utf-8", "replace")
    yield from map(json.loads, text.splitlines())


def _linked(given: Mapping[str, Any]) -> Event:
    event = wire.decode(Event, {**given["event"], "hash": given["hash"]})
    if not event_hash.is_linked(event, given["previous"]):
        raise _Bad(f"event {event.seq} was changed, or does not follow the one before it")
    return event


def _require_in_journal(event: Event, path: Sequence[str], head: Mapping[str, Any]) -> None:
    if root_from(event.hash, event.seq - 1, head["tree_size"], path) != head["root_sha256"]:
        raise _Bad(f"event {event.seq} is not in the journal whose tree head is stated")


def _report_is_of_the_notebook(sealed: _Sealed) -> None:
    report = sealed.json(f"{bag.PAYLOAD}{publish.REPORT}")
    notebook = sealed.read(f"{bag.PAYLOAD}{crate.NOTEBOOK}")
    if hashlib.sha256(notebook).hexdigest() != report["source_sha256"]:
        raise _Bad(f"{crate.NOTEBOOK} is not the notebook that the report is about")


def _events_are_a_stretch(sealed: _Sealed) -> None:
    """Every event between the first and the last is there; these two are in the journal."""
    head = sealed.json(f"{bag.PAYLOAD}{bundle.TREE_HEAD}")
    before: Mapping[str, Any] | None = None
    for given in _events(sealed):
        seq = given["event"]["seq"]
        if before is not None and (given["previous"], seq) != (
            before["hash"],
            before["event"]["seq"] + 1,
        ):
            raise _Bad(f"event {seq} does not follow the one before it: some are missing")
        event = _linked(given)
        if before is None:
            _require_in_journal(event, given["inclusion"], head)
        before = given
    if before is not None:
        _require_in_journal(_linked(before), before["inclusion"], head)


def _signatures_are_under_the_report(sealed: _Sealed) -> None:
    path = f"{bag.PAYLOAD}{bundle.SIGNATURES}"
    if path not in sealed.files:
        return
    report = hashlib.sha256(sealed.read(f"{bag.PAYLOAD}{publish.REPORT}")).hexdigest()
    for one in sealed.json(path)["signatures"]:
        problem = approval.problem(one, sealed.read(bundle.PUBLIC_KEY), report)
        if problem is not None:
            raise _Bad(f"{bundle.SIGNATURES}: {problem}")


_WHOLE: Mapping[str, Callable[[_Sealed], None]] = {
    "every file of the payload is there, and unchanged": _payload_is_whole,
    "every file around it too": _tags_are_whole,
}
_OF_A_PERIOD: Mapping[str, Callable[[_Sealed], None]] = {
    **_WHOLE,
    "each event follows the one before it, and the ends are in the journal": _events_are_a_stretch,
}
_OF_AN_AUDIT: Mapping[str, Callable[[_Sealed], None]] = {
    **_WHOLE,
    "each event follows the one before it, and is in the journal": _events_are_in_the_journal,
    "the report is about this notebook": _report_is_of_the_notebook,
    "what people signed is under this report": _signatures_are_under_the_report,
}


def _signed(sealed: _Sealed, key: bytes | None, *, is_period: bool) -> Mapping[str, Any]:
    try:
        pem = key or sealed.read(bundle.PUBLIC_KEY)
        statement = signing.opened(sealed.read(bundle.ATTESTATION), pem)
    except ValueError as failure:
        raise _Bad(f"{bundle.ATTESTATION}: {failure}") from failure
    subjects = {one["name"]: one["digest"]["sha256"] for one in statement["subject"]}
    manifest = hashlib.sha256(sealed.read(bag.MANIFEST)).hexdigest()
    expected = {manifest}
    if not is_period:
        notebook = sealed.read(f"{bag.PAYLOAD}{crate.NOTEBOOK}")
        expected.add(hashlib.sha256(notebook).hexdigest())
    if subjects.get(bag.MANIFEST) != manifest or not expected <= set(subjects.values()):
        raise _Bad(f"{bundle.ATTESTATION} is about other files")
    return statement
