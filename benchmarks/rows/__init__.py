"""The rows of the table, by name."""

from benchmarks.rows import (
    agents,
    audits,
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

_MODULES = (
    server,
    kernels,
    papermill,
    store,
    commands,
    growth,
    workflows,
    agents,
    panels,
    tools,
    audits,
)

ROWS = {row.name: row for module in _MODULES for row in module.ROWS}
