"""Steps that somebody else wrote."""
