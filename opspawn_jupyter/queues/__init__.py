"""Adapters of the Queue port, each named after its technology."""
