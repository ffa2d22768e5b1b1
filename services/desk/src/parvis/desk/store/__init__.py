"""Stores cases in PostgreSQL."""
