"""Reads all topics, the router's rows and the senders' log, and checks the invariants of docs/operate/faults.md.

A message with outcome ok must be in Kafka. One with fail or unknown may be there, and is decided at most once.
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
from tests.faults.sms_load import Attempt


@dataclass
class Decision:
    """A row of router.decision that has a sequence number: of a contact or of a transfer."""

    id: str
    conversation_id: str
    sequence: int
    department: str
    is_transfer: bool = False
    decided_at: datetime | None = None


@dataclass
class SystemState:
    """The records of all topics and the router's rows, read after a scenario."""

    received: list[ReceivedRecord] = field(default_factory=list[ReceivedRecord])
    routed: list[ReceivedRecord] = field(default_factory=list[ReceivedRecord])
    replies: list[ReceivedRecord] = field(default_factory=list[ReceivedRecord])
    dead_letters: list[ReceivedRecord] = field(default_factory=list[ReceivedRecord])
    decisions: list[Decision] = field(default_factory=list[Decision])
    waiting: set[str] = field(default_factory=set[str])
    department_of_conversation: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def contact_decisions(self) -> dict[str, Decision]:
        return {decision.id: decision for decision in self.decisions if not decision.is_transfer}

    @property
    def decisions_by_contact(self) -> dict[str, tuple[str, int, str]]:
        return {
            decision.id: (decision.conversation_id, decision.sequence, decision.department)
            for decision in self.decisions
        }

    def with_records_of(self, earlier: "SystemState") -> "SystemState":
        """Add records of an earlier state that have since been deleted from their topics."""
        known = {
            _position(r) for records in (self.received, self.routed, self.replies, self.dead_letters) for r in records
        }
        for ours, theirs in (
            (self.received, earlier.received),
            (self.routed, earlier.routed),
            (self.replies, earlier.replies),
            (self.dead_letters, earlier.dead_letters),
        ):
            ours += [received for received in theirs if _position(received) not in known]
        return self


@dataclass
class Verdict:
    """The violations that were found, in sentences, and the measured figures."""

    violations: list[str] = field(default_factory=list[str])
    figures: dict[str, int] = field(default_factory=dict[str, int])

    def expect(self, condition: bool, violation: str) -> None:
        if not condition:
            self.violations.append(violation)

    def expect_within(self, took_s: float, limit_s: float, violation: str, *, full: bool) -> None:
        """Check a bound on time, in the full size alone: `make test` also runs on busy machines."""
        if full:
            self.expect(took_s <= limit_s, f"{violation} {took_s:.1f} s")


async def read_state(stack: Stack) -> SystemState:
    """Read a town's topics from the beginning, and the router's rows."""
    prefix = stack.plan.topic_prefix
    town_config = load_town_config(Path(stack.env["PARVIS_CONFIG_DIR"]))
    names = {topic.name: topic.full_name(prefix) for topic in all_topics(list(town_config.departments))}
    state = SystemState()
    async for received in read_all_records(stack.kafka, list(names.values())):
        if received.topic == names[CONTACT_RECEIVED.name]:
            state.received.append(received)
        elif received.topic == names[REPLY_REQUESTED.name]:
            state.replies.append(received)
        elif received.topic == names[dead_letter_topic("router").name]:
            if not received.header(REPLAYED_AT_HEADER):
                state.dead_letters.append(received)
        elif received.header("ce_type") == "contact.routed":
            state.routed.append(received)
    await _read_database(stack, state)
    return state


async def _read_database(stack: Stack, state: SystemState) -> None:
    database = Database(stack.database_url, service="oracle")
    try:
        async with database.transaction() as connection:
            for row in await connection.execute(text(_DECIDED)):
                value = json.loads(row.value) if isinstance(row.value, str | bytes) else row.value
                is_transfer = row.kind != "contact"
                department = value.get("to_department") or value["department"]
                state.decisions.append(
                    Decision(
                        str(row.id), str(row.conversation_id), row.sequence, department, is_transfer, row.decided_at
                    )
                )
            for row in await connection.execute(text("select id, department from router.conversation")):
                state.department_of_conversation[str(row.id)] = row.department
            state.waiting = {str(row.id) for row in await connection.execute(text(_WAITING))}
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


async def count_troubled(stack: Stack) -> int:
    """The number of waiting contacts, without those that wait for a citizen's answer and those behind them."""
    database = Database(stack.database_url, service="oracle")
    try:
        async with database.transaction() as connection:
            return await connection.scalar(_TROUBLED) or 0
    finally:
        await database.close()


