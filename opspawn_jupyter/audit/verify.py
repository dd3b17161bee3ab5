"""A bundle verified without a server: every file, every event, the signature, and the archive."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opspawn_jupyter.audit import bag, bundle, crate, publish, signing
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
        for said, check in _CHECKS.items():
            check(sealed)
            checks.append(said)
        statement = _signed(sealed, key)
        checks.append("the signature is right, and is over this manifest and notebook")
        _require_same_archive(path, files)
    except _Bad as bad:
        return Verified(problem=str(bad), checks=tuple(checks))
    except (OSError, ValueError) as failure:
        return Verified(problem=f"{path.name} cannot be read: {failure}", checks=tuple(checks))
    return Verified(
        problem=None,
        checks=tuple(checks),
        key_id=signing.key_id(key or sealed.read(bundle.PUBLIC_KEY)),
        headline=str(statement["predicate"]["headline"]),
    )


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
    lines = sealed.read(f"{bag.PAYLOAD}{bundle.EVENTS}").decode("utf-8", "replace").splitlines()
    if not lines:
        raise _Bad(f"{bundle.EVENTS} holds no event")
    for line in lines:
        given = json.loads(line)
        seq = given["event"]["seq"]
        event = wire.decode(Event, {**given["event"], "hash": given["hash"]})
        if not event_hash.is_linked(event, given["previous"]):
            raise _Bad(f"event {seq} was changed, or does not follow the one before it")
        root = root_from(event.hash, seq - 1, head["tree_size"], given["inclusion"])
        if root != head["root_sha256"]:
            raise _Bad(f"event {seq} is not in the journal whose tree head is stated")


def _report_is_of_the_notebook(sealed: _Sealed) -> None:
    report = sealed.json(f"{bag.PAYLOAD}{publish.REPORT}")
    notebook = sealed.read(f"{bag.PAYLOAD}{crate.NOTEBOOK}")
    if hashlib.sha256(notebook).hexdigest() != report["source_sha256"]:
        raise _Bad(f"{crate.NOTEBOOK} is not the notebook that the report is about")


_CHECKS: Mapping[str, Callable[[_Sealed], None]] = {
    "every file of the payload is there, and unchanged": _payload_is_whole,
    "every file around it too": _tags_are_whole,
    "each event follows the one before it, and is in the journal": _events_are_in_the_journal,
    "the report is about this notebook": _report_is_of_the_notebook,
}


def _signed(sealed: _Sealed, key: bytes | None) -> Mapping[str, Any]:
    try:
        pem = key or sealed.read(bundle.PUBLIC_KEY)
        statement = signing.opened(sealed.read(bundle.ATTESTATION), pem)
    except ValueError as failure:
        raise _Bad(f"{bundle.ATTESTATION}: {failure}") from failure
    subjects = {one["name"]: one["digest"]["sha256"] for one in statement["subject"]}
    manifest = hashlib.sha256(sealed.read(bag.MANIFEST)).hexdigest()
    notebook = hashlib.sha256(sealed.read(f"{bag.PAYLOAD}{crate.NOTEBOOK}")).hexdigest()
    if subjects.get(bag.MANIFEST) != manifest or notebook not in subjects.values():
        raise _Bad(f"{bundle.ATTESTATION} is about other files")
    return statement
