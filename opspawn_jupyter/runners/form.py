"""A notebook that many steps run, each with parameters of its own.

To read and prepare it takes longer than a small step, and so does making JSON of it: both are done
once, as far as the steps have it in common.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import chain
from typing import Any

import nbformat

from opspawn_jupyter.runners import notebook_text
from opspawn_jupyter.runners.notebook_text import Rendered

#: The tag of the cell that papermill puts the parameters in.
_INJECTED = "injected-parameters"
#: How deep members lie in the notebook's text: those of its metadata, of a cell, and of a cell's.
_METADATA_DEPTH, _MEMBER_DEPTH, _INNER_DEPTH = 2, 3, 4
#: Stands in a cell's text where a run puts something in. JSON has an escape for this character.
_GAP = Rendered("\0")


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
        each = zip(self._texts, copy["cells"], strict=True)
        try:
            cells = [text.filled(cell) if isinstance(text, _Code) else text for text, cell in each]
            metadata = {**copy["metadata"], **self._metadata}
            return notebook_text.joined({**copy, "cells": cells, "metadata": metadata})
        except TypeError:
            return notebook_text.serialised(nbformat.from_dict(dict(copy)))


class _Code:
    """The text of a code cell, with gaps."""

    def __init__(self, cell: Mapping[str, Any]) -> None:
        metadata = {**cell["metadata"], "opspawn": _GAP, "papermill": _GAP}
        gaps = {"execution_count": _GAP, "metadata": metadata, "outputs": _GAP, "source": _GAP}
        self._parts = notebook_text.rendered_cell({**cell, **gaps}).split(_GAP)
        self._source: str = cell["source"]
        self._source_text = _lines(self._source)

    def filled(self, cell: Mapping[str, Any]) -> Rendered:
        """With what a run has put in: the gaps come in the order of the members' names."""
        source, metadata = cell["source"], cell["metadata"]
        fillings = (
            notebook_text.rendered(cell["execution_count"], _MEMBER_DEPTH),
            notebook_text.rendered(metadata["opspawn"], _INNER_DEPTH),
            notebook_text.rendered(metadata["papermill"], _INNER_DEPTH),
            notebook_text.rendered_outputs(cell["outputs"]),
            self._source_text if source is self._source else _lines(source),
            "",
        )
        return Rendered("".join(chain.from_iterable(zip(self._parts, fillings, strict=True))))


def _text(cell: Mapping[str, Any]) -> Rendered | _Code:
    return _Code(cell) if cell["cell_type"] == "code" else notebook_text.rendered_cell(cell)


def _lines(source: str) -> Rendered:
    return notebook_text.rendered(source.splitlines(keepends=True), _MEMBER_DEPTH)


def _copy(cell: dict[str, Any], injected: str) -> dict[str, Any]:
    if cell["cell_type"] != "code":
        return cell
    metadata = cell["metadata"]
    own = {**metadata, "papermill": {**metadata.get("papermill", {})}}
    is_injected = _INJECTED in metadata.get("tags", ())
    return {**cell, "metadata": own, "source": injected if is_injected else cell["source"]}
