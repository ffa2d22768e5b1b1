"""Answers questions about reply channels from the table of channels: by which a reply is sent, and to what kind of address. Pure."""

from typing import Literal

from parvis.common.contract.channels import channel, channels

PointKind = Literal["phone", "email", "post"]


def reply_channel_of(name: str) -> str | None:
    """The channel on which a reply for a channel is sent (WhatsApp's by SMS); None when none of ours can send it."""
    reply_channel = channel(name).reply_channel
    return reply_channel if reply_channel and channel(reply_channel).is_sent else None


def contact_point_kind_of(name: str) -> PointKind | None:
    """The kind of address that a reply on a channel is sent to; None when we do not send there."""
    return channel(name).contact_point_kind if reply_channel_of(name) else None


def default_channel_of(kind: str) -> str:
    """The channel on which an address of a kind is reached when nothing else is known: the first in the table."""
    return next(row.name for row in channels() if row.is_sent and row.contact_point_kind == kind)


def channels_closed_with(name: str) -> tuple[str, ...]:
    """The channels that a STOP on one channel closes: all that make the same telephone or mailbox ring, else itself."""
    kind = channel(name).contact_point_kind
    ringing = tuple(row.name for row in channels() if row.is_interruptive and row.contact_point_kind == kind)
    return ringing or (name,)
