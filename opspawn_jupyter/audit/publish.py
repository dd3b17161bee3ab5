"""What an audit leaves in its artifacts: the verdict for people, programs and CI."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from opspawn_jupyter import files
from opspawn_jupyter.audit import junit, page, sbom
from opspawn_jupyter.model import wire
from opspawn_jupyter.model.audit import Verdict

REPORT = "report.json"
PAGE = "report.html"
JUNIT = "junit.xml"
SBOM = "sbom.cdx.json"


def write(
    directory: Path,
    verdict: Verdict,
    stored: Mapping[str, Any],
    control: Mapping[str, Any],
    again: Mapping[str, Any] | None,
) -> None:
    """Write all of it. Raises ``OSError``."""
    files.write_json(directory / REPORT, wire.encode(verdict))
    html = page.page(verdict, stored, control, again)
    files.write_atomic(directory / PAGE, html.encode("utf-8", "backslashreplace"))
    files.write_atomic(directory / JUNIT, junit.document([verdict]).encode())
    files.write_json(directory / SBOM, sbom.document(verdict.environment))
