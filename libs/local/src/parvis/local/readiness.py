"""Checks which processes of a stack are ready: services by /ready, others by their ports."""

import contextlib
import http.client
import socket
from dataclasses import dataclass
from threading import Event

from parvis.common.contract.errors import Unavailable
from parvis.local.free_ports import HOST
from parvis.local.process_factory import KAFKA, OUTSIDE, POSTGRES
from parvis.local.stack_plan import StackPlan
from parvis.local.supervisor import Supervisor
from parvis.local.waiting import wait_until

READY_WITHIN_S = 300


@dataclass(frozen=True)
class StackReadiness:
    """Waits until the processes of a stack are ready."""

    plan: StackPlan
    supervisor: Supervisor

    def wait_for(self, name: str, *, seconds: float, stopping: Event) -> None:
        """Wait for one process. Raises: Unavailable, with the reason that it gives; StartInterrupted."""
        if not wait_until(lambda: self._is_ready(name), seconds=seconds, stopping=stopping):
            raise Unavailable(f"{name} is not ready after {seconds:.0f} s: {self._reason(name)}")

    def wait_for_all(self, *, stopping: Event) -> None:
        """Wait for all processes. Raises: Unavailable, naming those that are not ready or crash; StartInterrupted."""
        names, crashing_process = self.supervisor.names(), self.supervisor.crashing_process
        wait_until(
            lambda: bool(crashing_process()) or all(map(self._is_ready, names)),
            seconds=READY_WITHIN_S,
            stopping=stopping,
            every_s=0.05,
        )
        if name := crashing_process():
            raise Unavailable(f"{name} ends after every start: {self._reason(name)}")
        not_ready = [f"{name} ({self._reason(name)})" for name in names if not self._is_ready(name)]
        if not_ready:
            raise Unavailable(f"not ready after {READY_WITHIN_S} s: {'; '.join(not_ready)}")

    def _is_ready(self, name: str) -> bool:
        if not self.supervisor.process(name).is_running:
            return False
        if name == OUTSIDE:
            return all(listens(port) for port in self.plan.ports_of(OUTSIDE).values())
        # Kafka and PostgreSQL: their start returns only when they answer.
        return name in (KAFKA, POSTGRES) or is_ready(self.plan.ports[name])

    def _reason(self, name: str) -> str:
        """Give the last line of a process that has ended, or a service's answer on /ready."""
        process = self.supervisor.process(name)
        if not process.is_running:
            return next((line for line in reversed(process.tail()) if line.strip()), "not running")
        return ready_answer(self.plan.ports[name])[1] if name in self.plan.services else "no answer yet"


def ready_answer(port: int, *, timeout_s: float = 2.0) -> tuple[int, str]:
    """Give the status and body of /ready; status 0 if there is no answer."""
    connection = http.client.HTTPConnection(HOST, port, timeout=timeout_s)
    try:
        connection.request("GET", "/ready")
        answer = connection.getresponse()
        return answer.status, answer.read(2000).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException):
        return 0, "no answer yet"
    finally:
        connection.close()


def is_ready(port: int) -> bool:
    return ready_answer(port)[0] == 200


def listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=1):
        return True
    return False
