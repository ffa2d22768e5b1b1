"""Starts, stops and kills one Kafka broker on a data folder."""

from collections.abc import Callable
from pathlib import Path
from threading import Event

from parvis.common.contract.errors import Unavailable
from parvis.local.free_ports import HOST, FreePorts
from parvis.local.kafka.handshake import fetch_cluster_id
from parvis.local.kafka.installation import KafkaInstallation, ensure_installed
from parvis.local.kafka.properties import BrokerLogins, log_properties, server_properties
from parvis.local.kafka.reasons import failure_reason
from parvis.local.process import ManagedProcess
from parvis.local.process_registry import ProcessRegistry
from parvis.local.waiting import NEVER, wait_until

_READY_WITHIN_S = 300


class KafkaBroker:
    """The embedded Kafka."""

    def __init__(
        self,
        *,
        folder: Path,
        cache: Path,
        port: int,
        ports: FreePorts,
        ledger: ProcessRegistry,
        log: Path,
        logins: BrokerLogins | None = None,
    ) -> None:
        self.folder = folder
        self.port = port
        self.bootstrap = f"{HOST}:{port}"
        self.log = log
        self._cache = cache
        self._logins = logins
        self._controller_port = ports.take()
        self.process = ManagedProcess(name="kafka", command=[], ledger=ledger, log=log.with_name("kafka.out"))

    def start(self, *, report: Callable[[str], None], stopping: Event = NEVER) -> None:
        """Start on the existing data folder, or on a new one.

        Raises: Unavailable, with the reason and what to do; StartInterrupted.
        """
        installation = ensure_installed(self._cache, report=report, stopping=stopping)
        self._write_settings(installation)
        self._launch(installation, use_snapshot=True)
        if self._wait_until_ready(stopping):
            return
        if installation.snapshot.exists() and not self.process.is_running and self._failure_reason() is None:
            # A snapshot of another Java or processor may prevent the start. It only saves time: start without it.
            installation.snapshot.unlink(missing_ok=True)
            self._launch(installation, use_snapshot=False)
            if self._wait_until_ready(stopping):
                return
        self.process.kill()
        raise Unavailable(f"Kafka did not start: {self._failure_reason() or f'see {self.log} and {self.process.log}'}")

    def _write_settings(self, installation: KafkaInstallation) -> None:
        data = self.folder / "data"
        if not (data / "meta.properties").exists():
            installation.format(data, scratch=self.folder, scram_users=self._logins.scram_users if self._logins else {})
        settings = server_properties(
            port=self.port, controller_port=self._controller_port, folder=data, logins=self._logins
        )
        (self.folder / "server.properties").write_text(settings, encoding="utf-8")
        (self.folder / "log4j2.properties").write_text(log_properties(self.log), encoding="utf-8")

    def _launch(self, installation: KafkaInstallation, *, use_snapshot: bool) -> None:
        logging = f"-Dlog4j2.configurationFile={self.folder / 'log4j2.properties'}"
        settings = str(self.folder / "server.properties")
        self.process.command = installation.command(
            "kafka.Kafka", [settings], options=[logging], use_snapshot=use_snapshot
        )
        self._log_start_bytes = self.log.stat().st_size if self.log.exists() else 0
        self.process.log.unlink(missing_ok=True)
        self.process.start()

    def _wait_until_ready(self, stopping: Event) -> bool:
        wait_until(
            lambda: not self.process.is_running or self._is_answering(), seconds=_READY_WITHIN_S, stopping=stopping
        )
        return self.process.is_running and self._is_answering()

    def _is_answering(self) -> bool:
        """Whether the broker of this data folder answers, and not another one on the same port."""
        properties = (self.folder / "data" / "meta.properties").read_text(encoding="utf-8")
        return f"cluster.id={fetch_cluster_id(self.port)}" in properties.splitlines()

    def _failure_reason(self) -> str | None:
        output = "\n".join(self.process.tail())
        if self.log.exists():
            with self.log.open("rb") as log:
                log.seek(self._log_start_bytes)
                output += log.read().decode("utf-8", "replace")
        return failure_reason(output)
