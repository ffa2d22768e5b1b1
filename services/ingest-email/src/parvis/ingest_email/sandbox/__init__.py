"""Runs the mail parser in processes with resource limits."""
