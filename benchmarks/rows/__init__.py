"""The rows of the table, by name."""

from benchmarks.rows import commands, growth, kernels, papermill, server, store, workflows

_MODULES = (server, kernels, papermill, store, commands, growth, workflows)

ROWS = {row.name: row for module in _MODULES for row in module.ROWS}
