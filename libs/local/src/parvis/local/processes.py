"""The plan in, the processes it names out, none of them started."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from parvis.local import stack_environment
from parvis.local.console import Console
from parvis.local.free_ports import FreePorts
from parvis.local.kafka.broker import Broker
from parvis.local.postgres.server import Server
from parvis.local.process import Process
from parvis.local.process_registry import Ledger
from parvis.local.stack_plan import Plan

OUTSIDE = "outside"
KAFKA, POSTGRES = "kafka", "postgres"


@dataclass
class Parts:
    """What the parts of one stack share."""

    plan: Plan
    ledger: Ledger
    ports: FreePorts
    cache: Path
    password: str
    fsync: bool
    console: Console | None

    def broker(self) -> Broker:
        return Broker(
            folder=self.plan.var / "kafka",
            cache=self.cache,
            port=self.plan.ports[KAFKA],
            ports=self.ports,
            ledger=self.ledger,
            log=self._log(KAFKA),
        )

    def server(self) -> Server:
        return Server(
            folder=self.plan.var / "postgres",
            port=self.plan.ports[POSTGRES],
            password=self.password,
            ledger=self.ledger,
            log=self._log(POSTGRES),
            fsync=self.fsync,
        )

    def service(self, name: str) -> Process:
        module = "parvis.simulators" if name == OUTSIDE else f"parvis.{name.replace('-', '_')}"
        return self.program(name, stack_environment.command(module))

    def program(self, name: str, command: Sequence[str]) -> Process:
        """Anything of ours that speaks into the common stream, or into a file of its own."""
        return Process(
            name=name,
            command=command,
            ledger=self.ledger,
            log=self._log(name),
            environment={**self.plan.environment, "PYTHONUNBUFFERED": "1"},
            show=self.console.of(name) if self.console else None,
        )

    def _log(self, name: str) -> Path:
        return self.plan.var / "log" / f"{name}.log"
