"""The layers, the packaging and the lightness of the kernel side."""

from __future__ import annotations

import configparser
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent.parent
_HEAVY = ("duckdb", "jupyter_server", "mcp", "nbclient", "nbconvert", "nbformat", "pandas")
_HEAVIER = ("papermill", "pydantic", "rich")


def _setup() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(REPOSITORY / "setup.cfg")
    return parser


def _packages() -> set[str]:
    return set(_setup()["options"]["packages"].split())


def test_the_import_contracts_hold() -> None:
    """Layers that are only drawn decay; import-linter follows every import.

    In a process of its own: it silences every logger that exists.
    """
    pytest.importorskip("importlinter.cli")
    program = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports("
    options = f"config_filename={str(REPOSITORY / 'pyproject.toml')!r}, no_cache=True))"

    ran = subprocess.run(
        [sys.executable, "-c", program + options],
        cwd=REPOSITORY, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_every_package_is_in_some_layer() -> None:
    """A new package without a place in the layers would escape the contract."""
    configuration = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    contracts = configuration["tool"]["importlinter"]["contracts"]
    layers = next(one for one in contracts if one["type"] == "layers")["layers"]
    placed = {module.strip("()") for layer in layers for module in layer.split(" | ")}

    modules = {
        f"opspawn_jupyter.{path.stem}"
        for path in (REPOSITORY / "opspawn_jupyter").iterdir()
        if path.suffix == ".py" or (path / "__init__.py").exists()
    }

    assert modules - placed == {"opspawn_jupyter.__init__"}


def test_the_wheel_holds_every_package() -> None:
    """setup.cfg lists packages by name; one that is forgotten is missing only after pip install."""
    roots = (REPOSITORY / "opspawn_jupyter", REPOSITORY / "magics" / "opspawn_magics")
    in_tree = {
        ".".join(file.parent.relative_to(root.parent).parts)
        for root in roots
        for file in root.rglob("__init__.py")
    }

    assert _packages() == in_tree | {"opspawn_notebooks"}


def test_the_wheel_holds_every_file_that_is_not_python() -> None:
    """SQL, scripts and styles that no pattern covers are missing only after pip install."""
    patterns = _setup()["options.package_data"]["*"].split()
    covered, in_tree = set(), set()
    for name in _packages() - {"opspawn_notebooks"}:
        root = REPOSITORY if name.startswith("opspawn_jupyter") else REPOSITORY / "magics"
        directory = root / name.replace(".", "/")
        covered |= {file for pattern in patterns for file in directory.glob(pattern)}
        in_tree |= {
            file
            for file in directory.rglob("*")
            if file.is_file() and file.suffix not in (".py", ".pyc")
        }

    assert in_tree - covered == set()


def test_the_wheel_holds_every_notebook_that_comes_with_it() -> None:
    """Steps run through them, and `opspawn workflow copy-example` copies them."""
    patterns = _setup()["options.package_data"]["opspawn_notebooks"].split()
    notebooks = REPOSITORY / "notebooks"
    covered = {file for pattern in patterns for file in notebooks.glob(pattern)}
    command = ["git", "ls-files", "notebooks"]
    listed = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)

    in_tree = {REPOSITORY / name for name in listed.stdout.splitlines()}

    assert in_tree - covered - {notebooks / "__init__.py"} == set()


def test_loading_the_kernel_side_imports_nothing_heavy() -> None:
    """`%load_ext opspawn_jupyter` must be quick, and work beside a bare ipykernel."""
    heavy = (*_HEAVY, *_HEAVIER)
    script = (
        "import ipykernel.kernelapp, sys; before = set(sys.modules)\n"
        "import opspawn_magics, opspawn_jupyter.client.client\n"
        "from opspawn_jupyter import connect, step\n"
        "loaded = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        f"print(sorted(loaded & set({heavy})))"
    )

    answer = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, check=True
    )

    assert answer.stdout.strip() == "[]"
