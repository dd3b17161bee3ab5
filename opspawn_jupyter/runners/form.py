"""A notebook that many steps run, each with parameters of its own.

To read and prepare it takes longer than a small step, and so does making JSON of it: both are done
once, as far as the steps have it in common.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

import nbformat

from opspawn_jupyter.runners import notebook_text
from opspawn_jupyter.runners.notebook_text import Rendered

#: The tag of the cell that papermill puts the parameters in.
_INJECTED = "injected-parameters"
#: How deep members lie in the notebook's text: those of its metadata, of a cell, and of a cell's.
_METADATA_DEPTH, _MEMBER_DEPTH, _INNER_DEPTH = 2, 3, 4
#: Stands in the text where a run puts something in. JSON has an escape for this character.
_GAP = Rendered("\0")


class Form:
    """The notebook as ``prepare.notebook`` made it for the first of them."""

    def __init__(self, prepared: Any) -> None:
        self._notebook: dict[str, Any] = json.loads(json.dumps(prepared))
        cells = self._notebook["cells"]
        metadata = {**self._notebook["metadata"], "papermill": _GAP}
        whole = {**self._notebook, "cells": [*map(_with_gaps, cells)], "metadata": metadata}
        #: The text around the gaps, which come in the order of the members' names.
        self._parts = notebook_text.joined(whole).split(_GAP)
        sources = [cell["source"] for cell in cells if cell["cell_type"] == "code"]
        #: Those of the code cells, with their texts.
        self._sources = [(source, _lines(source)) for source in sources]

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
        try:
            fillings = [*self._fillings(copy), ""]
            pieces = chain.from_iterable(zip(self._parts, fillings, strict=True))
            return notebook_text.encoded("".join(pieces))
        except TypeError:
            return notebook_text.serialised(nbformat.from_dict(dict(copy)))

    def _fillings(self, copy: Mapping[str, Any]) -> Iterator[str]:
        code = [cell for cell in copy["cells"] if cell["cell_type"] == "code"]
        for cell, (source, source_text) in zip(code, self._sources, strict=True):
            metadata, own_source = cell["metadata"], cell["source"]
            yield notebook_text.rendered(cell["execution_count"], _MEMBER_DEPTH)
            yield notebook_text.rendered(metadata["opspawn"], _INNER_DEPTH)
            yield notebook_text.rendered(metadata["papermill"], _INNER_DEPTH)
            yield notebook_text.rendered_outputs(cell["outputs"])
            yield source_text if own_source is source else _lines(own_source)
        yield notebook_text.rendered(copy["metadata"]["papermill"], _METADATA_DEPTH)


def _with_gaps(cell: Mapping[str, Any]) -> Mapping[str, Any]:
    if cell["cell_type"] != "code":
        return cell
    metadata = {**cell["metadata"], "opspawn": _GAP, "papermill": _GAP}
    gaps = {"execution_count": _GAP, "metadata": metadata, "outputs": _GAP, "source": _GAP}
    return {**cell, **gaps}


def _lines(source: str) -> str:
    return notebook_text.rendered(source.splitlines(keepends=True), _MEMBER_DEPTH)


def _copy(cell: dict[str, Any], injected: str) -> dict[str, Any]:
    if cell["cell_type"] != "code":
        return cell
    metadata = cell["metadata"]
    own = {**metadata, "papermill": {**metadata.get("papermill", {})}}
    is_injected = _INJECTED in metadata.get("tags", ())
    return {**cell, "metadata": own, "source": injected if is_injected else cell["source"]}
