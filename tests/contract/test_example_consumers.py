"""Facts about the example consumers of a department's queue: killed in the middle of a day, they end with its cases."""

import asyncio
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from parvis.common.bus.access_rights import department_rights, grant_rights
from parvis.common.bus.admin import apply_topics
from parvis.common.bus.cloudevents import Record
from parvis.common.bus.producer import Producer
from parvis.common.bus.topic_reader import consumer_lag
from parvis.common.contract.errors import Unavailable
from parvis.common.contract.topics import department_topic
from parvis.local import host_environment
from parvis.local.fakes_for_tests import EncryptedKafka, encrypted_kafka
from parvis.local.kafka.installation import installation_folder
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.stack
EXAMPLES = Path(__file__).parents[2] / "deploy" / "examples" / "consumers"
USER, TOPIC = "parvis-department-roads", "parvis.department.roads"
PASSWORD = "password-of-the-roads"


def event(kind: str, conversation: str, sequence: int, event_id: str = "") -> tuple[str, str, str, bytes]:
    decision: dict[str, object] = {"conversation_id": conversation, "sequence": sequence}
    value = {"routing": decision, "contact": {}} if kind == "contact.routed" else decision
    return conversation, kind, event_id or f"{conversation}:{sequence}", json.dumps(value).encode()


MORNING = [
    event("contact.routed", "a", 1),
    event("contact.routed", "a", 1),  # the router redoes what it cannot know to be written
    event("conversation.arrived", "b", 4),
    event("contact.routed", "b", 2),  # of a time when the conversation was here before
    ("a", "contact.routed", "broken", b'{"routing": '),
    ("a", "transfer.refused", "t:refused", b'{"transfer_id": "t", "conversation_id": "a", "why": "stale"}'),
    ("a", "a.new.type", "n", b'{"conversation_id": "a"}'),
]
AFTERNOON = [
    event("conversation.left", "b", 5),
    event("conversation.arrived", "b", 4),
    event("conversation.left", "c", 3),
    event("conversation.opened", "c", 2),  # older than the departure, and read later
    event("contact.routed", "d", 1),
    event("contact.routed", "a", 6),
]
CASES = {"a": (6, True), "b": (5, False), "c": (3, False), "d": (1, True)}


@dataclass(frozen=True)
class Example:
    """How to run an example, and to read the cases of its store."""

    command: Sequence[str]
    read_cases: Callable[[Path], dict[str, tuple[int, bool]]]


def cases_of_python(store: Path) -> dict[str, tuple[int, bool]]:
    with sqlite3.connect(store) as database:
        rows = database.execute("SELECT conversation_id, sequence, is_ours FROM cases").fetchall()
        assert database.execute("SELECT count(*) FROM messages").fetchone() == (
            len(database.execute("SELECT DISTINCT event_id FROM messages").fetchall()),
        )
    database.close()
    return {conversation: (sequence, bool(is_ours)) for conversation, sequence, is_ours in rows}


def cases_of_java(store: Path) -> dict[str, tuple[int, bool]]:
    lines = [line.split("\t") for line in store.read_text().splitlines()]
    assert len({line[0] for line in lines}) == len(lines), "an event was worked twice"
    newest = sorted((int(sequence), conversation, kind) for _, kind, conversation, sequence in lines)
    return {conversation: (sequence, kind != "conversation.left") for sequence, conversation, kind in newest}


def find_jdk() -> str | None:
    """Give a Java that can compile; the runtime that brings the embedded Kafka cannot."""
    java = shutil.which("java")
    modules = subprocess.run([java, "--list-modules"], capture_output=True, text=True, check=False) if java else None
    return java if modules and "jdk.compiler@" in modules.stdout else None


JDK = find_jdk()
JARS = installation_folder(host_environment.cache_folder(host_environment.current_environment())) / "jars"
PYTHON = Example([sys.executable, str(EXAMPLES / "consumer.py")], cases_of_python)
JAVA = Example([str(JDK), "-cp", f"{JARS}/*", str(EXAMPLES / "Consumer.java")], cases_of_java)


@pytest.fixture
def kafka(tmp_path: Path) -> Iterator[EncryptedKafka]:
    with encrypted_kafka(tmp_path, scram_users={USER: PASSWORD}) as kafka:
        asyncio.run(prepare(kafka.super_user))
        yield kafka


async def prepare(super_user: str) -> None:
    await apply_topics(super_user, [department_topic("roads")], prefix="parvis", replication=1)
    await grant_rights(super_user, department_rights({"roads": ()}, prefix="parvis"))


async def write(super_user: str, events: Sequence[tuple[str, str, str, bytes]]) -> None:
    producer = Producer(super_user, service="test")
    for key, kind, event_id, value in events:
        headers = (("ce_specversion", b"1.0"), ("ce_type", kind.encode()), ("ce_id", event_id.encode()))
        await producer.send(Record(TOPIC, key.encode(), value, headers))
    await producer.stop()


@contextmanager
def running(example: Example, kafka: EncryptedKafka, store: Path) -> Generator[subprocess.Popen[bytes]]:
    environment = {
        "PATH": os.environ["PATH"],  # noqa: TID251 (a test's own)
        "KAFKA_BOOTSTRAP": kafka.for_passwords,
        "KAFKA_USERNAME": USER,
        "KAFKA_PASSWORD": PASSWORD,
        "KAFKA_CA_FILE": str(kafka.authority.ca_file),
        "TOPIC": TOPIC,
        "STORE": str(store),
    }
    with store.with_suffix(".log").open("ab") as log:
        process = subprocess.Popen(example.command, env=environment, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.kill()
        process.wait(PATIENCE_S)


def wait_until_all_is_committed(process: subprocess.Popen[bytes], kafka: EncryptedKafka, log: Path) -> None:
    ends_at = time.monotonic() + PATIENCE_S
    while asyncio.run(is_behind(kafka.super_user)):
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < ends_at, log.read_text()
        time.sleep(0.2)


async def is_behind(super_user: str) -> bool:
    try:
        return await consumer_lag(super_user, USER, [TOPIC]) > 0
    except Unavailable:  # Kafka creates the topic of the offsets when the first group asks
        return True


@pytest.mark.parametrize(
    "example",
    [
        pytest.param(PYTHON, id="python"),
        pytest.param(JAVA, id="java", marks=pytest.mark.skipif(not JDK, reason="no JDK on this machine")),
    ],
)
def test_an_example_killed_in_the_middle_ends_with_the_cases_of_the_day(
    example: Example, kafka: EncryptedKafka, tmp_path: Path
):
    store = tmp_path / "store"
    log = store.with_suffix(".log")
    with running(example, kafka, store) as process:
        asyncio.run(write(kafka.super_user, MORNING))
        wait_until_all_is_committed(process, kafka, log)
        asyncio.run(write(kafka.super_user, AFTERNOON))  # it is killed while it reads these, or before
    with running(example, kafka, store) as process:
        wait_until_all_is_committed(process, kafka, log)
        asyncio.run(write(kafka.super_user, MORNING))  # a month replayed is the same month
        wait_until_all_is_committed(process, kafka, log)
    assert example.read_cases(store) == CASES
