"""The parts of the fork server. Standard library and ipykernel only, Python 3.9 or later."""
