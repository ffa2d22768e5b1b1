"""Serves a FastAPI application on a bound socket inside the running event loop."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator, Generator

import uvicorn
from fastapi import APIRouter, FastAPI


class _Server(uvicorn.Server):
    """uvicorn's server with an event that stops it at once; its own loop checks ten times per second."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listens = asyncio.Event()
        self.ending = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leave signals to the caller: uvicorn's handlers would stop only one of the servers."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().startup(sockets)
        finally:
            self.listens.set()

    async def main_loop(self) -> None:
        ticks = 0
        while not (await self.on_tick(ticks) or self.ending.is_set()):
            ticks += 1
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.ending.wait(), 0.1)


def bind(host: str, port: int, purpose: str) -> socket.socket:
    """Bind a listening socket.

    Raises: OSError, naming the port and its purpose.
    """
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise OSError(error.errno, f"port {port} on {host} cannot be used for {purpose}: {error.strerror}") from error
    listener.setblocking(False)
    return listener


def port_of(listener: socket.socket) -> int:
    return listener.getsockname()[1]


@contextlib.asynccontextmanager
async def serve_application(*pairs: tuple[FastAPI, socket.socket]) -> AsyncGenerator[None]:
    """Serve each application on its socket until the block ends. Open connections then have one second to finish."""
    servers: list[tuple[_Server, asyncio.Task[None]]] = []
    for app, listener in pairs:
        config = uvicorn.Config(
            app, log_config=None, access_log=False, lifespan="off", ws="none", timeout_graceful_shutdown=1
        )
        server = _Server(config)
        servers.append((server, asyncio.create_task(server.serve(sockets=[listener]))))
        await server.listens.wait()
    try:
        yield
    finally:
        for server, _ in servers:
            server.ending.set()
        await asyncio.gather(*(task for _, task in servers))


def probes() -> APIRouter:
    """Build `/live` and `/ready`: a simulator is ready as soon as it answers."""
    router = APIRouter()

    async def answer() -> dict[str, str]:
        return {"status": "ok"}

    router.add_api_route("/live", answer, methods=["GET"])
    router.add_api_route("/ready", answer, methods=["GET"])
    return router
