"""How strictly a notebook's outputs are compared: built in, by project, by notebook, by cell.

A project's rules lie in ``opspawn-audit.toml`` beside the notebook or above it, a notebook's in
its metadata under ``opspawn.audit``, a cell's in its tags. Every rule that was used is shown in
the report: whoever reads a verdict sees what it rests on.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from opspawn_jupyter.audit.observed import Allowed
from opspawn_jupyter.audit.scrubs import BUILT_IN, Scrub, scrub
from opspawn_jupyter.errors import InvalidRequest

FILE_NAME = "opspawn-audit.toml"
#: Comments at the head of a cell, and tags, as nbval's users know them.
_NBVAL_COMMENT = re.compile(r"^\s*#\s*NBVAL_(IGNORE_OUTPUT|SKIP)\b", re.MULTILINE)
_IGNORING_TAGS = frozenset({"nbval-ignore-output", "nbval-skip", "audit-ignore"})
_TOLERANCE_TAG = re.compile(r"audit-tolerance=([0-9.eE+-]+)$")


@dataclass(frozen=True, kw_only=True)
class Exemption:
    """Cells that are not compared."""

    #: The tag that the cells carry, or the position of one cell.
    tag: str = ""
    cell: int | None = None
    reason: str = ""
    author: str = ""

    def covers(self, index: int, tags: Sequence[str]) -> bool:
        """Whether this cell is meant."""
        return index == self.cell or bool(self.tag and self.tag in tags)


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What counts as the same."""

    relative: float = 1e-6
    absolute: float = 1e-9
    #: Root mean square of the difference of two pictures' channels, from 0 to 255.
    image: float = 2.0
    #: Largest mean difference within any block of 8 by 8 pixels.
    image_block: float = 24.0
    scrubs: tuple[Scrub, ...] = BUILT_IN
    exemptions: tuple[Exemption, ...] = ()
    #: What the project declares that it uses beyond its own files.
    allowed: Allowed = field(default_factory=Allowed)
    #: Files that the rules come from.
    sources: tuple[str, ...] = field(default=())

    def record(self) -> dict[str, Any]:
        """The rules for the report."""
        own = [one for one in self.scrubs if one not in BUILT_IN]
        return {
            "relative": self.relative,
            "absolute": self.absolute,
            "image": self.image,
            "image_block": self.image_block,
            "scrubs": {one.name: one.pattern.pattern for one in own},
            "exemptions": [vars(one) for one in self.exemptions],
            "allowed": {name: list(patterns) for name, patterns in vars(self.allowed).items()},
            "sources": list(self.sources),
        }


def rules_of(notebook: Mapping[str, Any], path: Path, project: Path) -> Rules:
    """The rules for one notebook. Raises ``InvalidRequest`` that names what is wrong with them."""
    rules = Rules()
    found = next((one / FILE_NAME for one in _upwards(path.parent, project)
                  if (one / FILE_NAME).is_file()), None)  # fmt: skip
    if found is not None:
        name = PurePosixPath(path.relative_to(found.parent).as_posix())
        rules = _from_file(rules, found, name)
    own = notebook.get("metadata", {}).get("opspawn", {})
    if isinstance(own, Mapping) and isinstance(own.get("audit"), Mapping):
        rules = _with(rules, own["audit"], "the notebook's metadata")
    return rules


def cell_rules(rules: Rules, cell: Mapping[str, Any]) -> Rules:
    """The rules for one cell, whose tags may widen the tolerance."""
    for tag in tags_of(cell):
        if match := _TOLERANCE_TAG.match(tag):
            return replace(rules, relative=_number(match[1], tag))
    return rules


def exemption_of(rules: Rules, index: int, cell: Mapping[str, Any]) -> str:
    """Why the cell is not compared; empty where it is."""
    tags = tags_of(cell)
    for one in rules.exemptions:
        if one.covers(index, tags):
            return " · ".join(part for part in (one.reason or "exempt", one.author) if part)
    if tag := next((tag for tag in tags if tag in _IGNORING_TAGS), None):
        return f"tag {tag}"
    match = _NBVAL_COMMENT.search("".join(cell["source"]))
    return f"comment NBVAL_{match[1]}" if match else ""


def tags_of(cell: Mapping[str, Any]) -> list[str]:
    """The cell's tags."""
    tags = cell.get("metadata", {}).get("tags", [])
    return [tag for tag in tags if isinstance(tag, str)]


def _upwards(directory: Path, top: Path) -> list[Path]:
    """The directory and those above it, to ``top``."""
    return [one for one in (directory, *directory.parents) if one.is_relative_to(top)]


def _from_file(rules: Rules, path: Path, notebook: PurePosixPath) -> Rules:
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as failure:
        raise InvalidRequest(str(path), hint=f"it is not readable TOML: {failure}") from failure
    rules = replace(_with(rules, given, path.name), sources=(path.name,))
    for one in given.get("notebook", []):
        if isinstance(one, Mapping) and notebook.match(str(one.get("match", ""))):
            rules = _with(rules, one, path.name)
    return rules


def _with(rules: Rules, given: Mapping[str, Any], source: str) -> Rules:
    """The rules, changed by a table of them."""
    known = {"tolerance", "scrub", "exempt", "allow", "notebook", "match"}
    if unknown := sorted(given.keys() - known):
        raise InvalidRequest(
            ", ".join(unknown), hint=f"{source}: known are {', '.join(sorted(known))}"
        )
    tolerance = given.get("tolerance", {})
    if unknown := sorted(tolerance.keys() - {"relative", "absolute", "image", "image_block"}):
        raise InvalidRequest(", ".join(unknown), hint=f"{source}: there is no such tolerance")
    numbers: dict[str, Any] = {name: _number(value, source) for name, value in tolerance.items()}
    return replace(
        rules,
        **numbers,
        scrubs=(*(_scrub(one, source) for one in given.get("scrub", [])), *rules.scrubs),
        exemptions=(*rules.exemptions, *(_exemption(one, source) for one in
                                         given.get("exempt", []))),
        allowed=_allowed(given["allow"], source) if "allow" in given else rules.allowed,
    )  # fmt: skip


def _allowed(given: Any, source: str) -> Allowed:
    try:
        return Allowed(**{name: tuple(map(str, several)) for name, several in given.items()})
    except (TypeError, AttributeError) as failure:
        hint = f"{source}: allow has lists under reads, writes, network, processes"
        raise InvalidRequest(hint=hint) from failure


def _number(value: Any, source: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError) as failure:
        raise InvalidRequest(value, hint=f"{source}: a tolerance is a number") from failure
    if not 0 <= number < float("inf"):
        raise InvalidRequest(value, hint=f"{source}: a tolerance is 0 or more, and finite")
    return number


def _scrub(given: Any, source: str) -> Scrub:
    try:
        return scrub(str(given["name"]), str(given["pattern"]))
    except (KeyError, TypeError) as failure:
        raise InvalidRequest(hint=f"{source}: a scrub needs name and pattern") from failure
    except re.error as failure:
        raise InvalidRequest(given["pattern"], hint=f"{source}: {failure}") from failure


def _exemption(given: Any, source: str) -> Exemption:
    try:
        one = Exemption(**given)
    except TypeError as failure:
        hint = f"{source}: an exemption has tag or cell, reason and author"
        raise InvalidRequest(hint=hint) from failure
    if not one.reason:
        raise InvalidRequest(hint=f"{source}: an exemption needs a reason")
    return one
