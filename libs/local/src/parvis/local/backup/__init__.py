"""Backs up a town of one machine while it runs, and restores it."""
