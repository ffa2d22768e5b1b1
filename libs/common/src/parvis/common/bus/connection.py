"""Describes how to reach Kafka (brokers, encryption, login), gives it to every client, and says why Kafka refuses one."""

import asyncio
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from aiokafka.conn import collect_hosts, create_conn
from aiokafka.errors import (
    AuthenticationFailedError,
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    KafkaError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    UnsupportedSaslMechanismError,
)
from pydantic import SecretStr

from parvis.common.contract.errors import Misconfigured, Unavailable
from parvis.common.runtime.settings import SharedSettings

_QUESTION_S = 3
RIGHT_MISSING = (
    TopicAuthorizationFailedError,
    GroupAuthorizationFailedError,
    ClusterAuthorizationFailedError,
)


@dataclass(frozen=True)
class KafkaConnection:
    """The brokers of a town, and how a process proves to them who it is."""

    bootstrap: str
    security_protocol: str = "PLAINTEXT"
    sasl_mechanism: str = "SCRAM-SHA-512"
    username: str = ""
    password: SecretStr = field(default_factory=lambda: SecretStr(""))
    password_file: Path | None = None
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None

    @classmethod
    def from_settings(cls, town: SharedSettings) -> "KafkaConnection":
        """Take what all services share. Raises: Misconfigured, when the file of the password or a certificate cannot be read."""
        connection = cls(
            bootstrap=town.kafka_bootstrap,
            security_protocol=town.kafka_security_protocol,
            sasl_mechanism=town.kafka_sasl_mechanism,
            username=town.kafka_username,
            password=town.kafka_password,
            password_file=town.kafka_password_file,
            ca_file=town.kafka_ca_file,
            certificate_file=town.kafka_certificate_file,
            key_file=town.kafka_key_file,
        )
        try:
            connection._read_password()
        except OSError as error:
            raise Misconfigured(
                f"the password for Kafka cannot be read: {type(error).__name__}",
                mend="check PARVIS_KAFKA_PASSWORD_FILE",
            ) from error
        try:
            connection.client_options()
        except OSError as error:  # ssl.SSLError is one
            raise Misconfigured(
                f"the certificates for Kafka cannot be read: {error.strerror or type(error).__name__}",
                mend="check PARVIS_KAFKA_CA_FILE, PARVIS_KAFKA_CERTIFICATE_FILE and PARVIS_KAFKA_KEY_FILE",
            ) from error
        return connection

    def client_options(self) -> dict[str, Any]:
        """Give the arguments of any aiokafka client; password and certificates are read anew. Raises: OSError, for a file."""
        options: dict[str, Any] = {"bootstrap_servers": self.bootstrap, "security_protocol": self.security_protocol}
        if self.security_protocol.endswith("SSL"):
            options["ssl_context"] = self._ssl_context()
        if self.security_protocol.startswith("SASL"):
            options |= {
                "sasl_mechanism": self.sasl_mechanism,
                "sasl_plain_username": self.username,
                "sasl_plain_password": self._read_password(),
            }
        return options

    def _read_password(self) -> str:
        if self.password_file:
            return self.password_file.read_text(encoding="utf-8", errors="replace").rstrip(
                "\r\n"
            )  # editors end a file with a new line
        return self.password.get_secret_value()

    def _ssl_context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.ca_file)
        if self.certificate_file:
            context.load_cert_chain(self.certificate_file, self.key_file)
        return context

    async def failure(self, error: BaseException | None = None) -> Unavailable:
        """Say why Kafka does not serve a client. aiokafka hides a refused login behind "unable to bootstrap"."""
        if isinstance(error, RIGHT_MISSING):
            return Unavailable(describe_refusal(error, ""))
        problem = "does not answer"
        if self.security_protocol != "PLAINTEXT":
            problem = await self._ask_for_refusal() or problem
        return Unavailable(f"Kafka at {self.bootstrap} {problem}")

    async def _ask_for_refusal(self) -> str | None:
        """Connect once more, to the first broker, and give what it refuses; None if it refuses nothing, or is away."""
        try:
            options = self.client_options()
            host, port, _ = collect_hosts(options.pop("bootstrap_servers"))[0]
            async with asyncio.timeout(_QUESTION_S):
                (await create_conn(host, port, request_timeout_ms=_QUESTION_S * 1000, **options)).close()
        except (SaslAuthenticationFailed, AuthenticationFailedError):
            return f"refuses the login of {self.username}: check PARVIS_KAFKA_USERNAME and PARVIS_KAFKA_PASSWORD"
        except UnsupportedSaslMechanismError:
            return f"does not offer {self.sasl_mechanism}: check PARVIS_KAFKA_SASL_MECHANISM"
        except ssl.SSLError as error:
            return f"cannot be reached by TLS ({error.reason or 'no reason given'}): check PARVIS_KAFKA_CA_FILE and the certificates"
        except (KafkaError, OSError, TimeoutError):
            return None
        return None


Brokers: TypeAlias = str | KafkaConnection
"""host:port of brokers without encryption and login, or a whole connection."""


def as_connection(brokers: Brokers) -> KafkaConnection:
    return KafkaConnection(brokers) if isinstance(brokers, str) else brokers


def describe_refusal(error: BaseException, otherwise: str) -> str:
    """Say which right Kafka wants, in words for /ready; else what the caller would say."""
    if not isinstance(error, RIGHT_MISSING):
        return otherwise
    object_name = f" ({error.args[0]})" if error.args and isinstance(error.args[0], str) else ""
    return f"Kafka refuses a right ({type(error).__name__}{object_name}): grant what `parvis topics acls` prints"
