"""The rows of the table, by name."""

from benchmarks.rows import commands, kernels, papermill, server, store

ROWS = {
    row.name: row for module in (server, kernels, papermill, store, commands) for row in module.ROWS
}
