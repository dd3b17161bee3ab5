"""A real Jupyter server with the extension: start, settings, doors, degraded start, end."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import urllib.request
from http.cookiejar import CookieJar

import pytest
from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.websocket import websocket_connect

from jupyter_process import PATIENCE_SECONDS, environment, make_home
from opspawn_jupyter.client.transport import Transport
from opspawn_jupyter.errors import ServerUnreachable
from opspawn_jupyter.server.route import Area
from opspawn_jupyter.server.routing import API, ROUTES

ENABLED = "--ServerApp.jpserver_extensions={'opspawn_jupyter': True}"


def login(server) -> dict[str, str]:
    """Headers of a browser that has logged in."""
    jar = CookieJar()
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
    address = f"{server.jupyter.url}login?token={server.jupyter.token}"
    browser.open(address, timeout=PATIENCE_SECONDS).close()
    return {"Cookie": "; ".join(f"{cookie.name}={cookie.value}" for cookie in jar)}


def _address(path: str) -> str:
    return re.sub(r"\{\+?\w+\}", "whatever", path)


OPERATIONS = [
    (operation.method.upper(), route) for route in ROUTES for operation in route.operations
]
CLOSED = [(method, route) for method, route in OPERATIONS if route.path != "health"]
IDS = [f"{method} {route.path}" for method, route in CLOSED]


@pytest.mark.parametrize(("method", "route"), CLOSED, ids=IDS)
@pytest.mark.parametrize("token", [None, "wrong", "a-token-of-this-tesx"])
def test_every_route_but_health_refuses_a_stranger(server, method, route, token):
    """Whoever can reach the port could run code otherwise."""
    status, answer = server.json(method, _address(route.path), token=token)

    assert status in (401, 403)
    assert answer["code"] == "not_authenticated"
    assert answer["request_id"]


@pytest.mark.parametrize("path", [_address(r.path) for r in ROUTES if r.area is Area.WORKERS])
@pytest.mark.parametrize("shown", ["token {}", "worker {}", "worker ", "-"])
def test_the_workers_door_does_not_know_jupyters_token(server, path, shown):
    """User code may hold Jupyter's token, and must not be able to speak as a worker."""
    status, answer = server.json(
        "POST",
        path,
        token=None,
        headers={"Authorization": shown.format(server.jupyter.token)},
        body={"free_slots": 1},
    )

    assert (status, answer["code"]) == (401, "not_authenticated")


def test_the_workers_secret_opens_nothing_else(server):
    """A worker reports; it does not submit, list or read."""
    secret = json.loads((server.root / ".opspawn/server.json").read_text())["worker_token"]

    status, _ = server.json(
        "GET", "tasks", token=None, headers={"Authorization": f"worker {secret}"}
    )

    assert status == 401


def test_a_worker_that_hangs_up_is_no_fault(server):
    """It waits for an answer that may never come, and may end at any time."""
    secret = json.loads((server.root / ".opspawn/server.json").read_text())["worker_token"]
    path = f"{API}/workers/w/take"

    async def hang_up_on_it() -> None:
        transport = Transport(server.jupyter.url, f"worker {secret}")
        with pytest.raises(ServerUnreachable):
            await transport.call(
                "POST", "workers/w/take", body={"free_slots": 0}, timeout_seconds=0.2
            )
        body = {"free_slots": 0, "wait_seconds": 0}
        assert await transport.call("POST", "workers/v/take", body=body) == {
            "assignments": [],
            "cancel": [],
        }
        transport.close()

    asyncio.run(hang_up_on_it())

    assert path not in server.jupyter.log


async def hang_up(socket) -> None:
    """Close it and wait until it is."""
    socket.close()
    while await socket.read_message() is not None:
        pass


def knock(server, **headers: str) -> int:
    """Status of the answer to a websocket's opening."""

    async def shake_hands() -> int:
        address = f"{server.jupyter.url.replace('http', 'ws')}{API}/events/stream"
        try:
            await hang_up(await websocket_connect(HTTPRequest(address, headers=headers)))
        except HTTPClientError as refusal:
            return refusal.code
        return 101

    return asyncio.run(shake_hands())


def test_a_websocket_refuses_a_stranger(server):
    """The stream shows what notebooks print."""
    assert knock(server) == 401
    assert knock(server, Authorization="token wrong") == 401
    assert knock(server, Authorization=f"token {server.jupyter.token}") == 101


def test_a_websocket_from_another_site_is_refused(server):
    """A page elsewhere must not listen with its visitor's cookie."""
    cookie = login(server)["Cookie"]

    assert knock(server, Cookie=cookie, Origin="http://evil.example") == 403
    assert knock(server, Cookie=cookie, Origin=server.jupyter.url.rstrip("/")) == 101


