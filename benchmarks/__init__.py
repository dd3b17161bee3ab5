"""How quick it is, beside others, in one run: ``make bench``."""
