"""Audits: what a caller asks for, what is run, and the verdict that comes of it.

A verdict is five lights, each with its evidence, and one headline. It rests on what was run and
compared; nothing that a notebook's metadata claims is believed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar

from opspawn_jupyter.model.policy import STRICT

#: Version of the rules that make lights and headline of what was found.
POLICY_VERSION = 1


class Light(StrEnum):
    """The five questions."""

    #: Imports resolve to recorded distributions, inputs are declared, no name comes from nowhere.
    DECLARED = "declared"
    #: Every cell runs in a fresh kernel, in document order.
    EXECUTES = "executes"
    #: The outputs are those that are stored in the notebook.
    SAME_RESULTS = "same_results"
    #: Two runs give the same, though their surroundings differ.
    DETERMINISTIC = "deterministic"
    #: Nothing is read, written, started or called beyond the project.
    HERMETIC = "hermetic"


class Answer(StrEnum):
    """What a light shows."""

    PASS = "pass"  # noqa: S105  # no password
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    NOT_APPLICABLE = "not_applicable"


class Headline(StrEnum):
    """The sum of the lights."""

    #: It could not be found out: a limit, a dead kernel, no room.
    INCONCLUSIVE = "INCONCLUSIVE"
    #: A cell raised.
    FAILS = "FAILS"
    #: All cells run; nothing more is shown.
    EXECUTES = "EXECUTES"
    #: And give what is stored.
    REPRODUCED = "REPRODUCED"
    #: And give it again in other surroundings.
    REPRODUCIBLE = "REPRODUCIBLE"
    #: And need nothing from outside of what is declared.
    HERMETIC = "HERMETIC"


#: From the worst to the best.
HEADLINES = tuple(Headline)


class Sameness(StrEnum):
    """How two outputs compare, from the best to the worst."""

    IDENTICAL = "identical"
    #: Equal once white space, colours and overwritten text are gone.
    NORMALISED = "normalised"
    #: Numbers or pixels differ by no more than the rules allow.
    TOLERANCE = "tolerance"
    #: The same value, written otherwise by another version of a library.
    REPRESENTATION = "representation-only"
    #: Equal but for times, addresses and the like, which are listed.
    VOLATILE = "volatile"
    #: Nothing was left to compare, or nothing may be: counts neither for nor against.
    NOT_COMPARED = "not compared"
    DIFFERENT = "different"


_WORST = {sameness: rank for rank, sameness in enumerate(Sameness)}


def worst(found: Sequence[Sameness]) -> Sameness:
    """The worst of them; identical where there are none."""
    return max(found, key=_WORST.__getitem__, default=Sameness.IDENTICAL)


class Perturbation(StrEnum):
    """What is made different in the surroundings of a run."""

    HASH_SEED = "hash seed"
    TIME_ZONE = "time zone"
    LOCALE = "locale"
    DIRECTORY = "directory"
    THREADS = "thread count"
    NETWORK = "no network"


@dataclass(frozen=True, kw_only=True)
class AuditRequest:
    """``spec`` of a submission of kind ``audit``."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    #: Path of the notebook: absolute, or relative to the server's root.
    notebook: str
    #: Kernel name; the notebook's own where it is left out.
    kernel: str | None = None
    #: Where the kernel starts; the notebook's directory where it is left out.
    working_directory: str | None = None
    #: Files and directories that the notebook needs, relative to the project's directory; all
    #: of that directory where none is named.
    inputs: tuple[str, ...] = ()
    #: Why the audit is made, for the record.
    reason: str = ""
    #: Id of the task whose executed notebook is audited.
    audited_task: str | None = None


@dataclass(frozen=True, kw_only=True)
class AuditSpec:
    """``spec`` of a task of kind ``audit``: checked and complete. Paths are relative to the
    server's root."""

    notebook: str
    #: What is copied for each run: the notebook's project.
    project: str
    kernel: str
    language: str
    working_directory: str
    source_sha256: str
    inputs: tuple[str, ...] = ()
    reason: str = ""
    audited_task: str | None = None


@dataclass(frozen=True, kw_only=True)
class Part:
    """One comparable part of a cell's output: a stream, or a display in its richest form."""

    #: ``stdout``, ``stderr``, ``error`` or the MIME type.
    kind: str
    sameness: Sameness
    #: What differs, or which scrubs and tolerances were needed.
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class CellVerdict:
    """What became of one code cell."""

    #: Position in the audited notebook, from 0, cells of every type counted.
    index: int
    title: str
    #: Whether the control run ran it to its end.
    has_run: bool
    #: Against the stored outputs; None where the cell has none to compare.
    stored: Sameness | None = None
    parts: tuple[Part, ...] = ()
    #: Between the control run and the perturbed one; None where there was none.
    again: Sameness | None = None
    again_parts: tuple[Part, ...] = ()
    #: What makes the cell differ from run to run, where that was found.
    cause: str = ""
    #: Why it is left out of the comparison, and by whose rule.
    exemption: str = ""


@dataclass(frozen=True, kw_only=True)
class Lamp:
    """One light with its evidence."""

    light: Light
    answer: Answer
    #: One sentence.
    reason: str
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """One execution."""

    name: str
    perturbed: tuple[Perturbation, ...]
    #: How it ended: a task's final state.
    state: str
    seconds: float
    cells_run: int
    cells_total: int
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class FileRecord:
    """A file that was there before, or that a run read or made. Paths from the project."""

    path: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """All that an audit came to."""

    headline: Headline
    lamps: tuple[Lamp, ...]
    notebook: str
    source_sha256: str
    kernel: str
    cells: tuple[CellVerdict, ...]
    runs: tuple[RunRecord, ...]
    inputs: tuple[FileRecord, ...] = ()
    products: tuple[FileRecord, ...] = ()
    #: Oddities of the notebook as stored: evidence about the past, no failure.
    findings: tuple[str, ...] = ()
    #: What this audit could not see.
    limits: tuple[str, ...] = ()
    rules: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)
    policy_version: int = POLICY_VERSION

    def lamp(self, light: Light) -> Lamp:
        """The lamp of this light."""
        return next(lamp for lamp in self.lamps if lamp.light is light)


def headline(lamps: Mapping[Light, Lamp]) -> Headline:
    """The highest rung that every lower light supports."""
    answers = {light: lamp.answer for light, lamp in lamps.items()}
    if answers[Light.EXECUTES] is Answer.INCONCLUSIVE:
        return Headline.INCONCLUSIVE
    if answers[Light.EXECUTES] is Answer.FAIL:
        return Headline.FAILS
    for reached, needed in _RUNGS:
        if any(answers[light] is not Answer.PASS for light in needed):
            return reached
    return Headline.HERMETIC


_RUNGS = (
    (Headline.EXECUTES, (Light.EXECUTES, Light.SAME_RESULTS)),
    (Headline.REPRODUCED, (Light.DETERMINISTIC,)),
    (Headline.REPRODUCIBLE, (Light.HERMETIC, Light.DECLARED)),
)
