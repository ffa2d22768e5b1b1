"""Chooses the channel and the address of a reply, from what its citizen stated and prefers. Pure; no I/O."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass

from parvis.common.contract.contact import ContactPoint, ReplyAddress
from parvis.common.contract.contact_points import (
    email_contact_point,
    hash_contact_point,
    phone_contact_point,
    postal_contact_point,
)
from parvis.common.contract.delivery import FailureClass, make_delivery_id
from parvis.common.contract.errors import Rejected
from parvis.common.contract.reply import ReplyRequested
from parvis.common.town.models import TownConfig
from parvis.notifier.decide.preferences import EffectivePreference, EffectivePreferences
from parvis.notifier.decide.reply_channels import contact_point_kind_of, default_channel_of, reply_channel_of
from parvis.notifier.models.delivery import Delivery

_PARSERS: Mapping[str, Callable[[str], ContactPoint]] = {
    "phone": phone_contact_point,
    "email": email_contact_point,
    "post": postal_contact_point,
}
_MACHINES = frozenset({"mailer-daemon", "postmaster", "bounce", "noreply", "no-reply"})
_NO_PREFERENCE = EffectivePreference()


@dataclass(frozen=True)
class ChannelChoice:
    """Where a reply goes, or why it cannot be sent: then a person has to act. `why` explains why earlier candidates were passed over."""

    channel: str
    address: str = ""
    failure_class: FailureClass | None = None
    detail: str = ""
    why: str = ""


@dataclass(frozen=True)
class _Candidate:
    """One way to reach a citizen. `is_named`: they named it themselves; else it is merely known."""

    to: ReplyAddress
    is_named: bool


@dataclass(frozen=True)
class ChannelChooser:
    """Chooses channels. Shape: own, our own addresses, to which nothing is sent; key, that of the pseudonyms."""

    own: frozenset[str]
    key: bytes

    def hash_of(self, point: ContactPoint) -> str:
        return hash_contact_point(point, self.key)

    def choose(
        self, reply: ReplyRequested, preferences: EffectivePreferences, tried: Collection[str] = ()
    ) -> ChannelChoice:
        """The channel and the address of a reply.

        Shape:  preferences, those in force, by the hash of the contact point; tried, the channels on which it did not arrive.
        Gives:  the first that was not tried, is not opted out of and not dead, of: the channels that the citizen stated with
                the contact, in their order; those of their stored preference; the channel they wrote on; any other address
                of theirs. After an opt-out a mere status uses only channels that they named themselves.
                With no channel left: `phone`, which is a task for people, and the failure class that says why.
        """
        passed: list[FailureClass] = []
        for candidate in self._candidates(reply, preferences):
            to = candidate.to
            if to.channel == "phone":
                return ChannelChoice("phone", to.address, "no-address", "the citizen asks to be called", _why(passed))
            point, channel = contact_point_of(to), reply_channel_of(to.channel)
            if point is None or channel is None or channel in tried or is_own_address(point, self.own):
                continue
            if _is_unwanted(reply, passed) and not candidate.is_named:
                continue
            preference = preferences.get(self.hash_of(point), _NO_PREFERENCE)
            # What an inbox sends is an SMS that says where to read: STOP stops that too.
            if {channel, to.channel, "sms" if channel == "inbox" else channel} & preference.opt_outs:
                passed.append("opted-out")
            elif preference.is_dead:
                passed.append("permanent")
            else:
                return ChannelChoice(channel, point.value, why=_why(passed))
        return _no_channel_left(passed, tried)

    def _candidates(self, reply: ReplyRequested, preferences: EffectivePreferences) -> Iterator[_Candidate]:
        points = reply.personal.contact_points
        for address in reply.personal.stated:
            yield _Candidate(address, is_named=True)
        for point in points:
            for address in preferences.get(self.hash_of(point), _NO_PREFERENCE).reply_channels:
                yield _Candidate(address, is_named=True)
        for point in points:
            if reply.channel_of_contact == "phone" and point.kind == "phone":
                # A landline takes no SMS: a person calls back.
                yield _Candidate(ReplyAddress(channel="phone", address=point.value), is_named=True)
            elif reply_channel_of(reply.channel_of_contact or "") in {None, default_channel_of(point.kind)}:
                yield _Candidate(_address_of(point), is_named=True)
        for point in points:
            yield _Candidate(_address_of(point), is_named=False)

    def plan(self, reply: ReplyRequested, choice: ChannelChoice, *, step: int = 1) -> Delivery:
        """The delivery of a reply on the chosen channel, due at its `send_at`."""
        kind = contact_point_kind_of(choice.channel)
        point = _PARSERS[kind](choice.address) if kind and choice.address else None
        return Delivery(
            delivery_id=make_delivery_id(reply.reply_id, choice.channel),
            reply_id=reply.reply_id,
            conversation_id=reply.conversation_id,
            reference=reply.reference,
            kind=reply.kind,
            channel=choice.channel,
            address=choice.address,
            address_hash=self.hash_of(point) if point else "",
            state="failed" if choice.failure_class else "planned",
            attempt=0,
            send_at=reply.send_at,
            failure_class=choice.failure_class,
            detail=choice.detail,
            step=step,
            why=choice.why,
        )

    def contact_point_at(self, delivery: Delivery) -> ContactPoint | None:
        """The contact point that a delivery goes to."""
        kind = contact_point_kind_of(delivery.channel)
        return ContactPoint.model_validate({"kind": kind, "value": delivery.address}) if kind else None


def fall_back_to_inbox(choice: ChannelChoice, delivery: Delivery) -> ChannelChoice:
    """The inbox, for a reply that is too long for the only telephone that a citizen gave; before people have to call."""
    if (delivery.channel, delivery.failure_class, choice.channel) != ("sms", "too-long", "phone"):
        return choice
    return ChannelChoice("inbox", delivery.address, why="no other address: an SMS says where the answer is kept")


def _is_unwanted(reply: ReplyRequested, passed: Collection[FailureClass]) -> bool:
    return reply.kind == "status" and not reply.legal and "opted-out" in passed


def _why(passed: Collection[FailureClass]) -> str:
    explanations = {
        "opted-out": "the citizen left the channel before it",
        "permanent": "nothing arrives at the address before it",
    }
    return "; ".join(explanations[failure] for failure in dict.fromkeys(passed))


def copy_recipient(reply: ReplyRequested, before: ReplyRequested) -> ReplyRequested:
    """Copies the recipient of an earlier reply to the same citizen."""
    personal = reply.personal.model_copy(
        update={
            "contact_points": before.personal.contact_points,
            "stated": before.personal.stated,
            "in_reply_to": before.personal.in_reply_to,
        }
    )
    channel = reply.channel_of_contact or before.channel_of_contact
    return reply.model_copy(update={"personal": personal, "channel_of_contact": channel})


def _no_channel_left(passed: Collection[FailureClass], tried: Collection[str]) -> ChannelChoice:
    why = _why(passed)
    if tried:
        return ChannelChoice(
            "phone", "", "no-address", f"did not arrive by {', '.join(sorted(tried))}; no other way is known", why
        )
    if "opted-out" in passed:
        return ChannelChoice("phone", "", "opted-out", "no other channel than one the citizen left", why)
    if passed:
        return ChannelChoice("phone", "", "permanent", "no other address than one where nothing arrives", why)
    return ChannelChoice("phone", "", "no-address", "no address that a reply can be sent to")


def _address_of(point: ContactPoint) -> ReplyAddress:
    return ReplyAddress.model_validate({"channel": default_channel_of(point.kind), "address": point.value})


def contact_point_of(address: ReplyAddress) -> ContactPoint | None:
    """The contact point of a reply address; None when it cannot be read, or when we cannot send there."""
    kind = contact_point_kind_of(address.channel)
    try:
        return _PARSERS[kind](address.address) if kind else None
    except Rejected:
        return None


def contact_points_of(reply: ReplyRequested) -> list[ContactPoint]:
    """Every contact point whose preference could matter to a reply."""
    stated = (contact_point_of(address) for address in reply.personal.stated)
    return list(dict.fromkeys([*reply.personal.contact_points, *filter(None, stated)]))


def own_addresses(town_config: TownConfig, *senders: str) -> frozenset[str]:
    """Our own mailboxes and numbers: a message sent there would come back as a contact, for ever."""
    town = town_config.town
    of_departments = {value for d in town_config.departments.values() for value in (d.email, d.phone)}
    machines = {f"{name}@{town.mail_domain}" for name in _MACHINES}
    return frozenset({town.mailbox, town.sms_number, town.phone, *senders} | of_departments | machines)


def is_own_address(point: ContactPoint, own: frozenset[str]) -> bool:
    local, at, domain = point.value.partition("@")
    return point.value in own or f"{local.partition('+')[0]}{at}{domain}" in own
