"""A process that takes tasks from the server, runs each in a process of its own, and reports.

It outlives the server: what it cannot report waits, in memory and in the run directory's journal,
until a server is back.
"""
