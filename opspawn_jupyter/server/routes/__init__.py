"""Which addresses there are: one file for each area, all of one look."""