def test_cookies_need_the_xsrf_token_and_tokens_do_not(server):
    """Another site's form must not submit a task with its visitor's login."""
    cookies = login(server)
    xsrf = {"X-XSRFToken": cookies["Cookie"].partition("_xsrf=")[2].partition(";")[0]}

    bare = server.json("POST", "sql", token=None, headers=cookies, body={"query": "x"})
    with_token = server.json("POST", "sql", body={"nonsense": 1})
    proven = server.json(
        "POST",
        "sql",
        token=None,
        headers={**cookies, **xsrf},
        body={"nonsense": 1},
    )

    assert (bare[0], bare[1]["code"]) == (403, "not_authorized")
    assert with_token[0] == 422
    assert proven[0] == 422


def test_a_program_that_shows_its_token_is_given_no_cookie(server):
    """It shows the token each time, and to sign a cookie takes a tenth of a request."""
    status, headers, _ = server.ask("GET", "tasks")

    assert status == 200
    assert "Set-Cookie" not in headers


def test_health_is_open_and_ok(server):
    """Probes have no token."""
    status, answer = server.json("GET", "health", token=None)

    assert status == 200
    assert answer["status"] == "ok", answer


def test_the_description_is_valid_openapi(server):
    """Clients of other languages are generated from it."""
    validator = pytest.importorskip("openapi_spec_validator")

    _, document = server.json("GET", "openapi.json")

    validator.validate(document)
    assert {"/tasks", "/sql", "/workers/{worker_id}/take"} <= set(document["paths"])


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("POST", "tasks", b"{not json", (422, "not JSON")),
        ("POST", "tasks", b"[1]", (422, "JSON object")),
        ("POST", "tasks", b"\xff\xfe", (422, "not JSON")),
        ("POST", "tasks", {"spec": {}, "nmae": "x"}, (422, "nmae")),
        ("POST", "tasks", {"spec": {}, "kind": "no such"}, (422, "no such")),
        ("POST", "tasks", {"spec": {"notebook": "missing.ipynb"}}, (404, "missing.ipynb")),
        ("POST", "tasks", {"spec": {"notebook": "/etc/passwd"}}, (422, "root")),
        ("GET", "tasks?limit=0", None, (422, "limit")),
        ("GET", "tasks?stat=failed", None, (422, "stat")),
        ("GET", "tasks?state=lost", None, (422, "state")),
        ("GET", "tasks?sort=nonsense", None, (422, "nonsense")),
        ("GET", "tasks?label=nocolon", None, (422, "nocolon")),
        ("GET", "tasks/0123456789", None, (404, "0123456789")),
        ("GET", "tasks/0123456789/notebook?format=pdf", None, (404, "0123456789")),
        ("POST", "tasks/0123456789/cancel", b"", (404, "0123456789")),
        ("POST", "sql", {"query": "drop table tasks"}, (422, "read-only")),
        ("GET", "notebooks/parameters", None, (422, "path")),
        ("GET", "notebooks/parameters?path=no.ipynb", None, (404, "no.ipynb")),
        ("GET", "nowhere", None, (404, "nowhere")),
        ("DELETE", "tasks", None, (405, "")),
    ],
)
def test_bad_requests_get_one_clear_sentence(server, method, path, body, expected):
    """Every door tells what is wrong with what was put in, and nothing is ever a 500."""
    status, words = expected
    got, headers, text = server.ask(method, path, body=body)

    answer = json.loads(text)
    assert got == status, answer
    assert words in answer["message"]
    assert set(answer) == {"code", "message", "detail", "request_id"}
    assert headers["X-Request-Id"] == answer["request_id"]
    assert headers["Content-Type"].startswith("application/json")
    assert headers["Cache-Control"] == "no-store"
    assert "Traceback" not in text.decode()


HEAVY = {"papermill", "nbclient", "nbconvert", "numpy", "pandas", "pyarrow", "matplotlib"}

LOADED = """
import sys
from jupyter_server.serverapp import ServerApp

async def look():
    service = app.extension_manager.extension_points["opspawn_jupyter"].app.service
    await service.running()
    print("LOADED", *sorted(name for name in sys.modules if "." not in name))
    app.stop()

app = ServerApp.instance()
app.initialize(sys.argv[1:])
app.io_loop.add_callback(look)
app.start()
"""


def test_the_server_imports_nothing_heavy(tmp_path):
    """A Jupyter server must start as fast with the extension as without."""
    make_home(tmp_path)
    given = [
        "--ServerApp.port=0",
        "--allow-root",
        "--no-browser",
        f"--ServerApp.root_dir={tmp_path}",
    ]

    said = subprocess.run(
        [sys.executable, "-c", LOADED, ENABLED, *given],
        env=environment(tmp_path),
        capture_output=True,
        check=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    ).stdout

    loaded = set(said[said.index("LOADED") :].split())
    assert "duckdb" in loaded
    assert loaded & HEAVY == set()


