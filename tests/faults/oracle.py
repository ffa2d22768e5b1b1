"""The topics from their beginning, the router's rows and the senders' log in; which invariants hold, out.

Outcomes are three: what was promised (ok) must be there; what was refused (fail) or never answered (unknown) may be there,
once; nothing may be there twice where it counts. Invariants: I1 complete, I2 one department, I3 order, I4 no false
acceptance, I5 the clock.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import text

from parvis.common.bus.cloudevents import ReceivedRecord
from parvis.common.bus.dead_letter_replay import REPLAYED_AT_HEADER
from parvis.common.bus.topic_reader import consumer_lag, read_all_records
from parvis.common.contract.topics import (
    CASE_UPDATED,
    CONTACT_RECEIVED,
    REPLY_REQUESTED,
    TRANSFER_REQUESTED,
    all_topics,
    dead_letter_topic,
)
from parvis.common.storage.postgres import Database
from parvis.common.town.loading import load_town_config
from parvis.local.stack import Stack
from tests.faults.load import Attempt


@dataclass
class Decision:
    """A row of the router's: a contact's, or a transfer's, which takes a number as well."""

    id: str
    conversation_id: str
    sequence: int
    department: str
    is_transfer: bool = False
    decided_at: datetime | None = None


@dataclass
class World:
    """Everything that is known when the dust has settled."""

    received: list[ReceivedRecord] = field(default_factory=list[ReceivedRecord])
    routed: list[ReceivedRecord] = field(default_factory=list[ReceivedRecord])
    replies: list[ReceivedRecord] = field(default_factory=list[ReceivedRecord])
    dead: list[ReceivedRecord] = field(default_factory=list[ReceivedRecord])
    decisions: list[Decision] = field(default_factory=list[Decision])
    waiting: set[str] = field(default_factory=set[str])
    current: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def of_contacts(self) -> dict[str, Decision]:
        return {decision.id: decision for decision in self.decisions if not decision.is_transfer}

    @property
    def decisions_by_id(self) -> dict[str, tuple[str, int, str]]:
        return {one.id: (one.conversation_id, one.sequence, one.department) for one in self.decisions}

    def beside(self, gone: "World") -> "World":
        """The same with records that stood on the topics before somebody took them away."""
        known = {_place(r) for records in (self.received, self.routed, self.replies, self.dead) for r in records}
        for ours, theirs in (
            (self.received, gone.received),
            (self.routed, gone.routed),
            (self.replies, gone.replies),
            (self.dead, gone.dead),
        ):
            ours += [received for received in theirs if _place(received) not in known]
        return self


@dataclass
class Verdict:
    """What was found wrong, in sentences, and the figures that are worth knowing when nothing is."""

    broken: list[str] = field(default_factory=list[str])
    figures: dict[str, int] = field(default_factory=dict[str, int])

    def expect(self, true: bool, sentence: str) -> None:
        if not true:
            self.broken.append(sentence)

    def expect_within(self, took_s: float, longest_s: float, sentence: str, *, full: bool) -> None:
        """Expect a time in the full size alone: `make test` runs on machines that are busy with other things."""
        if full:
            self.expect(took_s <= longest_s, f"{sentence} {took_s:.1f} s")


async def look(stack: Stack) -> World:
    """Read the topics of a town from the beginning, and the router's rows."""
    prefix = stack.plan.topic_prefix
    town_config = load_town_config(Path(stack.env["PARVIS_CONFIG_DIR"]))
    names = {topic.name: topic.full_name(prefix) for topic in all_topics(list(town_config.departments))}
    world = World()
    async for received in read_all_records(stack.kafka, list(names.values())):
        if received.topic == names[CONTACT_RECEIVED.name]:
            world.received.append(received)
        elif received.topic == names[REPLY_REQUESTED.name]:
            world.replies.append(received)
        elif received.topic == names[dead_letter_topic("router").name]:
            if not received.header(REPLAYED_AT_HEADER):
                world.dead.append(received)
        elif received.header("ce_type") == "contact.routed":
            world.routed.append(received)
    await _rows(stack, world)
    return world


async def _rows(stack: Stack, world: World) -> None:
    database = Database(stack.database_url, service="oracle")
    try:
        async with database.transaction() as connection:
            for row in await connection.execute(text(_DECIDED)):
                value = json.loads(row.value) if isinstance(row.value, str | bytes) else row.value
                is_transfer = row.kind != "contact"
                department = value.get("to_department") or value["department"]
                world.decisions.append(
                    Decision(
                        str(row.id), str(row.conversation_id), row.sequence, department, is_transfer, row.decided_at
                    )
                )
            for row in await connection.execute(text("select id, department from router.conversation")):
                world.current[str(row.id)] = row.department
            world.waiting = {str(row.id) for row in await connection.execute(text(_WAITING))}
    finally:
        await database.close()


