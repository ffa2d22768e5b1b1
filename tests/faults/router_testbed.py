"""Starts three routers behind proxies to Kafka and PostgreSQL, on which scenarios run in turn."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from parvis.common.contract.errors import ParvisError
from parvis.local.stack import Stack
from tests.faults.contact_load import ContactLoad, TransferLoad
from tests.faults.kafka_proxy import KafkaProxy
from tests.faults.oracle import SystemState, Verdict, check_invariants, count_troubled, read_lag, read_state
from tests.faults.postgres_proxy import PostgresProxy
from tests.faults.service_processes import ServiceProcesses
from tests.faults.small_disk import SmallDisk, mount_small_disk
from tests.faults.sms_load import ClientLog
from tests.patience import PATIENCE_S

HEAL_S = PATIENCE_S
SESSION_TIMEOUT_S = 2.0
METADATA_AGE_S = 1.0
CONTACT_LIMIT_S = 4.0


@dataclass
class RouterTestbed:
    """Kafka, PostgreSQL, routers that reach both through proxies, and the log of every sender."""

    stack: Stack
    log: ClientLog
    routers: ServiceProcesses
    kafka_proxy: KafkaProxy
    postgres_proxy: PostgresProxy
    disk: SmallDisk | None
    """The file system of Kafka's logs; None where the machine cannot mount a small one."""
    known_exits: int = 0
    runs: int = 0
    expected_dead_letters: set[str] = field(default_factory=set[str])
    """Contacts that must become dead letters. No other contact may."""
    _previous_figures: dict[str, int] = field(default_factory=dict[str, int])
    deleted_records: SystemState = field(default_factory=SystemState)
    """Records that a scenario read and then deleted, for the check of the invariants."""

    @asynccontextmanager
    async def citizens(self, *, senders: int = 40) -> AsyncGenerator[ContactLoad]:
        """Yield a load of citizens who have not written before; it sends nothing by itself."""
        self.runs += 1
        contacts = ContactLoad(
            self.stack, self.log, senders=senders, run=f"play {self.runs}", first_sender=1000 * self.runs
        )
        try:
            yield contacts
        finally:
            await contacts.stop()

    @asynccontextmanager
    async def load(
        self, *, per_second: float, senders: int = 40, transfers_every_s: float | None = 0.5
    ) -> AsyncGenerator[ContactLoad]:
        """Send contacts and transfer requests for the duration of the block."""
        done = asyncio.Event()
        async with self.citizens(senders=senders) as contacts, asyncio.TaskGroup() as group:
            group.create_task(contacts.send_at_rate(per_second=per_second, seconds=3600, is_done=done.is_set))
            if transfers_every_s:
                transfers = TransferLoad(self.stack)
                group.create_task(transfers.send_at_rate(every_s=transfers_every_s, is_done=done.is_set))
            try:
                yield contacts
            finally:
                done.set()

    async def settle_and_check(self, verdict: Verdict, *, expected_exits: int = 0) -> SystemState:
        """Wait until the lag is zero and all routers are ready (I7), then check the invariants on everything so far.

        deaths: how many routers were to end by themselves.
        """
        began, unfinished, not_ready = time.monotonic(), None, ["not asked yet"]
        while (unfinished != 0 or not_ready) and time.monotonic() - began < HEAL_S:
            unfinished = await self.count_unfinished()
            not_ready = await asyncio.to_thread(self.routers.not_ready)
            if unfinished or not_ready:
                await asyncio.sleep(0.25)
        verdict.expect(unfinished == 0, f"I7: {unfinished} records are unfinished {HEAL_S:.0f} s after the fault")
        verdict.expect(not not_ready, f"I7: not ready {HEAL_S:.0f} s after the fault: {'; '.join(not_ready)}")
        verdict.figures["heal ms"] = int((time.monotonic() - began) * 1000)
        exited, self.known_exits = self.routers.unexpected_exits - self.known_exits, self.routers.unexpected_exits
        verdict.expect(exited <= expected_exits, f"I7: {exited} routers exited by themselves")
        state = (await read_state(self.stack)).with_records_of(self.deleted_records)
        invariants = check_invariants(state, self.log.attempts)
        verdict.violations += invariants.violations
        written = {attempt.contact_id for attempt in self.log.attempts}
        dead = {letter.event_id for letter in state.dead_letters} & (written - self.expected_dead_letters)
        verdict.expect(not dead, f"{len(dead)} good contacts are dead letters")
        new_figures = {name: value - self._previous_figures.get(name, 0) for name, value in invariants.figures.items()}
        self._previous_figures = invariants.figures
        verdict.figures = new_figures | verdict.figures
        return state

    def kill_router_at(self, api: int) -> asyncio.Event:
        """Kill the router that sends the next request with this API key, drop the request, then set the event."""
        killed = asyncio.Event()

        def kill_the_sender(seen: int, port: int) -> bool:
            number = self.routers.find_by_port(port) if seen == api else None
            if number is None:
                return False
            self.kafka_proxy.drop_request = None
            self.routers.kill(number)
            killed.set()
            return True

        self.kafka_proxy.drop_request = kill_the_sender
        return killed

    @staticmethod
    async def wait_until(true: Callable[[], bool], *, seconds: float = PATIENCE_S) -> bool:
        ends_at = time.monotonic() + seconds
        while not true() and time.monotonic() < ends_at:
            await asyncio.sleep(0.05)
        return true()

    async def wait_until_idle(self, *, seconds: float = PATIENCE_S) -> None:
        """Wait until the routers' lag is zero."""
        ends_at = time.monotonic() + seconds
        while await self.read_lag() != 0 and time.monotonic() < ends_at:
            await asyncio.sleep(0.1)

    @property
    def prefix(self) -> str:
        return self.stack.plan.topic_prefix

    def count_log_lines(self, word: str) -> int:
        """The number of times that the text occurs in the routers' logs."""
        return sum(self.routers.count_log_lines(number, word) for number in self.routers.numbers)

    @staticmethod
    def dead_letters_of(state: SystemState, contacts: ContactLoad) -> set[str]:
        """The ids of these contacts that are dead letters."""
        return {letter.event_id for letter in state.dead_letters} & {
            attempt.contact_id for attempt in contacts.attempts
        }

    async def count_unfinished(self) -> int | None:
        """The lag plus the contacts that wait because of an error; None while Kafka does not answer."""
        left = await self.read_lag()
        return left if left is None else left + await count_troubled(self.stack)

    async def read_lag(self) -> int | None:
        """The records that the routers have not finished; None while Kafka does not answer."""
        try:
            return await read_lag(self.stack)
        except ParvisError:
            return None


