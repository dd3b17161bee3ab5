"""``opspawn audit`` in a shell: submitted, waited for, judged; fit for continuous integration."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from opspawn_jupyter.cli.shell import server_for
from opspawn_jupyter.client.audit import Judged
from opspawn_jupyter.client.client import AsyncClient, Client
from opspawn_jupyter.client.commands import Audits, answer
from opspawn_jupyter.client.handle import TaskHandle
from opspawn_jupyter.client.parser import Options
from opspawn_jupyter.client.render import as_json, as_text
from opspawn_jupyter.errors import UsageError
from opspawn_jupyter.files import write_atomic
from opspawn_jupyter.model import wire
from opspawn_jupyter.model.audit import Headline, Verdict
from opspawn_jupyter.model.ids import short
from opspawn_jupyter.model.states import State

_BELOW = 1
_CANCEL_TIMEOUT_SECONDS = 20.0


def audit(options: Options) -> int:
    """Audit and print; the exit code is 1 where an audit comes to less than was asked for."""
    needs_end = options.serve or options.junit or options.fail_under
    if needs_end and not options.wait:
        hint = "--serve, --junit and --fail-under wait for the verdicts; leave out --detach"
        raise UsageError(hint=hint)
    places = [Path(target) for target in options.targets]
    with server_for(options, places) as (server, is_temporary):
        client = Client(AsyncClient(server))
        given = answer(client, options)
        assert isinstance(given, Audits)  # noqa: S101  # what the command gives
        if options.wait:
            _wait(given.handles, is_temporary=is_temporary)
        if options.junit:
            _write_junit(client, given.handles, Path(options.junit).expanduser())
        show = as_json if options.json else as_text
        sys.stdout.write(f"{show(given)}\n")
    return _exit_code(options, given.handles)


def _exit_code(options: Options, handles: Sequence[TaskHandle]) -> int:
    """Without ``--fail-under`` only an audit that broke counts."""
    if not options.wait:
        return 0
    judged = [Judged(task=handle.task) for handle in handles]
    if options.fail_under:
        least = Headline(options.fail_under)
        return 0 if all(one.reaches(least) for one in judged) else _BELOW
    return 0 if all(one.task.state is State.SUCCESS for one in judged) else _BELOW


def _wait(handles: Sequence[TaskHandle], *, is_temporary: bool) -> None:
    """Wait for all. An interrupt ends the wait; the audits too where their server ends."""
    try:
        for handle in handles:
            handle.wait()
            said = handle.task.outputs.get("headline", handle.state.value)
            sys.stderr.write(f"{said}  {handle.task.spec['notebook']}\n")
    except KeyboardInterrupt:
        left = [handle for handle in handles if not handle.state.is_final]
        if is_temporary:
            for handle in left:
                handle.cancel().wait(_CANCEL_TIMEOUT_SECONDS)
        ids = ", ".join(short(handle.id) for handle in left)
        went = "are cancelled" if is_temporary else "go on"
        raise KeyboardInterrupt(f"no longer waiting; audits {ids} {went}") from None


def _write_junit(client: Client, handles: Sequence[TaskHandle], path: Path) -> None:
    # Not at the top: only this needs it.
    from opspawn_jupyter.audit import junit

    verdicts = [
        wire.decode(Verdict, json.loads(client.artifact(handle.id, "report.json")))
        for handle in handles
        if handle.state is State.SUCCESS
    ]
    write_atomic(path.absolute(), junit.document(verdicts).encode())
