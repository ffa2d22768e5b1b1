"""Backs up a town while citizens write, restores it elsewhere, and looks whether anything is missing or sent twice."""

import asyncio
import json
from collections import Counter
from pathlib import Path

import asyncpg
import pytest

from parvis.common.contract.errors import Misconfigured
from parvis.local.backup.back_up import list_backups
from parvis.local.backup.restore import restore
from parvis.local.citizen_client import Citizens
from parvis.local.console import quiet_console
from parvis.local.stack import Stack
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.stack
SERVICES = ["ingest-sms", "router", "notifier", "desk"]
_TEXT = "Le lampadaire de la rue Haute est cassé"


async def _notices(citizens: Citizens, number: str) -> int:
    return len(await citizens.messages_to(number))


async def _until_each_has_a_notice(citizens: Citizens, numbers: list[str]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not all([await _notices(citizens, number) for number in numbers]):
            await asyncio.sleep(0.2)


async def _senders(stack: Stack) -> Counter[str]:
    """The numbers whose messages the desk has."""
    connection = await asyncpg.connect(stack.database_url.replace("+asyncpg", ""))
    sender = "convert_from(routed, 'UTF8')::jsonb #>> '{contact,personal,from,value}'"
    rows = await connection.fetch(f"select {sender} as sender from desk.contact")  # noqa: S608 (a constant)
    await connection.close()
    return Counter(row["sender"] for row in rows)


@pytest.mark.asyncio
async def test_a_town_is_backed_up_while_it_works_and_restored(tmp_path: Path) -> None:
    var, backups, later = tmp_path / "var", tmp_path / "backups", tmp_path / "later"
    before = [f"+3363998{number:04}" for number in range(10)]
    during = [f"+3363998{number:04}" for number in range(1000, 1200)]
    with Stack.start(var, services=SERVICES, outside=True, fsync=True, keep=True) as stack:
        async with Citizens(stack) as citizens:
            for number in before:
                await citizens.text(number, _TEXT)
            await _until_each_has_a_notice(citizens, before)
            backup = asyncio.create_task(
                asyncio.to_thread(stack.run_parvis, "backup", str(backups), timeout_s=PATIENCE_S)
            )
            sent = 0
            for number in during:
                if backup.done():
                    break
                await citizens.text(number, _TEXT)
                sent += 1
            done = await backup
            assert done.returncode == 0, done.stderr
            assert "Traceback" not in done.stderr
            await _until_each_has_a_notice(citizens, during[:sent])
    (folder,) = list_backups(backups)
    assert {path.stat().st_mode & 0o077 for path in [backups, folder, *folder.rglob("*")] if path.is_file()} == {0}
    assert backups.stat().st_mode & 0o077 == 0

    await asyncio.to_thread(restore, folder, later, report=quiet_console)
    with Stack.start(later, services=SERVICES, outside=True, fsync=True, keep=True) as stack:
        async with Citizens(stack) as citizens:
            await citizens.text("+33639989999", _TEXT)
            await _until_each_has_a_notice(citizens, ["+33639989999"])
            found = await _senders(stack)
            assert set(before) <= set(found)
            assert max(found.values()) == 1
            assert [await _notices(citizens, number) for number in before] == [0] * len(before)  # they had theirs
            late = [number for number in during[:sent] if number in found]
            assert max([await _notices(citizens, number) for number in late], default=0) <= 1


def test_a_damaged_backup_changes_nothing(tmp_path: Path) -> None:
    backup, var = tmp_path / "backup", tmp_path / "var"
    backup.mkdir()
    with pytest.raises(Misconfigured, match="is no backup"):
        restore(backup, var, report=quiet_console)
    stated = {
        "format": 1,
        "began_at": "2026-11-30T00:00:00+00:00",
        "ended_at": "2026-11-30T00:01:00+00:00",
        "version": "1",
        "topic_prefix": "parvis",
        "blobs": 0,
    }
    (backup / "postgres.dump").write_bytes(b"half")
    files = [{"path": "postgres.dump", "size_bytes": 4, "sha256": "0" * 64}]
    (backup / "manifest.json").write_text(json.dumps(stated | {"files": files}))
    with pytest.raises(Misconfigured, match=r"damaged or missing, such as postgres\.dump"):
        restore(backup, var, report=quiet_console)
    assert not var.exists()
