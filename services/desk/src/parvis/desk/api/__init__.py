"""Serves the agents' work as a JSON API for programs."""
