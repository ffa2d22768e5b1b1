"""A reply and what its citizen wishes in; the channel and the address it takes next out. Pure; no I/O."""

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
from parvis.notifier.decide.preferences import Kept, Standing
from parvis.notifier.models.delivery import POINT_KIND, Delivery

# Until we can send over WhatsApp, the telephone that it runs on is reached by SMS.
_CHANNEL_OF_CONTACT = {"sms": "sms", "whatsapp": "sms", "email": "email", "post": "post", "inbox": "inbox"}
_CHANNEL_OF_KIND = {"phone": "sms", "email": "email", "post": "post"}
_READ: Mapping[str, Callable[[str], ContactPoint]] = {
    "sms": phone_contact_point,
    "whatsapp": phone_contact_point,
    "email": email_contact_point,
    "post": postal_contact_point,
    "inbox": phone_contact_point,  # an SMS says where the reply is kept
}
_MACHINES = frozenset({"mailer-daemon", "postmaster", "bounce", "noreply", "no-reply"})
_NOBODY = Standing()


@dataclass(frozen=True)
class Choice:
    """Where a reply goes, or why it cannot: then a person has to. `why` says what made it pass over what comes before."""

    channel: str
    address: str = ""
    failure_class: FailureClass | None = None
    detail: str = ""
    why: str = ""


@dataclass(frozen=True)
class _Wish:
    """One way to reach a citizen. `is_named`: they said so themselves; else it is merely known."""

    to: ReplyAddress
    is_named: bool


@dataclass(frozen=True)
class Addressing:
    """How replies find their way: our own addresses, where nothing goes, and the key of the pseudonyms."""

    own: frozenset[str]
    key: bytes

    def hash_of(self, point: ContactPoint) -> str:
        return hash_contact_point(point, self.key)

    def choose(self, reply: ReplyRequested, kept: Kept, tried: Collection[str] = ()) -> Choice:
        """The channel and the address of a reply.

        Shape:  kept, what counts for each contact point, by its hash; tried, the channels on which it did not arrive.
        Gives:  the first that was not tried, is open and alive, of: what the citizen stated with the contact, in their
                order; the preference that is kept; the channel they wrote on; any other address of theirs. A channel they
                opted out of is passed over, and for a mere status so is whatever they did not name themselves then.
                With nowhere to go: channel `phone`, which is a task for people, and the failure class that says why.
        """
        passed: list[FailureClass] = []
        for wish in self._wishes(reply, kept):
            if wish.to.channel == "phone":
                return Choice("phone", wish.to.address, "no-address", "the citizen asks to be called", _why(passed))
            point = point_of(wish.to)
            channel = _CHANNEL_OF_CONTACT.get(wish.to.channel, "")
            if point is None or channel in tried or is_own(point, self.own):
                continue
            if _is_unwanted(reply, passed) and not wish.is_named:
                continue
            stands = kept.get(self.hash_of(point), _NOBODY)
            # What an inbox sends is an SMS that says where to read: STOP stops that too.
            if {channel, wish.to.channel, "sms" if channel == "inbox" else channel} & stands.opt_outs:
                passed.append("opted-out")
            elif stands.is_dead:
                passed.append("permanent")
            else:
                return Choice(channel, point.value, why=_why(passed))
        return _nowhere(passed, tried)

    def _wishes(self, reply: ReplyRequested, kept: Kept) -> Iterator[_Wish]:
        points = reply.personal.contact_points
        for wish in reply.personal.stated:
            yield _Wish(wish, is_named=True)
        for point in points:
            for wish in kept.get(self.hash_of(point), _NOBODY).reply_channels:
                yield _Wish(wish, is_named=True)
        for point in points:
            if reply.channel_of_contact == "phone" and point.kind == "phone":
                # A landline takes no SMS: a person calls back.
                yield _Wish(ReplyAddress(channel="phone", address=point.value), is_named=True)
            elif _CHANNEL_OF_CONTACT.get(reply.channel_of_contact) in {None, _CHANNEL_OF_KIND[point.kind]}:
                yield _Wish(_address_of(point), is_named=True)
        for point in points:
            yield _Wish(_address_of(point), is_named=False)

    def plan(self, reply: ReplyRequested, choice: Choice, *, step: int = 1) -> Delivery:
        """The delivery of a reply on the chosen channel, due at its `send_at`."""
        read = _READ.get(choice.channel)
        point = read(choice.address) if read and choice.address else None
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

    def point_at(self, delivery: Delivery) -> ContactPoint | None:
        """The contact point that a delivery goes to."""
        kind = POINT_KIND.get(delivery.channel)
        return ContactPoint.model_validate({"kind": kind, "value": delivery.address}) if kind else None


