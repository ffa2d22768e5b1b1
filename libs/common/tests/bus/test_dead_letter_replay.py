"""Facts about dead letters that are replayed, on the real Kafka and the real PostgreSQL."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from unittest.mock import Mock

import pytest
import pytest_asyncio
from libs.common.tests.tables import create_halt_table_sql
from sqlalchemy import text

from parvis.common.bus.admin import apply_topics
from parvis.common.bus.cloudevents import ReceivedRecord, Record, build_record
from parvis.common.bus.dead_letter_replay import DeadLetter, DeadLetterFilter, read_dead_letters, replay_dead_letters
from parvis.common.bus.dead_letters import ConsumerHaltStore, build_dead_letter
from parvis.common.bus.producer import Producer
from parvis.common.bus.topic_reader import read_all_records
from parvis.common.cli import main
from parvis.common.contract import topics
from parvis.common.runtime import logs
from parvis.common.storage.postgres import Database
from parvis.common.testing import a_contact

pytestmark = pytest.mark.stack
PREFIX = "letters"
SOURCE = topics.CONTACT_RECEIVED.full_name(PREFIX)
DEAD = topics.dead_letter_topic("router").full_name(PREFIX)


@dataclass
class Post:
    """A town's topics, and who writes letters there."""

    kafka: str
    producer: Producer

    async def die(self, offset: int, *, key: str, reason: str = "spoilt", name: str | None = None) -> None:
        """The record that stood at the offset of its key's partition becomes a dead letter."""
        sent = build_record(
            a_contact(key=f"{offset}"), topic=SOURCE, key=key, event_id=name or f"{key}{offset}", source="test"
        )
        received = ReceivedRecord(SOURCE, ord(key) % 12, offset, sent.key, sent.value, sent.headers)
        await self.producer.send(build_dead_letter(received, topic=DEAD, reason=reason))

    async def letters(self, choice: DeadLetterFilter = DeadLetterFilter()) -> list[DeadLetter]:  # noqa: B008 (frozen)
        return [letter for letter in await read_dead_letters(self.kafka, DEAD) if choice.matches(letter)]

    async def replay(self, choice: DeadLetterFilter = DeadLetterFilter()) -> int:  # noqa: B008 (frozen)
        chosen = await self.letters(choice)
        return sum([1 async for _ in replay_dead_letters(chosen, topic=DEAD, producer=self.producer)]) and len(chosen)

    async def arrived(self, key: str) -> list[str]:
        """What was written to the source again under this key, in its order."""
        return [r.event_id async for r in read_all_records(self.kafka, [SOURCE]) if r.key.decode() == key]


@pytest_asyncio.fixture
async def post(kafka: str) -> AsyncGenerator[Post]:
    await apply_topics(
        kafka, [topics.CONTACT_RECEIVED, topics.dead_letter_topic("router")], prefix=PREFIX, replication=1
    )
    producer = Producer(kafka, service="test")
    yield Post(kafka, producer)
    await producer.stop()


async def test_letters_go_back_in_the_order_in_which_they_stood_and_once(post: Post):
    for offset in (7, 3, 11, 5):  # as they died: not as they stood
        for key in "abc":
            await post.die(offset, key=key)
    await post.die(3, key="a")  # its consumer ended before it committed: dead twice, one letter

    assert await post.replay() == 12
    assert [await post.arrived(key) for key in "abc"] == [[f"{key}{n}" for n in (3, 5, 7, 11)] for key in "abc"]
    assert await post.replay() == 0
    assert await post.replay(DeadLetterFilter(event_id="b5", also_replayed=True)) == 1
    assert await post.arrived("b") == ["b3", "b5", "b7", "b11", "b5"]


async def test_letters_are_chosen_by_what_they_died_of(post: Post):
    await post.die(1, key="x", reason="contact.received does not fit at thread: missing")
    await post.die(2, key="x", reason="ValueError in the handler")

    assert [letter.event_id for letter in await post.letters(DeadLetterFilter(reason="valueerror"))] == ["x2"]
    assert await post.replay(DeadLetterFilter(reason="does not fit", topic="contact.received")) == 1
    assert [
        one.event_id for one in await post.letters(DeadLetterFilter(topic="contact.received")) if one.event_id[0] == "x"
    ] == ["x2"]


