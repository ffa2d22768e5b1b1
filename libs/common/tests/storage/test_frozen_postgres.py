"""Facts about a PostgreSQL that stands still without closing a connection: every query has an end on our side."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from parvis.common.contract.errors import Rejected, Unavailable
from parvis.common.storage.postgres import Database

HANG_S = 60  # no bound on speed: without a deadline the queries below never end


class Freezer:
    """Forwards to PostgreSQL until it is frozen; then it takes everything and says nothing, as a stopped process does."""

    def __init__(self, host: str, port: int) -> None:
        self._server = (host, port)
        self._is_thawed = asyncio.Event()
        self._is_thawed.set()
        self._connections: set[asyncio.Task[None]] = set()

    def freeze(self) -> None:
        self._is_thawed.clear()

    def thaw(self) -> None:
        self._is_thawed.set()

    async def close(self) -> None:
        """End every connection, and wait until its sockets are closed."""
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(asyncio.ensure_future(self._connect(reader, writer)))

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream_reader, upstream = await asyncio.open_connection(*self._server)
        try:
            await asyncio.gather(self._forward(reader, upstream), self._forward(upstream_reader, writer))
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            for end in (writer, upstream):
                end.close()
                with suppress(OSError):
                    await end.wait_closed()

    async def _forward(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while part := await source.read(65536):
            await self._is_thawed.wait()
            target.write(part)
        target.close()


@asynccontextmanager
async def behind_freezer(database_url: str) -> AsyncGenerator[tuple[Database, Freezer]]:
    url = make_url(database_url)
    freezer = Freezer(url.host or "127.0.0.1", url.port or 5432)
    server = await asyncio.start_server(freezer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    through = url.set(host="127.0.0.1", port=port).render_as_string(hide_password=False)
    database = Database(through, service="test", statement_timeout_s=1)
    try:
        yield database, freezer
    finally:
        freezer.thaw()
        await database.close()
        await asyncio.sleep(
            0.5
        )  # asyncpg asks for a cancellation on a connection of its own, which nobody can wait for
        server.close()
        await freezer.close()


async def ask(database: Database) -> int:
    async with database.transaction() as connection:
        return int(await connection.scalar(text("select 1")) or 0)


async def test_a_query_to_a_server_that_stands_still_is_unavailable_and_answered_again_later(database_url: str):
    async with asyncio.timeout(HANG_S), behind_freezer(database_url) as (database, freezer):
        assert await ask(database) == 1
        freezer.freeze()
        for _ in range(2):  # on a connection of the pool, then on a new one
            with pytest.raises(Unavailable):
                await ask(database)
        freezer.thaw()
        assert await ask(database) == 1


@pytest.mark.parametrize("end", ["commit", "rollback"])
async def test_a_transaction_that_cannot_end_is_unavailable(database_url: str, end: str):
    async with asyncio.timeout(HANG_S), behind_freezer(database_url) as (database, freezer):
        with pytest.raises(Unavailable):
            async with database.transaction() as connection:
                await connection.execute(text("create temporary table kept (id int)"))
                freezer.freeze()
                if end == "rollback":
                    raise Rejected("refused")


async def test_a_single_statement_is_unavailable(database_url: str):
    async with asyncio.timeout(HANG_S), behind_freezer(database_url) as (database, freezer):
        with pytest.raises(Unavailable):
            async with database.autocommit() as driver:
                freezer.freeze()
                await driver.execute("select 1")
