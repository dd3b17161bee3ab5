"""The session of a client that reads many messages."""

from __future__ import annotations

from jupyter_client.session import Session

from opspawn_jupyter.kernels.forking import messages


def new_session(key: bytes) -> Session:
    """A session that packs and reads as the kernel's does."""
    session = Session(key=key)
    messages.quicken(session)
    return session
