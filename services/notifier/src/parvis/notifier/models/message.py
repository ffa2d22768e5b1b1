"""Defines a message that is ready to be sent, and the files that go with it. Data only."""

from dataclasses import dataclass

from parvis.common.contract.errors import Rejected
from parvis.notifier.models.delivery import Delivery


class TooLong(Rejected):
    """The text does not fit the channel."""


@dataclass(frozen=True)
class AttachedFile:
    """A file that goes with an answer."""

    name: str
    media_type: str
    content: bytes


@dataclass(frozen=True)
class RenderedMessage:
    """A delivery, ready to leave: the rendered bytes, as they are kept for evidence."""

    delivery: Delivery
    content: bytes
    media_type: str
    department: str = ""
