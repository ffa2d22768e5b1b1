"""Starts the stack for the races: broker, database, and a configuration with the departments of route-12."""

import asyncio
import contextlib
import shutil
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from parvis.common.storage.postgres import migrate
from parvis.local.free_ports import FreePorts
from parvis.local.process_registry import ProcessRegistry
from parvis.local.stack import Stack
from tests.bench.router import contenders, work
from tests.bench.router.contenders import ROOT, Contender
from tests.bench.router.course import Course
from tests.bench.router.race import Start, Track

_MIGRATIONS = ROOT / "services" / "router" / "migrations"


def router_group(prefix: str) -> str:
    """The consumer group of the routers whose topics have this prefix."""
    return f"{prefix}-router"


@dataclass
class Town:
    """The stack of a race. `folder` contains its files and is removed afterwards; `var` contains installed peers."""

    stack: Stack
    track: Track
    folder: Path
    var: Path
    config: Path
    _ports: FreePorts = field(default_factory=FreePorts)

    @classmethod
    @contextlib.asynccontextmanager
    async def start(cls, folder: Path) -> AsyncGenerator["Town"]:
        clean(folder)
        with contextlib.ExitStack() as undo:
            undo.callback(shutil.rmtree, folder / "town", ignore_errors=True)
            stack = undo.enter_context(Stack.start(folder / "town", services=[], fsync=True))
            logs = folder / "log"
            logs.mkdir(parents=True, exist_ok=True)
            config = work.write_town(folder / "config")
            ledger = ProcessRegistry(
                stack.plan.var / "processes.jsonl"
            )  # the stack's own: its supervisor stops processes that a crash leaves behind
            async with Course.open(stack.kafka) as course:
                track = Track(course, stack.pid("kafka"), stack.pid("postgres"), ledger, logs)
                town = cls(stack, track, folder, folder.parent, config)
                try:
                    yield town
                finally:
                    town._ports.release()

    async def database(self, name: str) -> str:
        """An empty database with the router's tables."""
        url = await asyncio.to_thread(self.stack.new_database, name)
        await migrate(url, "router", _MIGRATIONS)
        return url

    def router(
        self, contender: Contender, *, database: str, prefix: str, events: int, config: Path | None = None
    ) -> Start:
        environment = {
            **self.stack.env,
            "PARVIS_CONFIG_DIR": str(config or self.config),
            "PARVIS_DATABASE_URL": database,
            "PARVIS_TOPIC_PREFIX": prefix,
            "PARVIS_ROUTER_PORT": str(self._ports.take()),
            "PARVIS_ROUTER_WORKERS": str(contender.workers),
            **contender.environment,
        }
        group = router_group(prefix)
        program = contenders.command(contender, bootstrap="", prefix=prefix, group=group, var=self.var)
        return Start(contender.name, program, environment, group, prefix, events)

    def peer(self, contender: Contender, *, number: int, prefix: str, events: int) -> Start:
        """Raises: Missing."""
        group = f"{contender.name}-{number}"
        program = contenders.command(contender, bootstrap=self.stack.kafka, prefix=prefix, group=group, var=self.var)
        environment = {name: self.stack.env[name] for name in ("PATH", "HOME") if name in self.stack.env}
        return Start(contender.name, program, environment, group, prefix, events)


def clean(folder: Path) -> Path:
    """Remove the leftovers of an interrupted benchmark, except its results."""
    for leftover in ("town", "config", "log"):
        shutil.rmtree(folder / leftover, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


async def query_number(database: str, question: str) -> int:
    """Run a query that returns one number."""
    engine = create_async_engine(database)
    try:
        async with engine.connect() as connection:
            return int(await connection.scalar(text(question)) or 0)
    finally:
        await engine.dispose()
