"""Facts about the bus, on the real Kafka and the real PostgreSQL."""

import asyncio
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.structs import TopicPartition
from libs.common.tests.tables import create_halt_table_sql
from sqlalchemy import text

from parvis.common.bus.admin import apply_topics, plan_topics
from parvis.common.bus.cloudevents import DecodedRecord, Record, build_record
from parvis.common.bus.consumer import Consumer
from parvis.common.bus.dead_letters import ConsumerHaltStore
from parvis.common.bus.group_membership import FetchedBatch, GroupMembership
from parvis.common.bus.producer import Producer
from parvis.common.bus.subscription import Subscription
from parvis.common.bus.topic_reader import consumer_lag, read_all_records
from parvis.common.contract.contact import ContactReceived
from parvis.common.contract.errors import Misconfigured, Poison, Unavailable
from parvis.common.contract.topics import Topic
from parvis.common.runtime.health import Health
from parvis.common.storage.postgres import Database
from parvis.common.testing import a_contact

pytestmark = pytest.mark.stack
PREFIX = "bus"


@dataclass
class Bench:
    """A topic and its dead letters, a producer, a consumer's group of its own."""

    kafka: str
    database: Database
    producer: Producer
    service: str = field(default_factory=lambda: f"s{uuid.uuid4().hex[:8]}")
    handled: list[str] = field(default_factory=list[str])
    health: Health = field(default_factory=Health)

    @property
    def topic(self) -> str:
        return f"{PREFIX}.{self.service}"

    @property
    def dead(self) -> str:
        return f"{PREFIX}.dead-letter.{self.service}"

    async def create(self) -> None:
        rows = [_topic(self.service), _topic(f"dead-letter.{self.service}")]
        await apply_topics(self.kafka, rows, prefix=PREFIX, replication=1)
        async with self.database.transaction() as connection:
            await connection.execute(text(f"create schema {self.service}"))
            await connection.execute(text(create_halt_table_sql(self.service)))

    def record(self, number: int, value: bytes | None = None) -> Record:
        contact = a_contact(key=str(number))
        return build_record(contact, topic=self.topic, key="k", event_id=str(number), source="test", value=value)

    async def handle(self, items: Sequence[DecodedRecord]) -> None:
        self.handled += [item.record.event_id for item in items]

    def consumer(self, handle: Callable[[Sequence[DecodedRecord]], Awaitable[None]] | None = None) -> Consumer:
        return Consumer(
            self.subscription(),
            handle=handle or self.handle,
            producer=self.producer,
            halt=ConsumerHaltStore(self.database, self.service),
            health=self.health,
        )

    def subscription(self, *, batch_size: int = 50) -> Subscription:
        return Subscription(
            brokers=self.kafka,
            topic_prefix=PREFIX,
            service=self.service,
            topics=(self.topic,),
            types=(ContactReceived,),
            dead_letter_topic=self.dead,
            session_timeout_s=10,
            metadata_age_s=30,
            batch_size=batch_size,
        )

    @asynccontextmanager
    async def consuming(
        self, handle: Callable[[Sequence[DecodedRecord]], Awaitable[None]] | None = None
    ) -> AsyncGenerator[None]:
        stopping = asyncio.Event()
        task = asyncio.create_task(self.consumer(handle).run(stopping))
        try:
            yield
        finally:
            stopping.set()
            await asyncio.wait_for(task, 15)

    async def until(self, condition: Callable[[], bool], *, seconds: float = 30) -> None:
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.02)

    async def dead_letters(self) -> list[str]:
        return [letter.event_id async for letter in read_all_records(self.kafka, [self.dead])]


def _topic(name: str) -> Topic:
    return Topic(name=name, key="k", types=(), written_by="", read_by="", partitions=2)


@pytest.fixture
async def bench(kafka: str, database_url: str) -> AsyncGenerator[Bench]:
    database = Database(database_url, service="test")
    producer = Producer(kafka, service="test")
    made = Bench(kafka, database, producer)
    await made.create()
    yield made
    await producer.stop()
    await database.close()


