"""A town of three routers on networks that can be disturbed, in which scenarios play one after the other."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from parvis.common.contract.errors import ParvisError
from parvis.local.stack import Stack
from tests.faults.contacts import Contacts, Transfers
from tests.faults.cut import Cable
from tests.faults.disk import Disk, small_disk
from tests.faults.load import ClientLog
from tests.faults.oracle import Verdict, World, judge, lag, look, troubled
from tests.faults.routers import Routers
from tests.faults.wire import Wire
from tests.patience import PATIENCE_S

HEAL_S = PATIENCE_S
SESSION_S = 2.0
METADATA_AGE_S = 1.0
CONTACT_LIMIT_S = 4.0


@dataclass
class Stage:
    """Kafka and PostgreSQL, routers that reach them by `cable` and `wire`, and the log of everybody who wrote here."""

    stack: Stack
    log: ClientLog
    routers: Routers
    cable: Cable
    wire: Wire
    disk: Disk | None
    """Where Kafka's logs are, if this machine lets us have a small one."""
    known_deaths: int = 0
    plays: int = 0
    may_die: set[str] = field(default_factory=set[str])
    """Contacts that are to become dead letters; no fault of the world makes one of a good contact."""
    _counted: dict[str, int] = field(default_factory=dict[str, int])
    gone: World = field(default_factory=World)
    """What a scenario took away from the topics after it was read, so that the judge still knows of it."""

    @asynccontextmanager
    async def citizens(self, *, senders: int = 40) -> AsyncGenerator[Contacts]:
        """Citizens who have not written before, and write when they are told to."""
        self.plays += 1
        contacts = Contacts(
            self.stack, self.log, senders=senders, run=f"play {self.plays}", first_sender=1000 * self.plays
        )
        try:
            yield contacts
        finally:
            await contacts.stop()

    @asynccontextmanager
    async def load(
        self, *, per_second: float, senders: int = 40, transfers_every_s: float | None = 0.5
    ) -> AsyncGenerator[Contacts]:
        """Citizens who write, and agents who transfer, as long as the block lasts."""
        done = asyncio.Event()
        async with self.citizens(senders=senders) as contacts, asyncio.TaskGroup() as group:
            group.create_task(contacts.write(per_second=per_second, seconds=3600, enough=done.is_set))
            if transfers_every_s:
                transfers = Transfers(self.stack)
                group.create_task(transfers.write(every_s=transfers_every_s, enough=done.is_set))
            try:
                yield contacts
            finally:
                done.set()

    async def healed(self, verdict: Verdict, *, deaths: int = 0) -> World:
        """Wait until the group's lag is nothing and all are ready (I7); then judge the whole world.

        deaths: how many routers were to end by themselves.
        """
        began, left, standing = time.monotonic(), None, ["nobody was asked"]
        while (left != 0 or standing) and time.monotonic() - began < HEAL_S:
            left = await self.unfinished()
            standing = await asyncio.to_thread(self.routers.standing)
            if left or standing:
                await asyncio.sleep(0.25)
        verdict.expect(left == 0, f"I7: {left} records wait {HEAL_S:.0f} s after the fault")
        verdict.expect(not standing, f"I7: not ready {HEAL_S:.0f} s after the fault: {'; '.join(standing)}")
        verdict.figures["heal ms"] = int((time.monotonic() - began) * 1000)
        died, self.known_deaths = self.routers.deaths - self.known_deaths, self.routers.deaths
        verdict.expect(died <= deaths, f"I7: {died} routers ended by themselves")
        world = (await look(self.stack)).beside(self.gone)
        found = judge(world, self.log.attempts)
        verdict.broken += found.broken
        written = {attempt.contact_id for attempt in self.log.attempts}
        dead = {letter.event_id for letter in world.dead} & (written - self.may_die)
        verdict.expect(not dead, f"{len(dead)} good contacts are dead letters")
        counted = {name: value - self._counted.get(name, 0) for name, value in found.figures.items()}
        self._counted = found.figures
        verdict.figures = counted | verdict.figures
        return world

    def kill_at(self, api: int) -> asyncio.Event:
        """kill -9 of the router that is the next to send such a request, which is lost; then the event is set."""
        killed = asyncio.Event()

        def kill_the_sender(seen: int, port: int) -> bool:
            number = self.routers.with_port(port) if seen == api else None
            if number is None:
                return False
            self.cable.seen = None
            self.routers.kill(number)
            killed.set()
            return True

        self.cable.seen = kill_the_sender
        return killed

    @staticmethod
    async def until(true: Callable[[], bool], *, seconds: float = PATIENCE_S) -> bool:
        ends_at = time.monotonic() + seconds
        while not true() and time.monotonic() < ends_at:
            await asyncio.sleep(0.05)
        return true()

    async def until_settled(self, *, seconds: float = PATIENCE_S) -> None:
        """Wait until the routers have finished everything."""
        ends_at = time.monotonic() + seconds
        while await self.lag() != 0 and time.monotonic() < ends_at:
            await asyncio.sleep(0.1)

    @property
    def prefix(self) -> str:
        return self.stack.plan.topic_prefix

    def said(self, word: str) -> int:
        """How many lines of the routers' logs hold the word."""
        return sum(self.routers.said(number, word) for number in self.routers.numbers)

    @staticmethod
    def died_here(world: World, contacts: Contacts) -> set[str]:
        """Which of these contacts are dead letters."""
        return {letter.event_id for letter in world.dead} & {attempt.contact_id for attempt in contacts.mine}

    async def unfinished(self) -> int | None:
        """Records that the routers have not finished, and contacts that wait for their own trouble to pass."""
        left = await self.lag()
        return left if left is None else left + await troubled(self.stack)

    async def lag(self) -> int | None:
        """Records that the routers have not finished; None when Kafka does not answer."""
        try:
            return await lag(self.stack)
        except ParvisError:
            return None


@asynccontextmanager
async def stage(var: Path, *, routers: int = 3, **environment: str) -> AsyncGenerator[Stage]:
    """A town of its own for routers. A killed member is missed after two seconds, not ten; growth is known after one, not thirty;
    a contact that takes four seconds takes too long, not ten."""
    quick = {"PARVIS_SESSION_TIMEOUT_S": f"{SESSION_S:g}", "PARVIS_LOG_FORMAT": "json"}
    quick |= {"PARVIS_METADATA_AGE_S": f"{METADATA_AGE_S:g}", "PARVIS_ROUTER_CONTACT_LIMIT_S": f"{CONTACT_LIMIT_S:g}"}
    quick |= environment
    var.mkdir(parents=True, exist_ok=True)
    async with AsyncExitStack() as undo:
        disk = undo.enter_context(small_disk(var / "kafka", megabytes=400))
        opened = Stack.start(var, services=[], prepare=True, environment=quick)
        stack = await asyncio.to_thread(opened.__enter__)
        undo.push_async_callback(asyncio.to_thread, opened.__exit__, None, None, None)
        log = ClientLog(var / "client.jsonl")
        undo.callback(log.close)
        host, _, port = stack.kafka.partition(":")
        cable = await undo.enter_async_context(Cable(host, int(port)).running())
        wire = await undo.enter_async_context(Wire(stack.database_url).running())
        disturbed = {"PARVIS_KAFKA_BOOTSTRAP": cable.bootstrap, "PARVIS_DATABASE_URL": wire.url}
        together = Routers(dict(stack.env) | disturbed, var / "log")
        await undo.enter_async_context(together.running(routers))
        yield Stage(stack, log, together, cable, wire, disk)
