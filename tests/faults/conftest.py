"""Provides the testbed that router scenarios share."""

from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio

from tests.faults.small_size import SharedTestbed


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_testbed(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[SharedTestbed]:
    testbed = SharedTestbed(tmp_path_factory.mktemp("stages"))
    yield testbed
    await testbed.close()
