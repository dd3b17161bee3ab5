"""What things are: frozen records and the one table of state transitions.

Standard library only, because the kernel side imports this package beside a bare ipykernel.
"""
