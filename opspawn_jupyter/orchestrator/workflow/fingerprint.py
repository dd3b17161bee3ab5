"""Digests of what a step's result depends on. Everything here blocks: call it in a thread."""

from __future__ import annotations

import ast
import hashlib
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

from opspawn_jupyter.files import sha256_of
from opspawn_jupyter.model.states import State
from opspawn_jupyter.model.workflow import INPUTS_NAME, Upstream, file_value
from opspawn_jupyter.ports import FindsSources, Prepared

_MOST_FILES = 2_000
#: ``package.module:function``, whose module may lie beside the workflow.
_FUNCTION = re.compile(r"([A-Za-z_][\w.]*):[A-Za-z_]\w*")
#: A line that IPython reads, not Python; of ``%%`` all that follows is something else.
_MAGIC = re.compile(r"\s*(%(?!%)|!)")
#: Of a spec: what says the same as the source, or does not change the result.
_NO_PARAMETERS = frozenset({"source_sha256", "keep_on_failure", "force", "reuse", "log_directory"})


def source(kind: object, name: str, prepared: Prepared) -> str:
    """Of the code that runs: the notebook's cells, other pinned files, and what the kind adds."""
    digest = hashlib.sha256(name.encode())
    is_python = prepared.spec.get("language", "python") == "python"
    for file, content in sorted(prepared.files.items()):
        if file == INPUTS_NAME:
            continue
        is_notebook = file.endswith(".ipynb")
        code = code_only(content, is_python=is_python) if is_notebook else content.decode("latin-1")
        digest.update(f"\0{file}\0{code}".encode("utf-8", "surrogatepass"))
    if isinstance(kind, FindsSources):
        digest.update(kind.source_digest(prepared.spec).encode())
    return digest.hexdigest()


def parameters(prepared: Prepared) -> dict[str, Any]:
    """The spec without what the other parts tell."""
    return {name: value for name, value in prepared.spec.items() if name not in _NO_PARAMETERS}


def outputs(upstream: Upstream) -> Any:
    """What came from a step: its values, files by what they hold. A step that gives none counts
    by the run that did its work: it may have written files that nobody declared."""
    if upstream.items:
        return [outputs(item) for item in upstream.items]
    if upstream.state is State.SKIPPED:
        return upstream.state.value
    if not upstream.outputs:
        return [upstream.state.value, upstream.producer_id]
    return {name: _value(value) for name, value in upstream.outputs.items()}


def _value(value: Any) -> Any:
    file = file_value(value)
    return value if file is None else {"sha256": file.sha256}


def files(patterns: Sequence[str], prepared: Prepared, directory: Path) -> dict[str, str]:
    """Of the files that the step names: those declared, and values that are paths of files."""
    found: dict[str, str] = {}
    for path in _named(patterns, prepared, directory):
        if len(found) >= _MOST_FILES:
            break
        name = path.relative_to(directory).as_posix() if path.is_relative_to(directory) else path
        found[str(name)] = _content(path)
    return found


def _named(patterns: Sequence[str], prepared: Prepared, directory: Path) -> Iterator[Path]:
    for pattern in patterns:
        matches = sorted(directory.glob(pattern)) if not pattern.startswith("/") else []
        yield from (path for path in matches or [directory / pattern] if not path.is_dir())
    for value in _strings(parameters(prepared)):
        # A value that comes from upstream is told by the upstream's digest.
        module = _FUNCTION.fullmatch(value)
        path = directory / (f"{module[1].replace('.', '/')}.py" if module else value)
        if _is_file(path) and not _is_of_a_run(path):
            yield path


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        if 0 < len(value) < 500 and "\n" not in value and "\0" not in value:
            yield value
    elif isinstance(value, Mapping):
        for name, item in value.items():
            if name != "notebook":  # that is the source
                yield from _strings(item)
    elif isinstance(value, list):
        for item in value[:100]:
            yield from _strings(item)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False


def _is_of_a_run(path: Path) -> bool:
    return any((parent / "task.json").is_file() for parent in list(path.parents)[:4])


def _content(path: Path) -> str:
    try:
        return sha256_of(path)
    except OSError:
        return "missing"


def environment(prepared: Prepared) -> str:
    """Of the kernel that the step runs in, and the packages that are installed beside it."""
    return _environment(str(prepared.spec.get("kernel") or "python3"))


def _environment(kernel: str) -> str:
    try:
        spec = KernelSpecManager().get_kernel_spec(kernel)
    except NoSuchKernel:
        return kernel
    command = list(spec.argv)
    executable = Path(command[0]) if command else Path(sys.executable)
    prefix = executable.parent.parent if executable.is_absolute() else Path(sys.prefix)
    said = [kernel, command, dict(spec.env), list(_packages(prefix))]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _packages(prefix: Path) -> Iterator[str]:
    """Names and versions of what is installed, as the names of its directories tell them."""
    for folder in sorted(prefix.glob("lib/python*/site-packages")):
        yield from _installed(folder, folder.stat().st_mtime_ns)


@lru_cache(maxsize=16)
def _installed(folder: Path, _changed_ns: int) -> tuple[str, ...]:
    return tuple(sorted(path.name for path in folder.glob("*.dist-info")))


def code_only(content: bytes, *, is_python: bool) -> str:
    """The code of a notebook without what does not change what it does: outputs, markdown,
    execution counts, and of Python comments and layout."""
    try:
        cells = json.loads(content)["cells"]
    except (ValueError, KeyError, TypeError):
        return content.decode("latin-1")
    sources = (
        cell["source"] if isinstance(cell["source"], str) else "".join(cell["source"])
        for cell in cells
        if cell.get("cell_type") == "code"
    )
    return "\n\0\n".join(_code(source) if is_python else source for source in sources)


def _code(text: str) -> str:
    """The text as Python sees it; all of it where it is not Python. IPython's own lines count as
    they stand, where they stand."""
    for source in (text, _with_magics_as_strings(text)):
        with suppress(SyntaxError, ValueError, RecursionError, MemoryError):
            return ast.dump(ast.parse(source))
    return text


def _with_magics_as_strings(text: str) -> str:
    return "\n".join(
        f"{line[: len(line) - len(line.lstrip())]}{line.strip()!r}" if _MAGIC.match(line) else line
        for line in text.splitlines()
    )
