"""Builds what the pages show. Pure; no I/O."""
