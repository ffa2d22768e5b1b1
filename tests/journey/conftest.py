"""Starts one whole town for all journeys: every service, the brokers and the simulators."""

from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import pytest

from parvis.local.citizen_client import Citizens
from parvis.local.demo.agents import DemoAgents
from parvis.local.demo.watch import JourneyWatch
from parvis.local.stack import Stack


@pytest.fixture(scope="package")
def town(tmp_path_factory: pytest.TempPathFactory) -> Generator[Stack]:
    """The town. It ends with the last journey, because ten idle processes still slow the other tests."""
    with Stack.start(tmp_path_factory.mktemp("town"), outside=True) as stack:
        yield stack


@pytest.fixture
async def watch(town: Stack) -> AsyncGenerator[JourneyWatch]:
    async with JourneyWatch(town.kafka, Path(town.env["PARVIS_CONFIG_DIR"])) as watching:
        yield watching


@pytest.fixture
async def citizens(town: Stack) -> AsyncGenerator[Citizens]:
    async with Citizens(town) as people:
        yield people


@pytest.fixture
async def agents(town: Stack) -> AsyncGenerator[DemoAgents]:
    async with DemoAgents(town) as people:
        yield people
