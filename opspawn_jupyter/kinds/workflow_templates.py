"""Where the templates of a workflow's step stand in its file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from opspawn_jupyter.kinds.findings import Findings, Path
from opspawn_jupyter.model import template
from opspawn_jupyter.model.workflow import Step


@dataclass(frozen=True)
class Located:
    """A text with templates."""

    #: Which of the step's fields it belongs to.
    field: str
    text: str
    path: Path


def templates(step: Step, path: Path, findings: Findings) -> Iterator[Located]:
    """Every text of the step that holds a template."""
    for leaf, text in leaves(step.config):
        yield Located("config", text, config_place(findings, path, leaf))
    items = step.for_each.items if step.for_each else None
    fields = {
        "when": bare(step.when),
        "end_when": bare(step.end_when),
        "for_each": items,
        "approve": step.approve,
        "inputs": list(step.inputs),
    }
    for name, value in fields.items():
        if not value:
            continue  # as with most steps
        for leaf, text in leaves(value):
            place = findings.first_of((*path, name, *leaf), (*path, "matrix", *leaf), (*path, name))
            yield Located(name, text, place)


def leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """The texts with templates in a value, each with its place in it."""
    if isinstance(value, str):
        if template.OPENING in value:
            yield path, value
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from leaves(item, (*path, name))
    elif isinstance(value, (list, tuple)):
        for number, item in enumerate(value):
            yield from leaves(item, (*path, number))


def config_place(findings: Findings, step: Path, leaf: Path) -> Path:
    """Where a part of a step's config stands: in ``config``, in ``with``, or as a field of the
    step itself."""
    if leaf[:1] == ("parameters",):
        return findings.first_of((*step, "with", *leaf[1:]), (*step, "config", *leaf))
    return findings.first_of((*step, "config", *leaf), (*step, "with", *leaf), (*step, *leaf))


def bare(text: str | None) -> str | None:
    """A condition as a template: it may come without its braces."""
    if text is None or template.OPENING in text:
        return text
    return f"{template.OPENING} {text} {template.CLOSING}"
