"""Which launches are forked, and to whom a fork server belongs."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator

import pytest
from jupyter_client import KernelManager, MultiKernelManager
from jupyter_client.kernelspec import KernelSpec

from opspawn_jupyter.kernels import servers
from opspawn_jupyter.kernels.provisioner import ForkProvisioner

ARGV = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
HISTORY = "--HistoryManager.hist_file=:memory:"


@pytest.fixture(autouse=True)
def place(monkeypatch) -> Iterator[None]:
    with tempfile.TemporaryDirectory(prefix="osk-", dir="/tmp") as name:
        monkeypatch.setenv("OPSPAWN_KERNELS_DIRECTORY", f"{name}/k")
        yield


def provisioner(parent: MultiKernelManager | None = None, **options) -> ForkProvisioner:
    manager = KernelManager(parent=parent, **options)
    manager._launch_args = {}
    spec = KernelSpec(argv=ARGV, language="python")
    manager._kernel_spec = spec
    return ForkProvisioner(parent=manager, kernel_spec=spec)


def test_an_ordinary_launch_can_be_forked():
    plan = provisioner()._plan({"cwd": "/", "extra_arguments": []})

    assert plan is not None
    assert not plan.by_spare


def test_a_launch_as_nbclient_makes_it_can_be_served_by_a_waiting_kernel():
    plan = provisioner()._plan({"extra_arguments": [HISTORY]})

    assert plan is not None
    assert plan.by_spare


@pytest.mark.parametrize(
    "options",
    [{"shell_port": 5000}, {"ip": "0.0.0.0"}, {"transport_encryption": "auto"}],
)
def test_a_manager_with_wishes_about_its_sockets_gets_a_kernel_of_its_own(options):
    """A waiting kernel has chosen its ports already."""
    plan = provisioner(**options)._plan({"extra_arguments": [HISTORY]})

    assert plan is not None
    assert not plan.by_spare


@pytest.mark.parametrize("arguments", [{"independent": True}, {"stdout": subprocess.PIPE}])
def test_launches_that_need_a_child_process_are_cold(arguments):
    """A pipe has its other end in the client; an independent kernel outlives it."""
    made = provisioner()

    assert made._plan(arguments) is None
    assert made.tier_reason.startswith("launch arguments")


def test_other_systems_start_kernels_as_ever(monkeypatch):
    monkeypatch.setattr(servers, "is_possible", lambda: False)
    made = provisioner()

    assert made._plan({}) is None
    assert made.tier_reason == "fork servers are not possible here"


def test_a_fork_server_of_many_kernels_belongs_to_their_manager(monkeypatch):
    """A Jupyter server takes it along; one notebook's run leaves it to the next."""
    monkeypatch.delenv("OPSPAWN_KERNELS_OWNER", raising=False)

    assert provisioner(MultiKernelManager())._owner() == os.getpid()
    assert provisioner()._owner() == 0

    monkeypatch.setenv("OPSPAWN_KERNELS_OWNER", "4711")
    assert provisioner()._owner() == 4711


def test_settings_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("OPSPAWN_KERNELS_PRELOAD", "numpy, pandas")
    monkeypatch.setenv("OPSPAWN_KERNELS_SPARES", "4")

    made = provisioner()

    assert made.preload == ["numpy", "pandas"]
    assert made.spares == 4


def test_without_a_kernel_there_is_nothing_to_end():
    """Managers ask in any state."""
    made = provisioner()

    assert not made.has_process
    assert asyncio.run(made.poll()) == 0
    assert asyncio.run(made.wait()) == 0
    asyncio.run(made.kill())
    asyncio.run(made.terminate())
    asyncio.run(made.send_signal(2))
    asyncio.run(made.shutdown_requested())
