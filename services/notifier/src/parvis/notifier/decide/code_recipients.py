"""Lists the addresses that may get a one-time code, and masks them for display. Pure; no I/O."""

from parvis.common.contract.channels import channel_for_contact_point
from parvis.common.contract.contact import ContactPoint
from parvis.common.contract.reply import ReplyRequested
from parvis.notifier.decide.channel_choice import ChannelChooser, contact_points_of, is_own_address
from parvis.notifier.decide.preferences import EffectivePreference, EffectivePreferences

_NO_PREFERENCE = EffectivePreference()


def code_recipients(
    reply: ReplyRequested, preferences: EffectivePreferences, chooser: ChannelChooser
) -> list[tuple[str, ContactPoint]]:
    """The channels and addresses that may get a code for this reply: those that the reply itself may be sent to.

    Gives: no postal address, no address where nothing arrives, and no telephone that said STOP, or may have: its network would
           refuse the message.
    """
    recipients: list[tuple[str, ContactPoint]] = []
    for point in contact_points_of(reply):
        channel = channel_for_contact_point(point.kind)
        if channel is None:
            continue
        preference = preferences.get(chooser.hash_of(point), _NO_PREFERENCE)
        has_stopped = point.kind == "phone" and (channel.name in preference.opt_outs or preference.is_unreadable)
        if (
            point.kind != "post"
            and not preference.is_dead
            and not has_stopped
            and not is_own_address(point, chooser.own)
        ):
            recipients.append((channel.name, point))
    return recipients


def mask_address(address: str) -> str:
    """Mask an address so that only its owner recognises it: `c•••@citizens.example`, `•• •• •• •• 12`."""
    local, at, domain = address.rpartition("@")
    if at:
        return f"{local[:1]}•••@{domain}"
    return f"•• •• •• •• {address[-2:]}"