DENIES = """
from jupyter_server.auth import Authorizer

class ReadersOnly(Authorizer):
    def is_authorized(self, handler, user, action, resource):
        return not resource.startswith("opspawn") or action == "read" and resource != "opspawn_sql"

c.ServerApp.authorizer_class = ReadersOnly
"""


def test_jupyters_authorizer_is_asked(running, tmp_path):
    """On a shared server some may look and not run, and some may not ask the history."""
    home = tmp_path / "home"
    make_home(home)
    (home / "config" / "jupyter_server_config.py").write_text(DENIES)

    with running(tmp_path, home) as one:
        looking = one.json("GET", "tasks")[0]
        refused = [
            one.json("POST", "tasks", body={"spec": {}}),
            one.json("POST", "sql", body={"query": "select 1"}),
        ]
        listening = knock(one, Authorization=f"token {one.jupyter.token}")

    assert looking == 200
    assert [(status, answer["code"]) for status, answer in refused] == [(403, "not_authorized")] * 2
    assert listening == 403


def test_a_second_server_on_the_same_root_is_degraded_and_says_why(running, server, tmp_path):
    """One process owns the history; the other must say so instead of failing strangely."""
    before = (server.root / ".opspawn/server.json").read_text()

    with running(server.root, tmp_path / "home") as second:
        health = second.health()
        refusals = [second.json("GET", path) for path in ("tasks", "tasks/abcdefgh")]

    assert health["status"] == "degraded"
    assert [(status, answer["code"]) for status, answer in refusals] == [
        (503, "store_unavailable")
    ] * 2
    assert refusals[0][1]["message"] == health["problem"]
    assert (server.root / ".opspawn/server.json").read_text() == before


def test_runs_directory_must_lie_in_the_root(running, tmp_path):
    """People find their runs in Jupyter's file browser."""
    with running(tmp_path, tmp_path / "home", "--OpspawnExtension.runs_directory=/else") as one:
        health = one.health()
        refusal = one.json("GET", "tasks")

    assert health["status"] == "degraded"
    assert "runs_directory" in health["problem"]
    assert (refusal[0], refusal[1]["code"]) == (503, "unavailable")


def test_settings_come_from_environment_then_file_then_command_line(tmp_path):
    """The documented precedence, as `jupyter server --show-config` shows it."""
    make_home(tmp_path)
    own = {"OpspawnExtension": {"sql_max_rows": 2, "max_running_tasks": 2}}
    (tmp_path / "config" / "jupyter_server_config.json").write_text(json.dumps(own))
    variables = {
        "OPSPAWN_SQL_MAX_ROWS": "1",
        "OPSPAWN_MAX_RUNNING_TASKS": "1",
        "OPSPAWN_SQL_TIMEOUT_SECONDS": "1.5",
    }
    given = [ENABLED, "--OpspawnExtension.max_running_tasks=3", "--show-config-json"]

    shown = subprocess.run(
        [sys.executable, "-m", "jupyter_server", *given],
        env=environment(tmp_path) | variables,
        capture_output=True,
        check=True,
        text=True,
    ).stdout

    section = json.loads(shown[shown.index("{") :])["OpspawnExtension"]
    # traitlets shows a command line's values as they were typed
    assert section == {"sql_max_rows": 2, "max_running_tasks": "3", "sql_timeout_seconds": 1.5}


def test_a_value_that_is_no_setting_stops_us_and_not_jupyter(running, tmp_path):
    """Without the other settings we would serve another history than the one that was asked for."""
    given = ["--OpspawnExtension.anchor_seconds=0.5", "--OpspawnExtension.state_directory=mine"]
    with running(tmp_path, tmp_path / "home", *given) as one:
        health = one.health()
        assert one.json("GET", "tasks")[0] == 503
        assert one.jupyter.call("GET", "api/status")["started"]

    assert health["status"] == "degraded"
    assert "'anchor_seconds'" in health["problem"]
    assert not (tmp_path / ".opspawn").exists()


def test_a_clean_stop_leaves_no_trace_of_the_server(running, tmp_path):
    """A worker or a client must not be led to a server that is gone."""
    with running(tmp_path, tmp_path / "home") as one:
        state = one.root / ".opspawn"
        assert (state / "server.json").stat().st_mode & 0o777 == 0o600
        assert state.stat().st_mode & 0o777 == 0o700

    assert not (state / "server.json").exists()
    assert "opspawn is ready" in one.jupyter.log
    assert "Traceback" not in one.jupyter.log
