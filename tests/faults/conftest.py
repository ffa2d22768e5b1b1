"""The towns that fault scenarios share."""

from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio

from tests.faults.staging import Stages


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stages(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Stages]:
    found = Stages(tmp_path_factory.mktemp("stages"))
    yield found
    await found.close()
