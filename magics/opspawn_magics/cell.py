"""The code of a cell as a notebook of its own."""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from opspawn_jupyter.client.parser import Options
from opspawn_jupyter.errors import UsageError
from opspawn_magics.own_kernel import own_kernel_name


def cell_submission(code: str, options: Options) -> tuple[dict[str, Any], str]:
    """A notebook that holds the code, and the directory that it runs in: this kernel's own."""
    own_name = own_kernel_name()
    kernel = options.kernel or own_name
    if options.parameters and kernel != own_name:
        raise UsageError(
            options.kernel, hint="-p is written as Python; give the values in the cell itself"
        )
    return _notebook(code, options.parameters, kernel), options.cwd or str(Path.cwd())


def step_config(body: str, options: Options) -> dict[str, Any]:
    """The configuration of a step, from the cell's body: the command itself for ``shell``, a JSON
    object for all others."""
    if options.kind == "shell":
        return {"command": body}
    try:
        config = json.loads(body)
    except ValueError as problem:
        raise UsageError(hint=f"the cell below is not JSON: {problem}") from problem
    if not isinstance(config, dict):
        raise UsageError(hint="the cell below is a JSON object with the step's configuration")
    return config


def _notebook(code: str, parameters: Mapping[str, str], kernel: str | None) -> dict[str, Any]:
    metadata: dict[str, Any] = {}
    if kernel:
        metadata["kernelspec"] = {"name": kernel, "display_name": kernel}
    if not kernel or kernel == own_kernel_name():
        metadata["language_info"] = {"name": "python"}  # magics run in no other language
    cells = [_cell("code", code)]
    if parameters:
        lines = [_assignment(name, value) for name, value in parameters.items()]
        cells.insert(0, _cell("parameters", "\n".join(lines), tags=["parameters"]))
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": cells}


def _cell(cell_id: str, source: str, **metadata: Any) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "id": cell_id,
        "metadata": metadata,
        "source": source,
        "outputs": [],
        "execution_count": None,
    }


def _assignment(name: str, text: str) -> str:
    if not name.isidentifier():
        raise UsageError(name, hint="a parameter's name is a Python name")
    return f"{name} = {_literal(text)!r}"


def _literal(text: str) -> Any:
    """The value that the text is in Python; the text itself where it is none."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
