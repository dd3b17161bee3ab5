"""What steps can do besides running a notebook of their own; each plugin is a task kind.

A plugin is a class with ``run(config, context)``, found by entry point ``opspawn_jupyter.plugins``
under the name that a workflow uses; see ``ports.Plugin``. It runs in a background kernel, through
a notebook that stays behind as the record of the step.
"""

from opspawn_jupyter.plugins.performing import perform

__all__ = ["perform"]
