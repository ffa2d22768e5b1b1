"""Serves the pages that citizens read."""
