"""How Python talks to the server: what cells, the shell, workers and users' scripts share."""
