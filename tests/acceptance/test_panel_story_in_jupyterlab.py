"""A working day with the panels in one JupyterLab: every door, answers, two breakdowns."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from jupyter_process import JupyterProcess, jupyter_server, start, stop
from tests.acceptance.test_panels_in_jupyterlab import GATED, write

pytestmark = pytest.mark.browser

_LAB = ("--LabApp.expose_app_in_browser=True",)
_REPORT = (
    "city: str = 'Oslo'  # where",
    "from opspawn_jupyter import step; step.output('of', city)",
)
_AGENT = """\
- {call: run_python, with: {code: "first = 20"}}
- {call: run_python, with: {code: "first + 1"}}
- say: twenty-one
"""
_WORKFLOW = """\
name: nightly
tasks:
  - {id: ingest, plugin: shell, config: {command: echo once >> ingested}}
  - {id: check, plugin: shell, config: {command: test -e mended}, depends_on: [ingest]}
  - {id: report, plugin: shell, config: {command: echo done}, depends_on: [check]}
"""
_STORY = (
    "%load_ext opspawn_jupyter",
    "%opspawn run gated.ipynb",
    "%opspawn agent 'Count' --model scripted:agent.yaml --approve-code",
    "%opspawn workflow run nightly.yaml",
)


#: A notice goes after six seconds, which whoever is outside of the page may miss.
_PRESS_WHEN_NOTICED = """([words, label]) => {
  const watch = new MutationObserver(() => {
    const notices = [...document.querySelectorAll(".Toastify__toast")];
    const wanted = notices.find((notice) => notice.textContent.includes(words));
    const buttons = [...(wanted?.querySelectorAll("button") ?? [])];
    const button = buttons.find((one) => one.textContent.includes(label));
    if (!button) return;
    watch.disconnect();
    button.click();
  });
  watch.observe(document.body, { childList: true, subtree: true, characterData: true });
}"""


@dataclass(kw_only=True)
class Story:
    """A person before JupyterLab, step by step."""

    page: Any
    lab: JupyterProcess

    @property
    def side(self) -> Any:
        return self.page.locator("#opspawn-tasks")

    def card(self, cell: int) -> Any:
        """The first card below the cell of this number."""
        return self.page.locator(".jp-Notebook .jp-Cell").nth(cell).locator(".opspawn-card").first

    def looks_round(self) -> None:
        """Launcher, side bar, and what the command palette offers."""
        from playwright.sync_api import expect

        self.page.goto(f"{self.lab.url}lab?reset&token={self.lab.token}")
        self.page.locator(".jp-LauncherCard", has_text="Background Tasks").click()
        expect(self.side.locator(".opspawn-board", has_text="No tasks.").last).to_be_visible()
        self.page.keyboard.press("Control+Shift+C")
        palette = self.page.locator(".jp-ModalCommandPalette")
        palette.get_by_role("textbox").fill("background tasks")
        ours = palette.locator(".lm-CommandPalette-item[data-command^='opspawn:']")
        expect(ours).to_have_text(
            [re.compile("^Background Tasks"), re.compile("^Run Notebook"), re.compile("^Schedule")]
        )
        self.page.keyboard.press("Escape")

    def runs_a_file(self) -> None:
        """From the file browser, by a form, to the executed notebook that the notice opens."""
        from playwright.sync_api import expect

        self.page.get_by_role("tab", name="File Browser").click()
        self.page.locator(".jp-DirListing-item", has_text="report.ipynb").click(button="right")
        self.page.locator('.lm-Menu-item[data-command="opspawn:run-file"]').click()
        form = self.page.get_by_role("dialog")
        form.get_by_label("city").fill("Bergen")
        self.page.evaluate(_PRESS_WHEN_NOTICED, ["report: success", "Open notebook"])
        form.get_by_role("button", name="Run").click()
        shown = self.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .cm-content")
        expect(shown.filter(has_text='city = "Bergen"')).to_be_visible()

    def wants_failures_only(self) -> None:
        """In JupyterLab's own settings."""
        self.page.evaluate("jupyterapp.commands.execute('settingeditor:open')")
        self.page.locator(".jp-PluginList").get_by_text("Background Tasks", exact=True).click()
        # It is saved a moment later, and the next page reads it from the server.
        with self.page.expect_response(_is_saving) as saved:
            self.page.locator("select[id$='notifications']").select_option(label="failures")
        assert saved.value.ok

    def starts_from_cells(self) -> None:
        """A run that waits, an agent that asks, a workflow that fails; then the kernel goes."""
        from playwright.sync_api import expect

        from browser import open_notebook, run_cell

        open_notebook(self.page, self.lab, "story.ipynb")
        for cell in range(len(_STORY)):
            run_cell(self.page, cell)
        for kernel in self.lab.call("GET", "api/kernels"):
            self.lab.call("DELETE", f"api/kernels/{kernel['id']}")
        expect(self.card(1)).to_contain_text("cell 2 of 2")
        expect(
            self.page.get_by_role("button", name=re.compile("^Tasks: 1 running"))
        ).to_be_visible()

    def answers(self) -> None:
        """The agent's first question in its card, the second in the side bar."""
        from playwright.sync_api import expect

        question = self.card(2).locator(".opspawn-question")
        expect(question).to_contain_text("first = 20")
        question.get_by_role("button", name=re.compile("^Yes")).click()
        expect(question).to_contain_text("first + 1")
        self.page.get_by_role("tab", name="Background tasks").click()
        asked = self.side.locator(".opspawn-question")
        expect(asked).to_contain_text("first + 1")
        self.finds_no_barrier()
        asked.get_by_role("button", name=re.compile("^Yes")).click()
        expect(self.card(2).locator(".opspawn-pill").first).to_have_text("✓ success")
        expect(self.card(2)).to_contain_text("twenty-one")
        expect(self.side.locator(".opspawn-question")).to_have_count(0)

    def finds_no_barrier(self) -> None:
        """In what is ours of the page, in JupyterLab's own colours: light, dark, light again."""
        axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
        ours = {"include": [["#opspawn-tasks"], [".opspawn-card"]]}
        for theme, is_light in (("Light", "true"), ("Dark", "false"), ("Light", "true")):
            name = f"JupyterLab {theme}"
            self.page.evaluate(
                f"jupyterapp.commands.execute('apputils:change-theme', {{theme: '{name}'}})"
            )
            self.page.locator(f'body[data-jp-theme-light="{is_light}"]').wait_for(state="attached")
            self.page.locator("#jupyterlab-splash").wait_for(state="detached")
            found = axe.run(self.page, context=ours).response["violations"]
            assert [
                f"{one['id']}: {node['failureSummary']} {node['html']}"
                for one in found
                for node in one["nodes"]
            ] == []

    def repairs(self) -> None:
        """What failed is told and run again; what had succeeded is not."""
        from playwright.sync_api import expect

        from browser import await_notice

        card = self.card(3)
        expect(card.locator(".opspawn-graph").get_by_label("check: failed")).to_be_visible()
        await_notice(self.page, "nightly: failed")
        assert "success" not in "".join(self.page.evaluate("noticed"))
        (self.lab.root / "mended").touch()
        card.get_by_role("button", name="Repair nightly").click()
        mended = self.page.locator(".jp-Notebook .jp-Cell").nth(3).locator(".opspawn-card").nth(1)
        expect(mended.locator(".opspawn-pill").first).to_have_text("✓ success")
        expect(mended.locator(".opspawn-graph").get_by_label("report: success")).to_be_visible()
        assert (self.lab.root / "ingested").read_text() == "once\n"

    def restarts_the_server(self) -> None:
        """Cards come back by themselves, and their runs have gone on meanwhile."""
        from playwright.sync_api import expect

        state = self.card(1).locator(".opspawn-link-state")
        expect(state).to_have_text("● live")
        stop(self.lab.process)
        expect(state).to_have_text("○ reconnecting")
        port = urlsplit(self.lab.url).port
        again = start(
            self.lab.root,
            self.lab.home,
            app="jupyterlab",
            arguments=_LAB,
            port=port,
            token=self.lab.token,
        )
        try:
            expect(state).to_have_text("● live")
            expect(self.card(1)).to_contain_text("cell 2 of 2")
            (self.lab.root / "go").touch()
            expect(self.card(1).locator(".opspawn-pill")).to_have_text("✓ success")
        finally:
            stop(again.process)