@asynccontextmanager
async def start_router_testbed(var: Path, *, routers: int = 3, **environment: str) -> AsyncGenerator[RouterTestbed]:
    """Start the testbed with short limits: session time-out 2 s instead of 10, metadata age 1 s instead of 30,
    time limit of a contact 4 s instead of 10.
    """
    quick = {"PARVIS_SESSION_TIMEOUT_S": f"{SESSION_TIMEOUT_S:g}", "PARVIS_LOG_FORMAT": "json"}
    quick |= {"PARVIS_METADATA_AGE_S": f"{METADATA_AGE_S:g}", "PARVIS_ROUTER_CONTACT_LIMIT_S": f"{CONTACT_LIMIT_S:g}"}
    quick |= environment
    var.mkdir(parents=True, exist_ok=True)
    async with AsyncExitStack() as cleanup:
        disk = cleanup.enter_context(mount_small_disk(var / "kafka", megabytes=400))
        stack_context = Stack.start(var, services=[], prepare=True, environment=quick)
        stack = await asyncio.to_thread(stack_context.__enter__)
        cleanup.push_async_callback(asyncio.to_thread, stack_context.__exit__, None, None, None)
        log = ClientLog(var / "client.jsonl")
        cleanup.callback(log.close)
        host, _, port = stack.kafka.partition(":")
        kafka_proxy = await cleanup.enter_async_context(KafkaProxy(host, int(port)).running())
        postgres_proxy = await cleanup.enter_async_context(PostgresProxy(stack.database_url).running())
        disturbed = {"PARVIS_KAFKA_BOOTSTRAP": kafka_proxy.bootstrap, "PARVIS_DATABASE_URL": postgres_proxy.url}
        router_processes = ServiceProcesses(dict(stack.env) | disturbed, var / "log")
        await cleanup.enter_async_context(router_processes.running(routers))
        yield RouterTestbed(stack, log, router_processes, kafka_proxy, postgres_proxy, disk)
