"""What ``opspawn step`` takes, and the submission that it means."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from opspawn_jupyter.client.policy_options import terms_of
from opspawn_jupyter.client.submission import step_submission
from opspawn_jupyter.model.task import Submission


def add_step_options(parser: argparse.ArgumentParser, *, is_cell: bool) -> None:
    """Beside the kind and single fields: all of the configuration, which may be a cell's body."""
    parser.set_defaults(serve=False, config={})
    if not is_cell:
        help_text = "the whole configuration"
        parser.add_argument("--config", type=_json_object, metavar="JSON", help=help_text)


def step_submission_of(options: argparse.Namespace, root_directory: str | None) -> Submission:
    """What ``step`` with these options submits. It starts here, where this directory is one that
    the server of ``root_directory`` serves."""
    here = Path.cwd()
    is_served = root_directory is not None and here.is_relative_to(root_directory)
    return step_submission(
        options.kind,
        options.config,
        config_text=options.parameters,
        kernel=options.kernel,
        working_directory=options.cwd or (here if is_served else None),
        **terms_of(options),
    )


def _json_object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except RecursionError:
        value = None
    if not isinstance(value, dict):
        raise TypeError
    return value


_json_object.__name__ = "JSON object"  # argparse names the type in its message
