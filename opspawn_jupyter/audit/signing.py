"""Statements signed with a local key: in-toto's Statement v1 in a DSSE envelope, Ed25519.

Needs cryptography, from the extra ``audit``. The key lies in the state directory, readable by its
owner only. Who holds a machine can sign anything with its key: a signature shows who sealed a
bundle and that it was not changed since, not that the owner of the key tells the truth.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from opspawn_jupyter.files import write_atomic

PAYLOAD_TYPE = "application/vnd.in-toto+json"
KEY_NAME = "audit-key.pem"


def key_in(directory: Path) -> Ed25519PrivateKey:
    """The key of this installation, made when it is first needed. Raises ``OSError``."""
    path = directory / KEY_NAME
    if not path.exists():
        made = Ed25519PrivateKey.generate()
        pem = made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        write_atomic(path, pem, mode=0o600)
    loaded = load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(loaded, Ed25519PrivateKey):
        raise OSError(0, "it is no Ed25519 key", str(path))
    return loaded


def public_pem(key: Ed25519PrivateKey) -> bytes:
    """What others verify with."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def key_id(pem: bytes) -> str:
    """The name of a public key: the digest of its PEM."""
    return hashlib.sha256(pem).hexdigest()


def sign(statement: Mapping[str, Any], key: Ed25519PrivateKey) -> bytes:
    """The envelope with the statement in it, as JSON."""
    payload = json.dumps(statement, sort_keys=True, separators=(",", ":")).encode()
    envelope = {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": PAYLOAD_TYPE,
        "signatures": [
            {
                "keyid": key_id(public_pem(key)),
                "sig": base64.b64encode(key.sign(_encoded(payload))).decode(),
            }
        ],
    }
    return json.dumps(envelope, indent=1, sort_keys=True).encode() + b"\n"


def opened(envelope: bytes, pem: bytes) -> Mapping[str, Any]:
    """The statement. Raises ``ValueError`` where this key did not sign it."""
    try:
        key = load_pem_public_key(pem)
        given = json.loads(envelope)
        payload = base64.b64decode(given["payload"], validate=True)
        signature = base64.b64decode(given["signatures"][0]["sig"], validate=True)
        _require(key, given["payloadType"]).verify(signature, _encoded(payload))
        statement: Mapping[str, Any] = json.loads(payload)
    except (InvalidSignature, ValueError, KeyError, IndexError, TypeError) as failure:
        message = "the signature does not belong to this statement and key"
        raise ValueError(message) from failure
    return statement


def _require(key: object, payload_type: str) -> Ed25519PublicKey:
    if not isinstance(key, Ed25519PublicKey) or payload_type != PAYLOAD_TYPE:
        raise ValueError(payload_type)
    return key


def _encoded(payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding."""
    kind = PAYLOAD_TYPE.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)
