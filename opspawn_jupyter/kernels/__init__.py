"""Kernels that are up in milliseconds: a fork server, and what Jupyter clients need to use it.

``provisioner`` is what ``jupyter_client`` finds by its entry point, ``client`` a manager and a
client without fixed waits. ``fork_server`` is a program, with its parts in ``forking``: they are
run by path by other environments' interpreters and import nothing of this project.
"""
