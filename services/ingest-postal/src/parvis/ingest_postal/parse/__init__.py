"""Parses the reading of a letter into a contact. Pure; no I/O."""
