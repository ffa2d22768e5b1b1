"""Verifies that a scan is complete."""
