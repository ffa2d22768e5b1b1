"""Recovers messages that no webhook brought: compares Twilio's message list with Kafka."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from parvis.common.bus.connection import Brokers
from parvis.common.bus.topic_reader import event_ids_since
from parvis.common.contract.errors import Poison, Rejected, Unavailable
from parvis.common.contract.topics import CONTACT_RECEIVED, PREFERENCE_CHANGED
from parvis.common.runtime import metrics
from parvis.common.runtime.clock import Clock, now
from parvis.common.runtime.health import Health
from parvis.common.runtime.interruptible_waits import sleep_unless_stopped
from parvis.common.runtime.logs import logger
from parvis.ingest_sms.fetch.message_list import MessageList
from parvis.ingest_sms.parse.message_resource import ListedMessage
from parvis.ingest_sms.parse.webhook_form import WHATSAPP, parse_inbound_message
from parvis.ingest_sms.receive.message_intake import MessageIntake, ReceivedMessage

log = logger()
OVERLAP = timedelta(minutes=15)  # Twilio lists a message some seconds after it received it; clocks differ
_RETRY_S = 30.0
_DEADLINE_S = 8.0
_PATIENCE_S = 20.0


@dataclass
class Reconciler:
    """Lists the messages that Twilio received for us every few minutes, and publishes those that are not in Kafka.

    It asks Kafka and keeps no table, because a stored form without its event is not a contact. So any number of processes may
    reconcile side by side; the recent ids only save a query.
    Gives:  the same contact id as the webhook; `received_at` is Twilio's date of the message.
    """

    messages: MessageList
    intake: MessageIntake
    accounts: frozenset[str]
    numbers: Sequence[str]
    brokers: Brokers
    health: Health
    interval_s: float
    window: timedelta
    grace: timedelta
    topic_prefix: str
    clock: Clock = now
    _complete_until: datetime | None = None

    async def run(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            wait_s = self.interval_s
            try:
                await self.reconcile()
                self.health.add_note("reconciled", "ok")
            except (Unavailable, TimeoutError) as error:
                wait_s = min(self.interval_s, _RETRY_S)
                self.health.add_note("reconciled", str(error) or "too slow")
                log.warning("missed-messages.delayed", reason=str(error) or "too slow", wait_s=wait_s)
            await sleep_unless_stopped(stopping, wait_s)

    async def reconcile(self) -> int:
        """Recover missing messages: first those of the whole window, then those since the last complete pass.

        Gives:  the number of recovered messages.
        Raises: Unavailable, when Twilio or Kafka does not answer, or the media of a message cannot be listed. The other messages
                are recovered all the same, and the next pass covers the same window.
        """
        started_s, at = time.monotonic(), self.clock()
        since = self._complete_until - OVERLAP if self._complete_until else at - self.window
        missing = await self._without_published(await self._list_due_messages(since, until=at - self.grace))
        recovered, postponed = 0, list[Unavailable]()
        for listed in missing:
            try:
                complete = await self.messages.fetch_media_addresses(listed)
            except Unavailable as error:
                postponed.append(error)
                continue
            recovered += await self._recover(complete)
        if recovered:
            log.info(
                "missed-messages.recovered", count=recovered, elapsed_ms=int((time.monotonic() - started_s) * 1000)
            )
        if postponed:
            raise postponed[0]
        self._complete_until = at - self.grace
        return recovered

    async def _list_due_messages(self, since: datetime, *, until: datetime) -> list[ListedMessage]:
        """List the messages to our numbers, oldest first, without those that this process has published or a webhook may still bring."""
        due: list[ListedMessage] = []
        for account in sorted(self.accounts):
            for number in (address for own in self.numbers for address in (own, WHATSAPP + own)):
                messages = self.messages.list_inbound(account, to=number, since=since)
                due += [listed async for listed in messages if self._is_due(listed, until)]
        return sorted(due, key=lambda listed: (listed.sent_at or since, listed.message.message_sid))

    def _is_due(self, listed: ListedMessage, until: datetime) -> bool:
        is_recent = self.intake.recent_ids.contains(listed.message.contact_id)
        return listed.sent_at is not None and listed.sent_at <= until and not is_recent

    async def _without_published(self, messages: Sequence[ListedMessage]) -> list[ListedMessage]:
        if not messages:
            return []
        topics = [topic.full_name(self.topic_prefix) for topic in (CONTACT_RECEIVED, PREFERENCE_CHANGED)]
        since = (messages[0].sent_at or self.clock()) - OVERLAP
        published_ids = await event_ids_since(self.brokers, topics, since)
        for listed in messages:
            if listed.message.contact_id in published_ids:
                self.intake.recent_ids.add(listed.message.contact_id)
        return [listed for listed in messages if listed.message.contact_id not in published_ids]

    async def _recover(self, listed: ListedMessage) -> bool:
        """Publish one message. A message that can never be published is logged, and this process does not try it again."""
        try:
            message = parse_inbound_message(list(listed.message.values.items()), self.accounts)
            received = ReceivedMessage(
                message,
                listed.raw_bytes,
                listed.sent_at or self.clock(),
                media_type="application/json",
                evidence="twilio list",
            )
            await self.intake.accept(received, patience_s=_PATIENCE_S, deadline_s=_DEADLINE_S)
        except (Rejected, Poison) as error:
            log.exception("listed-message.skipped", contact_id=listed.message.contact_id, reason=str(error))
            self.intake.recent_ids.add(listed.message.contact_id)
            return False
        metrics.sms_recovered.inc()
        return True
