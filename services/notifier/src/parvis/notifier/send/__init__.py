"""Sends messages: one module a channel, named as its row in the table of channels; each makes one attempt and gives its outcome."""

from collections.abc import Mapping
from dataclasses import dataclass

from parvis.common.town.models import Town
from parvis.notifier.models.sender_ports import ChannelSender, LetterRegister
from parvis.notifier.settings import Settings


@dataclass(frozen=True)
class SenderSetup:
    """The values that `create_sender` of a channel's module may use.

    Shape: senders, those of the channels that stand earlier in the table: one channel may send over another.
    """

    settings: Settings
    town: Town
    signing_key: bytes
    letters: LetterRegister
    senders: Mapping[str, ChannelSender]
