"""Facts about the embedded Kafka: the real one."""

import socket
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from parvis.common.contract.errors import Unavailable
from parvis.local import host_environment
from parvis.local.console import quiet_console
from parvis.local.free_ports import FreePorts
from parvis.local.kafka.broker import KafkaBroker
from parvis.local.kafka.handshake import is_answering
from parvis.local.kafka.installation import KafkaInstallation
from parvis.local.process_registry import ProcessRegistry

pytestmark = pytest.mark.stack


def a_broker(folder: Path, ledger: ProcessRegistry, ports: FreePorts, *, port: int | None = None) -> KafkaBroker:
    return KafkaBroker(
        folder=folder / "kafka",
        cache=host_environment.cache_folder(host_environment.current_environment()),
        port=port or ports.take(),
        ports=ports,
        ledger=ledger,
        log=folder / "log" / "kafka.log",
    )


@pytest.fixture
def ports() -> Iterator[FreePorts]:
    made = FreePorts()
    yield made
    made.release()


async def test_records_survive_a_kill_and_a_start_on_the_same_port(
    installation: KafkaInstallation, tmp_path: Path, ledger: ProcessRegistry, ports: FreePorts
):
    broker = a_broker(tmp_path, ledger, ports)
    broker.start(report=quiet_console)
    topic = f"kept-{uuid.uuid4().hex[:8]}"
    await _create(broker.bootstrap, topic)
    await _produce(broker.bootstrap, topic, b"before")
    broker.process.kill()
    assert not is_answering(broker.port)
    broker.start(report=quiet_console)
    await _produce(broker.bootstrap, topic, b"after")
    assert await _read(broker.bootstrap, topic, 2) == [b"before", b"after"]
    broker.process.stop(10)
    assert broker.process.exit_code == 143  # Java's answer to SIGTERM: an orderly end
    assert (
        "started (kafka.server.KafkaRaftServer)" in broker.log.read_text()
        or "Kafka Server started" in broker.log.read_text()
    )


def test_it_listens_on_the_loopback_alone_and_makes_no_topic_by_itself(
    installation: KafkaInstallation, tmp_path: Path, ledger: ProcessRegistry, ports: FreePorts
):
    broker = a_broker(tmp_path, ledger, ports)
    broker.start(report=quiet_console)
    settings = (tmp_path / "kafka" / "server.properties").read_text()
    assert "listeners=PLAINTEXT://127.0.0.1:" in settings
    assert "auto.create.topics.enable=false" in settings
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.2", broker.port), timeout=1).close()
    broker.process.stop(10)


def test_a_taken_port_is_a_sentence(
    installation: KafkaInstallation, tmp_path: Path, ledger: ProcessRegistry, ports: FreePorts
):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        broker = a_broker(tmp_path, ledger, ports, port=taken.getsockname()[1])
        with pytest.raises(Unavailable, match=r"Kafka did not start: its port is in use\. .*PARVIS_PORTS=free"):
            broker.start(report=quiet_console)
    assert not broker.process.is_running


def test_a_snapshot_that_java_cannot_use_costs_only_time(
    installation: KafkaInstallation, tmp_path: Path, ledger: ProcessRegistry, ports: FreePorts
):
    cache = tmp_path / "cache"
    copy = cache / installation.folder.name
    (copy / "jars").mkdir(parents=True)
    for jar in installation.jars_folder.iterdir():
        (copy / "jars" / jar.name).hardlink_to(jar)
    (copy / installation.snapshot.name).write_bytes(b"no snapshot at all")
    broker = KafkaBroker(
        folder=tmp_path / "kafka",
        cache=cache,
        port=ports.take(),
        ports=ports,
        ledger=ledger,
        log=tmp_path / "kafka.log",
    )
    broker.start(report=quiet_console)
    assert is_answering(broker.port)
    broker.process.stop(10)


async def _create(bootstrap: str, topic: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, 1, 1)])
    finally:
        await admin.close()


async def _produce(bootstrap: str, topic: str, value: bytes) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all")
    await producer.start()
    try:
        await producer.send_and_wait(topic, value)
    finally:
        await producer.stop()


async def _read(bootstrap: str, topic: str, count: int) -> list[bytes | None]:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign([TopicPartition(topic, 0)])
        await consumer.seek_to_beginning()
        return [(await consumer.getone()).value for _ in range(count)]
    finally:
        await consumer.stop()
