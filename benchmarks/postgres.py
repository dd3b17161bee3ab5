"""A PostgreSQL server of our own, from the system's package (Debian: ``postgresql``)."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PLACES = ("/usr/lib/postgresql/*/bin", "/usr/local/bin")


def programs() -> Path | None:
    """Where its programs lie; None where it is not installed."""
    for pattern in _PLACES:
        for place in sorted(Path("/").glob(pattern.lstrip("/")), reverse=True):
            if (place / "initdb").exists():
                return place
    return None


@contextmanager
def server() -> Iterator[str]:
    """Its connection string. Durable as it comes, on a socket in a directory of its own."""
    found = programs()
    if found is None:
        raise FileNotFoundError("PostgreSQL is not installed; on Debian: apt install postgresql")
    place = Path(tempfile.mkdtemp(prefix="opspawn-bench-", dir="/tmp"))
    user = _user()
    shutil.chown(place, user)
    data = place / "data"

    def run(*words: str | Path) -> None:
        command = [str(word) for word in words]
        subprocess.run(command, check=True, user=user, cwd=place, stdout=subprocess.DEVNULL)

    try:
        run(found / "initdb", "-D", data, "-U", "bench", "-A", "trust", "-E", "UTF8")
        options = f"-c listen_addresses= -c unix_socket_directories={place}"
        run(found / "pg_ctl", "-D", data, "-o", options, "-l", place / "log", "-w", "start")
        try:
            yield f"host={place} user=bench dbname=postgres"
        finally:
            run(found / "pg_ctl", "-D", data, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _user() -> str:
    """It refuses to run as root."""
    if os.geteuid():
        return pwd.getpwuid(os.geteuid()).pw_name
    known = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"
