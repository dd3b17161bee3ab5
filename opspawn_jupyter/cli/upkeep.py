"""``opspawn doctor`` and ``opspawn store rebuild``: commands that need no server."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from opspawn_jupyter.cli.store_files import rebuild_store
from opspawn_jupyter.client.doctor import examine, ok, problem, warning
from opspawn_jupyter.client.parser import Options
from opspawn_jupyter.client.render import as_json, as_text
from opspawn_jupyter.client.state_files import root_above, server_pid
from opspawn_jupyter.errors import InvalidRequest, StoreUnavailable
from opspawn_jupyter.model import wire
from opspawn_jupyter.model.diagnosis import Finding, Report, Verdict

_PROBLEMS = 1


def doctor(options: Options) -> int:
    """Print the report; the exit code is 1 where it names a problem."""
    report = examine(options.server, check_store)
    _show(report, as_record=options.json)
    return _PROBLEMS if report.verdict is Verdict.PROBLEM else 0


def store(options: Options) -> int:
    """Rebuild the history and say what came of it."""
    root = Path(options.root).expanduser().absolute() if options.root else root_above(Path.cwd())
    state, runs = root / options.state_directory, root / options.runs_directory
    if not runs.is_dir():
        raise InvalidRequest(str(runs), hint="there are no run directories to rebuild from")
    rebuilt, aside = rebuild_store(root, state, runs)
    if options.json:
        sys.stdout.write(f"{wire.to_json({**wire.encode(rebuilt), 'aside': str(aside or '')})}\n")
        return 0
    lines = [f"{rebuilt.tasks} tasks restored from {runs}"]
    if rebuilt.ended:
        lines.append(f"{rebuilt.ended} of them had no end and are now crashed or cancelled")
    if rebuilt.running:
        lines.append(f"{rebuilt.running} of them still run; the next server hears their end")
    lines += [f"passed over {path}: {reason}" for path, reason in rebuilt.skipped]
    if aside is not None:
        lines.append(f"what was there before lies in {aside}")
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def check_store(state_directory: Path) -> Iterator[Finding]:
    """Whether journal and database are whole, and fit together. For a stopped server's files."""
    # DuckDB takes a moment to import, and a running server's report does without.
    from opspawn_jupyter.stores.database import FILE_NAME
    from opspawn_jupyter.stores.inspection import inspect

    repair = "restore a backup of the state directory, or run `opspawn store rebuild`"
    pid = server_pid(state_directory)
    if pid is not None:
        yield warning("store", f"process {pid} has it, a server that was not found", "see --server")
    elif not (state_directory / FILE_NAME).exists():
        yield _without_database(state_directory, repair)
    else:
        try:
            found = inspect(state_directory)
        except (StoreUnavailable, OSError) as failure:
            yield problem("store", str(failure), repair)
        else:
            yield ok(
                "store",
                f"version {found.version}, {found.applied} events in the database and "
                f"{found.waiting} more in the journal; the chain of hashes holds",
            )


def _without_database(state_directory: Path, repair: str) -> Finding:
    root = root_above(Path.cwd())
    if any((state_directory / "journal").glob("journal-*.jsonl")):
        return warning("store", "the database is gone, but its journal is there", repair)
    if any(root.glob("opspawn_runs/*/task.json")):
        return warning("store", "there are run directories, but no history of them", repair)
    return ok("store", "there is none yet; the first server makes it")


def _show(report: Report, *, as_record: bool) -> None:
    if as_record:
        sys.stdout.write(f"{as_json(report)}\n")
    elif sys.stdout.isatty():
        from opspawn_jupyter.cli.report_page import show  # imports rich

        show(report)
    else:
        sys.stdout.write(f"{as_text(report)}\n")
