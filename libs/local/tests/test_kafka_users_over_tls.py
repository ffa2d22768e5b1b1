"""Facts about each Kafka user's rights, on the real broker with TLS: services, departments' own systems, certificates."""

import asyncio
import contextlib
import re
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from parvis.common.bus.access_rights import department_rights, grant_rights, needed_rights, sorted_rights
from parvis.common.bus.admin import apply_topics
from parvis.common.bus.cloudevents import Record
from parvis.common.bus.connection import KafkaConnection
from parvis.common.bus.group_membership import GroupMembership
from parvis.common.bus.producer import Producer
from parvis.common.bus.subscription import Subscription
from parvis.common.bus.topic_reader import read_all_records
from parvis.common.cli.render_access_rights import with_certificates
from parvis.common.contract.errors import Unavailable
from parvis.common.contract.topics import all_topics
from parvis.local.fakes_for_tests import EncryptedKafka, encrypted_kafka

pytestmark = pytest.mark.stack
PREFIX = "parvis"
SYSTEM_WRITES = {"roads": (), "water": ("reply.requested", "transfer.requested"), "water-works": ()}
ROWS = [replace(row, partitions=1) for row in all_topics(list(SYSTEM_WRITES))]
SERVICE_RIGHTS = needed_rights(ROWS, prefix=PREFIX)
DEPARTMENT_RIGHTS = department_rights(SYSTEM_WRITES, prefix=PREFIX)
RIGHTS = sorted_rights([*SERVICE_RIGHTS, *DEPARTMENT_RIGHTS])
PASSWORDS = {right.user: f"password-of-{right.user}" for right in RIGHTS}
SERVICES = sorted({right.user for right in SERVICE_RIGHTS} - {"parvis-operator"})


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EncryptedKafka]:
    """A broker with the topics of a town, a record in each, and the rights of all users."""
    with encrypted_kafka(tmp_path_factory.mktemp("encrypted"), scram_users=PASSWORDS) as kafka:
        asyncio.run(prepare(kafka.super_user))
        yield kafka


async def prepare(super_user: str) -> None:
    await apply_topics(super_user, ROWS, prefix=PREFIX, replication=1)
    await grant_rights(super_user, RIGHTS)
    await grant_rights(super_user, with_certificates(DEPARTMENT_RIGHTS))
    async with producing(KafkaConnection(super_user)) as producer:
        for row in ROWS:
            await producer.send(Record(row.full_name(PREFIX), b"k", b"first", ()))


@contextlib.asynccontextmanager
async def producing(connection: KafkaConnection) -> AsyncGenerator[Producer]:
    producer = Producer(connection, service="test")
    try:
        yield producer
    finally:
        await producer.stop()


def login(kafka: EncryptedKafka, user: str) -> KafkaConnection:
    password = SecretStr(PASSWORDS[user])
    return KafkaConnection(
        kafka.for_passwords, "SASL_SSL", username=user, password=password, ca_file=kafka.authority.ca_file
    )


def by_certificate(kafka: EncryptedKafka, user: str) -> KafkaConnection:
    own = kafka.authority.sign_for_user(user)
    return KafkaConnection(kafka.for_certificates, "SSL", ca_file=kafka.authority.ca_file, certificate_file=own)


async def reached(connection: KafkaConnection) -> tuple[set[str], set[str]]:
    """Try every topic. Gives those that can be read, and those that can be written."""
    readable, writable = set[str](), set[str]()
    async with producing(connection) as producer:
        for row in ROWS:
            name = row.full_name(PREFIX)
            with refusals():
                assert [received async for received in read_all_records(connection, [name])]
                readable.add(row.name)
            with refusals():
                await producer.send(Record(name, b"k", b"v", ()))
                writable.add(row.name)
    return readable, writable


@contextlib.contextmanager
def refusals() -> Generator[None]:
    """Let Kafka refuse a topic; any other failure fails the test. Who may write nowhere gets no producer id (KIP-679)."""
    try:
        yield
    except Unavailable as error:
        if not re.search(r"refuses a right \((Topic|Cluster)AuthorizationFailedError", str(error)):
            raise


@pytest.mark.parametrize("user", SERVICES)
async def test_a_service_reaches_what_the_topic_map_says_and_nothing_else(kafka: EncryptedKafka, user: str):
    service = user.removeprefix("parvis-")

    read = {row.name for row in ROWS if service in row.read_by}
    written = {row.name for row in ROWS if service in row.written_by}
    assert await reached(login(kafka, user)) == (read, written)


@pytest.mark.parametrize("slug", SYSTEM_WRITES)
@pytest.mark.parametrize("connect", [login, by_certificate])
async def test_a_department_reads_its_own_queue_and_writes_what_the_town_allows(
    kafka: EncryptedKafka, slug: str, connect: Callable[[EncryptedKafka, str], KafkaConnection]
):
    allowed = ({f"department.{slug}"}, set(SYSTEM_WRITES[slug]))
    assert await reached(connect(kafka, f"parvis-department-{slug}")) == allowed


@pytest.mark.parametrize(
    ("group", "is_allowed"),
    [
        ("department-water", True),
        ("department-water.tests", True),
        ("department-water-works", False),
        ("department-roads", False),
        ("desk", False),
        ("router", False),
    ],
)
async def test_a_department_joins_groups_of_its_own_and_no_other(kafka: EncryptedKafka, group: str, is_allowed: bool):
    membership = GroupMembership(
        Subscription(
            brokers=login(kafka, "parvis-department-water"), topic_prefix=PREFIX, service=group,
            topics=("parvis.department.water",), types=(), dead_letter_topic="", session_timeout_s=6, metadata_age_s=30,
        )
    )  # fmt: skip
    expected = (
        contextlib.nullcontext()
        if is_allowed
        else pytest.raises(Unavailable, match="refuses a right \\(GroupAuthorizationFailedError")
    )
    with expected:
        try:
            await membership.join()
            await membership.fetch(max_records=1)
        finally:
            await membership.leave()


async def test_a_password_from_a_file_is_read_anew_by_the_next_client(kafka: EncryptedKafka, tmp_path: Path):
    file = tmp_path / "password"
    user = "parvis-department-roads"
    connection = replace(login(kafka, user), password=SecretStr(""), password_file=file)
    file.write_text("mistyped")
    with pytest.raises(Unavailable, match=f"refuses the login of {user}"):
        _ = [received async for received in read_all_records(connection, ["parvis.department.roads"])]
    file.write_text(f"{PASSWORDS[user]}\n")
    assert [received async for received in read_all_records(connection, ["parvis.department.roads"])]


async def test_no_certificate_and_a_foreign_one_reach_nothing(kafka: EncryptedKafka, tmp_path: Path):
    named = by_certificate(kafka, "parvis-department-roads")
    foreign = type(kafka.authority).make(tmp_path).sign_for_user("parvis-department-roads")
    for connection in (replace(named, certificate_file=None), replace(named, certificate_file=foreign)):
        with pytest.raises(Unavailable):
            _ = [received async for received in read_all_records(connection, ["parvis.department.roads"])]


async def test_a_broker_whose_certificate_another_authority_signed_is_not_trusted(
    kafka: EncryptedKafka, tmp_path: Path
):
    other = type(kafka.authority).make(tmp_path).ca_file
    connection = replace(login(kafka, "parvis-router"), ca_file=other)
    with pytest.raises(Unavailable, match=r"cannot be reached by TLS \(CERTIFICATE_VERIFY_FAILED\)"):
        async with producing(connection) as producer:
            await producer.check()
