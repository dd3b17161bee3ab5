"""What is refused before a notebook task is accepted."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from opspawn_jupyter import errors
from opspawn_jupyter.kinds.notebook import TRANSLATED_LANGUAGES, NotebookKind
from opspawn_jupyter.settings import Settings

SPECS = {
    "python3": {"spec": {"language": "python"}},
    "bash": {"spec": {"language": "bash"}},
    "cobol": {"spec": {"language": "COBOL"}},
}


def notebook(*sources: str, kernel: str | None = None, tags: str = "parameters") -> dict[str, Any]:
    cells = [
        {
            "cell_type": "code",
            "source": source,
            "metadata": {"tags": [tags]} if position == 0 else {},
            "outputs": [],
            "execution_count": None,
        }
        for position, source in enumerate(sources)
    ]
    metadata = {"kernelspec": {"name": kernel, "display_name": kernel}} if kernel else {}
    return {"nbformat": 4, "nbformat_minor": 4, "metadata": metadata, "cells": cells}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "reports").mkdir(parents=True)
    (root / "reports" / 'it\'s "Q1" {x}.ipynb').write_text(json.dumps(notebook("year = 2026")))
    return root


@pytest.fixture
def kind(root: Path) -> NotebookKind:
    settings = Settings(
        root_directory=root, state_directory=root / ".opspawn", runs_directory=root / "runs"
    )
    return NotebookKind(settings, lambda: SPECS)


NAME = 'reports/it\'s "Q1" {x}.ipynb'


def test_a_good_notebook_is_pinned_byte_for_byte(kind: NotebookKind, root: Path) -> None:
    """What runs is what was submitted, whatever happens to the file later."""
    prepared = kind.prepare({"notebook": NAME, "parameters_text": {"year": "2020"}})

    content = (root / NAME).read_bytes()
    assert prepared.files == {"input.ipynb": content}
    assert prepared.name == 'it\'s "Q1" {x}'
    assert prepared.spec == {
        "notebook": NAME,
        "parameters": {"year": 2020},
        "kernel": "python3",
        "language": "python",
        "working_directory": "reports",
        "source_sha256": hashlib.sha256(content).hexdigest(),
        "keep_on_failure": False,
        "tools": [],
        "tier": "kernel",
    }


def test_an_absolute_path_inside_the_root_is_the_same(kind: NotebookKind, root: Path) -> None:
    """A cell sends what its kernel sees."""
    assert kind.prepare({"notebook": str(root / NAME)}).spec["notebook"] == NAME


def test_a_root_reached_through_a_link_counts_as_inside(tmp_path: Path, root: Path) -> None:
    """Kernels report the directory with links followed, servers as they were started."""
    (tmp_path / "home").symlink_to(root)
    settings = Settings(
        root_directory=root, state_directory=root / ".opspawn", runs_directory=root / "runs"
    )
    kind = NotebookKind(settings, lambda: SPECS)

    assert kind.prepare({"notebook": str(tmp_path / "home" / NAME)}).spec["notebook"] == NAME


def test_code_from_a_cell_needs_no_file(kind: NotebookKind) -> None:
    """`%%opspawn run` sends the notebook itself."""
    prepared = kind.prepare({"content": notebook("x = 1"), "working_directory": "reports"})

    assert (prepared.name, prepared.spec["notebook"]) == ("cell", None)
    assert json.loads(prepared.files["input.ipynb"]) == notebook("x = 1")


BAD: list[tuple[str, dict[str, Any], type[errors.OpspawnError]]] = [
    ("missing file", {"notebook": "no.ipynb"}, errors.NotebookNotFound),
    ("directory", {"notebook": "reports"}, errors.NotANotebook),
    ("outside", {"notebook": "../secret.ipynb"}, errors.OutsideRoot),
    ("absolute outside", {"notebook": "/etc/passwd"}, errors.OutsideRoot),
    ("null byte", {"notebook": "a\0b"}, errors.NotebookNotFound),
    ("neither", {}, errors.InvalidRequest),
    ("both", {"notebook": "a", "content": {}}, errors.InvalidRequest),
    ("unknown field", {"notebok": "a"}, errors.InvalidRequest),
    ("wrong type", {"notebook": 5}, errors.InvalidRequest),
    ("old format", {"content": {"nbformat": 3, "worksheets": []}}, errors.NotANotebook),
    ("no nbformat", {"content": {"a": 1}}, errors.NotANotebook),
    ("broken cells", {"content": {"nbformat": 4, "cells": [1]}}, errors.NotANotebook),
    ("no cells", {"content": {"nbformat": 4}}, errors.NotANotebook),
    ("unknown kernel", {"content": notebook("1"), "kernel": "k9"}, errors.UnknownKernel),
    ("kernel not installed", {"content": notebook("1", kernel="gone")}, errors.UnknownKernel),
    ("unknown parameter", {"notebook": NAME, "parameters": {"y": 1}}, errors.ParameterUnknown),
    ("bad parameter", {"notebook": NAME, "parameters": {"year": "x"}}, errors.ParameterInvalid),
    ("no such cwd", {"notebook": NAME, "working_directory": "no"}, errors.InvalidRequest),
    ("unknown tier", {"notebook": NAME, "tier": "warp"}, errors.InvalidRequest),
    ("direct, not forkable", {"notebook": NAME, "tier": "direct"}, errors.InvalidRequest),
    (
        "direct and kept",
        {"notebook": NAME, "tier": "direct", "keep_on_failure": True},
        errors.InvalidRequest,
    ),
    ("cwd outside", {"notebook": NAME, "working_directory": "/"}, errors.OutsideRoot),
]


@pytest.mark.parametrize(("spec", "error"), [case[1:] for case in BAD], ids=[c[0] for c in BAD])
def test_what_cannot_run_is_refused(
    kind: NotebookKind, spec: dict[str, Any], error: type[errors.OpspawnError]
) -> None:
    """Everything is checked before it is accepted, with one sentence that says what to do."""
    with pytest.raises(error) as refusal:
        kind.prepare(spec)

    assert str(refusal.value).endswith(".")
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[]", b"null", b'"x"'])
def test_a_file_that_is_no_notebook_is_refused(
    kind: NotebookKind, root: Path, content: bytes
) -> None:
    """People point at the wrong file."""
    (root / "bad.ipynb").write_bytes(content)

    with pytest.raises(errors.NotANotebook, match=r"bad\.ipynb"):
        kind.prepare({"notebook": "bad.ipynb"})


def test_another_language_takes_any_parameter_as_text(kind: NotebookKind) -> None:
    """Its cell cannot be parsed here; papermill writes the values in that language."""
    spec = {"content": notebook("x=1", kernel="bash"), "parameters_text": {"x": "2", "y": "a b"}}

    assert kind.prepare(spec).spec["parameters"] == {"x": 2, "y": "a b"}


def test_a_language_papermill_cannot_write_takes_no_parameters(kind: NotebookKind) -> None:
    """The run would end in a traceback of papermill's."""
    spec = {"content": notebook("x", kernel="cobol"), "parameters": {"x": 2}}

    with pytest.raises(errors.ParameterInvalid, match="cobol"):
        kind.prepare(spec)


