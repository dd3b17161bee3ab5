"""Whether the hooks of a submission can be called, said before the task is accepted."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from opspawn_jupyter.errors import InvalidRequest
from opspawn_jupyter.model.task import Submission
from opspawn_jupyter.settings import Settings

_MOST_HOOKS = 10
_LONGEST_ADDRESS = 2000


def check_hooks(settings: Settings, submission: Submission) -> None:
    """Raises ``InvalidRequest`` for a hook that is neither an address nor a known notifier."""
    for field in ("on_success", "on_failure"):
        check_hooks_of(settings, field, getattr(submission, field))


def check_hooks_of(settings: Settings, field: str, hooks: Sequence[str]) -> None:
    """Likewise, for hooks that stand in this field of whatever it is."""
    if len(hooks) > _MOST_HOOKS:
        raise InvalidRequest(len(hooks), hint=f"{field} takes at most {_MOST_HOOKS} hooks")
    for hook in hooks:
        _check_hook(settings, field, hook)


def _check_hook(settings: Settings, field: str, hook: str) -> None:
    if hook in settings.notifiers:
        return
    if "://" not in hook:
        known = ", ".join(sorted(settings.notifiers)) or "none"
        raise InvalidRequest(
            hook,
            hint=f"{field} takes addresses of webhooks (https://…) and names of the server's "
            f"notifiers (known: {known})",
        )
    problem = _address_problem(hook)
    if problem:
        # The address itself is not repeated: it may hold what nobody else should read.
        raise InvalidRequest(hint=f"{field}: {problem}")


def _address_problem(address: str) -> str:
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "the webhook's address cannot be read"
    if parts.scheme not in ("http", "https"):
        return f"a webhook's address begins with https:// or http://, not {parts.scheme}://"
    if not host or len(address) > _LONGEST_ADDRESS:
        return f"a webhook's address names a host and has at most {_LONGEST_ADDRESS} characters"
    if parts.username is not None or parts.password is not None:
        return "a webhook's address must not hold a user name or password"
    return ""
