"""Twilio's list of messages in, those that never reached us into the town: what makes the channel lose nothing."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from parvis.common.bus.admin import event_ids_since
from parvis.common.contract.errors import Rejected, Unavailable
from parvis.common.contract.topics import CONTACT_RECEIVED, PREFERENCE_CHANGED
from parvis.common.runtime import metrics
from parvis.common.runtime.health import Health
from parvis.common.runtime.logs import logger
from parvis.ingest_sms.parse.form import WHATSAPP, announcement
from parvis.ingest_sms.parse.listed import Listed
from parvis.ingest_sms.read.messages import MessageList
from parvis.ingest_sms.receive.intake import Arrived, Intake

log = logger()
OVERLAP = timedelta(minutes=15)  # Twilio lists a message some seconds after it took it; clocks differ
_RETRY_S = 30.0
_DEADLINE_S = 8.0
_PATIENCE_S = 20.0


@dataclass
class Reconciling:
    """Asks Twilio every few minutes what it took for us, and brings what we do not have.

    What this process has accepted it remembers; of the rest it asks Kafka, which is what counts: the raw form alone, without
    its event, is no contact. So it needs no table, and any number of processes may do it side by side.
    Gives:  the same contact id as the webhook; `received_at` is Twilio's date of the message.
    """

    messages: MessageList
    intake: Intake
    accounts: frozenset[str]
    numbers: Sequence[str]
    bootstrap: str
    health: Health
    every_s: float
    window: timedelta
    grace: timedelta
    _complete_until: datetime | None = None

    async def run(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            wait_s = self.every_s
            try:
                await self.look()
                self.health.add_note("reconciled", "ok")
            except (Unavailable, TimeoutError) as error:
                wait_s = min(self.every_s, _RETRY_S)
                self.health.add_note("reconciled", str(error) or "too slow")
                log.warning("reconciler.waiting", reason=str(error) or "too slow", wait_s=wait_s)
            try:
                async with asyncio.timeout(wait_s):
                    await stopping.wait()
            except TimeoutError:
                continue

    async def look(self) -> int:
        """One pass: the whole window at first, afterwards what came since the last one. How many were brought."""
        began, at = time.monotonic(), self.intake.clock()
        since = self._complete_until - OVERLAP if self._complete_until else at - self.window
        missed = await self._unknown(await self._listed(since, until=at - self.grace))
        for message in missed:
            await self._bring(message)
        self._complete_until = at - self.grace
        if missed:
            log.info("messages.recovered", count=len(missed), elapsed_ms=int((time.monotonic() - began) * 1000))
        return len(missed)

    async def _listed(self, since: datetime, *, until: datetime) -> list[Listed]:
        """What was sent to us, oldest first, but for what this process has, or may be just about to be told."""
        found: list[Listed] = []
        for account in sorted(self.accounts):
            for number in (own for base in self.numbers for own in (base, WHATSAPP + base)):
                listed = self.messages.inbound(account, to=number, since=since)
                found += [message async for message in listed if self._is_due(message, until)]
        return sorted(found, key=lambda message: (message.sent_at or since, message.told.message_sid))

    def _is_due(self, message: Listed, until: datetime) -> bool:
        return bool(message.sent_at and message.sent_at <= until and not self.intake.seen.has(message.told.contact_id))

    async def _unknown(self, messages: Sequence[Listed]) -> list[Listed]:
        if not messages:
            return []
        topics = [topic.full_name(self.intake.topic_prefix) for topic in (CONTACT_RECEIVED, PREFERENCE_CHANGED)]
        there = await event_ids_since(self.bootstrap, topics, (messages[0].sent_at or self.intake.clock()) - OVERLAP)
        for message in messages:
            if message.told.contact_id in there:
                self.intake.seen.add(message.told.contact_id)
        return [message for message in messages if message.told.contact_id not in there]

    async def _bring(self, message: Listed) -> None:
        whole = await self.messages.with_media(message)
        try:
            told = announcement(list(whole.told.values.items()), self.accounts)
        except Rejected as error:
            log.exception("message.refused", reason=str(error))
            return
        arrived = Arrived(
            told, whole.raw, whole.sent_at or self.intake.clock(), media_type="application/json", evidence="twilio list"
        )
        await self.intake.accept(arrived, patience_s=_PATIENCE_S, deadline_s=_DEADLINE_S)
        metrics.sms_recovered.inc()
