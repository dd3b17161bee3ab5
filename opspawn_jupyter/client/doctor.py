"""What is wrong, and what to do about it: every check as one line of a report.

Nothing here raises: whatever a check meets becomes its finding. The server's side of things comes
from its ``diagnosis`` route; what lies on this machine's disk is looked at directly, so that there
is a report even where no server runs.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from opspawn_jupyter import errors
from opspawn_jupyter.client import discovery, local_checks, text
from opspawn_jupyter.client.client import AsyncClient, Client
from opspawn_jupyter.client.discovery import Server
from opspawn_jupyter.client.state_files import STATE_DIRECTORY, root_above
from opspawn_jupyter.model.diagnosis import Diagnosis, DiskUse, Finding, Report, Verdict
from opspawn_jupyter.version import __version__

#: Looks at the files of a store that no server has open.
CheckStore = Callable[[Path], Iterable[Finding]]

_LOW_BYTES = 2 * 1024**3
_TOO_LOW_BYTES = 100 * 1024**2
_PACKAGES = ("ipykernel", "jupyter-server", "papermill", "duckdb")


def examine(url: str | None = None, check_store: CheckStore | None = None) -> Report:
    """The report on the server at ``url``, or the one that is found, and on this directory."""
    return Report(findings=tuple(_findings(url, check_store)))


def _findings(url: str | None, check_store: CheckStore | None) -> Iterator[Finding]:
    yield _here()
    server: Server | None = None
    diagnosis: Diagnosis | None = None
    try:
        server = discovery.find(url)
        yield ok("server found", f"{server.url} serves {server.root_directory or 'elsewhere'}")
        with Client(AsyncClient(server)) as client:
            yield _health(client)
            diagnosis = client.diagnosis()
        yield ok("token", "the server accepts it")
        yield from _told(diagnosis)
    except errors.OpspawnError as problem:
        yield _refused(problem)
    yield from _on_disk(server, diagnosis, check_store)


def _here() -> Finding:
    known = [f"Python {platform.python_version()}", f"opspawn {__version__}"]
    for package in _PACKAGES:
        try:
            known.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue  # a kernel's environment need not have it
    return ok("installation", ", ".join(known))


def _health(client: Client) -> Finding:
    health = client.health()
    if health.problem is None:
        return ok("extension", f"enabled, version {health.version}, takes tasks")
    if health.status == "ok":
        return warning("extension", health.problem)
    return problem("extension", f"enabled, but degraded: {health.problem}")


def _refused(failure: errors.OpspawnError) -> Finding:
    if isinstance(failure, errors.ServerNotFound) and "without the extension" in failure.message:
        advice = "jupyter server extension enable opspawn_jupyter, then restart the server"
        return problem("extension", "the server runs without it", advice)
    if isinstance(failure, errors.NotAuthenticated):
        advice = "set OPSPAWN_TOKEN, or leave OPSPAWN_URL out so that the server is found"
        return problem("token", failure.message, advice)
    if isinstance(failure, (errors.ServerNotFound, errors.ServerAmbiguous)):
        return warning("server found", failure.message)
    return problem("server", failure.message)


def _told(diagnosis: Diagnosis) -> Iterator[Finding]:
    yield _same_version(diagnosis)
    if diagnosis.store is None:
        return  # the health has said why
    yield _store(diagnosis)
    yield _workers(diagnosis)
    yield from _kernels(diagnosis)
    yield from _tiers(diagnosis)
    yield from _disk(diagnosis.disk)
    if diagnosis.unknown_runs:
        yield warning(
            "history",
            f"{diagnosis.unknown_runs} run directories belong to no task of the history",
            "if the history was lost: stop the server and run `opspawn store rebuild`",
        )


def _same_version(diagnosis: Diagnosis) -> Finding:
    theirs = diagnosis.health.version
    python = diagnosis.versions.get("python", "?")
    if theirs == __version__:
        return ok("versions", f"the server has the same opspawn, on Python {python}")
    return warning(
        "versions", f"here is {__version__}, the server has {theirs}", "install the same version"
    )


def _store(diagnosis: Diagnosis) -> Finding:
    store = diagnosis.store
    assert store is not None  # noqa: S101 (asked before)
    if store.problem is not None:
        return problem("store", store.problem)
    written = f"{store.written_at:%H:%M:%S} UTC" if store.written_at else "not since the start"
    return ok(
        "store",
        f"{store.last_seq} events; database {text.size(store.database_bytes)}, journal "
        f"{text.size(store.journal_bytes)} in {store.journal_segments}; "
        f"{store.waiting_events} on the way; last written {written}",
    )


def _workers(diagnosis: Diagnosis) -> Finding:
    tasks = ", ".join(f"{count} {state}" for state, count in diagnosis.unfinished.items())
    living = [worker for worker in diagnosis.workers if worker.is_alive]
    waiting = diagnosis.unfinished.get("queued", 0) + diagnosis.unfinished.get("running", 0)
    if waiting and not living:
        return problem(
            "worker", f"none is alive, though there is work ({tasks})", "see worker.log in .opspawn"
        )
    if not living:
        return ok("worker", "none; the first task starts one")
    names = ", ".join(f"{worker.worker_id} (process {worker.pid})" for worker in living)
    return ok("worker", f"{names}; {tasks or 'no unfinished tasks'}")


def _kernels(diagnosis: Diagnosis) -> Iterator[Finding]:
    good = [kernel.name for kernel in diagnosis.kernels if kernel.problem is None]
    advice = "install one: pip install ipykernel"
    yield ok("kernels", ", ".join(good)) if good else problem("kernels", "none can start", advice)
    for kernel in diagnosis.kernels:
        if kernel.problem is not None:
            advice = f"repair it, or jupyter kernelspec remove {kernel.name}"
            yield warning("kernels", f"{kernel.name} cannot start: {kernel.problem}", advice)


def _tiers(diagnosis: Diagnosis) -> Iterator[Finding]:
    """How tasks' kernels start, and what keeps them from being forked."""
    ways = {
        kernel.name: f"{kernel.name} {kernel.tier}"
        + (f" ({kernel.tier_reason})" if kernel.tier_reason else "")
        for kernel in diagnosis.kernels
    }
    if ways:
        yield ok("kernel tiers", ", ".join(ways.values()))
    for server in diagnosis.fork_servers:
        has = f"{server.interpreter} (process {server.pid})"
        if server.obstacle is not None:
            advice = "take the module that does it out of OPSPAWN_KERNELS_PRELOAD"
            yield warning("fork server", f"{has} does not fork: {server.obstacle}", advice)
            continue
        loaded = f", with {', '.join(server.preload)}" if server.preload else ""
        yield ok("fork server", f"{has}: {server.kernels} at work, {server.spares} waiting{loaded}")


