"""Provides the testbed that router scenarios share, and the town that scenarios of its doors share."""

from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio

from parvis.local.towns_on_shared_brokers import TownsOnSharedBrokers
from tests.faults.small_size import SharedDoors, SharedTestbed


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_testbed(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[SharedTestbed]:
    testbed = SharedTestbed(tmp_path_factory.mktemp("stages"))
    yield testbed
    await testbed.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_doors(
    tmp_path_factory: pytest.TempPathFactory, towns: TownsOnSharedBrokers
) -> AsyncGenerator[SharedDoors]:
    doors = SharedDoors(tmp_path_factory.mktemp("doors"), towns)
    yield doors
    await doors.close()
