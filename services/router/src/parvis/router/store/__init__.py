"""Reads and writes the router's tables in PostgreSQL."""
