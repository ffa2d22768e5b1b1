"""Tests that personal data is in Kafka's values only: not in logs, metrics, keys, headers, topic names or reasons of dead letters."""

import asyncio
import re
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from aiokafka.admin import AIOKafkaAdminClient

from parvis.common.bus.cloudevents import ReceivedRecord
from parvis.common.bus.topic_reader import read_all_records
from parvis.common.contract.errors import Unavailable
from parvis.local.citizen_client import Citizens
from parvis.local.demo.agents import DemoAgents
from parvis.local.demo.watch import Journey, JourneyWatch
from parvis.local.stack import Stack
from tests.journey.canaries import KEPT, PREFIX, REFUSED, send_all, word
from tests.patience import PATIENCE_S

pytestmark = [pytest.mark.journey, pytest.mark.stack, pytest.mark.asyncio(loop_scope="module")]
ALL = (*KEPT, *REFUSED)
POISON = 6
ACCEPTED = 11  # two texts, two mails, two forms, three letters (a text file is none), two visits


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def town(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Stack]:
    """A town of its own at log level debug, in which contacts were accepted and refused, PostgreSQL failed, and replies were sent."""
    chatty = {"PARVIS_LOG_LEVEL": "debug"}
    start = Stack.start(tmp_path_factory.mktemp("canaries"), outside=True, environment=chatty)
    stack = await asyncio.to_thread(start.__enter__)
    try:
        async with Citizens(stack) as citizens, DemoAgents(stack) as agents:
            await send_all(stack, citizens, agents)
            await _without_database(stack, citizens)
            await _answered(stack, agents)
        yield stack
    finally:
        await asyncio.to_thread(start.__exit__, None, None, None)


async def _without_database(town: Stack, citizens: Citizens) -> None:
    """Stop PostgreSQL while citizens write, because drivers put statements and their values into error messages."""
    form = await citizens.open_form("road-report")
    town.kill("postgres", stays_down=True)
    answers = {"problem": "lamp", "place": f"7 rue {word(10)}", "your-name": word(11), "reply-channel": "none"}
    assert (await form.send(answers)).status_code >= 500
    await citizens.text("+33639987705", f"Encore {word(1)}, la fuite continue.")
    async with httpx.AsyncClient(base_url=town.url("desk"), timeout=PATIENCE_S) as http:
        await http.get(f"/search?q={word(67)}")
    await asyncio.to_thread(town.start_again, "postgres")
    assert (await form.send(answers)).status_code == 303


async def _answered(town: Stack, agents: DemoAgents) -> None:
    """Wait until everything is decided, answer each contact that can be answered, and wait for the deliveries."""
    async with JourneyWatch(town.kafka, Path(town.env["PARVIS_CONFIG_DIR"])) as watch:
        await _until(lambda: sum(1 for j in watch.journeys.values() if j.department) >= ACCEPTED)
        answered: list[Journey] = []
        for journey in watch.journeys.values():
            with suppress(Unavailable):  # no address is known
                text = f"Bonjour {word(20)}, c'est fait."
                await agents.answer(journey.conversation_id, journey.department, text)
                answered.append(journey)
        channels = {journey.channel for journey in answered}
        assert {"sms", "email", "web", "counter"} <= channels, channels
        await _until(lambda: all(journey.is_answered for journey in answered))
    async with asyncio.timeout(PATIENCE_S):
        while len(await _dead_letters(town)) < POISON:
            await asyncio.sleep(0.5)


async def _until(seen: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not seen():
            await asyncio.sleep(0.1)


async def _topics(town: Stack) -> list[str]:
    admin = AIOKafkaAdminClient(bootstrap_servers=town.kafka)
    await admin.start()
    try:
        return [name for name in await admin.list_topics() if not name.startswith("__")]
    finally:
        await admin.close()


async def _dead_letters(town: Stack) -> list[ReceivedRecord]:
    topics = [f"{PREFIX}.dead-letter.{service}" for service in ("router", "notifier", "desk")]
    return [record async for record in read_all_records(town.kafka, topics)]


def found_in(text: bytes | str) -> set[str]:
    """The canaries in the text, also in capitals or with spaces or dots between digits."""
    plain = (text if isinstance(text, str) else text.decode("utf-8", "replace")).lower()
    figures = re.sub(r"(?<=\d)[\s.%+-]{1,3}(?=\d)", "", plain)
    return {canary for canary in ALL if canary in plain or canary in figures}


async def test_there_are_forty(town: Stack):
    assert len(set(ALL)) == 40


async def test_what_was_accepted_stands_in_the_values_and_what_was_refused_does_not(town: Stack):
    topics = await _topics(town)
    values = [record.value async for record in read_all_records(town.kafka, topics)]

    assert set[str]().union(*map(found_in, values)) == set(KEPT)


async def test_no_key_no_header_and_no_topic_holds_any(town: Stack):
    topics = await _topics(town)
    leaks = {name for name in topics if found_in(name)}
    async for record in read_all_records(town.kafka, topics):
        marks = [record.key, *(part for name, value in record.headers for part in (name.encode(), value))]
        leaks |= {f"{record.topic} {canary}" for mark in marks for canary in found_in(mark or b"")}

    assert not leaks


async def test_poison_died_with_its_bytes_and_without_its_words_in_the_reason(town: Stack):
    dead = await _dead_letters(town)
    reasons = [record.header("parvis_dead_letter_reason") or "" for record in dead]

    assert len(dead) == POISON
    assert set[str]().union(*(found_in(record.value) for record in dead)) == {word(19)}
    assert all(reasons)
    assert not set[str]().union(*map(found_in, reasons))


async def test_no_log_of_any_process_holds_any(town: Stack):
    logs = sorted((town.plan.var / "log").rglob("*"))
    leaks = {
        f"{log.name}: {line.decode('utf-8', 'replace')[:300]}"
        for log in logs
        for line in log.read_bytes().splitlines()
        if found_in(line)
    }

    assert {f"{name}.log" for name in (*town.plan.services, "kafka", "postgres")} <= {log.name for log in logs}
    assert all(log.stat().st_size for log in logs if log.stem in town.plan.services)
    assert not leaks


async def test_no_metric_and_no_health_page_holds_any(town: Stack):
    leaks: set[str] = set()
    async with httpx.AsyncClient(timeout=PATIENCE_S) as http:
        for service in town.plan.services:
            for page in ("metrics", "ready", "live"):
                answer = await http.get(f"http://127.0.0.1:{town.port(service)}/{page}")
                leaks |= {f"{service}/{page}: {canary}" for canary in found_in(answer.text)}
        metrics = (await http.get(f"http://127.0.0.1:{town.port('router')}/metrics")).text

    assert not leaks
    assert "parvis_contacts_routed" in metrics


async def test_nobody_is_told_by_the_names_of_files_and_processes(town: Stack):
    """Blob names are ids and hashes; no argument or environment variable of a process holds personal data."""
    kept = [path.name for path in (town.plan.var / "blobs").rglob("*")]
    arguments = [Path(f"/proc/{town.pid(name)}/cmdline") for name in town.plan.services]
    told = [path.read_text() for path in arguments if path.exists()]

    assert kept
    assert not set[str]().union(*map(found_in, [*kept, *told]))


async def test_a_leak_would_be_seen():
    assert found_in(f"Bonjour {word(3).upper()}, 06 39.98.77 02") == {word(3), "639987702"}
