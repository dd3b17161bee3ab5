"""Keys of providers from the file of secrets, for a run's own process."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from opspawn_jupyter.errors import SettingInvalid


def adopt(file: str) -> None:
    """Put what the file has, and the environment has not, into this process's environment; an
    agent's kernel gets nothing of it. Raises ``SettingInvalid`` where others can read the file or
    it is no JSON object."""
    for name, value in _stored(Path(file)).items():
        os.environ.setdefault(name, str(value))


def _stored(file: Path) -> Mapping[str, object]:
    try:
        if file.stat().st_mode & 0o077:
            raise SettingInvalid(hint=f"others can read {file}; chmod 600 it")
        document = json.loads(file.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as failure:
        raise SettingInvalid(str(file), hint=f"it cannot be read: {failure}") from failure
    return document if isinstance(document, dict) else {}
