"""Chooses the channel and address of a reply from the citizen's stated addresses and preferences. Pure; no I/O."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Literal

from parvis.common.contract.channels import channel as channel_row
from parvis.common.contract.contact import ContactPoint, ReplyAddress
from parvis.common.contract.delivery import FailureClass, make_delivery_id
from parvis.common.contract.errors import Rejected
from parvis.common.contract.find_addressee import Addressee, ReplyAddressCandidate, reply_candidates
from parvis.common.contract.normalize_contact_points import hash_contact_point, mailbox_of, parse_contact_point
from parvis.common.contract.reply import ReplyRequested
from parvis.common.text.telephone import DEFAULT_SMS_REGIONS, can_receive_sms, region_of_number
from parvis.common.town.models import TownConfig
from parvis.notifier.decide.channel_lookup import (
    contact_point_kind_of,
    needs_consent,
    reply_channel_of,
)
from parvis.notifier.decide.preferences import EffectivePreference, EffectivePreferences
from parvis.notifier.models.delivery import AUTOMATIC, Delivery

Obstacle = Literal["opted-out", "permanent", "unreadable", "toll"]
_MACHINES = frozenset({"mailer-daemon", "postmaster", "bounce", "noreply", "no-reply"})
_NO_PREFERENCE = EffectivePreference()


@dataclass(frozen=True)
class ChannelChoice:
    """The channel and address of a reply, or the reason why it cannot be sent and becomes a task. `why`: why earlier candidates were skipped."""

    channel: str
    address: str = ""
    failure_class: FailureClass | None = None
    detail: str = ""
    why: str = ""


@dataclass(frozen=True)
class ChannelChooser:
    """Chooses channels. `own`: the town's own addresses, to which nothing is sent. `key`: hashes the addresses. `sms_regions`:
    the countries to whose numbers automatic SMS go.
    """

    own: frozenset[str]
    key: bytes
    sms_regions: frozenset[str] = DEFAULT_SMS_REGIONS

    def hash_of(self, point: ContactPoint) -> str:
        return hash_contact_point(point, self.key)

    def choose(
        self, reply: ReplyRequested, preferences: EffectivePreferences, tried: Collection[str] = ()
    ) -> ChannelChoice:
        """Choose the channel and the address of a reply. A registration goes by letter only to those who wrote by letter or have no other way.

        Shape:  preferences, those in force, by contact point hash; tried, the channels on which it did not arrive.
        Gives:  the first candidate that is neither tried, opted out of nor dead: the channels that the citizen stated with the
                contact, in their order; those of their stored preference; the channel they wrote on; any other address of
                theirs. After an opt-out, information uses only channels that they named themselves.
                With no channel left: `phone`, which is a task for people, with the failure class and its reason.
                A contact point whose preference cannot be read gets no information, and nothing on a channel that needs consent.
        """
        passed: list[Obstacle] = []
        for candidate in self._candidates(reply, preferences):
            to = candidate.to
            if to.channel == "phone":
                return ChannelChoice("phone", to.address, "no-address", "the citizen asks to be called", _why(passed))
            point, channel = contact_point_of(to), reply_channel_of(to.channel)
            if point is None or channel is None or channel in tried or is_own_address(point, self.own):
                continue
            if _is_unwanted(reply, passed) and not candidate.is_named:
                continue
            obstacle = self._find_toll(reply, point) or self.find_obstacle(reply, to.channel, point, preferences)
            if obstacle is None:
                return ChannelChoice(channel, point.value, why=_why(passed))
            passed.append(obstacle)
        return _no_channel_left(passed, tried)

    def _find_toll(self, reply: ReplyRequested, point: ContactPoint) -> Obstacle | None:
        """`toll`, if anybody could make the town pay for a message there: never to other than mobile numbers, and automatically
        only to the countries that the town lists.
        """
        if point.kind != "phone":
            return None
        is_listed = reply.kind not in AUTOMATIC or region_of_number(point.value) in self.sms_regions
        return None if is_listed and can_receive_sms(point.value) else "toll"

    def find_obstacle(
        self, reply: ReplyRequested, name: str, point: ContactPoint, preferences: EffectivePreferences
    ) -> Obstacle | None:
        """The reason why a reply must not go to a contact point on a channel; None if it may."""
        preference = preferences.get(self.hash_of(point), _NO_PREFERENCE)
        channel = reply_channel_of(name) or name
        # An opt-out holds for the channel, and for the one that carries its messages: STOP also stops the SMS of an inbox.
        if {name, channel, channel_row(channel).carried_by} & preference.opt_outs:
            return "opted-out"
        if preference.is_unreadable and (needs_consent(channel) or _is_information(reply)):
            return "unreadable"
        return "permanent" if preference.is_dead else None

    def _candidates(self, reply: ReplyRequested, preferences: EffectivePreferences) -> Iterator[ReplyAddressCandidate]:
        personal = reply.personal
        addressee = Addressee(personal.contact_points, personal.stated, reply.channel_of_contact or "")
        candidates = reply_candidates(
            addressee, lambda point: preferences.get(self.hash_of(point), _NO_PREFERENCE).reply_channels
        )
        wrote_by_letter = _is_letter(addressee.channel)
        return candidates if reply.kind != "registration" or wrote_by_letter else _letters_last(candidates)

    def build_delivery(self, reply: ReplyRequested, choice: ChannelChoice, *, step: int = 1) -> Delivery:
        """Build the delivery of a reply on the chosen channel, due at its `send_at`."""
        kind = contact_point_kind_of(choice.channel)
        point = parse_contact_point(kind, choice.address) if kind and choice.address else None
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
        """The contact point that a delivery is sent to; None if its channel has no addresses."""
        kind = contact_point_kind_of(delivery.channel)
        return ContactPoint.model_validate({"kind": kind, "value": delivery.address}) if kind else None

    def mailbox_hash(self, delivery: Delivery) -> str:
        """The pseudonym of the mailbox for which an automatic mail counts, once however often it is tried; else empty."""
        point = self.contact_point_at(delivery)
        counts = delivery.is_automatic and delivery.first_reserved_at is None and point and point.kind == "email"
        return self.hash_of(mailbox_of(point)) if point and counts else ""


def fall_back_to_inbox(choice: ChannelChoice, delivery: Delivery) -> ChannelChoice:
    """Replace a task for people by the inbox if the reply was only too long for an SMS, and no other address is known."""
    if (delivery.channel, delivery.failure_class, choice.channel) != ("sms", "too-long", "phone"):
        return choice
    return ChannelChoice("inbox", delivery.address, why="no other address: an SMS links to the reply")


def _is_letter(channel: str) -> bool:
    return bool(channel) and channel_row(channel).template_medium == "letter"


def _letters_last(candidates: Iterator[ReplyAddressCandidate]) -> Iterator[ReplyAddressCandidate]:
    """The candidates in their order, but letters, and calls asked for after a letter, behind every other way."""
    last: list[ReplyAddressCandidate] = []
    for candidate in candidates:
        if _is_letter(candidate.to.channel) or (last and candidate.to.channel == "phone"):
            last.append(candidate)
        else:
            yield candidate
    yield from last


def _is_information(reply: ReplyRequested) -> bool:
    """Whether nobody waits for the reply: it answers no request, and no law demands it."""
    return reply.kind == "status" and not reply.legal


def _is_unwanted(reply: ReplyRequested, passed: Collection[Obstacle]) -> bool:
    return _is_information(reply) and not {"opted-out", "unreadable"}.isdisjoint(passed)


def _why(passed: Collection[Obstacle]) -> str:
    explanations = {
        "opted-out": "the citizen left the channel before it",
        "permanent": "nothing arrives at the address before it",
        "toll": "no SMS is sent to the number before it: its kind or country",
        "unreadable": "the stored preference of the address before it cannot be read",
    }
    return "; ".join(explanations[failure] for failure in dict.fromkeys(passed))


def copy_recipient(reply: ReplyRequested, before: ReplyRequested) -> ReplyRequested:
    """Copy the recipient of an earlier reply to the same citizen."""
    personal = reply.personal.model_copy(
        update={
            "contact_points": before.personal.contact_points,
            "stated": before.personal.stated,
            "in_reply_to": before.personal.in_reply_to,
        }
    )
    channel = before.channel_of_contact or reply.channel_of_contact
    return reply.model_copy(update={"personal": personal, "channel_of_contact": channel})


def _no_channel_left(passed: Collection[Obstacle], tried: Collection[str]) -> ChannelChoice:
    why = _why(passed)
    if tried:
        return ChannelChoice(
            "phone", "", "no-address", f"did not arrive by {', '.join(sorted(tried))}; no other way is known", why
        )
    if "opted-out" in passed:
        return ChannelChoice("phone", "", "opted-out", "no other channel than one the citizen left", why)
    if "unreadable" in passed:
        return ChannelChoice("phone", "", "refused", "no other address than one whose preference cannot be read", why)
    if "toll" in passed and "permanent" not in passed:
        return ChannelChoice(
            "phone", "", "refused", "no other address than a number whose kind or country gets no SMS", why
        )
    if passed:
        return ChannelChoice("phone", "", "permanent", "no other address than one where nothing arrives", why)
    return ChannelChoice("phone", "", "no-address", "no address that a reply can be sent to")


def contact_point_of(address: ReplyAddress) -> ContactPoint | None:
    """The contact point of a reply address; None if the address is invalid or its channel is not sent."""
    kind = contact_point_kind_of(address.channel)
    try:
        return parse_contact_point(kind, address.address) if kind else None
    except Rejected:
        return None


def contact_points_of(reply: ReplyRequested) -> list[ContactPoint]:
    """Every contact point whose preference may concern a reply."""
    stated = (contact_point_of(address) for address in reply.personal.stated)
    return list(dict.fromkeys([*reply.personal.contact_points, *filter(None, stated)]))


def own_addresses(town_config: TownConfig, *senders: str) -> frozenset[str]:
    """Our own mailboxes and numbers: a message sent there would come back as a contact, in a loop."""
    machines = (f"{name}@{town_config.town.mail_domain}" for name in _MACHINES)
    return town_config.own_addresses.union(senders, machines)


def is_own_address(point: ContactPoint, own: frozenset[str]) -> bool:
    local, at, domain = point.value.partition("@")
    return point.value in own or f"{local.partition('+')[0]}{at}{domain}" in own
