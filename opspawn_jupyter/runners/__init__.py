"""What carries out tasks, one process for each run: a module for each kind."""
