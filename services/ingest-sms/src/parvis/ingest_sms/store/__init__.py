"""Stores messages on local disk until they are published."""
