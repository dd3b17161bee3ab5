"""A real JupyterHub of one's own, below a prefix: a proxy, the hub, and the server of its user."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Page

from jupyter_process import PATIENCE_SECONDS, end_all, environment, free_port, make_home, stop

_PREFIX = "/hub-of-all/"
_USER = "ada"


@dataclass(frozen=True, kw_only=True)
class HubProcess:
    """A running hub that lets one user in."""

    url: str
    password: str

    def log_in(self, page: Page) -> str:
        """Log in, and have the user's server started; its base URL."""
        page.goto(f"{self.url}hub/login")
        page.locator("#username_input").fill(_USER)
        page.locator("#password_input").fill(self.password)
        page.locator("#login_submit").click()
        page.wait_for_url(f"{self.url}user/{_USER}/lab**", timeout=PATIENCE_SECONDS * 1000)
        return f"{self.url}user/{_USER}/"


@contextmanager
def jupyterhub(python: str, root: Path, home: Path, proxy: Path) -> Iterator[HubProcess]:
    """A hub of the interpreter's environment, whose user's server serves ``root``; ``proxy`` is
    where npm keeps the proxy. At the end all that it started is stopped."""
    make_home(home)
    _install_proxy(proxy)
    url, password = f"http://127.0.0.1:{free_port()}{_PREFIX}", secrets.token_hex(8)
    configuration = home / "jupyterhub_config.py"
    configuration.write_text(_configuration(python, root, proxy, url, password))
    try:
        with (home / "hub.log").open("ab") as log:
            process = subprocess.Popen(
                [python, "-m", "jupyterhub", "-f", str(configuration)],
                env=environment(home, python) | {"PATH": _path(python, proxy)},
                cwd=home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            _await_answer(process, url, home)
            yield HubProcess(url=url, password=password)
        finally:
            stop(process)
    finally:
        end_all(home)


def _install_proxy(proxy: Path) -> None:
    command = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(proxy)]
    if not (proxy / "node_modules").exists():
        subprocess.run([*command, "configurable-http-proxy"], check=True)


def _path(python: str, proxy: Path) -> str:
    places = (str(proxy / "node_modules/.bin"), str(Path(python).parent), os.environ["PATH"])
    return os.pathsep.join(places)


def _configuration(python: str, root: Path, proxy: Path, url: str, password: str) -> str:
    """Every value as Python writes it; the user's server is JupyterLab as the hub starts it."""
    options = {
        "JupyterHub.bind_url": url,
        "JupyterHub.hub_port": free_port(),
        "JupyterHub.db_url": "sqlite://",
        "ConfigurableHTTPProxy.api_url": f"http://127.0.0.1:{free_port()}",
        "ConfigurableHTTPProxy.command": [str(proxy / "node_modules/.bin/configurable-http-proxy")],
        "JupyterHub.authenticator_class": "dummy",
        "Authenticator.allow_all": True,
        "DummyAuthenticator.password": password,
        "JupyterHub.spawner_class": "simple",
        "SimpleLocalProcessSpawner.home_dir_template": str(root),
        "Spawner.notebook_dir": str(root),
        "Spawner.cmd": [str(Path(python).with_name("jupyterhub-singleuser"))],
        "Spawner.args": ["--allow-root", "--LabApp.expose_app_in_browser=True"],
        "Spawner.http_timeout": 120,
        "Spawner.start_timeout": 120,
    }
    kept = ["JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"]
    lines = [f"c.{name} = {value!r}" for name, value in options.items()]
    return "\n".join([*lines, f"c.Spawner.env_keep.extend({json.dumps(kept)})", ""])


def _await_answer(process: subprocess.Popen[bytes], url: str, home: Path) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            urllib.request.urlopen(f"{url}hub/login", timeout=10).close()  # noqa: S310 (our own)
            return
        except (urllib.error.URLError, OSError):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((home / "hub.log").read_text()) from None
        time.sleep(0.2)
