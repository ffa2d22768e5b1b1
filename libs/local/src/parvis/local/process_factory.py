"""Builds the processes that a stack plan names, without starting them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from parvis.local import host_environment
from parvis.local.console import Console
from parvis.local.free_ports import FreePorts
from parvis.local.kafka.broker import KafkaBroker
from parvis.local.postgres.server import PostgresServer
from parvis.local.process import ManagedProcess
from parvis.local.process_registry import ProcessRegistry
from parvis.local.stack_plan import StackPlan

OUTSIDE = "outside"
KAFKA, POSTGRES = "kafka", "postgres"


@dataclass
class ProcessFactory:
    """Builds the processes of one stack from what they share."""

    plan: StackPlan
    ledger: ProcessRegistry
    ports: FreePorts
    cache: Path
    password: str
    fsync: bool
    console: Console | None

    def broker(self) -> KafkaBroker:
        return KafkaBroker(
            folder=self.plan.var / "kafka",
            cache=self.cache,
            port=self.plan.ports[KAFKA],
            ports=self.ports,
            ledger=self.ledger,
            log=self._log(KAFKA),
        )

    def server(self) -> PostgresServer:
        return PostgresServer(
            folder=self.plan.var / "postgres",
            port=self.plan.ports[POSTGRES],
            password=self.password,
            ledger=self.ledger,
            log=self._log(POSTGRES),
            fsync=self.fsync,
        )

    def service(self, name: str) -> ManagedProcess:
        module = "parvis.simulators" if name == OUTSIDE else f"parvis.{name.replace('-', '_')}"
        return self._program(name, host_environment.module_command(module), self.plan.environment_of(name))

    def command(self, name: str, command: Sequence[str]) -> ManagedProcess:
        """Build a process for a `parvis` command, which may see what every service may."""
        return self._program(name, command, self.plan.environment)

    def _program(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> ManagedProcess:
        """Build a process whose output goes to the console, or to a file if there is none."""
        return ManagedProcess(
            name=name,
            command=command,
            ledger=self.ledger,
            log=self._log(name),
            environment={**environment, "PYTHONUNBUFFERED": "1"},
            show=self.console.prefixed_writer(name) if self.console else None,
        )

    def _log(self, name: str) -> Path:
        return self.plan.var / "log" / f"{name}.log"
