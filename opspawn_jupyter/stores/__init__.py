"""Adapters of the Store port, each named after its technology."""
