"""Tests the router as a process: readiness, wrong settings, kill, several workers."""

import asyncio
import json
import os
import signal
import socket
import sys
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from parvis.common.testing import a_contact

from .conftest import EXAMPLE, Town

pytestmark = pytest.mark.stack


@dataclass
class Running:
    process: asyncio.subprocess.Process
    port: int

    def ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/ready", timeout=2) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False

    def metrics(self) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=5) as answer:
            return answer.read().decode()

    async def until_ready(self) -> None:
        async with asyncio.timeout(60):
            while not await asyncio.to_thread(self.ready):
                assert self.process.returncode is None
                await asyncio.sleep(0.1)


def environment(town: Town, url: str, port: int, **changes: str) -> dict[str, str]:
    return {
        "PATH": "/usr/bin:/bin",
        "PARVIS_KAFKA_BOOTSTRAP": town.kafka,
        "PARVIS_DATABASE_URL": url,
        "PARVIS_CONFIG_DIR": str(EXAMPLE),
        "PARVIS_SECRET_KEY": "a secret for tests only",
        "PARVIS_CONTACT_POINT_KEY": "a key for tests only",
        "PARVIS_TOPIC_PREFIX": town.prefix,
        "PARVIS_ROUTER_PORT": str(port),
        "PARVIS_ROUTER_BATCH": "40",
        **changes,
    }


def free_port() -> int:
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        return opened.getsockname()[1]


async def started(town: Town, url: str, **changes: str) -> Running:
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "parvis.router",
        env=environment(town, url, port, **changes),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    return Running(process, port)


@asynccontextmanager
async def routers(town: Town, url: str, count: int) -> AsyncGenerator[list[Running]]:
    running = [await started(town, url) for _ in range(count)]
    try:
        for router in running:
            await router.until_ready()
        yield running
    finally:
        for router in running:
            if router.process.returncode is None:
                router.process.kill()
            await router.process.communicate()


async def until(condition: Callable[[], Any], *, seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.2)


async def test_a_killed_router_loses_nothing_and_decides_nothing_twice(town: Town, database_url: str) -> None:
    """300 contacts of 30 senders, two routers, one of them killed while it works."""
    contacts = [
        a_contact(key=f"SM{n}", text="un nid de poule" if n % 3 else "bonjour", contact_point_hash=f"v1.{n % 30}")
        for n in range(300)
    ]
    async with routers(town, database_url, 2) as running:
        await town.producer.send_all([town.contact_record(contact) for contact in contacts[:150]])
        running[0].process.kill()
        await running[0].process.communicate()
        await town.producer.send_all([town.contact_record(contact) for contact in contacts[150:]])
        running[0] = await started(town, database_url)

        async def all_queued() -> bool:
            return len({r.event_id for _, r in await town.queued()}) == 300

        await until(all_queued)
        queued = await town.queued()
        for router in running:
            await router.until_ready()

    rows = await town.rows("select conversation_id, sequence from router.decision order by 1, 2")
    assert len(rows) == 300
    assert all(row.sequence == number % 10 + 1 for number, row in enumerate(rows))
    routed = {r.event_id: (json.loads(r.value)["contact"]["contact_id"], slug) for slug, r in queued}
    assert {contact for contact, _ in routed.values()} == {contact.contact_id for contact in contacts}
    assert max(Counter(contact for contact, _ in routed.values()).values()) == 1
    by_conversation = {(json.loads(r.value)["routing"]["conversation_id"], slug) for slug, r in queued}
    assert len(by_conversation) == 30


async def test_sigterm_drains_and_ends_with_zero(town: Town, database_url: str) -> None:
    async with routers(town, database_url, 1) as (router,):
        router.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(10):
            await router.process.communicate()
        assert router.process.returncode == 0


async def test_an_invalid_rule_stops_the_process_with_its_line(town: Town, database_url: str, tmp_path: Path) -> None:
    folder = tmp_path / "town"
    for name in ("procedures", "templates", "town.yaml", "departments.yaml"):
        folder.mkdir(exist_ok=True)
        (folder / name).symlink_to(EXAMPLE / name)
    (folder / "rules.yaml").write_text("rules:\n  - id: one\n    when: {channel: sms}\n    then: {department: voiri}\n")
    router = await started(town, database_url, PARVIS_CONFIG_DIR=str(folder))
    _, stderr = await router.process.communicate()
    assert router.process.returncode == 78
    assert f"{folder}/rules.yaml:4: unknown department 'voiri'. Did you mean 'voirie'?" in stderr.decode()


async def test_a_wrong_setting_stops_the_process_with_its_name(town: Town, database_url: str) -> None:
    router = await started(town, database_url, PARVIS_ROUTER_BATCH="many")
    _, stderr = await router.process.communicate()
    assert router.process.returncode == os.EX_CONFIG
    assert "PARVIS_ROUTER_BATCH is wrong" in stderr.decode()


async def test_aiokafka_without_c_extensions_stops_the_process_with_the_reason(town: Town, database_url: str) -> None:
    router = await started(town, database_url, AIOKAFKA_NO_EXTENSIONS="1")
    _, stderr = await router.process.communicate()
    assert router.process.returncode == os.EX_CONFIG
    assert "aiokafka has no C extensions" in stderr.decode()


def children_of(pid: int) -> set[int]:
    return {int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}


async def test_workers_share_the_partitions_and_a_dead_one_is_restarted(town: Town, database_url: str) -> None:
    """One parent, two processes, one of them killed; all are gone when the parent is told to end."""
    contacts = [a_contact(key=f"W{n}", contact_point_hash=f"v1.{n}") for n in range(40)]
    router = await started(town, database_url, PARVIS_ROUTER_WORKERS="2")
    try:
        await router.until_ready()
        before = await asyncio.to_thread(children_of, router.process.pid)
        assert len(before) == 2
        os.kill(min(before), signal.SIGKILL)
        await town.producer.send_all([town.contact_record(contact) for contact in contacts])

        async def all_queued() -> bool:
            return len({r.event_id for _, r in await town.queued()}) == 40

        await until(all_queued)
        await router.until_ready()
        now = await asyncio.to_thread(children_of, router.process.pid)
        assert len(now - before) == 1
        pages = await asyncio.to_thread(router.metrics)
        assert 'worker="1"' in pages
        assert 'worker="2"' in pages
    finally:
        router.process.terminate()
        async with asyncio.timeout(10):
            await router.process.communicate()
    assert router.process.returncode == 0
    assert not any(Path(f"/proc/{pid}").exists() for pid in now)
