"""Notebook tasks: everything that can be known to be wrong is refused before a run."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from opspawn_jupyter.errors import (
    InvalidRequest,
    NotANotebook,
    NotebookNotFound,
    OpspawnError,
    OutsideRoot,
    ParameterInvalid,
    UnknownKernel,
)
from opspawn_jupyter.files import regular_size
from opspawn_jupyter.kernels.possibility import forking_obstacle
from opspawn_jupyter.kinds import notebook_outputs, parameters, values
from opspawn_jupyter.kinds.cell import cell_document, check_code, check_names
from opspawn_jupyter.kinds.kernel_specs import KernelSpecs, installed
from opspawn_jupyter.kinds.meant import notebook_beside
from opspawn_jupyter.kinds.tools_used import tools_used
from opspawn_jupyter.model import wire
from opspawn_jupyter.model.notebook import NotebookRequest, NotebookSpec, Parameter, Tier
from opspawn_jupyter.model.tool import tool_patterns
from opspawn_jupyter.parsing import parse
from opspawn_jupyter.ports import Prepared
from opspawn_jupyter.settings import Settings

#: Languages for which papermill can write a parameters cell (``papermill.translators``), in
#: lower case. A test compares it with papermill's own registry.
TRANSLATED_LANGUAGES = frozenset(
    {
        "python",
        "r",
        "scala",
        "julia",
        "matlab",
        ".net-csharp",
        ".net-fsharp",
        ".net-powershell",
        "bash",
    }
)

#: Up to here a notebook is read and checked in a moment.
_SMALL_BYTES = 16 << 10
#: Kernel of a notebook that names none, as Jupyter's own default.
_DEFAULT_KERNEL = "python3"


@dataclass(frozen=True, kw_only=True)
class Source:
    """A notebook as submitted."""

    content: bytes
    document: Mapping[str, Any]
    #: None for code that came without a file.
    path: Path | None

    @cached_property
    def sha256(self) -> str:
        """Digest of its bytes."""
        return hashlib.sha256(self.content).hexdigest()

    @cached_property
    def tools(self) -> tuple[str, ...]:
        """Those that its cells call."""
        return tools_used(self.document)

    @cached_property
    def declared(self) -> Sequence[Parameter]:
        """Parameters of a notebook in Python."""
        return _declared(self.document)


def source_of(document: Mapping[str, Any]) -> Source:
    """A notebook that came without a file. Raises ``NotANotebook``."""
    content = json.dumps(document, indent=1, ensure_ascii=False).encode()
    return Source(content=content, document=_parsed(content, "content"), path=None)


class NotebookKind:
    """Checks and pins notebooks of one server."""

    def __init__(
        self, settings: Settings, kernel_specs: KernelSpecs, *, may_share: bool = False
    ) -> None:
        #: Whether its notebooks may run in a process that they share.
        self._may_share = may_share
        self._root = settings.root_directory
        #: What the paths of all that lies in the root begin with.
        self._inner = os.path.join(settings.root_directory, "")  # noqa: PTH118  it ends as it should
        self._max_bytes = settings.max_notebook_bytes
        self._kernel_specs = kernel_specs

    def is_small(self, spec: Mapping[str, Any]) -> bool:
        """See ``KnowsSmall``."""
        if not getattr(self._kernel_specs, "is_quick", False):
            return False
        path, code = spec.get("notebook"), spec.get("cell")
        if not isinstance(path, str):
            return isinstance(code, str) and len(code) <= _SMALL_BYTES
        try:
            return regular_size(self._inside(path)) <= _SMALL_BYTES
        except (OSError, OpspawnError):
            return False  # ``prepare`` says what is wrong

    def prepare(self, spec: Mapping[str, Any]) -> Prepared:
        """The checked spec and the pinned input."""
        request = parse(NotebookRequest, spec, "spec of a notebook task")
        return self.prepared(request, self._source(request))

    def prepared(self, request: NotebookRequest, source: Source) -> Prepared:
        """Likewise, for a request that is good in itself, and its notebook."""
        kernel, language = self._kernel(request.kernel, source.document)
        if request.cell is not None and language == "python":
            check_code(request.cell)
            check_names([*request.parameters, *request.parameters_text])
        if request.tier is Tier.DIRECT:
            self._check_direct(request, kernel)
        if request.tier is Tier.POOL:
            self._check_pool(kernel)
        checked = NotebookSpec(
            notebook=self._relative(source.path) if source.path else None,
            parameters=_bind(source, language, request),
            kernel=kernel,
            language=language,
            working_directory=self._working_directory(request, source.path),
            source_sha256=source.sha256,
            keep_on_failure=request.keep_on_failure,
            tools=tool_patterns(request.tools) or source.tools,
            tier=request.tier,
        )
        return Prepared(
            name=source.path.stem if source.path else "cell",
            spec=wire.encode(checked),
            files={"input.ipynb": source.content},
        )

    def parameters(self, path: str) -> Sequence[Parameter]:
        """What the notebook at the path declares. Raises as ``prepare`` does."""
        source = self._read(path)
        _, language = self._kernel(None, source.document)
        return source.declared if language == "python" else ()

    def described(self, path: str) -> str:
        """What the notebook at the path says of itself first, in a text cell."""
        texts = (cell for cell in self._read(path).document["cells"] if _is_text(cell))
        source = next(texts, {"source": ""})["source"]
        return (source if isinstance(source, str) else "".join(source)).strip()

    def outputs(self, spec: Mapping[str, Any]) -> frozenset[str] | None:
        """What the notebook gives with ``step.output``, as far as its source tells."""
        path, code = spec.get("notebook"), spec.get("cell")
        if isinstance(code, str):
            return notebook_outputs.named(cell_document(code))
        if not isinstance(path, str):
            return None
        return notebook_outputs.named(self._read(path).document)

    def _check_direct(self, request: NotebookRequest, kernel: str) -> None:
        """Raises ``InvalidRequest`` for what that tier lacks."""
        if request.keep_on_failure:
            hint = "a kernel of the tier direct cannot be kept; leave one of the two out"
            raise InvalidRequest("keep_on_failure", hint=hint)
        obstacle = forking_obstacle(installed(self._kernel_specs)[kernel]["spec"].get("argv") or [])
        if obstacle is not None:
            hint = f"it cannot be run directly: {obstacle}; leave the tier out"
            raise InvalidRequest(kernel, hint=hint)

    def _check_pool(self, kernel: str) -> None:
        """Raises ``InvalidRequest`` for what cannot share a process."""
        if not self._may_share:
            hint = "it is for steps of plugins that can share a process, such as python_function"
            raise InvalidRequest(Tier.POOL.value, hint=hint)
        argv = installed(self._kernel_specs)[kernel]["spec"].get("argv") or [""]
        if argv[0] not in ("python", "python3", sys.executable):
            hint = "steps in a pool run in the server's own Python; leave kernel or tier out"
            raise InvalidRequest(kernel, hint=hint)

    def _source(self, request: NotebookRequest) -> Source:
        given = (request.notebook, request.content, request.cell)
        if sum(one is not None for one in given) != 1:
            raise InvalidRequest(hint="give the path of a notebook, its content, or a cell's code")
        if request.notebook is not None:
            return self._read(request.notebook)
        document = request.content if request.cell is None else cell_document(request.cell)
        return source_of(document or {})

    def _read(self, given: str) -> Source:
        path = self._inside(given)
        try:
            size = regular_size(path)
            if size > self._max_bytes:
                raise NotANotebook(given, hint=f"it has {size} bytes, above the limit")
            content = path.read_bytes()
        except FileNotFoundError as failure:
            raise NotebookNotFound(given, hint=notebook_beside(path)) from failure
        except IsADirectoryError as failure:
            raise NotANotebook(given, hint="it is a directory") from failure
        except OSError as failure:
            raise NotANotebook(given, hint=f"it cannot be read ({failure.strerror})") from failure
        return Source(content=content, document=_parsed(content, given), path=path)

    def _inside(self, given: str) -> Path:
        """The path, inside the root: as written, or after following links."""
        if "\0" in given:
            raise NotebookNotFound(given)
        # Text, as in ``_relative``: to do this with paths takes as long as to read the notebook.
        place = os.path.normpath(os.path.join(self._inner, given))  # noqa: PTH118
        path = Path(place)
        if place.startswith(self._inner) or path == self._root:
            return path
        if (followed := path.resolve()).is_relative_to(self._root):
            return followed
        raise OutsideRoot(given)

    def _relative(self, path: Path) -> str:
        return os.fspath(path)[len(self._inner) :].replace(os.sep, "/") or "."

    def _working_directory(self, request: NotebookRequest, source: Path | None) -> str:
        if request.working_directory is None:
            return self._relative(source.parent if source else self._root)
        path = self._inside(request.working_directory)
        if not path.is_dir():
            raise InvalidRequest(request.working_directory, hint="there is no such directory")
        return self._relative(path)

    def _kernel(self, asked: str | None, document: Mapping[str, Any]) -> tuple[str, str]:
        """Name and language of the kernel to use."""
        specs = installed(self._kernel_specs)
        own = document.get("metadata", {}).get("kernelspec", {}).get("name")
        name = asked or own or _DEFAULT_KERNEL
        if name not in specs:
            known = ", ".join(sorted(specs))
            raise UnknownKernel(name, hint=f"installed are {known}; choose one with --kernel")
        return name, str(specs[name]["spec"].get("language", "")).lower()


def _parsed(content: bytes, name: str) -> Mapping[str, Any]:
    try:
        document = json.loads(content)
    except ValueError as failure:
        raise NotANotebook(name, hint=f"it is not valid JSON ({failure})") from failure
    if not isinstance(document, dict) or "nbformat" not in document:
        raise NotANotebook(name, hint="it is JSON, but has no 'nbformat'")
    if document["nbformat"] != 4:
        raise NotANotebook(
            name, hint="only format 4 is run; convert it with `jupyter nbconvert --to notebook`"
        )
    if not _is_well_formed(document):
        raise NotANotebook(name, hint="its cells or metadata do not have the notebook format")
    return document


def _is_well_formed(document: Mapping[str, Any]) -> bool:
    cells, metadata = document.get("cells"), document.get("metadata", {})
    return (
        isinstance(cells, list)
        and all(_is_cell(cell) for cell in cells)
        and isinstance(metadata, dict)
        and isinstance(metadata.get("kernelspec", {}), dict)
    )


def _is_cell(cell: Any) -> bool:
    return (
        isinstance(cell, dict)
        and isinstance(cell.get("cell_type"), str)
        and isinstance(cell.get("source"), str | list)
        and isinstance(cell.get("metadata", {}), dict)
    )


def _is_text(cell: Mapping[str, Any]) -> bool:
    return bool(cell["cell_type"] == "markdown")


def _bind(source: Source, language: str, request: NotebookRequest) -> Mapping[str, Any]:
    if language == "python" and request.cell is None:
        return values.bind(source.declared, request.parameters, request.parameters_text)
    given = {**request.parameters, **request.parameters_text}
    if given and language not in TRANSLATED_LANGUAGES:
        raise ParameterInvalid(
            ", ".join(given), hint=f"papermill cannot write parameters in {language!r}"
        )
    # What another language's cell declares is not parsed, and a cell alone declares nothing: every
    # name is taken, text as text.
    return values.bind(
        [Parameter(name=name, default="…") for name in given],
        request.parameters,
        request.parameters_text,
    )


def _declared(document: Mapping[str, Any]) -> Sequence[Parameter]:
    for cell in document["cells"]:
        tags = cell.get("metadata", {}).get("tags", [])
        if cell["cell_type"] == "code" and "parameters" in tags:
            source = cell["source"]
            return parameters.declared(source if isinstance(source, str) else "".join(source))
    return ()
