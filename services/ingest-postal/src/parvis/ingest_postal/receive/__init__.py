"""Receives scans from the drop box and publishes their letters."""
