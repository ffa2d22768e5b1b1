"""Fetches the files behind claim checks."""
