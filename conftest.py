"""Provides the fixtures of all members (`brokers`, `kafka`, `database_url`: the real ones) and distributes tests to workers."""

import asyncio
import os
from collections.abc import Callable, Mapping

import pytest
import uvloop
from hypothesis import settings
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

pytest_plugins = ["parvis.local.fixtures"]

# A slow machine must not fail a test.
settings.register_profile("parvis", deadline=None)
settings.load_profile("parvis")

_JOURNEYS = "tests/journey"
_LONGEST_FIRST = ("journey", "fault", "stack")


_UNDER_UVLOOP = ("/services/ingest-", "/services/notifier/", "/libs/common/tests/runtime/test_http_limits.py")


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run the tests of what listens on the loop that services run on: its transports are not asyncio's classes."""
    is_service = any(part in item.path.as_posix() for part in _UNDER_UVLOOP)
    return {"uvloop": uvloop.new_event_loop} if is_service else {"asyncio": asyncio.new_event_loop}


class Scheduling(LoadFileScheduling):
    """Gives a worker one file at a time, but all journeys to one worker, because they share a town."""

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return _JOURNEYS if file.startswith(f"{_JOURNEYS}/") else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One worker more than cores: a test waits for real parts a quarter of its time."""
    return (os.cpu_count() or 1) + 1


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
