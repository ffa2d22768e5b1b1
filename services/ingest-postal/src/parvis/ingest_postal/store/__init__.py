"""Stores scans: the watched folder or bucket."""
