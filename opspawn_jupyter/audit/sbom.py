"""The environment as a bill of materials: CycloneDX 1.6, JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from packaging.utils import canonicalize_name


def document(environment: Mapping[str, Any]) -> dict[str, Any]:
    """A component for each distribution. The same environment gives the same bytes."""
    python = environment.get("python", {})
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "platform",
                "bom-ref": "python",
                "name": str(python.get("implementation", "unknown")),
                "version": str(python.get("version", "")),
            }
        },
        "components": [_component(one) for one in environment.get("distributions", [])],
    }


def _component(distribution: Mapping[str, Any]) -> dict[str, Any]:
    name, version = canonicalize_name(distribution["name"]), distribution["version"]
    url = f"pkg:pypi/{name}@{version}"
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": url,
        "name": distribution["name"],
        "version": version,
        "purl": url,
    }
    if digest := distribution.get("record_sha256"):
        # The digest of RECORD, which holds the digest of every installed file.
        component["properties"] = [{"name": "opspawn:record-sha256", "value": digest}]
    return component
