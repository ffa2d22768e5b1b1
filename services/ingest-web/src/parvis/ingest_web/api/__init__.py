"""Serves the JSON API by which other programs submit contacts."""
