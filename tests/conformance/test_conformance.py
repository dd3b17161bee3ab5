"""The official conformance suite against ``/opspawn/mcp``, and against our side towards other
servers, in both eras of the protocol.

Nothing is expected to fail: ``expected.yml`` is empty.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
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


OLDER, MODERN = "2025-11-25", "2026-07-28"
#: OAuth, in both eras.
OAUTH = (
    "metadata-default",
    "metadata-var1",
    "metadata-var2",
    "metadata-var3",
    "basic-cimd",
    "scope-from-www-authenticate",
    "scope-from-scopes-supported",
    "scope-omitted-when-undefined",
    "scope-step-up",
    "scope-retry-limit",
    "token-endpoint-auth-basic",
    "token-endpoint-auth-post",
    "token-endpoint-auth-none",
    "pre-registration",
)
MODERN_OAUTH = (
    "resource-mismatch",
    "offline-access-scope",
    "offline-access-not-supported",
    "authorization-server-migration",
    "iss-supported",
    "iss-not-advertised",
    "iss-supported-missing",
    "iss-wrong-issuer",
    "iss-unexpected",
    "iss-normalized",
    "metadata-issuer-mismatch",
)
#: What the suite asks of clients, less extensions that we do not have; the page on tool security
#: says which. An extension has no version.
CLIENT_SCENARIOS = (
    ("initialize", OLDER),
    ("tools_call", OLDER),
    ("elicitation-sep1034-client-defaults", OLDER),
    ("sse-retry", OLDER),
    ("json-schema-2020-12-preservation", OLDER),
    ("tools_call", MODERN),
    ("request-metadata", MODERN),
    ("sep-2322-client-request-state", MODERN),
    ("http-standard-headers", MODERN),
    ("http-custom-headers", MODERN),
    ("http-invalid-tool-headers", MODERN),
    ("json-schema-ref-no-deref", MODERN),
    ("json-schema-2020-12-preservation", MODERN),
    *((f"auth/{name}", version) for version in (OLDER, MODERN) for name in OAUTH),
    *((f"auth/{name}", MODERN) for name in MODERN_OAUTH),
    ("auth/2025-03-26-oauth-metadata-backcompat", "2025-03-26"),
    ("auth/2025-03-26-oauth-endpoint-fallback", "2025-03-26"),
    ("auth/client-credentials-jwt", ""),
    ("auth/client-credentials-basic", ""),
)


@pytest.fixture(scope="module")
def our_side(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The command that plays a scenario, in a process that waits for them."""
    place = tmp_path_factory.mktemp("our_side")
    socket = str(place / "socket")
    with (place / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, str(HERE / "client.py"), socket],
            env={**os.environ, "JUPYTER_CONFIG_DIR": str(place), "HOME": str(place)},
            stdout=log,
            stderr=log,
        )
        try:
            _await(Path(socket), process)
            yield f"{sys.executable} -I -S {HERE / 'door.py'} {socket}"
        finally:
            process.terminate()
            process.wait(PATIENCE_SECONDS)


def _await(socket: Path, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not socket.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert socket.exists()


def _as_client(scenario: str, version: str, command: str, place: Path) -> str:
    """The suite's word on our side in one scenario; nothing where it is content."""
    run = subprocess.run(
        [
            *(str(MODULES / ".bin" / "node"), str(SUITE), "client"),
            "--timeout=280000",
            f"--command={command}",
            *("--scenario", scenario, f"--output-dir={place}"),
            *([f"--spec-version={version}"] if version else []),
        ],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    print(f"{version} {scenario}:", *re.findall(r"Passed: .*", run.stdout + run.stderr))
    return "" if run.returncode == 0 else f"{scenario}, {version}: {run.stdout}{run.stderr}"


@pytest.mark.timeout(900)
def test_the_official_suite_finds_nothing_in_our_side_as_a_client(
    our_side: str, tmp_path: Path
) -> None:
    """Few at once: the suite's own time limits are short."""
    with ThreadPoolExecutor(max_workers=3) as pool:
        found = pool.map(
            lambda one: _as_client(*one, our_side, tmp_path / one[1] / one[0]), CLIENT_SCENARIOS
        )
    problems = [problem for problem in found if problem]
    assert not problems, problems
