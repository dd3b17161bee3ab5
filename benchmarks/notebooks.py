"""The notebooks that are measured, and the same code as scripts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

THREE = ("x = 1", "print(x + 1)", "x * 21")
PANDAS = (
    "import pandas as pd\nframe = pd.DataFrame({'a': range(1000)})",
    "print(frame.a.sum())",
    "frame.describe()",
)
OUTPUTS = ("x = 0", *["print('x' * 500_000)"] * 40)


def cells(count: int) -> tuple[str, ...]:
    """So many small cells."""
    return tuple(f"x = {number}; print(x)" for number in range(count))


def write(directory: Path, name: str, sources: Sequence[str]) -> Path:
    """``name.ipynb`` and ``name.py``; the path of the notebook."""
    made = [
        {
            "cell_type": "code",
            "id": f"cell-{number}",
            "source": source,
            "metadata": {},
            "outputs": [],
            "execution_count": None,
        }
        for number, source in enumerate(sources)
    ]
    spec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    document = {
        "cells": made,
        "metadata": {"kernelspec": spec},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    directory.mkdir(parents=True, exist_ok=True)
    (directory / f"{name}.py").write_text("\n".join(sources) + "\n")
    path = directory / f"{name}.ipynb"
    path.write_text(json.dumps(document))
    return path
