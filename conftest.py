"""Fixtures for every member: `brokers`, `kafka` and `database_url`, the real ones."""

from hypothesis import settings

pytest_plugins = ["parvis.local.fixtures"]

# A slow machine is no wrong answer.
settings.register_profile("parvis", deadline=None)
settings.load_profile("parvis")
