"""The official conformance suite against ``/opspawn/mcp``, and against our side towards other
servers, in both eras of the protocol.

Nothing is expected to fail: ``expected.yml`` is empty. The suite's scenarios of OAuth for clients
are left out, because servers that we connect to are given what the configuration says, and no
OAuth; in MCP authorization is optional.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from jupyter_process import PATIENCE_SECONDS, JupyterProcess, jupyter_server

HERE = Path(__file__).parent
PLACE = Path(os.environ.get("OPSPAWN_TOOL_SERVERS", HERE.parents[1] / ".mcp"))
MODULES = PLACE / "node" / "node_modules"
SUITE = MODULES / "@modelcontextprotocol" / "conformance" / "dist" / "index.js"

pytestmark = pytest.mark.skipif(
    not SUITE.is_file(), reason="needs the MCP conformance suite that .ci/run installs"
)


@pytest.fixture(scope="module")
def jupyter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JupyterProcess]:
    """A server without a token, on loopback: the suite can send none."""
    root, home = tmp_path_factory.mktemp("root"), tmp_path_factory.mktemp("home")
    fixture = HERE / "fixture_server.py"
    rules = {
        # What a server may ask of whoever calls it; nobody else answers here.
        "to_caller": ["elicitation", "logging", "sampling", "roots"],
        "questions": False,
    }
    own = {
        era: {"command": sys.executable, "args": [str(fixture), era], "opspawn": rules}
        for era in ("modern", "older")
    }
    arguments = [
        "--ServerApp.jpserver_extensions={'opspawn_jupyter': True}",
        f"--OpspawnExtension.mcp_servers={own!r}",
        "--IdentityProvider.token=",
        "--ServerApp.disable_check_xsrf=True",
    ]
    with jupyter_server(root, home, arguments=arguments) as server:
        server.await_health()
        yield server


@pytest.mark.parametrize(
    ("version", "upstream"),
    [("2025-11-25", "older"), ("2025-11-25", "modern"), ("2026-07-28", "modern")],
)
def test_the_official_suite_finds_nothing_unexpected(
    jupyter: JupyterProcess, tmp_path: Path, version: str, upstream: str
) -> None:
    run = subprocess.run(
        [
            str(MODULES / ".bin" / "node"),
            str(SUITE),
            "server",
            f"--url={jupyter.url}opspawn/mcp/{upstream}",
            "--suite=all",
            f"--spec-version={version}",
            f"--expected-failures={HERE / 'expected.yml'}",
            f"--output-dir={tmp_path}",
        ],
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE_SECONDS,
        check=False,
    )
    said = run.stdout.partition("=== SUMMARY ===")[2]
    print(f"{version}, upstream {upstream}:{said}")
    assert run.returncode == 0, said + run.stderr
    passed = re.search(r"Total: (\d+) passed", said)
    assert passed
    assert int(passed[1]) > 60


#: What the suite asks of clients, less OAuth and an extension that we do not have; the page on
#: tool security says why.
CLIENT_SCENARIOS = (
    ("initialize", "2025-11-25"),
    ("tools_call", "2025-11-25"),
    ("elicitation-sep1034-client-defaults", "2025-11-25"),
    ("sse-retry", "2025-11-25"),
    ("json-schema-2020-12-preservation", "2025-11-25"),
    ("tools_call", "2026-07-28"),
    ("request-metadata", "2026-07-28"),
    ("sep-2322-client-request-state", "2026-07-28"),
    ("http-standard-headers", "2026-07-28"),
    ("http-custom-headers", "2026-07-28"),
    ("http-invalid-tool-headers", "2026-07-28"),
    ("json-schema-ref-no-deref", "2026-07-28"),
    ("json-schema-2020-12-preservation", "2026-07-28"),
)


def _as_client(scenario: str, version: str, place: Path) -> str:
    """The suite's word on our side in one scenario; nothing where it is content."""
    run = subprocess.run(
        [
            *(str(MODULES / ".bin" / "node"), str(SUITE), "client"),
            "--timeout=280000",
            f"--command={sys.executable} {HERE / 'client.py'}",
            *("--scenario", scenario, f"--spec-version={version}", f"--output-dir={place}"),
        ],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    print(f"{version} {scenario}:", *re.findall(r"Passed: .*", run.stdout + run.stderr))
    return "" if run.returncode == 0 else f"{scenario}, {version}: {run.stdout}{run.stderr}"


@pytest.mark.timeout(900)
@pytest.mark.usefixtures("jupyter_home")
def test_the_official_suite_finds_nothing_in_our_side_as_a_client(tmp_path: Path) -> None:
    """Few at once: each starts a Python, and the suite's own time limits are short."""
    with ThreadPoolExecutor(max_workers=3) as pool:
        found = pool.map(lambda one: _as_client(*one, tmp_path / one[0]), CLIENT_SCENARIOS)
    problems = [problem for problem in found if problem]
    assert not problems, problems
