"""A number in, so many processes of one service out: kept alive, drained together, their health and metrics on one port."""

import asyncio
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from parvis.common.contract.errors import EXIT_MISCONFIGURED, Misconfigured
from parvis.common.runtime.health import Health
from parvis.common.runtime.logs import logger
from parvis.common.runtime.service import Service, Task

log = logger()
_POLL_INTERVAL_S = 1.0
_MIN_RESTART_DELAY_S, _MAX_RESTART_DELAY_S = 0.5, 10.0
_HEALTHY_AFTER_S = 20.0  # whoever lived so long was well: the next death starts from the first delay again
_STOP_TIMEOUT_S = 7.5  # of the eight that the service gives its tasks


@dataclass
class _WorkerProcess:
    """One process: its number, the socket of its pages, what it said last."""

    number: int
    socket: Path
    metrics: str = ""
    process: asyncio.subprocess.Process | None = None

    @property
    def name(self) -> str:
        return f"worker {self.number}"


@dataclass
class WorkerProcesses:
    """The processes of one service on one machine, under a parent that does no work of its own.

    Each child is `python -m module`, knows its number, and serves its pages on a socket of its own. One that
    dies is started again; one that is misconfigured ends all. A child whose parent is gone drains and ends (`with_parent`).
    """

    module: str
    count: int
    prefix: str  # of the service's settings
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))  # noqa: TID251 (passed on whole)
    health: Health = field(default_factory=Health)

    def service(self, name: str, host: str, port: int) -> Service:
        """The parent as a service: /ready is that of all its children, /metrics theirs with a label `worker`."""
        folder = Path(tempfile.mkdtemp(prefix="parvis-fleet-"))
        workers = [_WorkerProcess(number, folder / f"{number}.sock") for number in range(1, self.count + 1)]
        for worker in workers:
            self.health.mark_failing(worker.name, "not started yet")
        made = Service(name, host, port, self.health, tasks=[self._supervise(worker) for worker in workers])

        async def clear() -> None:
            shutil.rmtree(folder, ignore_errors=True)

        async def metrics(_: Request) -> Response:
            return Response(generate_latest(_MergedMetrics(workers)), media_type=CONTENT_TYPE_LATEST)  # pyright: ignore[reportArgumentType]

        made.app.router.routes.append(Route("/metrics", metrics))  # before the service's own
        made.closing.append(clear)
        return made

    def _supervise(self, worker: _WorkerProcess) -> Task:
        async def keep(stopping: asyncio.Event) -> None:
            delay_s = _MIN_RESTART_DELAY_S
            while not stopping.is_set():
                began_at = asyncio.get_running_loop().time()
                code = await self._run_once(worker, stopping)
                if stopping.is_set():
                    return
                if code == EXIT_MISCONFIGURED:
                    raise Misconfigured(f"{worker.name} is misconfigured, as it says above")
                calm = asyncio.get_running_loop().time() - began_at > _HEALTHY_AFTER_S
                delay_s = _MIN_RESTART_DELAY_S if calm else min(delay_s * 2, _MAX_RESTART_DELAY_S)
                self.health.mark_failing(worker.name, f"ended with {code}, starts again")
                log.error("worker.died", reason=f"{worker.name} ended with {code}")
                with suppress(TimeoutError):
                    await asyncio.wait_for(stopping.wait(), delay_s)

        return keep

    async def _run_once(self, worker: _WorkerProcess, stopping: asyncio.Event) -> int:
        """Run one process until it ends, or until all shall."""
        worker.process = process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", self.module, env=self._environment_of(worker), start_new_session=True
        )
        try:
            while process.returncode is None and not stopping.is_set():
                await self._poll(worker)
                with suppress(TimeoutError):
                    await asyncio.wait_for(_first(process.wait(), stopping.wait()), _POLL_INTERVAL_S)
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
                async with asyncio.timeout(_STOP_TIMEOUT_S):
                    await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return process.returncode or 0

    def _environment_of(self, worker: _WorkerProcess) -> dict[str, str]:
        own = {"WORKER": str(worker.number), "HOST": f"unix:{worker.socket}"}
        return {**self.environment, **{f"{self.prefix}{name}": value for name, value in own.items()}}

    async def _poll(self, worker: _WorkerProcess) -> None:
        try:
            async with asyncio.timeout(2):
                ready, said = await _get_page(worker.socket, "/ready")
                _, worker.metrics = await _get_page(worker.socket, "/metrics")
        except (OSError, TimeoutError, ValueError):
            self.health.mark_failing(worker.name, "does not answer")
            return
        if ready:
            self.health.mark_ok(worker.name)
        else:
            self.health.mark_failing(worker.name, said)


def exit_with_parent() -> Task:
    """A task that ends a child when its parent is gone, so that nobody is left who answers to nobody."""
    parent = os.getppid()

    async def watch(stopping: asyncio.Event) -> None:
        while not stopping.is_set() and os.getppid() == parent:
            with suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), _POLL_INTERVAL_S)

    return watch


class _MergedMetrics:
    """The metrics of all children as one registry's."""

    def __init__(self, workers: Iterable[_WorkerProcess]) -> None:
        self._workers = workers

    def collect(self) -> Iterable[Metric]:
        merged: dict[str, Metric] = {}
        for worker in self._workers:
            for family in text_string_to_metric_families(worker.metrics):
                into = merged.setdefault(family.name, Metric(family.name, family.documentation, family.type))
                for sample in family.samples:
                    labels = {**sample.labels, "worker": str(worker.number)}
                    into.add_sample(sample.name, labels, sample.value)
        return merged.values()


async def _first(*waiting: "asyncio.Future[object] | object") -> None:
    tasks = [asyncio.ensure_future(one) for one in waiting]  # pyright: ignore[reportArgumentType, reportCallIssue]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


async def _get_page(socket: Path, page: str) -> tuple[bool, str]:
    """One of a child's pages: whether it is fine, and what it says."""
    reader, writer = await asyncio.open_unix_connection(str(socket))
    try:
        writer.write(f"GET {page} HTTP/1.0\r\nHost: worker\r\n\r\n".encode())
        answer = (await reader.read()).decode()
    finally:
        writer.close()
    head, _, body = answer.partition("\r\n\r\n")
    return head.split(" ", 2)[1] == "200", body
