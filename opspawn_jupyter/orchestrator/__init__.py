"""What happens: one verb, one file. Verbs see ports, never adapters."""
