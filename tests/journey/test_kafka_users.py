"""Facts about services that log in to Kafka over TLS, each as its own user: the real processes on a broker with rights."""

import asyncio
import contextlib
import smtplib
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Generator
from pathlib import Path

import pytest
from pydantic import SecretStr

from parvis.common.bus.access_rights import needed_rights
from parvis.common.bus.connection import KafkaConnection
from parvis.common.bus.topic_reader import read_all_records
from parvis.common.contract.topics import all_topics, department_topic
from parvis.common.town.loading import load_town_config
from parvis.local import host_environment
from parvis.local.fakes_for_tests import EncryptedKafka, encrypted_kafka
from parvis.local.free_ports import FreePorts
from parvis.local.stack import Stack
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.stack
DEPARTMENTS = list(load_town_config(host_environment.config_dir()).departments)
PASSWORDS = {right.user: f"secret-of-{right.user}" for right in needed_rights(all_topics(DEPARTMENTS), prefix="parvis")}
MAIL = b"From: jeanne@citizens.example\r\nSubject: Nid de poule\r\nMessage-ID: <%d@citizens.example>\r\n\r\nRue des Lilas.\r\n"


class Town:
    """A town's PostgreSQL, a guarded Kafka, and the processes of services that are started here."""

    def __init__(self, stack: Stack, kafka: EncryptedKafka) -> None:
        self.stack, self.kafka, self.ports = stack, kafka, FreePorts()
        self.smtp_port = self.ports.take()

    @contextlib.contextmanager
    def service(self, name: str, *, password: str = "") -> Generator[int]:
        """Run a service as its own Kafka user. Gives its HTTP port."""
        port, variable = self.ports.take(), f"PARVIS_{name.replace('-', '_').upper()}"
        secret = self.stack.plan.var / f"{name}.password"
        secret.write_text(password or PASSWORDS[f"parvis-{name}"])
        own = {
            "PARVIS_KAFKA_BOOTSTRAP": self.kafka.for_passwords,
            "PARVIS_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "PARVIS_KAFKA_CA_FILE": str(self.kafka.authority.ca_file),
            "PARVIS_KAFKA_USERNAME": f"parvis-{name}",
            "PARVIS_KAFKA_PASSWORD_FILE": str(secret),
            f"{variable}_PORT": str(port),
            "PARVIS_INGEST_EMAIL_SMTP_PORT": str(self.smtp_port),
            "PARVIS_INGEST_EMAIL_LMTP_PORT": str(self.ports.take()),
        }
        with (self.stack.plan.var / "log" / f"{name}.log").open("ab") as log:
            command = [sys.executable, "-m", f"parvis.{name.replace('-', '_')}"]
            process = subprocess.Popen(command, env=dict(self.stack.env) | own, stdout=log, stderr=log)
        try:
            yield port
            assert process.poll() is None, "the service has ended"
        finally:
            process.terminate()
            process.wait(PATIENCE_S)

    def send(self, number: int) -> int:
        """Send one mail. Gives the code of the answer to its content."""
        with smtplib.SMTP("127.0.0.1", self.smtp_port, timeout=PATIENCE_S) as client:
            client.ehlo()
            client.mail("jeanne@citizens.example")
            client.rcpt("mairie@example-town.example")
            return client.data(MAIL % number)[0]


def ready_page(port: int) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=PATIENCE_S) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""


def wait_for_page(port: int, status: int, words: str = "") -> None:
    ends_at = time.monotonic() + PATIENCE_S
    while (page := ready_page(port))[0] != status or words not in page[1]:
        assert time.monotonic() < ends_at, page
        time.sleep(0.2)


@pytest.fixture
def town(tmp_path: Path) -> Generator[Town]:
    with (
        encrypted_kafka(tmp_path, scram_users=PASSWORDS) as kafka,
        Stack.start(
            tmp_path / "var", services=[], prepare=True, environment={"PARVIS_KAFKA_BOOTSTRAP": kafka.super_user}
        ) as stack,
    ):
        granted = stack.run_parvis("topics", "acls", "--apply")
        assert granted.returncode == 0, granted.stderr
        assert "--allow-principal User:parvis-router --operation Read --topic parvis.contact.received" in granted.stdout
        made = Town(stack, kafka)
        yield made
        made.ports.release()


def test_a_wrong_password_is_named_stops_nobody_else_and_loses_nothing(town: Town):
    with town.service("router") as router:
        wait_for_page(router, 200)
        with town.service("ingest-email", password="mistyped") as door:
            wait_for_page(door, 503, "refuses the login of parvis-ingest-email")
            assert town.send(1) == 451
            assert ready_page(router)[0] == 200
        with town.service("ingest-email") as door:
            wait_for_page(door, 200)
            assert [town.send(number) for number in (1, 2)] == [250, 250]
            asyncio.run(wait_for_contacts(town, 2))


async def wait_for_contacts(town: Town, count: int) -> None:
    """Read the departments' topics as the desk's user until the contacts are there."""
    desk = KafkaConnection(
        town.kafka.for_passwords, "SASL_SSL", username="parvis-desk", password=SecretStr(PASSWORDS["parvis-desk"]),
        ca_file=town.kafka.authority.ca_file,
    )  # fmt: skip
    names = [department_topic(slug).full_name("parvis") for slug in DEPARTMENTS]
    async with asyncio.timeout(PATIENCE_S):
        while sum([1 async for _ in read_all_records(desk, names)]) < count:
            await asyncio.sleep(0.5)
