"""Writes the broker's configuration from ports and folders. Pure; no I/O."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

_PLAIN_MODULE = "org.apache.kafka.common.security.plain.PlainLoginModule"
_SCRAM_MODULE = "org.apache.kafka.common.security.scram.ScramLoginModule"


@dataclass(frozen=True)
class BrokerTls:
    """Encrypts the listener for passwords, and opens one for users who are known by their client certificate."""

    key_and_certificate: Path
    """Of the broker, in one PEM file."""
    ca_file: Path
    certificate_port: int


@dataclass(frozen=True)
class BrokerLogins:
    """A second listener of the broker, with passwords by user, and with access control; users' rights are granted later."""

    port: int
    plain_users: Mapping[str, str] = field(default_factory=dict[str, str])
    scram_users: Mapping[str, str] = field(default_factory=dict[str, str])
    tls: BrokerTls | None = None


def server_properties(*, port: int, controller_port: int, folder: Path, logins: BrokerLogins | None = None) -> str:
    """Configure one node as broker and controller, on the loopback only.

    `parvis topics apply` sets the partitions, retention and largest record of each topic.
    """
    settings = {
        "process.roles": "broker,controller",
        "node.id": "1",
        # A fixed voter, and no quorum that remembers addresses: the controller's port may differ at each start.
        "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
        "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": str(folder),
        "auto.create.topics.enable": "false",
        "default.replication.factor": "1",
        "min.insync.replicas": "1",
        "offsets.topic.replication.factor": "1",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        # Kafka's default of 50 partitions each would be most of the broker's files.
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.num.partitions": "2",
        "share.coordinator.state.topic.num.partitions": "2",
        # Offsets are kept as long as the records, so that a stack unused for weeks continues where it stopped.
        "offsets.retention.minutes": str(30 * 24 * 60),
        "log.retention.hours": str(7 * 24),
        # The broker's own limit: dead letters may have 2 MiB and their headers.
        "message.max.bytes": str(3 * 1024 * 1024),
        "replica.fetch.max.bytes": str(4 * 1024 * 1024),
        # Twelve partitions per topic, two indexes per partition: the default would map 10 MB for each.
        "log.index.size.max.bytes": str(1024 * 1024),
        "group.initial.rebalance.delay.ms": "0",
        # Fault scenarios kill many consumers: sessions may be two seconds, less than Kafka's minimum of six.
        "group.min.session.timeout.ms": "1000",
        # The registration of a killed broker must expire before it can register again: Kafka's 9 s would be most of a
        # restart (measured: 10.7 s). A short time is safe here, because broker and controller are one process.
        "broker.session.timeout.ms": "2500",
        "broker.heartbeat.interval.ms": "500",
        "num.network.threads": "2",
        "num.io.threads": "4",
        "num.recovery.threads.per.data.dir": "2",
        "controlled.shutdown.enable": "true",
    }
    if logins:
        settings |= _login_properties(settings, logins)
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def _login_properties(settings: Mapping[str, str], logins: BrokerLogins) -> dict[str, str]:
    """Open listeners for users with passwords, or certificates, and rights. The first one stays, for the super user."""
    users = " ".join(f'user_{name}="{password}"' for name, password in logins.plain_users.items())
    protocol = "SASL_SSL" if logins.tls else "SASL_PLAINTEXT"
    ports = {protocol: logins.port} | ({"SSL": logins.tls.certificate_port} if logins.tls else {})
    listeners = ",".join(f"{name}://127.0.0.1:{port}" for name, port in ports.items())
    protocols = ",".join(f"{name}:{name}" for name in ports)
    mechanism = f"listener.name.{protocol.lower()}"
    return {
        "listeners": f"{settings['listeners']},{listeners}",
        "advertised.listeners": f"{settings['advertised.listeners']},{listeners}",
        "listener.security.protocol.map": f"{settings['listener.security.protocol.map']},{protocols}",
        "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-512",
        f"{mechanism}.plain.sasl.jaas.config": f"{_PLAIN_MODULE} required {users};",
        f"{mechanism}.scram-sha-512.sasl.jaas.config": f"{_SCRAM_MODULE} required;",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",
        **(_tls_properties(logins.tls) if logins.tls else {}),
    }


def _tls_properties(tls: BrokerTls) -> dict[str, str]:
    return {
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(tls.key_and_certificate),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(tls.ca_file),
        "listener.name.ssl.ssl.client.auth": "required",
    }


def log_properties(log: Path) -> str:
    """Configure Log4j to write one file with a limited size."""
    settings = {
        "status": "error",
        "appender.file.type": "RollingFile",
        "appender.file.name": "file",
        "appender.file.fileName": str(log),
        "appender.file.filePattern": f"{log}.%i",
        "appender.file.layout.type": "PatternLayout",
        "appender.file.layout.pattern": "%d{ISO8601} %p %c{1}: %m%n",
        "appender.file.policies.type": "Policies",
        "appender.file.policies.size.type": "SizeBasedTriggeringPolicy",
        "appender.file.policies.size.size": "10MB",
        "appender.file.strategy.type": "DefaultRolloverStrategy",
        "appender.file.strategy.max": "2",
        "rootLogger.level": "info",
        "rootLogger.appenderRef.file.ref": "file",
        # Each partition logs a dozen lines at each start.
        "logger.logs.name": "org.apache.kafka.storage",
        "logger.logs.level": "warn",
        "logger.log.name": "kafka.log",
        "logger.log.level": "warn",
        "logger.coordinator.name": "org.apache.kafka.coordinator",
        "logger.coordinator.level": "warn",
    }
    return "".join(f"{name} = {value}\n" for name, value in settings.items())
