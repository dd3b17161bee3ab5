"""A kernel to which its run speaks on a line of its own is everybody's all the same."""

from __future__ import annotations

from pathlib import Path

from jupyter_client import AsyncKernelClient

from opspawn_jupyter.model.states import EventType
from tests.integration.test_runner_notebook import Attempt, During, Listener, Run, fork_servers, run

__all__ = ["fork_servers", "run"]  # the fixtures

_PATIENCE_SECONDS = 60


async def another(connection_file: str) -> AsyncKernelClient:
    """Somebody else, as JupyterLab would come; what it hears from here on is not lost."""
    client = AsyncKernelClient(connection_file=connection_file)
    client.load_connection_file()
    client.start_channels(stdin=False, hb=False)
    while (await client.get_iopub_msg(_PATIENCE_SECONDS))["msg_type"] != "iopub_welcome":
        pass
    return client


async def hear(client: AsyncKernelClient, text: str) -> None:
    """Return once the kernel has published this, in one piece or several."""
    heard = ""
    while text not in heard:
        message = await client.get_iopub_msg(_PATIENCE_SECONDS)
        heard += message["content"].get("text", "")


def listening(place: Path) -> During:
    """Another client that comes while the third cell runs, and stays until it has heard of it."""

    async def during(_attempt: Attempt, listener: Listener) -> None:
        await listener.heard(EventType.CELL_OUTPUT, index=1)
        client = await another((place / "where").read_text())
        try:
            client.execute("1 / 0")
            (place / "attached").touch()
            await hear(client, "for all\n")
            (place / "heard").touch()
        finally:
            client.stop_channels()
            client.context.destroy(linger=0)

    return during


def awaited(place: Path, name: str, pause: str) -> str:
    """Code that waits for the file."""
    return f"while not os.path.exists({str(place / name)!r}):\n    {pause}(0.01)\n"


def test_another_client_hears_what_a_run_puts_out_and_does_it_no_harm(
    run: Run, tmp_path: Path
) -> None:
    """People look into a run while it goes on. What they get wrong is no failure of the run, nor
    does it keep cells from running that wait in the kernel already."""
    ran = run(
        "import asyncio, os, time\nfrom ipykernel.connect import get_connection_file as where\n"
        f"with open({str(tmp_path / 'where')!r}, 'w') as file:\n    file.write(where())",
        "print('here')",
        awaited(tmp_path, "attached", "time.sleep") + "print('for all')",
        awaited(tmp_path, "heard", "await asyncio.sleep"),
        "'of the run'",
        during=listening(tmp_path),
    )

    assert ran.outcome.type is EventType.SUCCEEDED
    assert ran.written == ["success"] * 5
    assert [output.get("text") for output in ran.notebook["cells"][2]["outputs"]] == ["for all\n"]
    assert ran.notebook["cells"][4]["outputs"][0]["data"] == {"text/plain": "'of the run'"}
