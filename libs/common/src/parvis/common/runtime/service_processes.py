"""Runs several processes of one service: restarts and drains them, serves their health and metrics on one port."""

import asyncio
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from parvis.common.contract.errors import EXIT_MISCONFIGURED, Misconfigured
from parvis.common.runtime.backoff import Backoff
from parvis.common.runtime.health import Health
from parvis.common.runtime.interruptible_waits import first_completed, sleep_unless_stopped
from parvis.common.runtime.logs import logger
from parvis.common.runtime.service import Service, Task

log = logger()
_POLL_INTERVAL_S = 1.0
_MIN_RESTART_DELAY_S, _MAX_RESTART_DELAY_S = 0.5, 10.0
_HEALTHY_AFTER_S = 20.0  # a process that lived so long was well: its next restart is after the first delay again
_STOP_TIMEOUT_S = 7.5  # of the eight that the service gives its tasks
_PAGE_TIMEOUT_S = 2.0
_MAX_PAGE_BYTES = 8 * 1024 * 1024


@dataclass
class _WorkerProcess:
    """One process: its number, the socket of its pages, and its metrics at the last poll."""

    number: int
    socket: Path
    metrics: Sequence[Metric] = ()
    process: asyncio.subprocess.Process | None = None

    @property
    def name(self) -> str:
        return f"worker {self.number}"


@dataclass
class WorkerProcesses:
    """The processes of one service on one machine, under a parent that handles no records itself.

    Each child is `python -m module`, knows its number, and serves its pages on a socket of its own. One that
    dies is started again; one that is misconfigured ends all. Nothing that a child answers ends the parent. A child whose
    parent is gone drains and ends (`exit_with_parent`).
    """

    module: str
    count: int
    prefix: str  # of the service's settings
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))  # noqa: TID251 (passed on whole)
    health: Health = field(default_factory=Health)

    def service(self, name: str, host: str, port: int) -> Service:
        """Build the parent as a service: ready when all children are, with their metrics under a label `worker`."""
        folder = Path(tempfile.mkdtemp(prefix="parvis-workers-"))
        workers = [_WorkerProcess(number, folder / f"{number}.sock") for number in range(1, self.count + 1)]
        for worker in workers:
            self.health.mark_failing(worker.name, "not started yet")
        service = Service(name, host, port, self.health, tasks=[self._supervise(worker) for worker in workers])

        async def clear() -> None:
            shutil.rmtree(folder, ignore_errors=True)

        async def metrics(_: Request) -> Response:
            return Response(generate_latest(_MergedMetrics(workers)), media_type=CONTENT_TYPE_LATEST)  # pyright: ignore[reportArgumentType]

        service.app.router.routes.append(Route("/metrics", metrics))  # before the service's own
        service.closing.append(clear)
        return service

    def _supervise(self, worker: _WorkerProcess) -> Task:
        async def supervise(stopping: asyncio.Event) -> None:
            backoff = Backoff(_MIN_RESTART_DELAY_S, _MAX_RESTART_DELAY_S)
            while not stopping.is_set():
                started_at = time.monotonic()
                code = await self._run_once(worker, stopping)
                if stopping.is_set():
                    return
                if code == EXIT_MISCONFIGURED:
                    raise Misconfigured(f"{worker.name} is misconfigured, as it says above")
                if time.monotonic() - started_at > _HEALTHY_AFTER_S:
                    backoff.reset()
                self.health.mark_failing(worker.name, f"ended with {code}, starts again")
                log.error("service-process.died", reason=f"{worker.name} ended with {code}")
                await sleep_unless_stopped(stopping, backoff.next_wait_s())

        return supervise

    async def _run_once(self, worker: _WorkerProcess, stopping: asyncio.Event) -> int:
        """Run one process until it ends or the service stops. Gives its exit code."""
        worker.process = process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", self.module, env=self._environment_of(worker), start_new_session=True
        )
        try:
            while process.returncode is None and not stopping.is_set():
                await self._poll(worker)
                await first_completed(process.wait(), stopping.wait(), timeout_s=_POLL_INTERVAL_S)
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
                await first_completed(process.wait(), timeout_s=_STOP_TIMEOUT_S)
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
            async with asyncio.timeout(_PAGE_TIMEOUT_S):
                is_ready, parts = await _get_page(worker.socket, "/ready")
                _, metrics = await _get_page(worker.socket, "/metrics")
            worker.metrics = _parse_metrics(metrics)
        except (OSError, TimeoutError, ValueError):
            self.health.mark_failing(worker.name, "does not answer")
            return
        if is_ready:
            self.health.mark_ok(worker.name)
        else:
            self.health.mark_failing(worker.name, parts)


def exit_with_parent() -> Task:
    """Make a task that ends a child when its parent is gone, so that no orphan worker stays."""
    parent = os.getppid()

    async def watch(stopping: asyncio.Event) -> None:
        while os.getppid() == parent and not await sleep_unless_stopped(stopping, _POLL_INTERVAL_S):
            pass

    return watch


class _MergedMetrics:
    """Collects the metrics of all children as one registry."""

    def __init__(self, workers: Iterable[_WorkerProcess]) -> None:
        self._workers = workers

    def collect(self) -> Iterable[Metric]:
        merged: dict[str, Metric] = {}
        for worker in self._workers:
            for family in worker.metrics:
                into = merged.setdefault(family.name, Metric(family.name, family.documentation, family.type))
                for sample in family.samples:
                    labels = {**sample.labels, "worker": str(worker.number)}
                    into.add_sample(sample.name, labels, sample.value)
        return merged.values()


async def _get_page(socket: Path, page: str) -> tuple[bool, str]:
    """Fetch one of a child's pages. Gives whether its status is 200, and its body.

    Raises: OSError; ValueError, for anything but a whole HTTP answer of at most 8 MiB in UTF-8.
    """
    reader, writer = await asyncio.open_unix_connection(str(socket))
    try:
        writer.write(f"GET {page} HTTP/1.0\r\nHost: worker\r\n\r\n".encode())
        answer = bytearray()
        while chunk := await reader.read(64 * 1024):
            answer += chunk
            if len(answer) > _MAX_PAGE_BYTES:
                raise ValueError("answer too large")
    finally:
        writer.close()
    head, separator, body = answer.decode().partition("\r\n\r\n")
    version, _, status = head.partition("\r\n")[0].partition(" ")
    if not (separator and version.startswith("HTTP/") and status[:3].isdecimal()):
        raise ValueError("no HTTP answer")
    return status.startswith("200"), body


def _parse_metrics(text: str) -> Sequence[Metric]:
    """Raises: ValueError."""
    try:
        return list(text_string_to_metric_families(text))
    except (LookupError, TypeError, AttributeError) as error:  # the parser trusts its input
        raise ValueError("no metrics") from error
