"""When a schedule is due, and what is to be done then: pure functions of time."""
