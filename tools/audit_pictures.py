"""Pictures of an audit: its panel in a notebook, and its report with a picture beside its other."""

from __future__ import annotations

from pathlib import Path

import nbformat
from playwright.sync_api import Browser

from browser import lab_page, open_notebook, run_cell
from jupyter_process import JupyterProcess

_SALES = (
    "import matplotlib.pyplot as plt\nsales = {'spring': 31, 'summer': 52, 'autumn': 44}",
    "print('sold', sum(sales.values()))",
    "plt.figure(figsize=(5, 3))\nplt.bar(sales.keys(), sales.values())\nplt.show()",
)
_AUDIT = ("%load_ext opspawn_jupyter", "%opspawn audit sales.ipynb --wait")
_SECONDS = 120_000


def take(browser: Browser, server: JupyterProcess, images: Path) -> None:
    """Make both."""
    _stage(server)
    with lab_page(browser, width=1180, height=900) as page:
        open_notebook(page, server, "audit.ipynb")
        run_cell(page, 0)
        run_cell(page, 1)
        card = page.locator(".jp-OutputArea-output", has_text="EXECUTES").first
        card.wait_for(timeout=_SECONDS)
        card.screenshot(path=images / "audit-panel.png")
    (task,) = server.api("GET", "tasks?kind=audit&state=success&limit=1")["tasks"]
    report = server.root / task["run_directory"] / "artifacts" / "report.html"
    page = browser.new_page(viewport={"width": 1180, "height": 1080})
    page.goto(report.as_uri())
    page.locator(".sides.three").first.wait_for()
    page.screenshot(path=images / "audit-report.png")
    page.close()
    for name in ("audit-panel.png", "audit-report.png"):
        print(f"wrote docs/images/{name}")


def _stage(server: JupyterProcess) -> None:
    """A notebook whose code was changed after its outputs were stored, and one that audits it."""
    _write(server.root / "sales.ipynb", _SALES)
    task = server.api("POST", "tasks", {"spec": {"notebook": "sales.ipynb"}})
    done = server.await_task(task["id"])
    executed = nbformat.read(server.root / done["run_directory"] / "output.ipynb", as_version=4)
    executed.cells[0].source = executed.cells[0].source.replace("52", "49")
    nbformat.write(executed, server.root / "sales.ipynb")
    _write(server.root / "audit.ipynb", _AUDIT)


def _write(path: Path, sources: tuple[str, ...]) -> None:
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    kernel = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
    nbformat.write(notebook, path)  # without one, JupyterLab asks
