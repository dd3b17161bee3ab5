"""Steps of plugins, checked before anything runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from opspawn_jupyter.errors import InvalidRequest, UnknownKernel, UnknownKind
from opspawn_jupyter.kinds.plugin import PluginKind, plugin_kinds
from opspawn_jupyter.plugins import registry
from opspawn_jupyter.settings import Settings

SPECS = {
    "python3": {"spec": {"language": "python", "argv": ["python"]}},
    "elsewhere": {"spec": {"language": "python", "argv": ["/opt/other/bin/python"]}},
    "bash": {"spec": {"language": "bash"}},
}


@pytest.fixture
def kinds(tmp_path: Path) -> dict[str, PluginKind]:
    """A kind for each installed plugin."""
    settings = Settings(
        root_directory=tmp_path,
        state_directory=tmp_path / ".opspawn",
        runs_directory=tmp_path / "opspawn_runs",
    )
    return plugin_kinds(settings, lambda: SPECS)


def test_every_built_in_plugin_is_a_kind(kinds: dict[str, PluginKind]) -> None:
    built_in = {"csv_ingest", "http_post", "metrics", "metrics_history", "python_function", "shell"}

    assert built_in <= set(kinds)


def test_a_step_is_a_notebook_with_its_configuration(kinds: dict[str, PluginKind]) -> None:
    prepared = kinds["shell"].prepare({"command": "ls"})

    assert prepared.name == "shell"
    assert prepared.spec["parameters"] == {"config": {"command": "ls"}}
    notebook = json.loads(prepared.files["input.ipynb"])
    assert 'perform("shell", config)' in "".join("".join(c["source"]) for c in notebook["cells"])


def test_what_a_person_types_is_read_by_the_plugins_types(kinds: dict[str, PluginKind]) -> None:
    text = {"path": "2026", "columns": '["a"]'}

    prepared = kinds["csv_ingest"].prepare({"config_text": text})

    assert prepared.spec["parameters"]["config"] == {"path": "2026", "columns": ["a"]}


@pytest.mark.parametrize(
    ("kind", "spec", "words"),
    [
        ("shell", {}, "config of a shell step: command: field required"),
        ("shell", {"command": "ls", "comand": 1}, "there is no field 'comand'"),
        ("shell", {"command": ""}, "at least 1 item"),
        ("python_function", {"function": "os.getcwd"}, "write it as module:function"),
        ("python_function", {"function": "os:__import__('x')"}, "write it as module:function"),
        ("http_post", {"url": "file:///etc/passwd"}, "url"),
        ("csv_ingest", {"config_text": {"path": "a", "columns": "a,b"}}, "columns takes JSON"),
        ("shell", {"command": "ls", "working_directory": "nowhere"}, "no such directory"),
        ("shell", {"command": "ls", "working_directory": "../.."}, "outside"),
    ],
)
def test_a_bad_configuration_is_refused_with_what_is_wrong(
    kinds: dict[str, PluginKind], kind: str, spec: dict[str, Any], words: str
) -> None:
    with pytest.raises(InvalidRequest, match=words.replace("(", r"\(")):
        kinds[kind].prepare(spec)


def test_a_plugin_runs_in_python_only(kinds: dict[str, PluginKind]) -> None:
    with pytest.raises(UnknownKernel, match="needs such a kernel"):
        kinds["shell"].prepare({"command": "ls", "kernel": "bash"})


def test_a_reference_to_an_output_can_be_checked_beforehand(kinds: dict[str, PluginKind]) -> None:
    assert kinds["shell"].outputs({}) == {"stdout", "stderr", "returncode"}
    assert kinds["metrics"].outputs({}) is None, "its outputs are the table's columns"


def test_a_plugin_that_is_not_installed_is_named_with_those_that_are() -> None:
    with pytest.raises(UnknownKind, match=r"'shel'.*shell"):
        registry.load("shel")


def test_only_what_can_share_a_process_runs_in_a_pool(kinds: dict[str, PluginKind]) -> None:
    """A command, or a notebook with its own state, must not meet another one's."""
    prepared = kinds["python_function"].prepare({"function": "os:getpid", "tier": "pool"})
    assert prepared.spec["tier"] == "pool"

    with pytest.raises(InvalidRequest, match="python_function"):
        kinds["shell"].prepare({"command": "ls", "tier": "pool"})
    with pytest.raises(InvalidRequest, match="server's own Python"):
        kinds["python_function"].prepare(
            {"function": "os:getpid", "tier": "pool", "kernel": "elsewhere"}
        )
