"""The page of a run in a plain browser tab: whole, safe, and for the server's users only."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import nbformat
import pytest

from jupyter_process import PATIENCE_SECONDS, JupyterProcess
from tests.integration.broker_stage import habit, write_config
from tests.unit.widgets.conftest import WIDGETS

pytestmark = pytest.mark.browser

_ATTACK = """from IPython.display import HTML
HTML("<b>table</b><img src=x onerror='top.hacked = 1'><img src='http://elsewhere.invalid/x.png'>")"""


@pytest.fixture(scope="module")
def task(server: JupyterProcess) -> dict[str, Any]:
    """A run that fails in a later code cell, with parameters, a call of a tool and a file."""
    write_config(server.root, {"good": habit("none")})
    (good,) = server.api("GET", "mcp/servers")["servers"]
    server.api("POST", "mcp/approvals", {"name": "good", "digest": good["digest"]})
    sources = (
        "count: int = 1",
        _ATTACK,
        "from opspawn_jupyter import mcp\nmcp.good.echo(text='x')",
        "from opspawn_jupyter import step\nstep.artifact('a b.txt').write_text('kept')",
        "{}['price']",
        "print('never')",
    )
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    cells[0].metadata["tags"] = ["parameters"]
    spec = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": spec})
    nbformat.write(notebook, server.root / "fails.ipynb")
    submission = {"spec": {"notebook": "fails.ipynb", "parameters": {"count": 3}}}
    return server.await_task(server.api("POST", "tasks", submission)["id"])


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A tab that notes what is asked of another host, and what goes wrong in it."""
    from browser import new_page

    opened = new_page(browser, viewport={"width": 1000, "height": 1200})
    opened.asked, opened.problems = [], []
    # What the page's policy holds back does not come as far as this.
    opened.route("http://elsewhere.invalid/**", lambda route: _noted(opened, route))
    opened.on("pageerror", lambda error: opened.problems.append(str(error)))
    yield opened
    opened.close()


def _noted(page: Any, route: Any) -> None:
    page.asked.append(route.request.url)
    route.abort()


def test_it_shows_the_whole_run_and_runs_none_of_its_scripts(
    page: Any, server: JupyterProcess, task: dict[str, Any]
) -> None:
    """Whoever gets the link sees what happened, with their own cookies safe."""
    from playwright.sync_api import expect

    answer = page.goto(f"{server.url}opspawn/runs/{task['id']}?token={server.token}")

    assert "default-src 'none'; script-src 'self'" in answer.headers["content-security-policy"]
    expect(page.locator(".opspawn-pill").first).to_have_text("✗ failed")
    expect(page.locator(".opspawn-failing .opspawn-source")).to_have_text("{}['price']")
    expect(page.locator(".opspawn-notebook iframe").content_frame.locator("b")).to_have_text(
        "table"
    )
    expect(page.locator(".opspawn-notebook .opspawn-stderr")).not_to_contain_text("-----")
    for title in ("Parameters", "Events", "Tool calls", "Files", "Environment", "Facts"):
        page.get_by_role("heading", name=title).click()
    expect(page.get_by_role("row", name="count 3")).to_be_visible()
    expect(page.get_by_text("task.failed")).to_be_visible()
    expect(page.get_by_role("cell", name="good.echo", exact=True)).to_be_visible()
    expect(page.get_by_role("row", name="distributions_sha256")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="a b.txt").click()
    assert download.value.path().read_text() == "kept"
    assert page.evaluate("window.hacked") is None
    assert page.problems == []
    assert page.asked == []