async def read_lag(stack: Stack) -> int:
    """The number of records of the router's topics that its group has not finished.

    Raises: Unavailable.
    """
    prefix = stack.plan.topic_prefix
    names = [topic.full_name(prefix) for topic in (CONTACT_RECEIVED, TRANSFER_REQUESTED, CASE_UPDATED)]
    return await consumer_lag(stack.kafka, f"{prefix}-router", names)


def check_invariants(state: SystemState, attempts: Sequence[Attempt]) -> Verdict:
    """Check the state against the outcomes that senders saw."""
    verdict = Verdict()
    _check_completeness(verdict, state, attempts)
    _check_one_decision(verdict, state)
    _check_order(verdict, state, attempts)
    _check_received_at(verdict, state)
    return verdict


def _check_completeness(verdict: Verdict, state: SystemState, attempts: Sequence[Attempt]) -> None:
    """I1 and I4: every accepted contact is on the topic, and is routed, dead-lettered or waiting."""
    outcomes = Counter(attempt.outcome for attempt in attempts)
    promised = {attempt.contact_id for attempt in attempts if attempt.outcome == "ok"}
    attempted_ids = {str(attempt.contact_id) for attempt in attempts}
    received_ids = _ids(state.received)
    ended_ids = _ids(state.routed) | _ids(state.dead_letters) | state.waiting
    verdict.expect(promised <= received_ids, f"I4: {len(promised - received_ids)} accepted contacts are not in Kafka")
    verdict.expect(
        promised <= ended_ids, f"I1: {len(promised - ended_ids)} accepted contacts are neither routed nor dead-lettered"
    )
    verdict.expect(
        received_ids <= ended_ids,
        f"I1: {len(received_ids - ended_ids)} contacts in Kafka are neither routed nor dead-lettered",
    )
    verdict.expect(all(letter.value for letter in state.dead_letters), "I1: a dead letter is empty")
    unexpected = {r.event_id for r in state.received if _channel(r) == "sms"} - attempted_ids
    verdict.expect(not unexpected, f"{len(unexpected)} contacts on the topic were never sent")
    verdict.figures |= {f"outcome {outcome}": count for outcome, count in outcomes.items()}
    verdict.figures |= {"contacts": len(received_ids), "dead letters": len(_ids(state.dead_letters))}
    verdict.figures["doubles on contact.received"] = len(state.received) - len(received_ids)


def _check_one_decision(verdict: Verdict, state: SystemState) -> None:
    """I2: each contact has one decision, the same on every copy; a conversation's department is that of its highest sequence."""
    decided, routed = state.contact_decisions, _ids(state.routed)
    rows = sum(not decision.is_transfer for decision in state.decisions)
    verdict.expect(len(decided) == rows, "I2: a contact has two decisions")
    # A decision that Kafka refused is a dead letter.
    mismatched = (routed - decided.keys()) | (decided.keys() - routed - _ids(state.dead_letters))
    verdict.expect(
        not mismatched, f"I2: {len(mismatched)} contacts are routed without a decision, or decided and not routed"
    )
    copies, received_values = dict[str, bytes](), defaultdict[str, list[bytes]](list)
    for received in state.received:
        received_values[received.event_id].append(received.value)
    for received in state.routed:
        head, _, contact = received.value.partition(b',"contact":')
        routing = json.loads(head + b"}")["routing"]
        row = decided.get(received.event_id)
        is_as_decided = row and (routing["conversation_id"], routing["sequence"]) == (row.conversation_id, row.sequence)
        verdict.expect(bool(is_as_decided), f"I2: {received.event_id} was routed otherwise than decided")
        verdict.expect(
            received.topic.endswith(f".{routing['department']}"),
            f"I2: {received.event_id} is on another department's topic",
        )
        verdict.expect(
            received.key.decode() == routing["conversation_id"],
            f"I2: {received.event_id} has a key other than its conversation",
        )
        # An ingest service that accepts a message twice writes its own part anew; the router's part never differs.
        first = copies.setdefault(received.event_id, head)
        is_whole = contact[:-1] in received_values[received.event_id]
        verdict.expect(first == head and is_whole, f"I2: {received.event_id} has copies that differ")
    for conversation, decisions in _by_conversation(state.decisions).items():
        last = max(decisions, key=lambda decision: decision.sequence)
        verdict.expect(
            state.department_of_conversation.get(conversation) == last.department,
            f"I2: {conversation} is not at the department of its last decision",
        )
    verdict.figures["doubles on department topics"] = len(state.routed) - len(routed)
    notices = Counter(reply.event_id for reply in state.replies)
    verdict.figures["doubles on reply.requested"] = sum(notices.values()) - len(notices)
    verdict.figures["conversations"] = len(state.department_of_conversation)
    if transfers := len(state.decisions) - rows:
        verdict.figures["transfers"] = transfers


