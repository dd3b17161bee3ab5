"""Which launches share a fork server."""

from __future__ import annotations

import dataclasses
import os
import sys

import pytest

from opspawn_jupyter.kernels import inheritance, recipe
from opspawn_jupyter.kernels.command import parse
from opspawn_jupyter.kernels.forking.options import Options

OPTIONS = Options(directory="/run/opspawn")


def found(options: Options = OPTIONS, flags: tuple[str, ...] = (), **variables: str):
    command = parse([sys.executable, *flags, "-m", "ipykernel_launcher", "-f", "/run/k.json"])
    assert command is not None
    return recipe.for_launch(command, {"PATH": os.defpath, **variables}, options)


def test_launches_that_differ_in_what_can_change_after_a_fork_share_a_server():
    assert found(A="1", PATH="/x", TZ="UTC").name == found(B="2", OPSPAWN_TASK_ID="t").name


@pytest.mark.parametrize(
    "name",
    ["PYTHONPATH", "PYTHONHASHSEED", "LD_PRELOAD", "OMP_NUM_THREADS", "MKL_NUM_THREADS",
     "OPENBLAS_NUM_THREADS", "LANG", "LC_ALL", "HOME", "VIRTUAL_ENV", "IPYTHONDIR", "MPLBACKEND",
     "CUDA_VISIBLE_DEVICES"],
)  # fmt: skip
def test_launches_that_differ_in_what_is_read_at_start_do_not_share_one(name):
    """Such a variable would look right in the kernel, and have no effect."""
    assert found(**{name: "1"}).name != found(**{name: "2"}).name
    assert found(**{name: "1"}).environment[name] == "1"


def test_secrets_are_neither_part_of_the_name_nor_given_to_the_server():
    """Its environment can be seen as long as it lives; a kernel gets its own from its client."""
    secret = found(API_TOKEN="s3cret", JUPYTER_TOKEN="s3cret")

    assert secret.name == found().name
    assert "s3cret" not in repr(secret)


def test_flags_and_options_make_other_servers():
    names = {
        found().name,
        found(flags=("-Xfrozen_modules=off",)).name,
        found(dataclasses.replace(OPTIONS, preload=("numpy",))).name,
        found(dataclasses.replace(OPTIONS, owner=1)).name,
    }

    assert len(names) == 4


def test_clients_with_other_limits_do_not_share_a_server(monkeypatch):
    """A kernel must not have more memory, processors or network than its client."""
    before = found().name
    mask = os.umask(0o077)
    try:
        assert found().name != before
    finally:
        os.umask(mask)

    assert found().name == before
    assert len(inheritance.fingerprint()) > 10


def test_an_interpreter_that_is_not_found_has_no_recipe():
    command = parse(["no-such-python", "-m", "ipykernel_launcher", "-f", "/run/k.json"])
    assert command is not None

    assert recipe.for_launch(command, {"PATH": os.defpath}, OPTIONS) is None


def test_options_survive_the_command_line():
    options = dataclasses.replace(OPTIONS, preload=("a", "b"), spare_arguments=("--x",), spares=3)

    assert Options.load(options.dump()) == options
