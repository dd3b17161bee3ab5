"""Keys to the tools for the kernels of tasks.

A key names a task and an attempt and carries a signature (HMAC-SHA256) by a secret that only the
server's account can read. Nothing is stored of a key: it opens the door for as long as that
attempt of that task runs, across restarts of the server, and never again. It gives a task the
least it needs and says who called; it is no prison, because a kernel runs under the same account
as the server.

The loop of an agent has a key of another kind, which no kernel is given.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from pathlib import Path

from opspawn_jupyter.files import write_atomic
from opspawn_jupyter.model.agent_door import AgentDoor
from opspawn_jupyter.model.states import State
from opspawn_jupyter.model.task import Task
from opspawn_jupyter.model.tool import Principal
from opspawn_jupyter.model.work import TASK_TOKEN_VARIABLE, TASK_URL_VARIABLE

PREFIX = "ost_"
AGENT_PREFIX = "osa_"
_KEY = re.compile(
    r"(?P<prefix>os[at]_)(?P<task>[0-9a-f-]{36})\.(?P<attempt>\d{1,9})\.(?P<proof>[\w-]{43})"
)


class Keys:
    """Makes keys and recognises them."""

    def __init__(self, secret: bytes, url: str) -> None:
        self._secret = secret
        self._url = url

    def environment(self, task: Task, attempt: int) -> Mapping[str, str]:
        """See ``ports.Keys``."""
        if not tools_of(task):
            return {}
        return {TASK_TOKEN_VARIABLE: self._key(PREFIX, task, attempt), TASK_URL_VARIABLE: self._url}

    def agent_door(self, task: Task, attempt: int) -> AgentDoor:
        """See ``ports.Keys``."""
        return AgentDoor(url=self._url, token=self._key(AGENT_PREFIX, task, attempt))

    def read(self, token: str) -> tuple[str, int] | None:
        """Task and attempt of a key that was made here; None for anything else."""
        found = _KEY.fullmatch(token)
        if found is None:
            return None
        task_id, attempt = found["task"], int(found["attempt"])
        proof = self._proof(found["prefix"], task_id, attempt)
        return (task_id, attempt) if hmac.compare_digest(found["proof"], proof) else None

    def _key(self, prefix: str, task: Task, attempt: int) -> str:
        return f"{prefix}{task.id}.{attempt}.{self._proof(prefix, task.id, attempt)}"

    def _proof(self, prefix: str, task_id: str, attempt: int) -> str:
        kind = "" if prefix == PREFIX else prefix
        said = f"{kind}{task_id}.{attempt}".encode()
        digest = hmac.new(self._secret, said, hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def principal(task: Task, attempt: int) -> Principal | None:
    """Who calls with the key of this attempt; None where its time is over."""
    # The first call may overtake the report that the attempt has started.
    is_next = task.state is State.QUEUED and attempt == task.attempt + 1
    is_current = task.state is State.RUNNING and attempt == task.attempt
    if not (is_next or is_current):
        return None
    return Principal(user=task.submitted_by, task_id=task.id, tools=tools_of(task))


def tools_of(task: Task) -> tuple[str, ...]:
    """Patterns of the tools that the task declares."""
    return tuple(str(pattern) for pattern in task.spec.get("tools") or ())


def load_secret(file: Path) -> bytes:
    """The server's secret, made the first time. Raises ``OSError``."""
    try:
        secret = file.read_bytes()
    except FileNotFoundError:
        secret = secrets.token_bytes(32)
        write_atomic(file, secret, 0o600)
    return secret