def _waiting(server: JupyterProcess) -> str:
    """A workflow with a step that succeeded, and one that somebody has to let go on."""
    source = (
        "name: asks\ntasks:\n"
        "  - {id: make, plugin: shell, config: {command: echo made}}\n"
        "  - {id: send, plugin: shell, config: {command: echo sent}, depends_on: [make],"
        " approve: Send it?}\n"
    )
    task_id: str = server.api("POST", "tasks", {"kind": "workflow", "spec": {"source": source}})[
        "id"
    ]
    return task_id


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_it(
    page: Any, server: JupyterProcess, task: dict[str, Any], scheme: str
) -> None:
    """Keyboards and screen readers read runs as well: failed, waiting, cancelled, successful."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe
    waiting = _waiting(server)
    page.emulate_media(color_scheme=scheme)

    def look(task_id: str, ready: Any) -> None:
        page.goto(f"{server.url}opspawn/runs/{task_id}?token={server.token}")
        ready.first.wait_for()
        page.get_by_role("heading", name="Events").click()
        page.get_by_text("task.submitted").first.wait_for()
        found = axe().run(page).response["violations"]
        assert [
            f"{one['id']}: {node['failureSummary']}" for one in found for node in one["nodes"]
        ] == []

    look(task["id"], page.locator(".opspawn-failing"))
    look(waiting, page.locator(".opspawn-graph").get_by_label("send: waiting"))
    (made,) = server.api("GET", f"tasks?parent={waiting}&name=make")["tasks"]
    look(made["id"], page.locator(".opspawn-card .opspawn-is-success"))
    server.api("POST", f"tasks/{waiting}/cancel")
    look(waiting, page.locator(".opspawn-card .opspawn-is-cancelled"))


def test_a_retry_from_the_page_is_let_through(
    page: Any, server: JupyterProcess, task: dict[str, Any]
) -> None:
    """By the login's cookie and the XSRF token, as Jupyter's own pages do."""
    page.goto(f"{server.url}opspawn/runs/{task['id']}?token={server.token}")

    page.get_by_role("button", name="Retry").click()

    page.locator(".opspawn-card").nth(1).get_by_role("link", name="Run page").wait_for()
    (again,) = [one for one in server.api("GET", "tasks")["tasks"] if one["retry_of"] == task["id"]]
    server.await_task(again["id"])


@pytest.mark.parametrize(
    ("path", "token", "status"),
    [
        ("runs/{id}", "", 403),
        ("runs/00000000", "{token}", 404),
        ("static/panel.css", "", 200),  # behind JupyterHub a module comes without a login
        ("static/__init__.py", "{token}", 404),
        ("static/nothing.js", "{token}", 404),
    ],
)
def test_strangers_see_no_run_and_wrong_addresses_lead_nowhere(
    server: JupyterProcess, task: dict[str, Any], path: str, token: str, status: int
) -> None:
    """A link is no key, and the door of the modules opens on nothing else."""
    request = urllib.request.Request(f"{server.url}opspawn/{path.format(**task)}")
    if token:
        request.add_header("Authorization", f"token {server.token}")

    assert _answered(request) == status


def test_a_link_to_no_run_leads_to_a_sentence(server: JupyterProcess) -> None:
    """Whoever follows it sees a page, and not JSON."""
    request = urllib.request.Request(f"{server.url}opspawn/runs/00<b>00")
    request.add_header("Authorization", f"token {server.token}")

    with pytest.raises(urllib.error.HTTPError) as refusal:
        urllib.request.urlopen(request, timeout=PATIENCE_SECONDS)

    page = refusal.value.read().decode()
    assert refusal.value.headers["Content-Type"].startswith("text/html")
    assert "There is no task with this id" in page
    assert "00&lt;b&gt;00" in page, "what stands in an address is text"


@pytest.mark.parametrize("has_token", [False, True])
def test_the_open_door_gives_the_package_s_own_files_and_no_others(
    server: JupyterProcess, has_token: bool
) -> None:
    """It stands open to all: nothing of the user's or of the disk may be behind it."""
    (server.root / "secret.js").write_text("secret")
    ours = {file.name for file in WIDGETS.iterdir() if file.suffix in {".js", ".css"}}
    others = (
        *("", ".", "..", "run_page.html", "README.md", "widgets", "nothing.js", "panel.css%00.js"),
        *("../secret.js", "..%2fsecret.js", "%2e%2e/%2e%2e/secret.js", "x/../../secret.js"),
        *("..%5csecret.js", "/etc/passwd", "%2fetc%2fpasswd", "x/panel.css", "__init__.py"),
        f"{server.root}/secret.js",
    )

    def status(name: str) -> int:
        request = urllib.request.Request(f"{server.url}opspawn/static/{name}")
        if has_token:
            request.add_header("Authorization", f"token {server.token}")
        return _answered(request)

    assert {name: status(name) for name in ours} == dict.fromkeys(ours, 200)
    assert [name for name in others if status(name) < 400] == []


def _answered(request: urllib.request.Request) -> int:
    """The status; a page that sends to the login refuses."""
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:
            return 403 if "/login" in answer.url else int(answer.status)
    except urllib.error.HTTPError as refusal:
        return refusal.code