async def test_what_is_acknowledged_is_there(bench: Bench):
    sent = [bench.record(number) for number in range(100)]

    await bench.producer.send_all(sent)

    found = [received async for received in read_all_records(bench.kafka, [bench.topic])]
    assert [received.event_id for received in found] == [str(number) for number in range(100)]
    assert found[0].value == sent[0].value


async def test_a_stopped_producer_leaves_no_task_of_a_replaced_client(bench: Bench):
    await bench.producer.send(bench.record(1))
    client = await bench.producer._connected_client(0)  # pyright: ignore[reportPrivateUsage]
    bench.producer._replace(client, ZeroDivisionError())  # pyright: ignore[reportPrivateUsage]

    await bench.producer.stop()

    assert not [task for task in asyncio.all_tasks() if task.get_name() == "close replaced producer"]


async def test_a_broker_that_is_not_there_is_unavailable_in_time():
    producer = Producer("127.0.0.1:9", service="test")

    with pytest.raises(Unavailable):
        await producer.send(Record("t", b"k", b"v", ()), deadline_s=1)

    await producer.stop()


async def test_a_topic_that_is_not_there_is_unavailable_in_time(bench: Bench):
    with pytest.raises(Unavailable):
        await bench.producer.send(Record("bus.nowhere", b"k", b"v", ()), deadline_s=2)


async def test_a_record_too_large_fails_alone(bench: Bench):
    with pytest.raises(Poison):
        await bench.producer.send(bench.record(0, value=b"x" * 1_500_000))  # the topic takes 192 KiB

    await bench.producer.send_all([bench.record(number) for number in range(1, 20)])

    assert [received.event_id async for received in read_all_records(bench.kafka, [bench.topic])] == [
        str(n) for n in range(1, 20)
    ]


async def test_a_finished_batch_is_not_brought_again(bench: Bench):
    await bench.producer.send_all([bench.record(number) for number in range(60)])
    async with bench.consuming():
        await bench.until(lambda: len(bench.handled) == 60)

    await bench.producer.send_all([bench.record(number) for number in range(60, 70)])
    async with bench.consuming():
        await bench.until(lambda: len(bench.handled) >= 70)

    assert bench.handled == [str(number) for number in range(70)]


async def test_records_written_before_the_group_existed_are_read(bench: Bench):
    await bench.producer.send(bench.record(1))

    async with bench.consuming():
        await bench.until(lambda: bench.handled == ["1"])


async def test_an_unavailable_world_is_waited_for(bench: Bench):
    refusals = 3

    async def handle(items: Sequence[DecodedRecord]) -> None:
        nonlocal refusals
        if refusals:
            refusals -= 1
            raise Unavailable("the database is away")
        await bench.handle(items)

    await bench.producer.send_all([bench.record(number) for number in range(10)])
    async with bench.consuming(handle):
        await bench.until(lambda: not bench.health.is_ready and "the database is away" in str(bench.health.parts))
        await bench.until(lambda: len(bench.handled) == 10)
        await bench.until(lambda: bench.health.is_ready)

    assert bench.handled == [str(number) for number in range(10)]
    assert await bench.dead_letters() == []


async def test_poison_goes_to_the_dead_letters_and_the_rest_flows(bench: Bench):
    records = [bench.record(number, value=b"{broken" if number % 10 == 3 else None) for number in range(30)]
    await bench.producer.send_all(records)

    async with bench.consuming():
        await bench.until(lambda: len(bench.handled) == 27)

    assert await bench.dead_letters() == ["3", "13", "23"]
    letters = [letter async for letter in read_all_records(bench.kafka, [bench.dead])]
    assert {letter.value for letter in letters} == {b"{broken"}


async def test_a_defect_in_the_handler_costs_one_record_not_the_partition(bench: Bench):
    async def handle(items: Sequence[DecodedRecord]) -> None:
        if any(item.record.event_id == "7" for item in items):
            raise ZeroDivisionError
        await bench.handle(items)

    await bench.producer.send_all([bench.record(number) for number in range(10)])
    async with bench.consuming(handle):
        await bench.until(lambda: len(bench.handled) == 9)

    assert await bench.dead_letters() == ["7"]