async def test_a_record_that_is_no_dead_letter_does_not_hide_the_others(post: Post):
    await post.die(1, key="q", name="before")
    await post.producer.send(Record(DEAD, b"q", b"from another tool", (("parvis_dead_letter_offset", b"x"),)))
    await post.die(2, key="q", name="after")

    found = [letter.event_id for letter in await post.letters() if letter.event_id in {"before", "after"}]
    assert found == ["before", "after"]


async def test_a_letter_that_its_topic_refuses_holds_no_other(post: Post):
    await post.die(1, key="r", name="first", reason="poisoned")
    too_large = ReceivedRecord(SOURCE, ord("r") % 12, 2, b"r", b"x" * 400_000, (("ce_id", b"large"),))
    await post.producer.send(build_dead_letter(too_large, topic=DEAD, reason="poisoned"))
    await post.die(3, key="r", name="third", reason="poisoned")
    chosen = await post.letters(DeadLetterFilter(reason="poisoned"))

    (progress,) = [p async for p in replay_dead_letters(chosen, topic=DEAD, producer=post.producer)]

    assert [letter.event_id for letter in progress.refused] == ["large"]
    assert list(dict.fromkeys(await post.arrived("r"))) == ["first", "third"]
    assert [letter.event_id for letter in await post.letters(DeadLetterFilter(reason="poisoned"))] == ["large"]


async def test_what_dies_again_is_open_again(post: Post):
    await post.die(1, key="y", name="again")
    await post.replay(DeadLetterFilter(event_id="again"))
    await post.die(9, key="y", name="again")  # the replayed record, at its new place

    assert [letter.offset for letter in await post.letters(DeadLetterFilter(event_id="again"))] == [9]


async def test_nothing_is_replayed_to_a_consumer_that_stands_still(
    post: Post, database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    await post.die(1, key="z", name="held")
    database = Database(database_url, service="test")
    async with database.transaction() as connection:
        await connection.execute(text("create schema router"))
        await connection.execute(text(create_halt_table_sql("router")))
    await ConsumerHaltStore(database, "router").halt("too many dead letters, the last: spoilt")
    await database.close()
    _settings(monkeypatch, post.kafka, database_url)

    assert await _parvis(monkeypatch, "replay", "router", "held") == 1
    assert "is halted: too many dead letters" in capsys.readouterr().err
    assert await _parvis(monkeypatch, "resume", "router") == 0
    assert await _parvis(monkeypatch, "replay", "router", "held", "--dry-run") == 0
    assert f"would write held to {SOURCE}" in capsys.readouterr().out
    assert await _parvis(monkeypatch, "replay", "router", "held") == 0
    assert await _parvis(monkeypatch, "replay", "router", "held") == 1
    assert "`--again` includes them" in capsys.readouterr().err


def _settings(monkeypatch: pytest.MonkeyPatch, kafka: str, database_url: str) -> None:
    values = {"KAFKA_BOOTSTRAP": kafka, "DATABASE_URL": database_url, "TOPIC_PREFIX": PREFIX}
    for name, value in (
        values | {"SECRET_KEY": "a secret for tests only", "CONTACT_POINT_KEY": "another secret for tests"}
    ).items():
        monkeypatch.setenv(f"PARVIS_{name}", value)


async def _parvis(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """The command, in a thread of its own: it runs a loop of its own."""

    def run() -> int | str | None:
        with monkeypatch.context() as patch:
            patch.setattr("sys.argv", ["parvis", "dead-letters", *arguments])
            patch.setattr(logs, "configure", Mock())  # it would outlive this test's own output
            try:
                main()
            except SystemExit as end:
                return end.code
        return None

    return int(await asyncio.to_thread(run) or 0)
