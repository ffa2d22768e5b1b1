"""Sends messages: one module per channel, named like its row in the table of channels."""

from collections.abc import Mapping
from dataclasses import dataclass

from parvis.common.town.models import Town
from parvis.notifier.models.sender_ports import ChannelSender, LetterRegister
from parvis.notifier.settings import Settings


@dataclass(frozen=True)
class SenderSetup:
    """The arguments of every channel module's `create_sender`.

    Shape: senders, those of the channels earlier in the table: one channel may send through another.
    """

    settings: Settings
    town: Town
    signing_key: bytes
    letters: LetterRegister
    senders: Mapping[str, ChannelSender]
