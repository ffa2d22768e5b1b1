"""Fixtures for every member: `brokers`, `kafka` and `database_url`, the real ones."""

pytest_plugins = ["parvis.local.fixtures"]
