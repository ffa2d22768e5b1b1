"""A FastAPI application on a bound socket, inside the running loop."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator, Generator

import uvicorn
from fastapi import APIRouter, FastAPI


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listens = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().startup(sockets)
        finally:
            self.listens.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leave the signals to the one who started us: uvicorn's own would stop only one of the servers."""
        yield


def bind(host: str, port: int, purpose: str) -> socket.socket:
    """Bind a listening socket.

    Raises: OSError with a sentence that names the port and its purpose.
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
async def serving(app: FastAPI, listener: socket.socket) -> AsyncGenerator[None]:
    """Serve until the block ends; connections that are still open then have one second."""
    config = uvicorn.Config(
        app, log_config=None, access_log=False, lifespan="off", ws="none", timeout_graceful_shutdown=1
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    await server.listens.wait()
    try:
        yield
    finally:
        server.should_exit = True
        await task


def probes() -> APIRouter:
    """Give `/live` and `/ready`: what listens here is ready as soon as it answers."""
    router = APIRouter()

    async def answer() -> dict[str, str]:
        return {"status": "ok"}

    router.add_api_route("/live", answer, methods=["GET"])
    router.add_api_route("/ready", answer, methods=["GET"])
    return router
