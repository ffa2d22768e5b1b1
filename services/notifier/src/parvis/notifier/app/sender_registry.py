"""Builds the sender of each channel, the sending limits and the DKIM signer from the settings."""

import importlib
from datetime import timedelta

from parvis.common.contract.channels import channels
from parvis.common.contract.errors import Misconfigured
from parvis.common.town.models import TownConfig
from parvis.notifier.models.limits import DailyBudget, SendingLimits
from parvis.notifier.models.sender_ports import ChannelSender, LetterRegister
from parvis.notifier.render.dkim import DkimKey, DkimSigner, read_key
from parvis.notifier.send import SenderSetup
from parvis.notifier.settings import Settings


def build_senders(
    settings: Settings, town: TownConfig, signing_key: bytes, letters: LetterRegister
) -> dict[str, ChannelSender]:
    """The sender of each channel that is sent, made by the module of its name in `send/`."""
    senders: dict[str, ChannelSender] = {}
    setup = SenderSetup(settings, town.town, signing_key, letters, senders)
    for row in channels():
        if row.is_sent:
            senders[row.name] = importlib.import_module(f"parvis.notifier.send.{row.name}").create_sender(setup)
    return senders


def limits_of(settings: Settings) -> SendingLimits:
    return SendingLimits(
        in_flight=settings.in_flight,
        lease=timedelta(seconds=settings.lease_s),
        unknown_after=timedelta(seconds=settings.unknown_after_s),
        retry_for=timedelta(seconds=settings.retry_for_s),
        automatic_per_day=settings.automatic_a_day,
        answers_per_day=settings.answers_a_day,
        messages_per_conversation_and_day=settings.a_conversation_a_day,
        automatic_per_hour=settings.automatic_an_hour,
        town_budget=DailyBudget(
            settings.automatic_segments_a_day, settings.automatic_letters_a_day, settings.automatic_cents_a_day
        ),
        source_budget=DailyBudget(
            settings.source_segments_a_day, settings.source_letters_a_day, settings.source_cents_a_day
        ),
        wider_source_times=settings.wider_source_times,
        segment_cents=settings.segment_cents,
        letter_cents=settings.letter_cents,
        largest_attachments_bytes=round(settings.enclosures_largest_mb * 1_000_000),
        poll_every=timedelta(seconds=settings.ask_every_s),
    )


def dkim_signer(settings: Settings, domain: str) -> DkimSigner:
    """The signer with the DKIM keys, read once.

    Raises: Misconfigured, for a file that cannot be read or holds no key.
    """
    keys: list[DkimKey] = []
    for selector, file in settings.dkim_keys.items():
        try:
            keys.append(read_key(selector, file.read_bytes()))
        except OSError as error:
            fact = f"PARVIS_NOTIFIER_DKIM_KEYS: the key of {selector} cannot be read: {error.strerror}"
            raise Misconfigured(fact, file=file, mend="name a PEM file that this process may read") from error
    return DkimSigner(domain, tuple(keys))
