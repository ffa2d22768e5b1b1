"""Provides pytest fixtures for the real Kafka and PostgreSQL, started once a run on free ports.

A conftest loads them with `pytest_plugins = ["parvis.local.fixtures"]`. pytest is a development dependency only.
"""

import itertools
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest

from parvis.local.stack import Stack
from parvis.local.towns_on_shared_brokers import TownsOnSharedBrokers

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def brokers() -> Generator[Stack]:
    """Kafka and PostgreSQL only, without topics and tables."""
    with tempfile.TemporaryDirectory(prefix="parvis-test-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o711)  # lets PostgreSQL's user enter, so that it needs no private folder
        with Stack.start(Path(folder), services=[], prepare=False) as stack:
            yield stack


@pytest.fixture(scope="session")
def towns(brokers: Stack) -> TownsOnSharedBrokers:
    """Towns on these brokers, one after the other."""
    return TownsOnSharedBrokers(brokers)


@pytest.fixture(scope="session")
def kafka(brokers: Stack) -> str:
    """host:port of the broker; tests differ in the names of topics and groups."""
    return brokers.kafka


@pytest.fixture(scope="module")
def database_url(brokers: Stack) -> Generator[str]:
    """An empty database for one test module."""
    name = f"test_{next(_numbers)}"
    yield brokers.new_database(name)
    brokers.drop_database(name)