_DECIDED = """
    select id, kind, conversation_id, sequence, value, decided_at from router.decision where sequence is not null
"""
_WAITING = "select contact_id as id from router.waiting"


_TROUBLED = text("""
    select count(*) from router.waiting w
    where why = 'trouble' or why = 'queued' and not exists (
        select from router.waiting h where h.why = 'question' and h.sender_hash = w.sender_hash
    )
""")


async def troubled(stack: Stack) -> int:
    """How many contacts wait, but for the answer to a question or behind one that does."""
    database = Database(stack.database_url, service="oracle")
    try:
        async with database.transaction() as connection:
            return await connection.scalar(_TROUBLED) or 0
    finally:
        await database.close()


async def lag(stack: Stack) -> int:
    """How many records of the router's topics its group has not finished.

    Raises: Unavailable.
    """
    prefix = stack.plan.topic_prefix
    names = [topic.full_name(prefix) for topic in (CONTACT_RECEIVED, TRANSFER_REQUESTED, CASE_UPDATED)]
    return await consumer_lag(stack.kafka, f"{prefix}-router", names)


def judge(world: World, attempts: Sequence[Attempt]) -> Verdict:
    """Hold what is known against what was promised."""
    verdict = Verdict()
    _complete(verdict, world, attempts)
    _one_department(verdict, world)
    _in_order(verdict, world, attempts)
    _one_clock(verdict, world)
    return verdict


def _complete(verdict: Verdict, world: World, attempts: Sequence[Attempt]) -> None:
    """I1, and the last half of I4: everything promised is on the topic, and routed, dead or waiting."""
    told = Counter(attempt.outcome for attempt in attempts)
    promised = {attempt.contact_id for attempt in attempts if attempt.outcome == "ok"}
    known = {str(attempt.contact_id) for attempt in attempts}
    there = _ids(world.received)
    ended = _ids(world.routed) | _ids(world.dead) | world.waiting
    verdict.expect(promised <= there, f"I4: {len(promised - there)} contacts were promised and are not in Kafka")
    verdict.expect(promised <= ended, f"I1: {len(promised - ended)} promised contacts are neither routed nor dead")
    verdict.expect(there <= ended, f"I1: {len(there - ended)} contacts in Kafka are neither routed nor dead")
    verdict.expect(all(letter.value for letter in world.dead), "I1: a dead letter lost its bytes")
    strangers = {r.event_id for r in world.received if _channel(r) == "sms"} - known
    verdict.expect(not strangers, f"{len(strangers)} contacts nobody wrote")
    verdict.figures |= {f"told {outcome}": count for outcome, count in told.items()}
    verdict.figures |= {"contacts": len(there), "dead letters": len(_ids(world.dead))}
    verdict.figures["doubles on contact.received"] = len(world.received) - len(there)


def _one_department(verdict: Verdict, world: World) -> None:
    """I2: one decision a contact; the same on every copy; the conversation's department is its highest sequence's."""
    decided, routed = world.of_contacts, _ids(world.routed)
    rows = sum(not decision.is_transfer for decision in world.decisions)
    verdict.expect(len(decided) == rows, "I2: a contact has two decisions")
    # What Kafka would not take of a decision is a dead letter.
    odd = (routed - decided.keys()) | (decided.keys() - routed - _ids(world.dead))
    verdict.expect(not odd, f"I2: {len(odd)} contacts are routed or decided, not both")
    copies, came = dict[str, bytes](), defaultdict[str, list[bytes]](list)
    for received in world.received:
        came[received.event_id].append(received.value)
    for received in world.routed:
        head, _, contact = received.value.partition(b',"contact":')
        routing = json.loads(head + b"}")["routing"]
        row = decided.get(received.event_id)
        same = row and (routing["conversation_id"], routing["sequence"]) == (row.conversation_id, row.sequence)
        verdict.expect(bool(same), f"I2: {received.event_id} was routed as nobody decided")
        verdict.expect(
            received.topic.endswith(f".{routing['department']}"), f"I2: {received.event_id} lies in another queue"
        )
        verdict.expect(received.key.decode() == routing["conversation_id"], f"I2: {received.event_id} has another key")
        # A door that accepts again tells its own part anew; what the router adds is the same every time.
        first = copies.setdefault(received.event_id, head)
        is_whole = contact[:-1] in came[received.event_id]
        verdict.expect(first == head and is_whole, f"I2: {received.event_id} has copies that differ")
    for conversation, decisions in _by_conversation(world.decisions).items():
        last = max(decisions, key=lambda decision: decision.sequence)
        verdict.expect(
            world.current.get(conversation) == last.department,
            f"I2: {conversation} is not where its last decision put it",
        )
    verdict.figures["doubles on department topics"] = len(world.routed) - len(routed)
    notices = Counter(reply.event_id for reply in world.replies)
    verdict.figures["doubles on reply.requested"] = sum(notices.values()) - len(notices)
    verdict.figures["conversations"] = len(world.current)
    if transfers := len(world.decisions) - rows:
        verdict.figures["transfers"] = transfers


