"""A kernel's socket files go with it, and no others."""

from __future__ import annotations

import pytest

from opspawn_jupyter.kernels.forking import ipc_files


@pytest.mark.parametrize("prefix", ["abc.1k.1", "odd [name]*.1k.1"])
def test_the_files_of_one_kernel_are_removed(tmp_path, prefix):
    """The kernel beside it may have a name that begins alike."""
    others = {f"{prefix}0-1", f"x{prefix}-1", prefix}
    for name in (*others, f"{prefix}-1", f"{prefix}-2"):
        (tmp_path / name).touch()

    ipc_files.remove(str(tmp_path / prefix))

    assert {path.name for path in tmp_path.iterdir()} == others


@pytest.mark.parametrize("prefix", [None, "/nowhere at all/abc.1k.1"])
def test_there_may_be_none(prefix):
    """A kernel without sockets has no address; a directory may be gone before its kernels."""
    ipc_files.remove(prefix)
