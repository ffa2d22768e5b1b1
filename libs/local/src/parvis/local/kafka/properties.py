"""Writes the broker's configuration from ports and folders. Pure; no I/O."""

from pathlib import Path


def server_properties(*, port: int, controller_port: int, folder: Path) -> str:
    """One node that is broker and controller, on the loopback only.

    What a topic needs of its own (partitions, retention, largest record) is set by `parvis topics apply`.
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
        # Kafka's 50 each would be most of the files of a laptop's broker.
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.num.partitions": "2",
        "share.coordinator.state.topic.num.partitions": "2",
        # Offsets of a demo left alone over the holidays are still there: as long as the records.
        "offsets.retention.minutes": str(30 * 24 * 60),
        "log.retention.hours": str(7 * 24),
        # The broker's own limit: dead letters may have 2 MiB and their headers.
        "message.max.bytes": str(3 * 1024 * 1024),
        "replica.fetch.max.bytes": str(4 * 1024 * 1024),
        # Twelve partitions a topic, two indexes a partition: 10 MB each would be mapped for nothing.
        "log.index.size.max.bytes": str(1024 * 1024),
        "group.initial.rebalance.delay.ms": "0",
        # Fault scenarios kill consumers a hundred times: each is missed after two seconds, not Kafka's least six.
        "group.min.session.timeout.ms": "1000",
        # A killed broker's registration must run out before its next life is let in: Kafka's 9 s would be most of a
        # restart (measured: 10.7 s). Missing it does no harm here, where broker and controller are one process.
        "broker.session.timeout.ms": "2500",
        "broker.heartbeat.interval.ms": "500",
        "num.network.threads": "2",
        "num.io.threads": "4",
        "num.recovery.threads.per.data.dir": "2",
        "controlled.shutdown.enable": "true",
    }
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def log_properties(log: Path) -> str:
    """Log4j's configuration: one file of our own, rolled before it grows."""
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
        # Each partition says a dozen things at each start.
        "logger.logs.name": "org.apache.kafka.storage",
        "logger.logs.level": "warn",
        "logger.log.name": "kafka.log",
        "logger.log.level": "warn",
        "logger.coordinator.name": "org.apache.kafka.coordinator",
        "logger.coordinator.level": "warn",
    }
    return "".join(f"{name} = {value}\n" for name, value in settings.items())
