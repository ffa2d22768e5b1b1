"""Builds the notifier's parts over its clients, for the process and for tests."""

import asyncio
import os
import platform
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from zoneinfo import ZoneInfo

from parvis.common.bus.producer import Producer
from parvis.common.contract.topics import (
    DELIVERY_UPDATED,
    PREFERENCE_CHANGED,
    Topic,
)
from parvis.common.files.antivirus import AntivirusScanner
from parvis.common.files.previews.page_preview import PagePreviews
from parvis.common.runtime.health import Health
from parvis.common.storage.blobs import BlobStore
from parvis.common.storage.outbox import Outbox
from parvis.common.storage.postgres import Database
from parvis.common.town.models import TownConfig
from parvis.common.town.templates import TemplateSet
from parvis.notifier.app.sender_registry import dkim_signer
from parvis.notifier.consume.channel_fallback import ChannelFallback
from parvis.notifier.consume.cost_budget import CostBudget
from parvis.notifier.consume.kafka_intake import KafkaIntake
from parvis.notifier.consume.outcome_writer import OutcomeWriter
from parvis.notifier.consume.print_batches import PrintBatches
from parvis.notifier.consume.reconciliation import Reconciliation
from parvis.notifier.consume.reservation import DeliveryReservation
from parvis.notifier.consume.send_loop import SendLoop
from parvis.notifier.consume.status_poller import StatusPoller
from parvis.notifier.decide.channel_choice import ChannelChooser, own_addresses
from parvis.notifier.decide.quiet_hours import QuietHoursPolicy
from parvis.notifier.fetch.attachments import Attachments
from parvis.notifier.models.limits import SendingLimits
from parvis.notifier.models.sender_ports import ChannelSender
from parvis.notifier.pages.dependencies import PageDependencies
from parvis.notifier.render.message_renderer import MessageRenderer
from parvis.notifier.settings import Settings
from parvis.notifier.store.delivery_ledger import DeliveryLedger
from parvis.web.pages import PageRenderer


@dataclass(frozen=True)
class TownContext:
    """The town that the notifier sends for: its configuration, templates, keys and topic prefix."""

    config: TownConfig
    templates: TemplateSet
    signing_key: bytes
    hashing_key: bytes
    topic_prefix: str
    public_url: str
    theme: Path


@dataclass(frozen=True)
class Clients:
    """The connections that the notifier's parts share."""

    database: Database
    producer: Producer
    outbox: Outbox
    blobs: BlobStore
    scanner: AntivirusScanner
    health: Health


@dataclass
class NotifierParts:
    """Builds the notifier's parts over its clients, each on first use. Tests pass clients of their own."""

    settings: Settings
    town: TownContext
    clients: Clients
    senders: dict[str, ChannelSender]
    limits: SendingLimits
    worker: str = field(default_factory=lambda: f"{platform.node()}:{os.getpid()}")
    preferences_read: asyncio.Event = field(default_factory=asyncio.Event)
    due: asyncio.Event = field(default_factory=asyncio.Event)

    @cached_property
    def chooser(self) -> ChannelChooser:
        own = own_addresses(self.town.config, *self.settings.sms_senders.values())
        return ChannelChooser(own, self.town.hashing_key, frozenset(self.settings.sms_regions.split(",")))

    @cached_property
    def ledger(self) -> DeliveryLedger:
        return DeliveryLedger(self.clients.outbox, self.topic(DELIVERY_UPDATED), self.topic(PREFERENCE_CHANGED))

    @cached_property
    def fallback(self) -> ChannelFallback:
        return ChannelFallback(self.ledger, self.chooser)

    @cached_property
    def renderer(self) -> MessageRenderer:
        settings, town = self.settings, self.town
        signer = dkim_signer(settings, town.config.town.mail_domain)
        lifetime = timedelta(days=settings.inbox_days)
        return MessageRenderer(town.config, town.templates, town.signing_key, settings.public_url, signer, lifetime)

    @cached_property
    def attachments(self) -> Attachments:
        return Attachments(self.clients.blobs, self.clients.scanner, self.page_previews)

    @cached_property
    def page_previews(self) -> PagePreviews:
        return PagePreviews(count=1, cached_bytes=0)

    @cached_property
    def intake(self) -> KafkaIntake:
        return KafkaIntake(
            database=self.clients.database,
            ledger=self.ledger,
            fallback=self.fallback,
            chooser=self.chooser,
            outbox=self.clients.outbox,
            preferences_read=self.preferences_read,
            due=self.due,
        )

    def topic(self, topic: Topic) -> str:
        return topic.full_name(self.town.topic_prefix)

    def send_loop(self) -> SendLoop:
        return SendLoop(
            database=self.clients.database,
            producer=self.clients.producer,
            ledger=self.ledger,
            outbox=self.clients.outbox,
            reservation=self.reservation(),
            outcomes=self.outcome_writer(),
            blobs=self.clients.blobs,
            attachments=self.attachments,
            renderer=self.renderer,
            senders=self.senders,
            limits=self.limits,
            health=self.clients.health,
            preferences_read=self.preferences_read,
            due=self.due,
        )

    def reservation(self) -> DeliveryReservation:
        quiet_hours = QuietHoursPolicy(self.town.config.town)
        costs = CostBudget(self.ledger, self.chooser, self.renderer, self.limits, self.clients.health)
        return DeliveryReservation(self.ledger, self.chooser, quiet_hours, self.limits, self.worker, costs)

    def outcome_writer(self) -> OutcomeWriter:
        clients = self.clients
        return OutcomeWriter(clients.database, self.fallback, clients.outbox, self.senders, self.limits, clients.health)

    def reconciliation(self) -> Reconciliation:
        clients = self.clients
        poller = StatusPoller(clients.database, self.fallback, self.senders, self.renderer, self.limits)
        return Reconciliation(
            clients.database, self.fallback, poller, clients.outbox, self.limits, clients.health, self.due
        )

    def print_batches(self) -> PrintBatches:
        return PrintBatches(
            self.settings.letters_dir,
            self.clients.database,
            self.ledger,
            self.clients.health,
            zone=ZoneInfo(self.town.config.town.time_zone),
            at=self.settings.letters_batch_at,
            most=self.settings.letters_batch_most,
        )

    def pages(self) -> PageDependencies:
        town = self.town
        return PageDependencies(
            town_config=town.config,
            pages=PageRenderer(town.config.town, folder=Path(__file__).parents[1], theme=town.theme),
            renderer=self.renderer,
            database=self.clients.database,
            chooser=self.chooser,
            attachments=self.attachments,
            senders=self.senders,
            ledger=self.ledger,
            outbox=self.clients.outbox,
            town_url=town.public_url,
            key=town.signing_key,
        )
