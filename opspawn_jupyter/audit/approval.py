"""Signatures of people, as statements that others can verify.

The server's key signs what a person said who was known to the server: the signature shows that
nothing of it was changed, and whose server it was, as that of a bundle does.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from opspawn_jupyter.audit import publish, signing
from opspawn_jupyter.model import wire
from opspawn_jupyter.model.signature import Signature

PREDICATE_TYPE = "urn:opspawn:signature:v1"
_SAID = ("id", "task_id", "meaning", "reason", "name", "signed_by", "signed_at", "headline")


def sealed(signature: Signature, key: Ed25519PrivateKey) -> Mapping[str, Any]:
    """The envelope around the statement of this signature."""
    envelope: Mapping[str, Any] = json.loads(signing.sign(_statement(signature), key))
    return envelope


def problem(signature: Mapping[str, Any], pem: bytes, report_sha256: str) -> str | None:
    """What is wrong with a signature under a report of this digest; None where nothing is."""
    given = wire.decode(Signature, signature)
    try:
        statement = signing.opened(json.dumps(given.envelope).encode(), pem)
    except ValueError as failure:
        return f"the signature of {given.name}: {failure}"
    if statement != json.loads(json.dumps(_statement(given))):
        return f"the signature of {given.name} is not over what stands there"
    if given.report_sha256 != report_sha256:
        return f"the signature of {given.name} is under another report"
    return None


def _statement(signature: Signature) -> Mapping[str, Any]:
    said = wire.encode(signature)
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [
            {"name": publish.REPORT, "digest": {"sha256": signature.report_sha256}},
            {"name": "notebook", "digest": {"sha256": signature.source_sha256}},
        ],
        "predicateType": PREDICATE_TYPE,
        "predicate": {name: said[name] for name in _SAID},
    }
