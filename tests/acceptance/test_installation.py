"""The wheel, installed as users install it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from jupyter_process import PATIENCE_SECONDS, JupyterProcess, environment, make_home

REPOSITORY = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of this checkout."""
    directory = tmp_path_factory.mktemp("wheel")
    command = ["-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-w", directory]
    build = _run(sys.executable, *command, REPOSITORY)
    if build.returncode:
        pytest.skip(f"a wheel cannot be built here: {build.stderr.strip()[-300:]}")
    return next(directory.glob("*.whl"))


def test_an_installed_wheel_enables_the_extension(wheel: Path, tmp_path: Path) -> None:
    """`pip install` is all that a user has to do."""
    python = _environment(tmp_path / "venv")
    _borrow_packages(python)
    install = _run(python, "-m", "pip", "install", "--no-deps", "--force-reinstall", wheel)
    assert install.returncode == 0, install.stderr

    listed = _run(python, "-m", "jupyter_server.extension.serverextension", "list", home=tmp_path)

    assert "opspawn_jupyter enabled" in _plain(listed.stdout + listed.stderr)
    assert (python.parent / "opspawn").is_file()


def test_the_kernel_side_works_beside_a_bare_ipykernel(
    wheel: Path, examples_server: JupyterProcess, tmp_path: Path
) -> None:
    """A kernel environment belongs to its user: what the magic needs there is ipykernel, and
    opspawn without its dependencies."""
    python = _environment(tmp_path / "venv")
    bare = _run(python, "-m", "pip", "install", "ipykernel")
    if bare.returncode:
        pytest.skip(f"ipykernel cannot be installed: {bare.stderr[-300:]}")
    install = _run(python, "-m", "pip", "install", "--no-deps", wheel)
    assert install.returncode == 0, install.stderr
    cell = (
        "%load_ext opspawn_jupyter\n"
        "task = %opspawn run penguins.ipynb -p year=2007\n"
        "print(sorted(task.result(120)))\n"
        "import sys; print({'pydantic', 'papermill', 'duckdb'} & set(sys.modules))"
    )
    script = (
        "from jupyter_client.manager import start_new_kernel\n"
        "manager, client = start_new_kernel()\n"
        f"client.execute_interactive({cell!r}, timeout=300)\n"
        "client.stop_channels(); manager.shutdown_kernel()"
    )

    answer = _run(
        python, "-c", script, environ=examples_server.environment, cwd=examples_server.root
    )

    assert "['left_out', 'male_minus_female', 'penguins']" in answer.stdout, answer.stderr
    assert "set()" in answer.stdout


def _environment(directory: Path) -> Path:
    subprocess.run([sys.executable, "-m", "venv", directory], check=True)
    return directory / "bin" / "python"


def _borrow_packages(python: Path) -> None:
    """Let the environment see this one's packages, so that dependencies need no download."""
    theirs = _run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))")
    ours = sysconfig.get_path("purelib")
    Path(theirs.stdout.strip(), "borrowed.pth").write_text(f"{ours}\n")


def _run(
    *command: object,
    home: Path | None = None,
    environ: dict[str, str] | None = None,
    cwd: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    if home is not None:
        make_home(home)
    environ = environ or (environment(home) if home else dict(os.environ))
    environ.pop("PYTHONPATH", None)
    return subprocess.run(
        [str(word) for word in command],
        env=environ,
        cwd=cwd or REPOSITORY.parent,
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE_SECONDS,
        check=False,
    )


def _plain(text: str) -> str:
    """Without colours, and with single spaces."""
    return " ".join(re.sub(r"\x1b\[[0-9;]*m", "", text).split())
