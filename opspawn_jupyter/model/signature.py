"""A signature: a person says what an audit's report means to them, under their name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar

from opspawn_jupyter.model.policy import STRICT


class Meaning(StrEnum):
    """What a signature says."""

    #: "I made this, and stand by it."
    AUTHOR = "author"
    #: "I have looked at it."
    REVIEW = "review"
    #: "It may be used."
    APPROVAL = "approval"
    #: "It may not be used."
    REJECTION = "rejection"


@dataclass(frozen=True, kw_only=True)
class SignRequest:
    """What somebody signs."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    meaning: Meaning
    #: Why, in the signer's words.
    reason: str
    #: The signer's name as it is to be printed; the user's name where it is left out.
    name: str = ""


@dataclass(frozen=True, kw_only=True)
class Signature:
    """A signature as it was given; it never changes."""

    id: str
    task_id: str
    meaning: Meaning
    reason: str
    #: Printed name.
    name: str
    #: Who the server knew the signer as.
    signed_by: str
    signed_at: datetime
    #: What was signed: the report, and the notebook that it is about.
    report_sha256: str
    source_sha256: str
    headline: str
    #: All of it as an in-toto statement in a DSSE envelope, signed with the server's key.
    envelope: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class SignatureList:
    """The signatures under an audit, the oldest first."""

    signatures: tuple[Signature, ...]
