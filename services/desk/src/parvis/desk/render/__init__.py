"""Builds the view models of the pages. Pure; no I/O."""
