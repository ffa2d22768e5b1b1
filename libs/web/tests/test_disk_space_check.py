"""Tests that /ready says that the disk of temporary files is full, without being unready."""

import pytest

from parvis.common.runtime.health import Health
from parvis.web.disk_space_check import note_temporary_disk


@pytest.mark.asyncio
async def test_a_full_disk_is_a_note_until_space_is_freed():
    health = Health()

    await note_temporary_disk(health, least_free_bytes=2**80)
    assert "full" in health.notes["temporary-files"]
    assert health.is_ready

    await note_temporary_disk(health, least_free_bytes=0)
    assert health.notes["temporary-files"] == "ok"
