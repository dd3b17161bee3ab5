"""Steps that only ask: somebody answers, and what comes after them goes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from opspawn_jupyter.errors import InvalidRequest
from opspawn_jupyter.model.policy import STRICT
from opspawn_jupyter.parsing import parse
from opspawn_jupyter.ports import Prepared


@dataclass(frozen=True, kw_only=True)
class ApprovalSpec:
    """``spec`` of a task of kind ``approval``."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    #: What somebody is asked.
    message: str


class ApprovalKind:
    """A question to a person; only as a step of a workflow."""

    def __init__(self, *_: object) -> None: ...

    def prepare(self, spec: Mapping[str, Any]) -> Prepared:
        """The question."""
        asked = parse(ApprovalSpec, spec, "config of an approval")
        if not asked.message.strip():
            raise InvalidRequest(
                asked.message, hint="message is the question; it must say something"
            )
        return Prepared(name="approval", spec={"message": asked.message}, files={})
