"""Runs one service process: starts it, drains it on SIGTERM within ten seconds, ends it with an exit code that says why."""

import asyncio
import gc
import importlib
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import uvicorn
import uvloop
from starlette.applications import Starlette

from parvis.common.contract.errors import EXIT_MISCONFIGURED, Misconfigured, Unavailable
from parvis.common.runtime import health as health_pages
from parvis.common.runtime import logs
from parvis.common.runtime.health import Health
from parvis.common.runtime.http_body import HeadAsGet, LimitBody
from parvis.common.runtime.http_protocol import HttpLimits, bounded_protocol
from parvis.common.runtime.interruptible_waits import first_completed, sleep_unless_stopped
from parvis.common.runtime.rate_limits import parse_networks
from parvis.common.runtime.redaction import flatten_exception_group
from parvis.common.runtime.settings import SharedSettings, load_settings

log = logs.logger()
DRAIN_S = 8.0  # of the ten that a supervisor and Kubernetes give; the rest is for leaving

CHECK_INTERVAL_S = 5.0

Task = Callable[[asyncio.Event], Awaitable[None]]


@dataclass
class Service:
    """A built service: its pages, the tasks that run until the event is set, and what to close afterwards, in this order."""

    name: str
    host: str
    port: int
    health: Health
    app: Starlette = field(
        default_factory=Starlette
    )  # FastAPI itself where there is more: 10 MB and a sixth of a second
    tasks: list[Task] = field(default_factory=list[Task])
    largest_body_bytes: int = 256 * 1024  # of any request; a route's own limit may be less
    closing: list[Callable[[], Awaitable[None]]] = field(default_factory=list[Callable[[], Awaitable[None]]])


def run_every(seconds: float, step: Callable[[], Awaitable[object]]) -> Task:
    """Make a task that repeats a step until the service stops.

    A step that fails is tried again at the next turn: silently while Kafka or PostgreSQL is away, with an error in the log
    after a defect. A retention run that fails must not end a service that citizens write to.
    Raises: Misconfigured.
    """

    async def repeat(stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            try:
                await step()
            except (Unavailable, TimeoutError):
                pass  # /ready shows it
            except Misconfigured:
                raise
            except Exception as error:
                log.exception("task.failed", reason=type(error).__name__, wait_s=seconds)
            await sleep_unless_stopped(stopping, seconds)

    return repeat


def run_health_check(health: Health, part: str, check: Callable[[], Awaitable[object]]) -> Task:
    """Make a task that shows on /ready whether a part answers, whatever its check raises."""

    async def check_part() -> None:
        try:
            await check()
        except (Unavailable, TimeoutError) as error:
            health.mark_failing(part, str(error) or "does not answer")
        except Exception as error:
            health.mark_failing(part, f"its check failed: {type(error).__name__}")
            raise
        else:
            health.mark_ok(part)

    return run_every(CHECK_INTERVAL_S, check_part)


Build = Callable[[], Awaitable[Service]]


def run_service(name: str, build: Build | str) -> None:
    """Run a service until SIGTERM or SIGINT.

    Shape: `build`, or the module that has it, which is imported then.
    Exits: 0 after a clean drain; 78 when something is misconfigured, with its name on stderr; 1 when a task died.
    """
    os.umask(0o077)  # what citizens wrote is its owner's alone
    gc.disable()  # what is loaded stays: looking for garbage in it was a sixth of the start
    try:
        chosen: Build = importlib.import_module(build).build if isinstance(build, str) else build
        town = load_settings(SharedSettings)
        logs.configure(name, level=town.log_level, format=town.log_format)
        limits = HttpLimits(town.http_connections, town.http_client_connections, parse_networks(town.http_proxies))
        uvloop.run(_run(chosen, limits))
    except* Misconfigured as group:
        for error in flatten_exception_group(group):
            sys.stderr.write(f"{name}: misconfigured: {error}\n")
        sys.stderr.flush()
        os._exit(EXIT_MISCONFIGURED)
    except* Exception as group:
        log.exception(
            "service.failed", reason=", ".join(type(error).__name__ for error in flatten_exception_group(group))
        )
        sys.stdout.flush()
        os._exit(1)


async def _run(build: Build, limits: HttpLimits) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    service = await build()
    service.app.router.redirect_slashes = False  # a redirect would go to whatever the Host header names
    service.app.router.routes.extend(health_pages.health_routes(service.health))
    server = build_server(service, limits)
    # What the imports and the build made stays until the end: collecting it again and again was 30 % of a door's time.
    gc.collect()
    gc.freeze()
    gc.enable()
    # What comes and goes with the work goes by its count of references: looking for cycles in it cost the router 4 % more.
    gc.set_threshold(50_000, 20, 100)
    log.info("service.started", port=service.port)
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_drain(stopping, server))
            group.create_task(_serve(server, service, stopping))
            for task in service.tasks:
                group.create_task(_until_stopped(task, stopping))
    finally:
        stopping.set()
        for close in service.closing:
            with suppress(Exception):
                async with asyncio.timeout(4):
                    await close()
        log.info("service.stopped")


def build_server(service: Service, limits: HttpLimits) -> "_Server":
    """Build the HTTP server of a service, with its limits for every connection and every body."""
    return _Server(
        uvicorn.Config(
            HeadAsGet(LimitBody(service.app, service.largest_body_bytes)),
            host=service.host,
            port=service.port,
            uds=_unix_socket(service.host),
            http=bounded_protocol(limits),
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=5,
            timeout_keep_alive=15,
        )
    )


def _unix_socket(host: str) -> str | None:
    """Give the socket's path of a worker process, whose parent has the port; None for a service that listens on a port."""
    return host.removeprefix("unix:") if host.startswith("unix:") else None


async def _until_stopped(task: Task, stopping: asyncio.Event) -> None:
    """Run a task; when the service stops, give it the drain time, then cancel it."""
    work = asyncio.ensure_future(task(stopping))
    try:
        await first_completed(asyncio.wait([work]), stopping.wait())
        await asyncio.wait([work], timeout=DRAIN_S)
        if work.done():
            work.result()
            if not stopping.is_set():
                stopping.set()  # a task that ends by itself ends the service
    finally:
        work.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await work


async def _serve(server: "_Server", service: Service, stopping: asyncio.Event) -> None:
    try:
        await server.serve()
    except SystemExit as error:
        raise Misconfigured(
            f"port {service.port} on {service.host} is taken", mend="stop what uses it or set another port"
        ) from error
    finally:
        stopping.set()


async def _drain(stopping: asyncio.Event, server: "_Server") -> None:
    await stopping.wait()
    log.info("service.draining")
    server.should_exit = True


class _Server(uvicorn.Server):
    """uvicorn without its own signal handlers: the service decides when to drain."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield
