"""Tasks of the kinds that plugins add: each runs through a notebook that is made for it.

The notebook stands in ``notebooks/steps`` under the plugin's name; a plugin from elsewhere may
bring its own. The step's configuration becomes the notebook's parameter, so everything else is
what holds for any notebook task.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any, ClassVar

from opspawn_jupyter.errors import PluginBroken, UnknownKernel
from opspawn_jupyter.kinds.kernel_specs import KernelSpecs
from opspawn_jupyter.kinds.notebook import NotebookKind, Source, source_of
from opspawn_jupyter.model.notebook import NotebookRequest, Tier
from opspawn_jupyter.model.policy import STRICT
from opspawn_jupyter.parsing import parse
from opspawn_jupyter.plugins import configuration, registry
from opspawn_jupyter.ports import Plugin, Prepared
from opspawn_jupyter.settings import Settings

_PLAIN = "plugin"


@dataclass(frozen=True, kw_only=True)
class _Surroundings:
    """What a spec may say beside the plugin's own configuration."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    #: Values as a person types them, by field of the configuration.
    config_text: Mapping[str, str] = field(default_factory=dict)
    kernel: str | None = None
    working_directory: str | None = None
    #: How it is run; as for a notebook, and for some plugins ``pool``.
    tier: Tier = Tier.KERNEL


class PluginKind:
    """Checks configurations for one plugin and pins its notebook."""

    #: Relative paths in a configuration start in the directory of the step's workflow.
    runs_in_directory = True

    def __init__(self, name: str, settings: Settings, kernel_specs: KernelSpecs) -> None:
        self._name = name
        self._notebooks = NotebookKind(settings, kernel_specs)
        self._sharing = NotebookKind(settings, kernel_specs, may_share=True)

    def prepare(self, spec: Mapping[str, Any]) -> Prepared:
        """The checked spec and the notebook. ``spec`` is the plugin's configuration; beside it
        may stand ``config_text``, ``kernel`` and ``working_directory``."""
        plugin = registry.load(self._name)
        config, around = self._read(plugin, spec)
        checked = configuration.checked(self._name, plugin, config)
        tools = getattr(plugin, "tools", None)
        request = NotebookRequest(
            parameters={"config": config},
            kernel=around.kernel,
            working_directory=around.working_directory,
            tier=around.tier,
            tools=tuple(map(str, tools(checked))) if tools else (),
        )
        kind = self._sharing if getattr(plugin, "can_share_process", False) else self._notebooks
        prepared = kind.prepared(request, _notebook(self._name, plugin))
        if prepared.spec["language"] != "python":
            raise UnknownKernel(around.kernel, hint="a plugin is Python and needs such a kernel")
        return replace(prepared, name=self._name)

    def outputs(self, spec: Mapping[str, Any]) -> frozenset[str] | None:  # noqa: ARG002
        """Names of what the step gives; None where only its run tells."""
        given = getattr(registry.load(self._name), "outputs", None)
        return None if given is None else frozenset(given)

    def _read(
        self, plugin: Plugin, spec: Mapping[str, Any]
    ) -> tuple[dict[str, Any], _Surroundings]:
        config, rest = _split(plugin, spec)
        around = parse(_Surroundings, rest, f"spec of a {self._name} task")
        return {**config, **configuration.read(self._name, plugin, around.config_text)}, around


def plugin_kinds(settings: Settings, kernel_specs: KernelSpecs) -> dict[str, PluginKind]:
    """A kind for each plugin that is installed; none of them is imported yet."""
    return {name: PluginKind(name, settings, kernel_specs) for name in registry.installed()}


def _split(plugin: Plugin, spec: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The plugin's configuration, and what is said beside it."""
    model = configuration.model_of(plugin)
    own = set(model.model_fields) if model else set()
    beside = {name for name in _Surroundings.__dataclass_fields__ if name not in own}
    config = {name: value for name, value in spec.items() if name not in beside}
    return config, {name: value for name, value in spec.items() if name in beside}


def _notebook(name: str, plugin: Plugin) -> Source:
    """The notebook to run the plugin through."""
    own = getattr(plugin, "notebook", None)
    return _of_step(name) if own is None else _of_text(name, _own_text(name, Path(own)))


@lru_cache(maxsize=64)
def _of_step(name: str) -> Source:
    """That comes with us, and does not change."""
    step = files("opspawn_notebooks") / "steps" / f"{name}.ipynb"
    if step.is_file():
        return _of_text(name, step.read_text(encoding="utf-8"))
    plain = files("opspawn_notebooks") / "steps" / f"{_PLAIN}.ipynb"
    return _of_text(name, plain.read_text(encoding="utf-8").replace("PLUGIN_NAME", name))


def _own_text(name: str, path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as failure:
        raise PluginBroken(name, hint=f"its notebook cannot be read: {failure}") from failure


def _of_text(name: str, text: str) -> Source:
    try:
        document: dict[str, Any] = json.loads(text)
    except ValueError as failure:
        raise PluginBroken(name, hint=f"its notebook cannot be read: {failure}") from failure
    return source_of(document)
