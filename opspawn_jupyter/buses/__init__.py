"""Adapters of the Bus port: who is told of events, each named after its technology."""
