"""Facts about a Kafka with logins and rights: the real broker with passwords and an authorizer."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Iterator
from dataclasses import replace

import pytest
from pydantic import SecretStr

from parvis.common.bus.access_rights import grant_rights, needed_rights
from parvis.common.bus.admin import apply_topics
from parvis.common.bus.cloudevents import Record
from parvis.common.bus.connection import KafkaConnection
from parvis.common.bus.group_membership import GroupMembership
from parvis.common.bus.producer import Producer
from parvis.common.bus.subscription import Subscription
from parvis.common.bus.topic_reader import read_all_records
from parvis.common.contract.errors import Unavailable
from parvis.common.contract.topics import all_topics
from parvis.local.fakes_for_tests import kafka_with_logins

pytestmark = pytest.mark.stack
PREFIX = "parvis"
ROWS = [replace(row, partitions=1) for row in all_topics(["roads"])]
RIGHTS = needed_rights(ROWS, prefix=PREFIX)
USERS = {right.user: f"password-of-{right.user}" for right in RIGHTS}
SERVICES = sorted(set(USERS) - {"parvis-operator"})


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """A broker with the topics of a town. Gives its address for the super user, and the one for users with passwords."""
    scram_users = {"parvis-router": USERS["parvis-router"]}
    with kafka_with_logins(tmp_path_factory.mktemp("guarded"), USERS, scram_users=scram_users) as (super_user, address):
        asyncio.run(apply_topics(super_user, ROWS, prefix=PREFIX, replication=1))
        asyncio.run(grant_rights(super_user, RIGHTS))
        asyncio.run(write_to_every_topic(super_user))
        yield super_user, address


async def write_to_every_topic(address: str) -> None:
    async with producing(KafkaConnection(address)) as producer:
        for row in ROWS:
            await producer.send(Record(row.full_name(PREFIX), b"k", b"first", ()))


def login(address: str, user: str, *, password: str = "", mechanism: str = "PLAIN") -> KafkaConnection:
    return KafkaConnection(
        address, "SASL_PLAINTEXT", sasl_mechanism=mechanism, username=user, password=SecretStr(password or USERS[user])
    )


@contextlib.asynccontextmanager
async def producing(connection: KafkaConnection) -> AsyncGenerator[Producer]:
    producer = Producer(connection, service="test")
    try:
        yield producer
    finally:
        await producer.stop()


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
async def test_a_right_password_writes_and_a_wrong_one_is_named(guarded: tuple[str, str], mechanism: str):
    address, topic = guarded[1], "parvis.department.roads"
    async with producing(login(address, "parvis-router", mechanism=mechanism)) as producer:
        await producer.check()
        await producer.send(Record(topic, b"k", mechanism.encode(), ()))
    async with producing(login(address, "parvis-router", password="wrong", mechanism=mechanism)) as producer:
        for attempt in (producer.check(), producer.send(Record(topic, b"k", b"lost", ()))):
            with pytest.raises(Unavailable, match=r"refuses the login of parvis-router: check PARVIS_KAFKA_USERNAME"):
                await attempt
    values = [received.value async for received in read_all_records(login(address, "parvis-operator"), [topic])]
    assert mechanism.encode() in values
    assert b"lost" not in values


async def test_every_client_names_the_refused_login_and_the_missing_mechanism(guarded: tuple[str, str]):
    wrong = login(guarded[1], "parvis-router", password="wrong")
    with pytest.raises(Unavailable, match="refuses the login of parvis-router"):
        await apply_topics(wrong, ROWS, prefix=PREFIX, replication=1)
    with pytest.raises(Unavailable, match="refuses the login of parvis-router"):
        _ = [received async for received in read_all_records(wrong, ["parvis.contact.received"])]
    with pytest.raises(Unavailable, match="refuses the login of parvis-router"):
        await GroupMembership(subscription(wrong, "router", "parvis.contact.received")).join()
    with pytest.raises(Unavailable, match="does not offer SCRAM-SHA-256"):
        async with producing(replace(wrong, sasl_mechanism="SCRAM-SHA-256")) as producer:
            await producer.check()


def subscription(connection: KafkaConnection, service: str, topic: str) -> Subscription:
    return Subscription(
        brokers=connection, topic_prefix=PREFIX, service=service, topics=(topic,), types=(), dead_letter_topic="",
        session_timeout_s=6, metadata_age_s=30,
    )  # fmt: skip


@pytest.mark.parametrize("user", SERVICES)
async def test_a_service_writes_and_reads_what_its_rights_say_and_nothing_else(guarded: tuple[str, str], user: str):
    connection = login(guarded[1], user)
    async with producing(connection) as producer:
        for row in ROWS:
            name = row.full_name(PREFIX)
            assert await is_allowed(producer.send(Record(name, b"k", b"v", ()))) == is_granted(user, "Write", name), (
                name
            )
            assert await is_allowed(read_first(connection, name)) == is_granted(user, "Read", name), name


def is_granted(user: str, operation: str, topic: str) -> bool:
    return any(
        right.user == user
        and right.operation == operation
        and (topic.startswith(right.name) if right.is_prefix else topic == right.name)
        for right in RIGHTS
        if right.resource == "topic"
    )


async def is_allowed(work: Awaitable[None]) -> bool:
    """Whether Kafka lets a client do something. Any other failure than a missing right fails the test."""
    try:
        await work
    except Unavailable as error:
        if "refuses a right (TopicAuthorizationFailedError" not in str(error):
            raise
        return False
    return True


async def read_first(connection: KafkaConnection, topic: str) -> None:
    """Read a record of a topic without a group, whose rights are a fact of its own."""
    assert [received.value async for received in read_all_records(connection, [topic])]


async def test_a_service_joins_its_own_group_and_no_other(guarded: tuple[str, str]):
    connection = login(guarded[1], "parvis-router")
    own = GroupMembership(subscription(connection, "router", "parvis.contact.received"))
    await own.join()
    await own.fetch(max_records=1)
    await own.leave()
    other = GroupMembership(subscription(connection, "notifier", "parvis.contact.received"))
    with pytest.raises(Unavailable, match="refuses a right \\(GroupAuthorizationFailedError"):
        try:
            await other.join()
            await other.fetch(max_records=1)
        finally:
            await other.leave()