def _check_order(verdict: Verdict, state: SystemState, attempts: Sequence[Attempt]) -> None:
    """I3: sequences without gap or repeat; contacts of one contact point are decided in the order of contact.received."""
    for conversation, decisions in _by_conversation(state.decisions).items():
        sequences = sorted(decision.sequence for decision in decisions)
        verdict.expect(
            sequences == list(range(1, len(sequences) + 1)), f"I3: {conversation} has sequences {sequences[:20]}"
        )
    _check_order_of_offsets(verdict, state)
    _check_order_of_sending(verdict, state, attempts)


def _check_order_of_offsets(verdict: Verdict, state: SystemState) -> None:
    """Within a partition, a key's contacts are decided in the order of their offsets."""
    decided = state.contact_decisions
    last_sequence: dict[tuple[int, bytes, str], int] = {}
    seen: set[str] = set()
    for received in sorted(state.received, key=lambda r: (r.partition, r.offset)):
        row = decided.get(received.event_id)
        if row is None or received.event_id in seen:
            continue
        seen.add(received.event_id)
        key = received.partition, received.key, row.conversation_id
        verdict.expect(
            row.sequence > last_sequence.get(key, 0),
            f"I3: {received.event_id} was decided before an earlier record of its key",
        )
        last_sequence[key] = row.sequence


def _check_order_of_sending(verdict: Verdict, state: SystemState, attempts: Sequence[Attempt]) -> None:
    """A sender's contacts are decided in the order in which they were sent and answered, also when a key changes its partition."""
    decided, attempt_count = state.contact_decisions, Counter(attempt.contact_id for attempt in attempts)
    last_decided: dict[tuple[str, str], tuple[int, float]] = {}
    for attempt in sorted(attempts, key=lambda attempt: attempt.sent_at):
        row = decided.get(attempt.contact_id)
        if attempt.outcome != "ok" or attempt_count[attempt.contact_id] > 1 or row is None:
            continue
        key = attempt.sender, row.conversation_id
        sequence, answered_at = last_decided.get(key, (0, 0.0))
        is_after = row.sequence > sequence or attempt.sent_at <= answered_at
        verdict.expect(is_after, f"I3: {attempt.contact_id} was decided before an earlier message of its sender")
        last_decided[key] = row.sequence, attempt.answered_at


def _check_received_at(verdict: Verdict, state: SystemState) -> None:
    """I5: the department sees the received_at of the first record of each id."""
    first: dict[str, str] = {}
    for received in sorted(state.received, key=lambda r: (r.partition, r.offset)):
        first.setdefault(received.event_id, _decode_value(received).get("received_at", ""))
    for received in state.routed:
        routing: dict[str, Any] = json.loads(received.value)["routing"]
        verdict.expect(
            routing["received_at"] == first[received.event_id],
            f"I5: {received.event_id} has another received_at than its first record",
        )


def _position(received: ReceivedRecord) -> tuple[str, int, int]:
    return received.topic, received.partition, received.offset


def longest_wait_s(state: SystemState, attempts: Sequence[Attempt]) -> float:
    """The longest time from the acknowledgement of one of these contacts to its decision, in seconds."""
    decided = state.contact_decisions
    waits = [
        row.decided_at.timestamp() - attempt.answered_at
        for attempt in attempts
        if (row := decided.get(attempt.contact_id)) and row.decided_at
    ]
    return max(waits, default=0.0)


def decided_between(state: SystemState, attempts: Sequence[Attempt], began: float, ended: float) -> int:
    """The number of these contacts that were decided between two instants."""
    mine = {attempt.contact_id for attempt in attempts}
    rows = (row for row in state.contact_decisions.values() if row.id in mine and row.decided_at)
    return sum(row.decided_at is not None and began <= row.decided_at.timestamp() <= ended for row in rows)


def _ids(records: Iterable[ReceivedRecord]) -> set[str]:
    return {received.event_id for received in records}


def _decode_value(received: ReceivedRecord) -> dict[str, Any]:
    """The decoded JSON value; empty if it cannot be decoded."""
    try:
        return json.loads(received.value)
    except (ValueError, RecursionError):
        return {}


def _channel(received: ReceivedRecord) -> str:
    return str(_decode_value(received).get("channel"))


def _by_conversation(decisions: Iterable[Decision]) -> dict[str, list[Decision]]:
    grouped: dict[str, list[Decision]] = defaultdict(list)
    for decision in decisions:
        grouped[decision.conversation_id].append(decision)
    return grouped