def _disk(disk: DiskUse) -> Iterator[Finding]:
    yield room("disk of the runs", disk.free_bytes)
    if disk.state_free_bytes != disk.free_bytes:
        yield room("disk of the store", disk.state_free_bytes)
    largest = ", ".join(f"{use.path} {text.size(use.size_bytes)}" for use in disk.largest[:3])
    shown = f"; the largest: {largest}" if largest else ""
    yield ok("run directories", f"{disk.runs} hold {text.size(disk.runs_bytes)}{shown}")


def _on_disk(
    server: Server | None, diagnosis: Diagnosis | None, check_store: CheckStore | None
) -> Iterator[Finding]:
    """What this machine's disk and processes show."""
    if server is not None and server.root_directory is None:
        return  # it runs elsewhere
    root = root_above(Path.cwd()) if server is None else Path(str(server.root_directory))
    told = diagnosis.state_directory if diagnosis is not None else ""
    state = Path(told) if told else root / STATE_DIRECTORY
    yield from local_checks.permissions(state)
    yield from local_checks.leftovers(root, state, has_server=server is not None)
    if server is None and check_store is not None:
        yield from check_store(state)
        yield room("disk", local_checks.free_bytes(state))


def room(check: str, free_bytes: int) -> Finding:
    """Whether a disk has room."""
    said = f"{text.size(free_bytes)} free"
    advice = "make room; `opspawn prune --older-than 30d` removes old run directories"
    if free_bytes < _TOO_LOW_BYTES:
        return problem(check, said, advice)
    return warning(check, said, advice) if free_bytes < _LOW_BYTES else ok(check, said)


def ok(check: str, message: str) -> Finding:
    """All is well."""
    return Finding(check=check, verdict=Verdict.OK, message=message)


def warning(check: str, message: str, advice: str = "") -> Finding:
    """Somebody should know."""
    return Finding(check=check, verdict=Verdict.WARNING, message=message, advice=advice)


def problem(check: str, message: str, advice: str = "") -> Finding:
    """Something does not work."""
    return Finding(check=check, verdict=Verdict.PROBLEM, message=message, advice=advice)
