"""Declares the service's PostgreSQL tables."""