def test_the_languages_are_those_that_papermill_registers() -> None:
    """A list of our own must follow the library that does the work."""
    from papermill.translators import papermill_translators

    registered = {name.lower() for name in papermill_translators._translators}

    assert registered >= TRANSLATED_LANGUAGES
    assert {name for name in registered if "kernel" not in name} <= TRANSLATED_LANGUAGES


def test_declared_parameters_can_be_asked_for(kind: NotebookKind) -> None:
    """Forms and completion are made from them."""
    (parameter,) = kind.parameters(NAME)

    assert (parameter.name, parameter.type, parameter.default) == ("year", "int", "2026")


def test_the_code_of_a_cell_needs_no_notebook(kind: NotebookKind) -> None:
    """Each value is a variable in it, whatever the language; what is wrong with it is said."""
    prepared = kind.prepare({"cell": "print(x)", "parameters": {"x": [1]}, "parameters_text": {}})
    pinned = json.loads(prepared.files["input.ipynb"])
    assert (prepared.spec["notebook"], prepared.spec["parameters"]) == (None, {"x": [1]})
    assert [cell["source"] for cell in pinned["cells"]] == ["print(x)"]

    shell = kind.prepare({"cell": "if true; then echo $x; fi", "kernel": "bash"})
    assert shell.spec["language"] == "bash"
    for spec, said in (
        ({"cell": "if"}, "the cell is not Python: invalid syntax in its line 1"),
        ({"cell": "x", "notebook": NAME}, "give the path of a notebook, its content, or a cell"),
        ({"cell": "x", "parameters": {"a-b": 1}}, "named as in Python"),
    ):
        with pytest.raises(errors.InvalidRequest, match=said):
            kind.prepare(spec)


def test_what_is_small_is_known_before_it_is_read(kind: NotebookKind, root: Path) -> None:
    """The event loop prepares it itself; nothing that takes long may be taken for it, and what
    is refused is left to those who say why."""

    class Quick(dict[str, Any]):
        is_quick = True

        def __call__(self) -> dict[str, Any]:
            return self

    settings = Settings(
        root_directory=root, state_directory=root / ".opspawn", runs_directory=root / "runs"
    )
    quick = NotebookKind(settings, Quick(SPECS))
    (root / "large.ipynb").write_text(json.dumps(notebook("x" * 20_000)))
    small = ({"notebook": NAME}, {"cell": "print(1)"})
    others = (
        {"notebook": "large.ipynb"},
        {"notebook": "missing.ipynb"},
        {"notebook": "reports"},
        {"notebook": "../outside.ipynb"},
        {"notebook": "a\0b"},
        {"notebook": 1},
        {"content": notebook("1")},
        {"cell": "x" * 20_000},
        {},
    )

    assert [quick.is_small(spec) for spec in small] == [True, True]
    assert not any(quick.is_small(spec) for spec in others)
    assert not any(kind.is_small(spec) for spec in small)  # nothing is known of its kernelspecs
