"""Defines how long tests wait for an event: a guard against hanging, never a bound on speed."""

PATIENCE_S = 300.0
"""Long enough for a loaded machine. No test in `make test` asserts that something took less than a given time."""
