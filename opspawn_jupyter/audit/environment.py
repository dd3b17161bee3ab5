"""The environment of an audited kernel: asked of its own Python, which need not be ours."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

_TIMEOUT_SECONDS = 60.0

#: Runs in the kernel's Python, with nothing but what that has.
_PROBE = """
import base64, hashlib, json, platform, site, sys, sysconfig
from importlib import metadata
from urllib.parse import urlsplit
from urllib.request import url2pathname
found, modules, sources = [], {}, []
for dist in metadata.distributions():
    name = dist.metadata["Name"]
    if not name:
        continue
    origin = json.loads(dist.read_text("direct_url.json") or "{}")
    if origin.get("dir_info", {}).get("editable"):  # installed in place: its source is no data
        sources.append(url2pathname(urlsplit(origin["url"]).path))
    record = dist.read_text("RECORD")
    found.append({
        "name": name, "version": dist.version,
        "record_sha256": hashlib.sha256(record.encode()).hexdigest() if record else None,
    })
for module, names in metadata.packages_distributions().items():
    modules[module] = sorted(set(names))
unique = {one["name"].lower(): one for one in reversed(found)}
print(json.dumps({
    "python": {"version": platform.python_version(), "executable": sys.executable,
               "implementation": platform.python_implementation()},
    "platform": {"system": platform.platform(), "machine": platform.machine()},
    "paths": sorted({sys.prefix, sys.base_prefix, sys.exec_prefix, *sysconfig.get_paths().values(),
                     *site.getsitepackages(), site.getusersitepackages(),
                     *[p for p in sys.path if p], *sources}),
    "standard": sorted(sys.stdlib_module_names),
    "modules": modules,
    "distributions": [unique[key] for key in sorted(unique)],
}))
"""

_CONDA_LINE = re.compile(r"^\s*-\s*([A-Za-z0-9_.\-]+)\s*(?:[=<>!~].*)?$")


def probe(python: str | None) -> Mapping[str, Any]:
    """What is installed for this interpreter; empty where it cannot be asked."""
    if python is None:
        return {}
    try:
        asked = subprocess.run(
            [python, "-c", _PROBE],
            capture_output=True,
            check=True,
            timeout=_TIMEOUT_SECONDS,
            stdin=subprocess.DEVNULL,
        )
        answer: Mapping[str, Any] = json.loads(asked.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return {}
    return answer


def declared(project: Path, directory: Path) -> dict[str, list[Requirement]]:
    """Requirements by the file that states them, beside the notebook and up to the project."""
    found: dict[str, list[Requirement]] = {}
    for place in (directory, *directory.parents):
        if not place.is_relative_to(project):
            break
        for name, read in _READERS.items():
            path = place / name
            if path.is_file():
                found[path.relative_to(project).as_posix()] = list(_tolerant(read, path))
    return found


def _tolerant(read: Any, path: Path) -> Iterator[Requirement]:
    """What can be understood of the file; it is the user's, and may be anything."""
    try:
        texts: list[str] = list(read(path))
    except (OSError, ValueError, AttributeError, TypeError):
        return
    for text in texts:
        try:
            yield Requirement(text)
        except InvalidRequirement:
            continue


def _lines(path: Path) -> Iterator[str]:
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        stated = line.partition(" #")[0].strip()
        if stated and not stated.startswith(("#", "-")):
            yield stated


def _pyproject(path: Path) -> Iterator[str]:
    given = tomllib.loads(path.read_text(encoding="utf-8"))
    project = given.get("project", {})
    yield from project.get("dependencies", [])
    for several in project.get("optional-dependencies", {}).values():
        yield from several
    poetry = given.get("tool", {}).get("poetry", {}).get("dependencies", {})
    yield from (name for name in poetry if name != "python")


def _lock(path: Path) -> Iterator[str]:
    given = tomllib.loads(path.read_text(encoding="utf-8"))
    for one in [*given.get("packages", []), *given.get("package", [])]:
        yield f"{one['name']}=={one['version']}" if "version" in one else one["name"]


def _conda(path: Path) -> Iterator[str]:
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        if match := _CONDA_LINE.match(line):
            yield match[1]


_READERS: Mapping[str, Any] = {
    "pylock.toml": _lock,
    "uv.lock": _lock,
    "requirements.txt": _lines,
    "pyproject.toml": _pyproject,
    "environment.yml": _conda,
    "environment.yaml": _conda,
}


def missing_requirements(
    distributions: Sequence[str],
    stated: Mapping[str, Sequence[Requirement]],
    versions: Mapping[str, str],
) -> list[str]:
    """What is used and stated nowhere, or stated with another version than is installed."""
    by_name = {canonicalize_name(one.name): one for several in stated.values() for one in several}
    complaints = []
    for name in distributions:
        requirement = by_name.get(canonicalize_name(name))
        version = versions.get(canonicalize_name(name), "")
        if requirement is None:
            complaints.append(f"{name} is used and stated nowhere")
        elif version and not requirement.specifier.contains(version, prereleases=True):
            complaints.append(f"{name} {version} is installed, stated is {requirement}")
    return complaints
