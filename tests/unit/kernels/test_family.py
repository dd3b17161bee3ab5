"""What a process has started."""

from __future__ import annotations

import subprocess
import sys

_CODE = """
import subprocess
from opspawn_jupyter.kernels.forking.family import has_children
said = [has_children()]
child = subprocess.Popen(['sleep', '600'])
said.append(has_children())
child.kill()
said.append(has_children())
child.wait()
said.append(has_children())
print(said)
"""


def test_children_are_noticed_until_somebody_has_waited_for_them() -> None:
    """In a process of its own: this one may have any."""
    told = subprocess.check_output([sys.executable, "-c", _CODE], text=True)

    assert told.strip() == "[False, True, True, False]"
