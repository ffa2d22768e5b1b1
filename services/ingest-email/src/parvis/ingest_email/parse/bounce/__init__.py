"""Parses bounces, delivery reports and complaints. Pure; no I/O."""
