"""Receives scans: the loop over the watched folder, and what becomes of each file."""
