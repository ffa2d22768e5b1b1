"""Fetches the rules files and the active model, and notices their changes."""
