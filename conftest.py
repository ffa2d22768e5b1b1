"""Fixtures for every member: `brokers`, `kafka` and `database_url`, the real ones; and how the workers share the tests."""

import pytest
from hypothesis import settings
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

pytest_plugins = ["parvis.local.fixtures"]

# A slow machine is no wrong answer.
settings.register_profile("parvis", deadline=None)
settings.load_profile("parvis")

_JOURNEYS = "tests/journey"
_LONGEST_FIRST = ("journey", "fault", "stack")


class Scheduling(LoadFileScheduling):
    """A file at a time; but all journeys to one worker: the whole town that they share is started once a run."""

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return _JOURNEYS if file.startswith(f"{_JOURNEYS}/") else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling | None:
    return Scheduling(config, log) if config.getvalue("dist") == "loadfile" else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take long come first, so that the workers end together."""
    ranks = {item.path: len(_LONGEST_FIRST) for item in items}
    for item in items:
        marked = (place for place, mark in enumerate(_LONGEST_FIRST) if item.get_closest_marker(mark))
        ranks[item.path] = min([ranks[item.path], *marked])
    items.sort(key=lambda item: ranks[item.path])
