"""Defines what services agree on: events, channels, topics, references, ids and errors. Pure; no I/O."""
