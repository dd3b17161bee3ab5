"""The five lights: what each run and comparison says, with its evidence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

from opspawn_jupyter.audit import charts
from opspawn_jupyter.audit.environment import missing_requirements
from opspawn_jupyter.audit.observed import Observed
from opspawn_jupyter.audit.statics import Static, third_party
from opspawn_jupyter.model.audit import (
    Answer,
    CellVerdict,
    Lamp,
    Light,
    Perturbation,
    RunRecord,
    Sameness,
)
from opspawn_jupyter.model.states import State

#: What outcomes of a run say nothing about the notebook.
_UNDECIDED = (State.TIMED_OUT, State.CRASHED, State.CANCELLED)


@dataclass(frozen=True, kw_only=True)
class Found:
    """All that the lights are judged by."""

    static: Static
    language: str
    environment: Mapping[str, Any]
    #: Requirements by the file that states them.
    stated: Mapping[str, Any]
    project: Path
    #: The notebook's directory in the project.
    directory: Path
    inputs: tuple[str, ...]
    cells: Sequence[CellVerdict]
    runs: Sequence[RunRecord]
    has_stored_outputs: bool
    observed: Observed
    is_enclosed: bool


def lamps(found: Found) -> tuple[Lamp, ...]:
    """All five."""
    return (
        _declared(found),
        _executes(found),
        _same_results(found),
        _deterministic(found),
        _hermetic(found),
    )


def _lamp(light: Light, answer: Answer, reason: str, evidence: Sequence[str] = ()) -> Lamp:
    return Lamp(light=light, answer=answer, reason=reason, evidence=tuple(evidence))


def _declared(found: Found) -> Lamp:
    if found.language != "python" or not found.environment:
        reason = "imports can be checked only for Python kernels whose packages can be listed"
        return _lamp(Light.DECLARED, Answer.INCONCLUSIVE, reason)
    complaints = [*_unresolved(found), *_unknown_names(found), *_undeclared_inputs(found)]
    standard = frozenset(found.environment["standard"])
    used = third_party(tuple(found.static.imports), standard)
    if found.stated:
        distributions = _distributions(found, used)
        complaints += missing_requirements(distributions, found.stated, _versions(found))
    where = ", ".join(found.stated) or "no requirements file; this audit records what is installed"
    if complaints:
        return _lamp(Light.DECLARED, Answer.FAIL, complaints[0], [*complaints, where])
    packages = "1 imported package is" if len(used) == 1 else f"{len(used)} imported packages are"
    reason = f"{packages} accounted for ({where})"
    return _lamp(Light.DECLARED, Answer.PASS, reason, _versions_of(found, used))


def _unresolved(found: Found) -> list[str]:
    """Imports that nothing installed and nothing in the project provides."""
    known = {*found.environment["standard"], *found.environment["modules"]}
    return [
        f"cell {index}: nothing installed provides the module {name!r}"
        for name, index in found.static.imports.items()
        if name not in known and not _is_local(found, name)
    ]


def _is_local(found: Found, module: str) -> bool:
    places = (found.directory, found.project, found.project / "src")
    return any((p / module).is_dir() or (p / f"{module}.py").is_file() for p in places)


def _unknown_names(found: Found) -> list[str]:
    return [
        f"cell {index}: the name {name!r} is used and no cell before defines it"
        for name, index in found.static.unknown_names.items()
    ]


def _undeclared_inputs(found: Found) -> list[str]:
    return [f"reads {path}, which is no part of the project" for path in found.observed.reads]


def _distributions(found: Found, modules: Sequence[str]) -> list[str]:
    known = found.environment["modules"]
    return [known[name][0] for name in modules if name in known and not _is_local(found, name)]


def _versions(found: Found) -> dict[str, str]:
    return {
        canonicalize_name(one["name"]): one["version"] for one in found.environment["distributions"]
    }


def _versions_of(found: Found, modules: Sequence[str]) -> list[str]:
    versions = _versions(found)
    names = _distributions(found, modules)
    return [f"{name} {versions.get(canonicalize_name(name), '?')}" for name in names]


def _executes(found: Found) -> Lamp:
    control = found.runs[0]
    ran = f"{control.cells_run} of {control.cells_total} cells ran"
    if control.state in _UNDECIDED:
        return _lamp(Light.EXECUTES, Answer.INCONCLUSIVE, f"{ran}: {control.problem}")
    if control.state != State.SUCCESS:
        return _lamp(Light.EXECUTES, Answer.FAIL, f"{ran}: {control.problem}")
    if control.cells_run < control.cells_total:
        reason = f"{ran}: the notebook ended itself"
        return _lamp(Light.EXECUTES, Answer.FAIL, reason)
    if not control.cells_total:
        return _lamp(Light.EXECUTES, Answer.PASS, "there is no code to run")
    return _lamp(Light.EXECUTES, Answer.PASS, ran)


def _same_results(found: Found) -> Lamp:
    if not found.has_stored_outputs:
        reason = "the notebook keeps no outputs to compare with"
        return _lamp(Light.SAME_RESULTS, Answer.NOT_APPLICABLE, reason)
    compared = [one for one in found.cells if one.stored is not None]
    different = [one for one in compared if one.stored is Sameness.DIFFERENT]
    evidence = [*_classes(compared), *map(_difference, different)]
    stable = [one for one in different if one.again is not Sameness.DIFFERENT]
    if stable:
        give = "gives" if len(stable) == 1 else "give"
        reason = f"{_cells(len(stable))} of {len(compared)} {give} something else than is stored"
        return _lamp(Light.SAME_RESULTS, Answer.FAIL, reason, evidence)
    if (question := _open_question(found.cells, compared)) is not None:
        return _lamp(Light.SAME_RESULTS, Answer.INCONCLUSIVE, question, evidence)
    if all(one.stored is Sameness.NOT_COMPARED for one in compared):
        reason = "nothing is left that could be compared"
        return _lamp(Light.SAME_RESULTS, Answer.NOT_APPLICABLE, reason, evidence)
    return _lamp(Light.SAME_RESULTS, Answer.PASS, _classes(compared)[0], evidence)


def _open_question(cells: Sequence[CellVerdict], compared: Sequence[CellVerdict]) -> str | None:
    """Why nobody can say that all is the same, though no stable output is different."""
    if unstable := [one for one in compared if one.stored is Sameness.DIFFERENT]:
        return f"{_cells(len(unstable))} cannot be compared: each run gives something else"
    if resized := [one for one in compared if _is_drawn_otherwise(one)]:
        return f"what {_cells(len(resized))} draw cannot be compared; the rest is the same"
    if any(not one.has_run for one in cells):
        return f"only {_cells(len(compared))} could be compared; none of them differs"
    return None


def _is_drawn_otherwise(cell: CellVerdict) -> bool:
    """It has a picture or a chart that could not be compared, and nobody has exempted it."""
    return not cell.exemption and any(
        part.sameness is Sameness.NOT_COMPARED and _is_drawn(part.kind) for part in cell.parts
    )


def _is_drawn(kind: str) -> bool:
    return kind.startswith("image/") or kind == "text/html" or charts.is_chart(kind)


def _classes(cells: Sequence[CellVerdict]) -> list[str]:
    counts = Counter(one.stored for one in cells)
    said = [f"{counts[sameness]} {sameness}" for sameness in Sameness if counts[sameness]]
    return [f"{_cells(len(cells))}: {', '.join(said)}"]


def _cells(count: int) -> str:
    return f"{count} cell{'' if count == 1 else 's'}"


def _difference(cell: CellVerdict) -> str:
    notes = [
        f"{part.kind}: {'; '.join(part.notes)}"
        for part in cell.parts
        if part.sameness is Sameness.DIFFERENT
    ]
    unstable = " (differs from run to run as well)" if cell.again is Sameness.DIFFERENT else ""
    return f"cell {cell.index}{unstable}: {' · '.join(notes)}"


def _deterministic(found: Found) -> Lamp:
    if (reason := _untold(found.runs)) is not None:
        return _lamp(Light.DETERMINISTIC, Answer.INCONCLUSIVE, reason)
    perturbed = found.runs[1]
    made = ", ".join(perturbed.perturbed)
    unstable = [one for one in found.cells if one.again is Sameness.DIFFERENT]
    evidence = [f"cell {one.index}: {one.cause or 'no cause was found'}" for one in unstable]
    if perturbed.state != State.SUCCESS:
        reason = f"with other surroundings ({made}) a cell raises: {perturbed.problem}"
        return _lamp(Light.DETERMINISTIC, Answer.FAIL, reason, [*evidence, *_causes(found.runs)])
    if unstable:
        reason = f"{_cells(len(unstable))} differ between runs: {evidence[0]}"
        return _lamp(Light.DETERMINISTIC, Answer.FAIL, reason, evidence)
    if not any(one.again_parts for one in found.cells):
        return _lamp(Light.DETERMINISTIC, Answer.NOT_APPLICABLE, "no cell gives any output")
    reason = f"two runs agree, though made different were: {made}"
    return _lamp(Light.DETERMINISTIC, Answer.PASS, reason)


def _untold(runs: Sequence[RunRecord]) -> str | None:
    """Why two runs could not be compared; None where they can."""
    if runs[0].state != State.SUCCESS:
        return "the control run did not end well"
    if len(runs) == 1:
        return "there was no time for a second run"
    return f"the perturbed run: {runs[1].problem}" if runs[1].state in _UNDECIDED else None


def _causes(runs: Sequence[RunRecord]) -> list[str]:
    return [f"fails with another {run.name}" for run in runs[2:] if run.state == State.FAILED]


def _hermetic(found: Found) -> Lamp:
    seen = found.observed
    if not seen.is_known or not found.environment:
        reason = "this kernel could not be observed"
        return _lamp(Light.HERMETIC, Answer.INCONCLUSIVE, reason)
    evidence = [
        *(f"network: {one}" for one in seen.network),
        *(f"reads outside: {one}" for one in seen.reads),
        *(f"writes outside: {one}" for one in seen.writes),
        *(f"starts: {one}" for one in seen.processes),
    ]
    if evidence:
        reason = f"reaches beyond its project: {evidence[0]}"
        return _lamp(Light.HERMETIC, Answer.FAIL, reason, evidence)
    if found.runs[0].state != State.SUCCESS:
        return _lamp(Light.HERMETIC, Answer.INCONCLUSIVE, "not all cells ran")
    offline = [run for run in found.runs if Perturbation.NETWORK in run.perturbed]
    if not found.is_enclosed or not offline:
        reason = "nothing was seen, but no run could be cut off from the network"
        return _lamp(Light.HERMETIC, Answer.INCONCLUSIVE, reason)
    if offline[0].state != State.SUCCESS:
        return _lamp(
            Light.HERMETIC, Answer.INCONCLUSIVE, "the run without network did not end well"
        )
    reason = "runs without network, and uses nothing beyond its project and environment"
    return _lamp(Light.HERMETIC, Answer.PASS, reason, [f"reads {one}" for one in seen.inputs])
