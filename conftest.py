"""Provides the fixtures of all members (`brokers`, `kafka`, `database_url`: the real ones) and distributes tests to workers."""

import pytest
from hypothesis import settings
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

pytest_plugins = ["parvis.local.fixtures"]

# A slow machine must not fail a test.
settings.register_profile("parvis", deadline=None)
settings.load_profile("parvis")

_JOURNEYS = "tests/journey"
_LONGEST_FIRST = ("journey", "fault", "stack")


class Scheduling(LoadFileScheduling):
    """Gives a worker one file at a time, but all journeys to one worker, because they share a town."""

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return _JOURNEYS if file.startswith(f"{_JOURNEYS}/") else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling | None:
    return Scheduling(config, log) if config.getvalue("dist") == "loadfile" else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run slow files first, so that the workers finish at about the same time."""
    ranks = {item.path: len(_LONGEST_FIRST) for item in items}
    for item in items:
        marked = (place for place, mark in enumerate(_LONGEST_FIRST) if item.get_closest_marker(mark))
        ranks[item.path] = min([ranks[item.path], *marked])
    items.sort(key=lambda item: ranks[item.path])
