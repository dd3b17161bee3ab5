"""The code of one cell, where there is no notebook: a step of a workflow may be written so."""

from __future__ import annotations

import ast
import keyword
import re
from collections.abc import Iterable
from typing import Any

from opspawn_jupyter.errors import InvalidRequest, ParameterInvalid

#: What IPython reads, not Python: magics, shell commands, help. Such code is not parsed here.
_OF_IPYTHON = re.compile(r"^\s*[%!?]|=\s*[%!]|\?\s*$", re.MULTILINE)


def cell_document(code: str) -> dict[str, Any]:
    """A notebook that holds the code."""
    cell: dict[str, Any] = {
        "cell_type": "code",
        "id": "code",
        "metadata": {},
        "source": code,
        "outputs": [],
        "execution_count": None,
    }
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [cell]}


def check_code(code: str) -> None:
    """Raises ``InvalidRequest`` for what is not Python, with the line in the cell."""
    if not code.strip():
        raise _unfit("the cell is empty")
    if _OF_IPYTHON.search(code):
        return
    try:
        ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as failure:
        line = getattr(failure, "lineno", None)
        said = getattr(failure, "msg", None) or str(failure)
        place = f" in its line {line}" if line else ""
        raise _unfit(f"the cell is not Python: {said}{place}") from failure


def _unfit(said: str) -> InvalidRequest:
    return InvalidRequest(hint=said, detail={"fields": {"cell": said}})


def check_names(names: Iterable[str]) -> None:
    """Raises ``ParameterInvalid`` for what is no name of a variable."""
    for name in names:
        if not name.isidentifier() or keyword.iskeyword(name):
            problem = ParameterInvalid(name, hint="a value of a cell is named as in Python")
            problem.detail["fields"] = {name: problem.message}
            raise problem
