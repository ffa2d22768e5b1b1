"""A reply in; where a one-time code may go, and how an address is shown to whoever has the link, out. Pure; no I/O."""

from parvis.common.contract.contact import ContactPoint
from parvis.common.contract.reply import ReplyRequested
from parvis.notifier.decide.channel_choice import Addressing, is_own, points_of
from parvis.notifier.decide.preferences import Kept, Standing

_CHANNELS = {"phone": "sms", "email": "email"}
_NOBODY = Standing()


def codes_may_go_to(reply: ReplyRequested, kept: Kept, addressing: Addressing) -> list[tuple[str, ContactPoint]]:
    """The channels and addresses that a code for this reply may go to: those that the reply itself may be sent to.

    Gives: no address where nothing arrives, and no telephone that said STOP: its network would refuse the message.
    """
    ways: list[tuple[str, ContactPoint]] = []
    for point in points_of(reply):
        channel, stands = _CHANNELS.get(point.kind), kept.get(addressing.hash_of(point), _NOBODY)
        is_left = channel == "sms" and "sms" in stands.opt_outs
        if channel and not stands.is_dead and not is_left and not is_own(point, addressing.own):
            ways.append((channel, point))
    return ways


def masked(address: str) -> str:
    """An address that its owner knows again, and nobody else learns: `c•••@citizens.example`, `•• •• •• •• 12`."""
    local, at, domain = address.rpartition("@")
    if at:
        return f"{local[:1]}•••@{domain}"
    return f"•• •• •• •• {address[-2:]}"
