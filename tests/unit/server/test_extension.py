"""Settings from the environment."""

from __future__ import annotations

import asyncio
import atexit
import gc

import pytest
from jupyter_server.serverapp import ServerApp
from traitlets.config import Config

from opspawn_jupyter.errors import SettingInvalid
from opspawn_jupyter.server.extension import OpspawnExtension
from opspawn_jupyter.settings import Settings


def extension(**given) -> OpspawnExtension:
    return OpspawnExtension(
        serverapp=ServerApp(), config=Config({"OpspawnExtension": given} if given else {})
    )


def test_every_setting_is_a_trait_with_help():
    """`jupyter server --help-all` is where people look."""
    traits = OpspawnExtension.class_own_traits(config=True)

    assert set(traits) == set(Settings.__dataclass_fields__) - {"root_directory"}
    assert all(trait.help for trait in traits.values())


def test_the_environment_is_read():
    """Containers are configured so."""
    one = extension()

    one._adopt_environment({"OPSPAWN_MAX_RUNNING_TASKS": "3", "OPSPAWN_URL": "not a setting"})

    assert one.max_running_tasks == 3


def test_configuration_wins_over_the_environment():
    """The documented precedence."""
    one = extension(max_running_tasks=5)

    one._adopt_environment({"OPSPAWN_MAX_RUNNING_TASKS": "3"})

    assert one.max_running_tasks == 5


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("OPSPAWN_MAX_RUNNING_TASKS", "many"),
        ("OPSPAWN_MAX_RUNNING_TASKS", "0"),
        ("OPSPAWN_SQL_TIMEOUT_SECONDS", "-1"),
        ("OPSPAWN_SQL_MAX_ROWS", ""),
    ],
)
def test_a_bad_value_is_refused_by_the_variables_name(variable, value):
    """The administrator must find it."""
    with pytest.raises(SettingInvalid, match=variable):
        extension()._adopt_environment({variable: value})


def test_the_end_of_the_server_looks_for_no_garbage(monkeypatch):
    """It takes half a second of a processor, of which nobody has anything."""
    last = []
    monkeypatch.setattr(atexit, "register", last.append)
    one = extension()
    one.initialize_settings()

    asyncio.run(one.stop_extension())

    assert last == [gc.freeze]
