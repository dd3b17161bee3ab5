"""What the suites share: real servers that leave nothing behind, and a real browser."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from jupyter_client.connect import LocalPortCache

from jupyter_process import JupyterProcess, free_port, jupyter_server, make_home, processes

EXAMPLES = Path(__file__).parent.parent / "notebooks" / "examples"

#: Where nothing may be left out: a suite that cannot run is a failure there.
REQUIRE_ALL = bool(os.environ.get("CI") or os.environ.get("OPSPAWN_REQUIRE_ALL"))

#: Reasons by file, of the tests that were skipped.
_left_out: dict[str, str] = {}


def pytest_configure() -> None:
    """Be as one who sits before a terminal, on a machine that may have little time for us.

    A shell that starts something in the background has it ignore Ctrl-C, and all that it starts.
    Hypothesis takes an example that was not given a processor for one that is slow.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    settings.register_profile(
        "patient", deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    settings.load_profile("patient")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport]:
    """Where everything is required, what is skipped fails."""
    report = yield
    if REQUIRE_ALL and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"nothing may be left out here: {_reason(report)}"
    return report


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Remember what is skipped, in whichever process the test ran."""
    if report.skipped and not hasattr(report, "wasxfail"):
        _left_out[report.location[0]] = _reason(report)


def _reason(report: pytest.TestReport) -> str:
    where_and_why = report.longrepr
    text = where_and_why[2] if isinstance(where_and_why, tuple) else str(where_and_why)
    return text.removeprefix("Skipped: ")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which suites this machine could not run."""
    for suite, reason in _left_out.items():
        terminalreporter.write_line(f"LEFT OUT, all or in part: {suite}: {reason}", yellow=True)
    if not _left_out:
        terminalreporter.write_line("No test was left out.")


@pytest.fixture(scope="session", autouse=True)
def _ports_of_kernels() -> Iterator[None]:
    """Kernels that tests start themselves are told ports a second before they bind them; those that
    the system gives could be somebody else's by then."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LocalPortCache, "find_available_port", lambda _cache, _ip: free_port())
        yield


@pytest.fixture
def jupyter_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Jupyter's directories of this test alone; what runs in this process uses them too."""
    home = tmp_path / "home"
    make_home(home)
    for name in [name for name in os.environ if name.startswith(("OPSPAWN_", "JPY_", "JUPYTER"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(home / "config"))
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(home / "data"))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(home / "runtime"))
    monkeypatch.setenv("IPYTHONDIR", str(home / "ipython"))
    return home


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JupyterProcess]:
    """A Jupyter Server with the extension, on an empty root; one for the tests of a module."""
    yield from _server(tmp_path_factory, "jupyter_server", examples=False)


@pytest.fixture(scope="module")
def examples_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JupyterProcess]:
    """A Jupyter Server on a copy of the examples."""
    yield from _server(tmp_path_factory, "jupyter_server", examples=True)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JupyterProcess]:
    """JupyterLab on a copy of the examples."""
    yield from _server(tmp_path_factory, "jupyterlab", examples=True)


# Playwright keeps an event loop running in the main thread: the browser ends with its module, so
# that other modules can run theirs.
@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium; without one the browser suite is left out."""
    pytest.importorskip("playwright")
    from browser import chromium_path, headless_browser

    if chromium_path() is None:
        pytest.skip("there is no Chromium; on Debian: apt install chromium")
    with headless_browser() as running:
        yield running


def _server(
    factory: pytest.TempPathFactory, app: str, *, examples: bool
) -> Iterator[JupyterProcess]:
    directory = factory.mktemp("server")
    root = directory / "root"
    if examples:
        ignored = shutil.ignore_patterns(".*", "opspawn_runs", "__pycache__")
        shutil.copytree(EXAMPLES, root, ignore=ignored)
    else:
        root.mkdir()
    arguments = ["--LabApp.expose_app_in_browser=True"] if app == "jupyterlab" else []
    home = directory / "home"
    with jupyter_server(root, home, app=app, arguments=arguments) as process:
        assert process.await_health()["status"] == "ok", process.log
        yield process
    left = processes(home)
    assert not left, f"these outlived their server: {left}"
