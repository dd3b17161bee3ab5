"""Running workflows: which step is next, its task, its values, its end. Driven by events only."""
