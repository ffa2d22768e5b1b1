"""Verifies the sender of a mail."""
