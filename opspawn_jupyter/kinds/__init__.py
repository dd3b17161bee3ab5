"""Adapters of the Kind port: what is checked and pinned before a task is accepted."""
