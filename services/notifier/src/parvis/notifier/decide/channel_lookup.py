"""Looks up reply channels in the table of channels: how a reply is sent, and to which kind of address. Pure; no I/O."""

from typing import Literal

from parvis.common.contract.channels import channel, channels

PointKind = Literal["phone", "email", "post"]


def reply_channel_of(name: str) -> str | None:
    """The channel that sends the replies of a channel (SMS for WhatsApp); None if no channel does."""
    reply_channel = channel(name).reply_channel
    return reply_channel if reply_channel and channel(reply_channel).is_sent else None


def contact_point_kind_of(name: str) -> PointKind | None:
    """The kind of address that a channel sends to; None if it is not sent."""
    return channel(name).contact_point_kind if reply_channel_of(name) else None


def needs_consent(name: str) -> bool:
    """Whether a channel needs the citizen's consent: if it, or the channel that carries its messages, is interruptive. A letter needs none."""
    row = channel(name)
    return row.is_interruptive or (row.carried_by is not None and channel(row.carried_by).is_interruptive)


def channels_closed_with(name: str) -> tuple[str, ...]:
    """The channels that a STOP on one channel closes: all interruptive ones to the same kind of address, or else only itself."""
    kind = channel(name).contact_point_kind
    ringing = tuple(row.name for row in channels() if row.is_interruptive and row.contact_point_kind == kind)
    return ringing or (name,)
