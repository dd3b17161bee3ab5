"""A notebook that many steps run, each with parameters of its own.

To read and prepare it takes longer than a small step, and so does making JSON of it: both are done
once, as far as the steps have it in common.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import nbformat

from opspawn_jupyter.runners import notebook_text
from opspawn_jupyter.runners.notebook_text import Rendered

#: The tag of the cell that papermill puts the parameters in.
_INJECTED = "injected-parameters"
#: How deep members lie in the notebook's text: those of a cell, and those of its metadata.
_MEMBER_DEPTH, _METADATA_DEPTH = 3, 2


class Form:
    """The notebook as ``prepare.notebook`` made it for the first of them."""

    def __init__(self, prepared: Any) -> None:
        self._notebook: dict[str, Any] = json.loads(json.dumps(prepared))
        self._texts = [_text(cell) for cell in self._notebook["cells"]]
        self._metadata = {
            name: notebook_text.rendered(value, _METADATA_DEPTH)
            for name, value in self._notebook["metadata"].items()
            if name != "papermill"
        }

    def copy(self, parameters: Mapping[str, Any], injected: str) -> dict[str, Any]:
        """The notebook for a step with these parameters, which papermill writes as this cell."""
        metadata = self._notebook["metadata"]
        papermill = {**metadata["papermill"], "parameters": parameters}
        return {
            **self._notebook,
            "cells": [_copy(cell, injected) for cell in self._notebook["cells"]],
            "metadata": {**metadata, "papermill": papermill},
        }

    def serialised(self, copy: Mapping[str, Any]) -> bytes:
        """The copy, which was run since, as the bytes of its file."""
        parts = zip(self._notebook["cells"], copy["cells"], self._texts, strict=True)
        cells = [_with_text(*part) for part in parts]
        metadata = {**copy["metadata"], **self._metadata}
        try:
            return notebook_text.joined({**copy, "cells": cells, "metadata": metadata})
        except TypeError:
            return notebook_text.serialised(nbformat.from_dict(dict(copy)))


def _text(cell: Mapping[str, Any]) -> Rendered:
    if cell["cell_type"] != "code":
        return notebook_text.rendered_cell(cell)
    return notebook_text.rendered(cell["source"].splitlines(keepends=True), _MEMBER_DEPTH)


def _with_text(first: Mapping[str, Any], cell: Mapping[str, Any], text: Rendered) -> Any:
    if cell is first:
        return text
    return {**cell, "source": text} if cell["source"] is first["source"] else cell


def _copy(cell: dict[str, Any], injected: str) -> dict[str, Any]:
    if cell["cell_type"] != "code":
        return cell
    metadata = cell["metadata"]
    own = {**metadata, "papermill": {**metadata.get("papermill", {})}}
    is_injected = _INJECTED in metadata.get("tags", ())
    return {**cell, "metadata": own, "source": injected if is_injected else cell["source"]}
