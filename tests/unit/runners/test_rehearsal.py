"""What a runner warms itself up on."""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path

import pytest

from opspawn_jupyter.model.states import State
from opspawn_jupyter.model.work import Grace
from opspawn_jupyter.runners import rehearsal
from opspawn_jupyter.runners.echo import EchoDirectKernel, EchoKernel
from opspawn_jupyter.runners.kernel import Kernel


def test_a_whole_run_is_rehearsed_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes through all that a real one does, so it would fail where a real one fails; and a
    spare runner that left files would leave them for ever."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    rehearsal.perform()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", [EchoKernel, EchoDirectKernel])
def test_a_kernel_that_only_pretends_answers_on_the_channels_of_a_real_one(
    kind: type[Kernel],
) -> None:
    """Else the rehearsal would warm up something else."""

    async def asked() -> Kernel:
        kernel = kind("python3", grace=Grace(), env=os.environ, is_alone=True)
        await kernel.launch()
        await kernel.connect()
        await kernel.identify()
        await kernel.close()
        return kernel

    kernel = asyncio.run(asked())
    assert kernel.info["status"] == "ok"
    assert not kernel.is_ready


def test_the_rehearsed_outcome_is_a_success() -> None:
    """A rehearsal that breaks off early has touched little of what a run touches."""
    assert [outcome.state for outcome in rehearsal.perform()] == [State.SUCCESS, State.SUCCESS]
