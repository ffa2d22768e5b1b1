"""Fetches what may change while the router runs: the rules files and the active model."""
