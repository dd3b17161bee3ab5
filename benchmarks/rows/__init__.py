"""The rows of the table, by name."""

from benchmarks.rows import (
    agents,
    commands,
    growth,
    kernels,
    panels,
    papermill,
    server,
    store,
    tools,
    workflows,
)

_MODULES = (server, kernels, papermill, store, commands, growth, workflows, agents, panels, tools)

ROWS = {row.name: row for module in _MODULES for row in module.ROWS}
