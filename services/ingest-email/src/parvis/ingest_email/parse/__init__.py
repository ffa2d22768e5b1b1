"""Parses hostile mail into values of the domain. Pure; no I/O."""
