"""Holds the desk's domain values: cases, what is recorded in them, and what an action changes."""
