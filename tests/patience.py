"""Says how long a test waits for what must come: a guard against a hang, never a bound on speed."""

PATIENCE_S = 300.0
"""A loaded machine is slow, and what is lost never comes. Nothing in `make test` asserts that something took less than a time."""