def _is_saving(answer: Any) -> bool:
    return answer.request.method == "PUT" and "api/settings/opspawn-jupyter" in answer.url


@pytest.fixture
def story(browser: Any, tmp_path: Path) -> Iterator[Story]:
    """An empty JupyterLab, and a page in which no script of ours may fail."""
    from browser import lab_page

    root = tmp_path / "root"
    root.mkdir()
    write(root / "report.ipynb", *_REPORT, has_parameters=True)
    write(root / "gated.ipynb", "1 + 1", GATED)
    write(root / "story.ipynb", *_STORY)
    (root / "agent.yaml").write_text(_AGENT)
    (root / "nightly.yaml").write_text(_WORKFLOW)
    problems: list[str] = []
    with (
        jupyter_server(root, tmp_path / "home", app="jupyterlab", arguments=_LAB) as lab,
        lab_page(browser) as page,
    ):
        lab.await_health()
        page.on("pageerror", lambda error: problems.append(str(error)))
        yield Story(page=page, lab=lab)
        page.screenshot(path=tmp_path / "last-sight.png")
    assert [problem for problem in problems if "opspawn" in problem] == []


def test_all_of_it_is_seen_and_steered_in_jupyterlab(story: Story) -> None:
    """One person, one tab: what each piece does alone has to hold when they are used together."""
    story.looks_round()
    story.runs_a_file()
    story.wants_failures_only()
    story.starts_from_cells()
    story.answers()
    story.repairs()
    story.restarts_the_server()