def _in_order(verdict: Verdict, world: World, attempts: Sequence[Attempt]) -> None:
    """I3: sequences without gap or repeat; per contact point, decided in the order of contact.received."""
    for conversation, decisions in _by_conversation(world.decisions).items():
        sequences = sorted(decision.sequence for decision in decisions)
        verdict.expect(
            sequences == list(range(1, len(sequences) + 1)), f"I3: {conversation} has sequences {sequences[:20]}"
        )
    _as_they_lie(verdict, world)
    _as_they_were_written(verdict, world, attempts)


def _as_they_lie(verdict: Verdict, world: World) -> None:
    """Of one partition, in the order of its offsets."""
    decided = world.of_contacts
    reached: dict[tuple[int, bytes, str], int] = {}
    seen: set[str] = set()
    for received in sorted(world.received, key=lambda r: (r.partition, r.offset)):
        row = decided.get(received.event_id)
        if row is None or received.event_id in seen:
            continue
        seen.add(received.event_id)
        place = received.partition, received.key, row.conversation_id
        verdict.expect(row.sequence > reached.get(place, 0), f"I3: {received.event_id} was decided before its elder")
        reached[place] = row.sequence


def _as_they_were_written(verdict: Verdict, world: World, attempts: Sequence[Attempt]) -> None:
    """Of one sender, in the order in which they wrote and were answered: it holds also where a key changed its partition."""
    decided, tries = world.of_contacts, Counter(attempt.contact_id for attempt in attempts)
    reached: dict[tuple[str, str], tuple[int, float]] = {}
    for attempt in sorted(attempts, key=lambda attempt: attempt.asked_at):
        row = decided.get(attempt.contact_id)
        if attempt.outcome != "ok" or tries[attempt.contact_id] > 1 or row is None:
            continue
        place = attempt.sender, row.conversation_id
        sequence, answered_at = reached.get(place, (0, 0.0))
        is_after = row.sequence > sequence or attempt.asked_at <= answered_at
        verdict.expect(is_after, f"I3: {attempt.contact_id} was decided before what its sender wrote earlier")
        reached[place] = row.sequence, attempt.answered_at


def _one_clock(verdict: Verdict, world: World) -> None:
    """I5: the department sees the received_at of the first record of an id."""
    first: dict[str, str] = {}
    for received in sorted(world.received, key=lambda r: (r.partition, r.offset)):
        first.setdefault(received.event_id, _told(received).get("received_at", ""))
    for received in world.routed:
        routing: dict[str, Any] = json.loads(received.value)["routing"]
        verdict.expect(routing["received_at"] == first[received.event_id], f"I5: {received.event_id} was stamped anew")


def _place(received: ReceivedRecord) -> tuple[str, int, int]:
    return received.topic, received.partition, received.offset


def longest_wait_s(world: World, attempts: Sequence[Attempt]) -> float:
    """The longest time from the acknowledgement of one of these contacts to its decision."""
    decided = world.of_contacts
    waits = [
        row.decided_at.timestamp() - attempt.answered_at
        for attempt in attempts
        if (row := decided.get(attempt.contact_id)) and row.decided_at
    ]
    return max(waits, default=0.0)


def decided_between(world: World, attempts: Sequence[Attempt], began: float, ended: float) -> int:
    """How many of these contacts were decided between two instants."""
    mine = {attempt.contact_id for attempt in attempts}
    rows = (row for row in world.of_contacts.values() if row.id in mine and row.decided_at)
    return sum(row.decided_at is not None and began <= row.decided_at.timestamp() <= ended for row in rows)


def _ids(records: Iterable[ReceivedRecord]) -> set[str]:
    return {received.event_id for received in records}


def _told(received: ReceivedRecord) -> dict[str, Any]:
    """The value, or nothing of a poisonous one."""
    try:
        return json.loads(received.value)
    except (ValueError, RecursionError):
        return {}


def _channel(received: ReceivedRecord) -> str:
    return str(_told(received).get("channel"))


def _by_conversation(decisions: Iterable[Decision]) -> dict[str, list[Decision]]:
    found: dict[str, list[Decision]] = defaultdict(list)
    for decision in decisions:
        found[decision.conversation_id].append(decision)
    return found
