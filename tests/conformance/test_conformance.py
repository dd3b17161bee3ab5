"""The official conformance suite against ``/opspawn/mcp``, in both eras of the protocol.

What the suite may not find is listed in ``expected.yml``, each with its reason; it fails where one
of these passes, too. Its report is printed.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_process import JupyterProcess, jupyter_server

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
        timeout=150,
        check=False,
    )
    said = run.stdout.partition("=== SUMMARY ===")[2]
    print(f"{version}, upstream {upstream}:{said}")
    assert run.returncode == 0, said + run.stderr
    passed = re.search(r"Total: (\d+) passed", said)
    assert passed
    assert int(passed[1]) > 60
