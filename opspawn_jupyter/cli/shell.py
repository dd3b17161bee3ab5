"""Commands of a shell: carried out, waited for and printed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TextIO

from opspawn_jupyter import errors
from opspawn_jupyter.cli.watching import watch
from opspawn_jupyter.client import discovery
from opspawn_jupyter.client.client import AsyncClient, Client
from opspawn_jupyter.client.commands import Answer, Log, answer, submitted
from opspawn_jupyter.client.discovery import Server
from opspawn_jupyter.client.grammar import is_submitting
from opspawn_jupyter.client.handle import TaskHandle
from opspawn_jupyter.client.outcome import error_of
from opspawn_jupyter.client.parser import Options
from opspawn_jupyter.client.render import as_json, as_text
from opspawn_jupyter.client.workflow_commands import copied
from opspawn_jupyter.model.ids import short
from opspawn_jupyter.model.states import State

_CANCEL_TIMEOUT_SECONDS = 20.0
#: Commands with a module of their own, which is imported when they are used: most of these need
#: what others do without, such as DuckDB or sqlite3.
_OWN = {
    "import": "jupyter_scheduler:perform",
    "doctor": "upkeep:doctor",
    "store": "upkeep:store",
    "verify": "verify:verify",
    "audit": "audit:audit",
    "stale": "stale:stale",
}


def perform(options: Options) -> int:
    """Carry out one command and print what it gives; the exit code.

    Raises ``OpspawnError``; a ``TaskError`` where a task was waited for and did not succeed.
    """
    if options.command in _OWN:
        module, _, name = _OWN[options.command].partition(":")
        own = getattr(import_module(f"opspawn_jupyter.cli.{module}"), name)
        exit_code: int = own(options)
        return exit_code
    if options.command == "workflow" and options.action == "copy-example":
        _print(copied(options), as_record=options.json)
    elif is_submitting(options):
        if getattr(options, "serve_if_needed", False):
            options.serve = not _is_there_one()
        _run(options)
    else:
        client = Client(AsyncClient(discovery.find(options.server)))
        _print(answer(client, options), as_record=options.json)
    return 0


def _run(options: Options) -> None:
    if options.serve and not options.wait:
        raise errors.UsageError(hint="--serve stops its server at the end; leave out --detach")
    with server_for(options, _paths(options)) as (server, is_temporary):
        client = Client(AsyncClient(server))
        handle = submitted(client, options)
        if options.wait:
            # With --json, stdout is for the one line that a program reads.
            _wait(handle, sys.stderr if options.json else sys.stdout, is_temporary=is_temporary)
        _print(handle, as_record=options.json)
    if options.wait and handle.state is not State.SUCCESS:
        raise error_of(handle.task)


def _is_there_one() -> bool:
    """Whether a server is found without being named."""
    try:
        discovery.find(None)
    except errors.ServerNotFound:
        return False
    except errors.ServerAmbiguous:
        return True  # which one, the command itself will ask
    return True


def _paths(options: Options) -> list[Path]:
    """What the server's directory must hold."""
    if options.command == "workflow":
        return [Path(target) for target in options.targets if options.action == "run"]
    notebook = getattr(options, "notebook", None)
    return [Path(notebook)] if notebook else []


def _wait(handle: TaskHandle, out: TextIO, *, is_temporary: bool) -> None:
    """Watch until the end. An interrupt ends the wait; the task too where its server ends."""
    try:
        watch(handle, out)
    except KeyboardInterrupt:
        if is_temporary:
            handle.cancel().wait(_CANCEL_TIMEOUT_SECONDS)
            message = f"task {short(handle.id)} is {handle.state.value}"
        else:
            message = f"no longer waiting; task {short(handle.id)} goes on"
        raise KeyboardInterrupt(message) from None


@contextmanager
def server_for(options: Options, paths: list[Path]) -> Iterator[tuple[Server, bool]]:
    """The server to run on, whose directory holds the paths, and whether it is there for this
    command only."""
    if not options.serve:
        yield _found(options.server), False
        return
    if options.server:
        raise errors.UsageError(hint="--serve starts a server; leave out --server")
    from opspawn_jupyter.cli.serving import common_root, temporary_server

    given = [path.expanduser().absolute() for path in paths]
    places = [path if path.is_dir() else path.parent for path in given]
    above = [Path.cwd(), *([Path(options.cwd)] if options.cwd else []), *places]
    root = common_root(above)
    # Two servers over one directory would want the same database.
    present = discovery.serving(root)
    if present is not None:
        yield present, False
        return
    with temporary_server(root) as server:
        yield server, True


def _found(url: str | None) -> Server:
    try:
        return discovery.find(url)
    except errors.ServerNotFound as problem:
        raise errors.ServerNotFound(hint="or add --serve to start one for this run") from problem


def _print(given: Answer, *, as_record: bool) -> None:
    if as_record:
        sys.stdout.write(f"{as_json(given)}\n")
    elif isinstance(given, Log):
        for piece in given.pieces:
            sys.stdout.write(piece)
            sys.stdout.flush()
    else:
        sys.stdout.write(f"{as_text(given)}\n")
    sys.stdout.flush()
