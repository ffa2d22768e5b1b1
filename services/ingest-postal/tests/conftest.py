"""A reader for one test, and letters to feed it."""

from collections.abc import AsyncGenerator

import pytest

from parvis.ingest_postal.read.reader import Reader
from parvis.ingest_postal.tables import Limits


@pytest.fixture
async def reader() -> AsyncGenerator[Reader]:
    made = Reader(Limits())
    yield made
    await made.close()
