"""Notebook tasks: what a caller asks for, and what is run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar

from opspawn_jupyter.model.policy import STRICT


class Tier(StrEnum):
    """How a kernel starts."""

    #: Forked from a warm process where that is possible, cold elsewhere.
    KERNEL = "kernel"
    #: Forked, and without sockets: up soonest; nobody can open or keep it.
    DIRECT = "direct"
    #: A new process that imports everything.
    COLD = "cold"
    #: None: plain Python in a process that it shares with other steps of its workflow. Only for
    #: plugins that say so, such as ``python_function``.
    POOL = "pool"


@dataclass(frozen=True, kw_only=True)
class NotebookRequest:
    """``spec`` of a submission of kind ``notebook``. Give ``notebook``, ``content`` or ``cell``."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    #: Path of the notebook: absolute, or relative to the server's root.
    notebook: str | None = None
    #: The notebook itself (nbformat 4 JSON), where there is no file.
    content: Mapping[str, Any] | None = None
    #: The code of one cell, where there is no notebook. Each parameter is a variable in it.
    cell: str | None = None
    #: Values by parameter name, already of their JSON type.
    parameters: Mapping[str, Any] = field(default_factory=dict)
    #: Values as a person types them; each is read by the type that the notebook declares.
    parameters_text: Mapping[str, str] = field(default_factory=dict)
    #: Kernel name; the notebook's own where it is left out.
    kernel: str | None = None
    #: Where the kernel starts: absolute, or relative to the root. The notebook's directory
    #: where it is left out.
    working_directory: str | None = None
    #: Whether the kernel stays for a while if a cell raises, with all its variables.
    keep_on_failure: bool = False
    #: Patterns of the MCP tools that the kernel may call; see ``model/tool.py``.
    tools: tuple[str, ...] = ()
    #: How the kernel is to start.
    tier: Tier = Tier.KERNEL


@dataclass(frozen=True, kw_only=True)
class NotebookSpec:
    """``spec`` of a task of kind ``notebook``: checked, converted, complete."""

    #: Relative to the server's root; None for code that came from a cell.
    notebook: str | None
    parameters: Mapping[str, Any]
    kernel: str
    #: The kernel's language as its kernelspec names it, in lower case.
    language: str
    #: Relative to the server's root.
    working_directory: str
    #: Digest of the pinned notebook's bytes.
    source_sha256: str
    keep_on_failure: bool = False
    tools: tuple[str, ...] = ()
    tier: Tier = Tier.KERNEL


def is_pooled(spec: Mapping[str, Any]) -> bool:
    """Whether a task with this spec shares its process."""
    return spec.get("tier") == Tier.POOL


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One parameter that a notebook declares in its ``parameters`` cell."""

    name: str
    #: As written (``int``, ``list[str]``, ``str | None``); "Any" where nothing tells.
    type: str = "Any"
    #: Python source of the default value.
    default: str = ""
    help: str = ""
