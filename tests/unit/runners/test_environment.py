"""What is written down of what a task ran with."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

from opspawn_jupyter import files
from opspawn_jupyter.model.work import Grace
from opspawn_jupyter.runners import environment
from opspawn_jupyter.runners.kernel import Kernel


def test_the_record_is_written_as_it_is_described(tmp_path: Path) -> None:
    """Most of it is put together from what was written before."""
    kernel = Kernel("python3", grace=Grace(), env=os.environ)
    kernel.info = {"implementation": '"distributions": null', "language_info": {"version": "3"}}
    asyncio.run(environment.record(kernel, tmp_path / "environment.json"))

    written = (tmp_path / "environment.json").read_bytes()
    record = json.loads(written)

    assert written == files.json_bytes(environment.describe(record["kernel"]))
    assert record["kernel"]["implementation"] == '"distributions": null'
    assert record["distributions"]["nbclient"]
