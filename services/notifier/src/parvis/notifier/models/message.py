"""Defines a rendered message and its attached files. Data only."""

from dataclasses import dataclass

from parvis.common.contract.errors import Rejected
from parvis.notifier.models.delivery import Delivery


class TooLong(Rejected):
    """The text does not fit the channel."""


@dataclass(frozen=True)
class AttachedFile:
    """A file that goes with an answer; with a letter, a page of one as a picture, with its `pixels` across and down."""

    name: str
    media_type: str
    content: bytes
    pixels: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class RenderedMessage:
    """A delivery with its rendered bytes, which are also stored as evidence."""

    delivery: Delivery
    content: bytes
    media_type: str
    department: str = ""
