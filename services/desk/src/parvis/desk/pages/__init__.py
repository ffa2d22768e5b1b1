"""Serves the agents' pages; every change is a checked POST, answered with a redirect."""