def or_kept(choice: Choice, delivery: Delivery) -> Choice:
    """The inbox, for what is too long for the only telephone that a citizen gave; before people have to call."""
    if (delivery.channel, delivery.failure_class, choice.channel) != ("sms", "too-long", "phone"):
        return choice
    return Choice("inbox", delivery.address, why="no other address: an SMS says where the answer is kept")


def _is_unwanted(reply: ReplyRequested, passed: Collection[FailureClass]) -> bool:
    return reply.kind == "status" and not reply.legal and "opted-out" in passed


def _why(passed: Collection[FailureClass]) -> str:
    words = {
        "opted-out": "the citizen left the channel before it",
        "permanent": "nothing arrives at the address before it",
    }
    return "; ".join(words[one] for one in dict.fromkeys(passed))


def addressed_like(reply: ReplyRequested, before: ReplyRequested) -> ReplyRequested:
    """The reply, to whom an earlier one of the same citizen went."""
    personal = reply.personal.model_copy(
        update={
            "contact_points": before.personal.contact_points,
            "stated": before.personal.stated,
            "in_reply_to": before.personal.in_reply_to,
        }
    )
    channel = reply.channel_of_contact or before.channel_of_contact
    return reply.model_copy(update={"personal": personal, "channel_of_contact": channel})


def _nowhere(passed: Collection[FailureClass], tried: Collection[str]) -> Choice:
    why = _why(passed)
    if tried:
        return Choice(
            "phone", "", "no-address", f"did not arrive by {', '.join(sorted(tried))}; no other way is known", why
        )
    if "opted-out" in passed:
        return Choice("phone", "", "opted-out", "no other channel than one the citizen left", why)
    if passed:
        return Choice("phone", "", "permanent", "no other address than one where nothing arrives", why)
    return Choice("phone", "", "no-address", "no address that a reply can be sent to")


def _address_of(point: ContactPoint) -> ReplyAddress:
    return ReplyAddress.model_validate({"channel": _CHANNEL_OF_KIND[point.kind], "address": point.value})


def point_of(wish: ReplyAddress) -> ContactPoint | None:
    """The contact point of a reply address; none when it is none, or nothing can be sent there."""
    read = _READ.get(wish.channel)
    try:
        return read(wish.address) if read else None
    except Rejected:
        return None


def points_of(reply: ReplyRequested) -> list[ContactPoint]:
    """Every contact point whose preference could matter to a reply."""
    stated = (point_of(wish) for wish in reply.personal.stated)
    return list(dict.fromkeys([*reply.personal.contact_points, *filter(None, stated)]))


def own_addresses(town_config: TownConfig, *senders: str) -> frozenset[str]:
    """Our own mailboxes and numbers: what is sent there comes back as a contact (promise 7)."""
    town = town_config.town
    of_departments = {value for d in town_config.departments.values() for value in (d.email, d.phone)}
    machines = {f"{name}@{town.mail_domain}" for name in _MACHINES}
    return frozenset({town.mailbox, town.sms_number, town.phone, *senders} | of_departments | machines)


def is_own(point: ContactPoint, own: frozenset[str]) -> bool:
    local, at, domain = point.value.partition("@")
    return point.value in own or f"{local.partition('+')[0]}{at}{domain}" in own
