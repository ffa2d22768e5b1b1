"""Fixtures for every member: `brokers`, `kafka` and `database_url`, the real ones; and which tests stay together side by side."""

import pytest
from hypothesis import settings

pytest_plugins = ["parvis.local.fixtures"]

# A slow machine is no wrong answer.
settings.register_profile("parvis", deadline=None)
settings.load_profile("parvis")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whoever shares a town or a module's fixtures runs in one process; a fault scenario has a stack of its own."""
    for item in items:
        shared = "town" if "town" in getattr(item, "fixturenames", ()) else str(item.path)
        if item.path.parent.name != "faults":
            item.add_marker(pytest.mark.xdist_group(shared))
