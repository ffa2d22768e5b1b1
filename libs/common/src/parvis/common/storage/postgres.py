"""Connects to PostgreSQL: one engine a process, one schema a service, errors in our families, migrations by command."""

import asyncio
import inspect
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import asyncpg
from sqlalchemy import Connection, MetaData, text
from sqlalchemy.exc import DBAPIError, InterfaceError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from parvis.common.contract.errors import Unavailable
from parvis.common.storage.sqlstates import sqlstate_of, unavailable_by_state

_MIGRATION_LOCK = 0x70617276  # "parv": one migration at a time in a database
_DEADLINE_MARGIN_S = 1.0


class Database:
    """One service's connections to PostgreSQL.

    Gives:  transaction() opens a transaction; it commits at the end of the block, or rolls back.
    Shape:  server_settings, parameters of PostgreSQL for every session of this service. The server ends a statement after
            `statement_timeout_s`; a server that stands still ends nothing, so our side gives up one second later.
    Raises: Unavailable, when the server is away, slow or in conflict, when no connection can be made for whatever reason,
            and when an operator must act (login, rights, migration, disk); after a lost commit nothing is known, so every
            write is keyed by an id and may be repeated.
    """

    def __init__(
        self,
        url: str,
        *,
        service: str,
        pool_size: int = 5,
        statement_timeout_s: int = 15,
        server_settings: Mapping[str, str] | None = None,
    ) -> None:
        self._deadline_s = statement_timeout_s + _DEADLINE_MARGIN_S
        self.engine: AsyncEngine = create_async_engine(
            url,
            pool_size=pool_size,
            max_overflow=5,
            pool_timeout=5,
            pool_pre_ping=False,
            pool_recycle=1800,
            connect_args={
                "timeout": 5,
                "command_timeout": self._deadline_s,
                "server_settings": {
                    "application_name": f"parvis-{service}",
                    "statement_timeout": str(statement_timeout_s * 1000),
                    "idle_in_transaction_session_timeout": "60000",
                    **(server_settings or {}),
                },
            },
        )

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[AsyncConnection]:
        try:
            async with AsyncExitStack() as stack:
                with _while_connecting():
                    connection = await stack.enter_async_context(self.engine.connect())
                await stack.enter_async_context(self._committed(connection))
                yield connection
        except (PoolTimeoutError, OSError, TimeoutError) as error:
            raise Unavailable("PostgreSQL does not answer") from error
        except DBAPIError as error:
            if passing := _unavailable(error):
                raise passing from error
            raise

    @asynccontextmanager
    async def _committed(self, connection: AsyncConnection) -> AsyncGenerator[None]:
        """Commit at the end of the block, or roll back, within the deadline; after it the connection is cut off, not asked again."""
        transaction = await connection.begin()
        try:
            try:
                yield
            except TimeoutError:
                raise
            except BaseException:
                async with asyncio.timeout(self._deadline_s):
                    await transaction.rollback()
                raise
            async with asyncio.timeout(self._deadline_s):
                await transaction.commit()
        except TimeoutError:
            if not connection.invalidated:
                driver: Any = (await connection.get_raw_connection()).driver_connection
                driver.terminate()  # asyncpg would wait for the answer to its cancellation, without an end
            raise

    @asynccontextmanager
    async def autocommit(self) -> AsyncGenerator[asyncpg.Connection]:
        """Open a connection outside any transaction: one statement is one transaction, in one round trip instead of three.

        Raises: as transaction(); asyncpg's IntegrityConstraintViolationError passes.
        """
        try:
            async with AsyncExitStack() as stack:
                with _while_connecting():
                    connection = await stack.enter_async_context(self.engine.connect())
                    raw = await connection.get_raw_connection()
                driver: Any = raw.driver_connection
                try:
                    yield driver
                except TimeoutError:
                    driver.terminate()
                    raise
                finally:
                    if driver.is_closed():
                        await connection.invalidate()
        except (
            asyncpg.InterfaceError,
            asyncpg.InternalClientError,
            PoolTimeoutError,
            OSError,
            TimeoutError,
            OperationalError,
        ) as error:
            raise Unavailable("PostgreSQL does not answer") from error
        except asyncpg.PostgresError as error:
            if passing := unavailable_by_state(sqlstate_of(error)):
                raise passing from error
            raise

    async def check(self) -> None:
        """Raise Unavailable when the database does not answer a question."""
        async with asyncio.timeout(5), self.transaction() as connection:
            await connection.execute(text("select 1"))

    async def close(self) -> None:
        await self.engine.dispose()


@contextmanager
def _while_connecting() -> Generator[None]:
    """Whatever fails before there is a connection is no statement's fault."""
    try:
        yield
    except (Unavailable, MemoryError):
        raise
    except Exception as error:
        raise unavailable_by_state(sqlstate_of(error)) or Unavailable("PostgreSQL does not answer") from error


def _unavailable(error: DBAPIError) -> Unavailable | None:
    state = sqlstate_of(error)
    if passing := unavailable_by_state(state):
        return passing
    # Without a state: the driver's own error, when the server goes away.
    lost = error.connection_invalidated or (
        not state and isinstance(error, (OperationalError, InterfaceError, InternalError))
    )
    return Unavailable("PostgreSQL does not answer") if lost else None


def schema_metadata(schema: str) -> MetaData:
    """Make the metadata of one service's tables: its own schema, named constraints."""
    names = {"ix": "ix_%(column_0_label)s", "uq": "uq_%(table_name)s_%(column_0_name)s", "pk": "pk_%(table_name)s"}
    return MetaData(schema=schema, naming_convention=names)


def migrations_folder(package: object) -> Path | None:
    """Find the migrations folder of a service, beside its `src`. Gives None when it has none."""
    file = inspect.getfile(package)  # pyright: ignore[reportArgumentType] (a module)
    folder = Path(file).resolve().parents[3] / "migrations"
    return folder if folder.is_dir() else None


async def migrate(url: str, schema: str, folder: Path) -> None:
    """Migrate one service's schema to its newest version. Idempotent, also from two places at once."""
    engine = create_async_engine(url)  # without a deadline: a migration may rewrite a large table
    try:
        async with engine.begin() as connection:
            await connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
            await connection.execute(text(f'create schema if not exists "{schema}"'))
            await connection.run_sync(_upgrade, schema, folder)
    except (OperationalError, InterfaceError, OSError) as error:
        raise Unavailable("PostgreSQL does not answer") from error
    finally:
        await engine.dispose()


def _upgrade(connection: Connection, schema: str, folder: Path) -> None:
    from alembic import command  # 11 MB and half a second that a service does not need
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    config.attributes["schema"] = schema
    command.upgrade(config, "heads")


def run_migrations() -> None:
    """Run the migrations inside alembic; every service's migrations/env.py calls it."""
    from alembic import context

    attributes = context.config.attributes
    context.configure(connection=attributes["connection"], version_table_schema=attributes["schema"])
    with context.begin_transaction():
        context.run_migrations()
