"""Parses submitted forms. Pure; no I/O."""