async def test_too_many_dead_letters_stop_the_consumer_until_it_is_released(bench: Bench):
    await bench.producer.send_all([bench.record(number, value=b"?") for number in range(20)])
    async with bench.consuming():
        await bench.until(lambda: bench.health.parts.get("dead-letters") is not None)
        await bench.producer.send(bench.record(99))

    bench.health.parts.clear()
    async with bench.consuming():  # started anew, it still stands still
        await bench.until(lambda: bench.health.parts.get("dead-letters") is not None)
        assert bench.handled == []
        assert await ConsumerHaltStore(bench.database, bench.service).resume() == 1
        await bench.until(lambda: bench.handled == ["99"])


async def test_a_log_that_lost_its_beginning_is_not_skipped(bench: Bench):
    await bench.producer.send_all([bench.record(number) for number in range(10)])
    await _delete_before(bench, 5)

    with pytest.raises(Misconfigured, match="0 to 4 would be lost"):
        await asyncio.wait_for(bench.consumer().run(asyncio.Event()), 30)


async def test_records_gone_before_they_were_read_stop_the_consumer(bench: Bench):
    await bench.producer.send(bench.record(0))
    async with bench.consuming():
        await bench.until(lambda: len(bench.handled) == 1)
    await bench.producer.send_all([bench.record(number) for number in range(1, 10)])
    await _delete_before(bench, 5)

    with pytest.raises(Misconfigured, match="expired before they were read"):
        await asyncio.wait_for(bench.consumer().run(asyncio.Event()), 30)


async def test_a_second_member_takes_over_without_repeating(bench: Bench):
    async with bench.consuming():
        await bench.producer.send_all([bench.record(number) for number in range(50)])
        await bench.until(lambda: len(bench.handled) == 50)
        async with bench.consuming():
            await bench.producer.send_all([bench.record(number) for number in range(50, 100)])
            await bench.until(lambda: len(bench.handled) >= 100)
    async with bench.consuming():
        await bench.producer.send(bench.record(100))
        await bench.until(lambda: "100" in bench.handled)

    assert sorted(bench.handled, key=int) == [str(number) for number in range(101)]


async def test_applying_the_map_twice_changes_nothing(kafka: str):
    rows = [_topic(f"t{uuid.uuid4().hex[:8]}")]

    assert len(await plan_topics(kafka, rows, prefix=PREFIX, replication=1)) == 1
    assert len(await apply_topics(kafka, rows, prefix=PREFIX, replication=1)) == 1
    assert await apply_topics(kafka, rows, prefix=PREFIX, replication=1) == []


async def _delete_before(bench: Bench, offset: int) -> None:
    partition = next(iter({received.partition async for received in read_all_records(bench.kafka, [bench.topic])}))
    admin = AIOKafkaAdminClient(bootstrap_servers=bench.kafka)
    await admin.start()
    await admin.delete_records({TopicPartition(bench.topic, partition): RecordsToDelete(before_offset=offset)})
    await admin.close()


async def test_what_was_fetched_before_partitions_were_dealt_anew_sets_nobody_back(bench: Bench):
    def member() -> GroupMembership:
        return GroupMembership(replace(bench.subscription(), session_timeout_s=6))

    await bench.producer.send_all([bench.record(number) for number in range(10)])
    first, second = member(), member()
    await first.join()
    fetched = FetchedBatch([], {}, 0)
    while not fetched.records:
        fetched = await first.fetch(max_records=5)
    await second.join()
    await second.leave()
    await bench.until(lambda: first.assignment_generation >= fetched.assignment_generation + 2)

    await first.commit(
        FetchedBatch([], dict.fromkeys(fetched.offsets, 10), first.assignment_generation)
    )  # as far as another member came
    await first.commit(fetched)

    assert await consumer_lag(bench.kafka, bench.subscription().group, [bench.topic]) == 0
    await first.leave()
