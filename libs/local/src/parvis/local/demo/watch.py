"""Follows each contact on the topics: when it was received, routed, answered and delivered."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from parvis.common.bus.cloudevents import ReceivedRecord
from parvis.common.bus.topic_reader import follow_topics
from parvis.common.contract import topics
from parvis.common.town.loading import load_town_config

WENT_OUT = ("delivered", "to-print", "handed-over", "posted")  # a letter is never known to have arrived
FINAL = (*WENT_OUT, "undelivered", "failed")


@dataclass
class Journey:
    """The events of one contact so far. Times are those of the events."""

    contact_id: str
    channel: str
    recorded_at: datetime
    conversation_id: str = ""
    department: str = ""
    rule: str = ""
    routed_at: datetime | None = None
    replies: dict[str, str] = field(default_factory=dict[str, str])  # reply id → kind
    deliveries: dict[str, tuple[str, str, datetime]] = field(default_factory=dict[str, tuple[str, str, datetime]])

    @property
    def answer(self) -> tuple[str, str, datetime] | None:
        """Channel, state and time of the delivery of the agent's answer."""
        answer_ids = [reply for reply, kind in self.replies.items() if kind == "answer"]
        return next((self.deliveries[reply] for reply in answer_ids if reply in self.deliveries), None)

    @property
    def is_answered(self) -> bool:
        """Whether the registration notice and the answer both have a final state."""
        kinds = {self.replies.get(reply) for reply, (_, state, _) in self.deliveries.items() if state in FINAL}
        return {"registration", "answer"} <= kinds

    def row(self) -> dict[str, Any]:
        """Give the row of `journey.json`."""
        channel, state, answered_at = self.answer or (None, "not answered", None)
        bad = [s for _, s, _ in self.deliveries.values() if s in FINAL and s not in WENT_OUT]
        return {
            "channel": self.channel,
            "contact_id": self.contact_id,
            "department": self.department or None,
            "rule": self.rule or None,
            "answered_on": channel,
            "status": bad[0] if bad else state,
            "to_department_ms": _elapsed_ms(self.recorded_at, self.routed_at),
            "to_answer_ms": _elapsed_ms(self.recorded_at, answered_at),
        }


class JourneyWatch:
    """Follows every contact that is written while it runs. `async with JourneyWatch(...) as watch`."""

    def __init__(self, kafka: str, config_dir: Path, *, prefix: str = "parvis") -> None:
        departments = list(load_town_config(config_dir).departments)
        rows = [*topics.FIXED, *(topics.department_topic(slug) for slug in departments)]
        self._kafka = kafka
        self._topics = [row.full_name(prefix) for row in rows]
        self._tasks: set[asyncio.Task[None]] = set()
        self.journeys: dict[str, Journey] = {}
        self._early: list[ReceivedRecord] = []

    async def __aenter__(self) -> "JourneyWatch":
        self._tasks.add(asyncio.create_task(self._follow()))
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)

    async def _follow(self) -> None:
        async for received in follow_topics(self._kafka, self._topics):
            self._note(received)

    def _note(self, received: ReceivedRecord) -> None:
        try:
            value, at = json.loads(received.value), datetime.fromisoformat(received.header("ce_time") or "")
        except ValueError:
            return  # the router dead-letters such a record
        match received.header("ce_type"):
            case "contact.received":
                recorded_at = datetime.fromisoformat(value["recorded_at"])
                self.journeys.setdefault(
                    value["contact_id"], Journey(value["contact_id"], value["channel"], recorded_at)
                )
            case "contact.routed":
                self._note_routed(value, at)
                early, self._early = self._early, []
                for other in early:
                    self._note(other)
            case "reply.requested" | "delivery.updated" as kind:
                if not self._note_reply(kind, value, at):
                    self._early.append(received)
            case _:
                pass

    def _note_routed(self, value: Mapping[str, Any], at: datetime) -> None:
        contact, routing = value["contact"], value["routing"]
        recorded_at = datetime.fromisoformat(contact["recorded_at"])
        fresh = Journey(contact["contact_id"], contact["channel"], recorded_at)
        journey = self.journeys.setdefault(contact["contact_id"], fresh)  # partitions are read in any order
        journey.conversation_id, journey.routed_at = routing["conversation_id"], at
        journey.department, journey.rule = routing["department"], routing["rule"]

    def _note_reply(self, kind: str, value: Mapping[str, Any], at: datetime) -> bool:
        """Record a reply. Gives False if its conversation is not known yet, because topics are read in any order."""
        journey = self._journey(value["conversation_id"])
        if journey is None:
            return False
        journey.replies[value["reply_id"]] = value["kind"]
        if kind == "delivery.updated":
            known = journey.deliveries.get(value["reply_id"])
            if known is None or known[1] not in FINAL:
                # An undelivered reply that goes on by another channel has no final state yet.
                stage = value.get("stage") if value["state"] == "accepted" else None
                state = "moved" if value.get("moves_to") else stage or value["state"]
                journey.deliveries[value["reply_id"]] = value["channel"], state, at
        return True

    def _journey(self, conversation: str) -> Journey | None:
        return next((j for j in self.journeys.values() if j.conversation_id == conversation), None)


def _elapsed_ms(begun: datetime, ended: datetime | None) -> int | None:
    return max(0, round((ended - begun).total_seconds() * 1000)) if ended else None
