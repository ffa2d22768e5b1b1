"""A reply and what its citizen wishes in; channel, address, budget and next state out. Pure; no I/O."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from parvis.common import contact
from parvis.common.contact import ClaimCheck, ContactPoint, ReplyAddress, contact_point_hash
from parvis.common.delivery import DeliveryState, FailureClass, delivery_id, outranks
from parvis.common.directory import Directory
from parvis.common.errors import Rejected
from parvis.common.reply import SMS_HELP, PreferenceChanged, ReplyRequested
from parvis.notifier.rules import REPEATABLE, RESENT, Delivery, Limits, Outcome

# Until we can send over WhatsApp, the telephone that it runs on is reached by SMS.
_CHANNEL_OF_CONTACT = {"sms": "sms", "whatsapp": "sms", "email": "email", "post": "post"}
_CHANNEL_OF_KIND = {"phone": "sms", "email": "email", "post": "post"}
_POINT_OF_CHANNEL: Mapping[str, Callable[[str], ContactPoint]] = {
    "sms": contact.phone,
    "whatsapp": contact.phone,
    "email": contact.email,
    "post": contact.post,
}
_MACHINES = frozenset({"mailer-daemon", "postmaster", "bounce", "noreply", "no-reply"})

FIRST_WAIT = timedelta(seconds=5)
LONGEST_WAIT = timedelta(minutes=5)


@dataclass(frozen=True)
class Choice:
    """Where a reply goes, or why it cannot: then a person has to."""

    channel: str
    address: str = ""
    failure_class: FailureClass | None = None
    detail: str = ""


@dataclass(frozen=True)
class Sent:
    """What one address, and one conversation, already got."""

    automatic: int = 0
    answers: int = 0
    same_kind: bool = False  # a registration or a receipt of this conversation that did not fail


@dataclass(frozen=True)
class Next:
    """How a delivery's row goes on after an attempt."""

    state: DeliveryState
    failure_class: FailureClass | None = None
    detail: str = ""
    wait: timedelta = timedelta()


@dataclass(frozen=True)
class Addressing:
    """How replies find their way: our own addresses, where nothing goes, and the key of the pseudonyms."""

    own: frozenset[str]
    key: bytes

    def hash_of(self, point: ContactPoint) -> str:
        return contact_point_hash(point, self.key)

    def choose(self, reply: ReplyRequested, kept: Mapping[str, PreferenceChanged]) -> Choice:
        """The channel and the address of a reply.

        Shape:  kept, the newest preference of each contact point, by its hash.
        Gives:  what the citizen stated with the contact, in order; else the preference that is kept; else the channel
                they wrote on. A channel they opted out of is passed over for what the law owes them, and ends anything
                else. With nowhere to go: channel `phone`, and the failure class that says why.
        """
        opted_out = False
        for wish in self._wishes(reply, kept):
            if wish.channel == "phone":
                return Choice("phone", wish.address, "no-address", "the citizen asks to be called")
            point = point_of(wish)
            if point is None or is_own(point, self.own):
                continue
            channel = _CHANNEL_OF_CONTACT[wish.channel]
            preference = kept.get(self.hash_of(point))
            if preference is None or not {channel, wish.channel} & set(preference.opt_outs):
                return Choice(channel, point.value)
            if not reply.legal:
                return Choice(channel, point.value, "opted-out", "the citizen asked us to stop")
            opted_out = True
        if opted_out:
            return Choice("phone", "", "opted-out", "no other channel than one the citizen left")
        return Choice("phone", "", "no-address", "no address that a reply can be sent to")

    def _wishes(self, reply: ReplyRequested, kept: Mapping[str, PreferenceChanged]) -> Iterator[ReplyAddress]:
        points = reply.personal.contact_points
        yield from reply.personal.stated
        for point in points:
            preference = kept.get(self.hash_of(point))
            yield from preference.personal.reply_channels if preference else ()
        for point in points:
            if reply.channel_of_contact == "phone" and point.kind == "phone":
                yield ReplyAddress(channel="phone", address=point.value)  # a landline takes no SMS: a person calls back
            elif _CHANNEL_OF_CONTACT.get(reply.channel_of_contact) in {None, _CHANNEL_OF_KIND[point.kind]}:
                yield _address_of(point)
        if reply.legal:  # what the law owes goes wherever it can
            yield from map(_address_of, points)

    def plan(self, reply: ReplyRequested, choice: Choice) -> Delivery:
        """The delivery of a reply on the chosen channel, due at its `send_at`."""
        read = _POINT_OF_CHANNEL.get(choice.channel)
        point = read(choice.address) if read and choice.address else None
        return Delivery(
            delivery_id=delivery_id(reply.reply_id, choice.channel),
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
        )


def _address_of(point: ContactPoint) -> ReplyAddress:
    return ReplyAddress.model_validate({"channel": _CHANNEL_OF_KIND[point.kind], "address": point.value})


def point_of(wish: ReplyAddress) -> ContactPoint | None:
    """The contact point of a reply address; none when it is none, or nothing can be sent there."""
    read = _POINT_OF_CHANNEL.get(wish.channel)
    try:
        return read(wish.address) if read else None
    except Rejected:
        return None


def points_of(reply: ReplyRequested) -> list[ContactPoint]:
    """Every contact point whose preference could matter to a reply."""
    stated = (point_of(wish) for wish in reply.personal.stated)
    return list(dict.fromkeys([*reply.personal.contact_points, *filter(None, stated)]))


def preference_now(changes: Sequence[PreferenceChanged]) -> PreferenceChanged:
    """What counts after all that a citizen said about one contact point, oldest first.

    The newest word on opting out; the newest order of channels: who says STOP has not forgotten that they like letters.
    HELP is no word on opting out.
    """
    newest = next((c for c in reversed(changes) if c.source != SMS_HELP), changes[-1])
    ordered = next((c.personal.reply_channels for c in reversed(changes) if c.personal.reply_channels), ())
    return newest.model_copy(update={"personal": newest.personal.model_copy(update={"reply_channels": ordered})})


def own_addresses(directory: Directory) -> frozenset[str]:
    """Our own mailboxes and numbers: what is sent there comes back as a contact (promise 7)."""
    town = directory.town
    of_departments = {value for d in directory.departments.values() for value in (d.email, d.phone)}
    machines = {f"{name}@{town.mail_domain}" for name in _MACHINES}
    return frozenset({town.mailbox, town.sms_number, town.phone} | of_departments | machines)


def is_own(point: ContactPoint, own: frozenset[str]) -> bool:
    local, at, domain = point.value.partition("@")
    return point.value in own or f"{local.partition('+')[0]}{at}{domain}" in own


def refusal(delivery: Delivery, sent: Sent, limits: Limits) -> Next | None:
    """Why a due delivery must not be sent, if it must not: said before it is reserved, under the address's lock."""
    if sent.same_kind and delivery.kind == "receipt":
        return Next("cancelled", detail="another receipt of this conversation was sent before")
    if sent.same_kind and delivery.kind == "registration":
        return Next("failed", "budget", "one registration a conversation")
    if delivery.is_automatic and sent.automatic >= limits.automatic_a_day:
        return Next("failed", "budget", f"{limits.automatic_a_day} automatic messages in 24 hours")
    if not delivery.is_automatic and sent.answers >= limits.answers_a_day:
        return Next("failed", "budget", f"{limits.answers_a_day} answers in 24 hours")
    return None


def after(outcome: Outcome, stands: Delivery, attempt: int, limits: Limits, *, now: datetime, chance: float) -> Next:
    """How a delivery goes on after an attempt.

    Shape:  stands, its row now: a callback, or a second attempt of another process, may have been faster than the answer.
            chance, between 0 and 1, spreads those that wait together.
    """
    as_it_is = Next(stands.state, stands.failure_class, stands.detail)
    if stands.attempt != attempt and outcome.state not in {"accepted", "delivered"}:
        return as_it_is  # what a later attempt brings counts
    if outcome.state != "retry":
        better = outranks(outcome.state, stands.state)
        return Next(outcome.state, outcome.failure_class, outcome.detail) if better else as_it_is
    if stands.state not in {"reserved", "unknown"}:
        return as_it_is
    if stands.first_reserved_at and now - stands.first_reserved_at >= limits.retry_for:
        return Next("failed", outcome.failure_class or "temporary", outcome.detail)
    return Next("planned", outcome.failure_class or "temporary", outcome.detail, back_off(attempt, chance))


def stepped(
    delivery: Delivery,
    to: Next,
    now: datetime,
    *,
    provider: str | None = None,
    provider_id: str | None = None,
    evidence: ClaimCheck | None = None,
    resent_at: datetime | None = None,
) -> Delivery:
    """A delivery in its next state; what is not given stays."""
    return replace(
        delivery,
        state=to.state,
        send_at=now + to.wait if to.state == "planned" else delivery.send_at,
        failure_class=to.failure_class,
        detail=to.detail,
        provider=provider or delivery.provider,
        provider_id=provider_id or delivery.provider_id,
        evidence=evidence or delivery.evidence,
        resent_at=resent_at or delivery.resent_at,
    )


def back_off(attempt: int, chance: float) -> timedelta:
    """5 s doubled at every attempt, at most 5 minutes, less up to half of it by chance."""
    longest = min(FIRST_WAIT * 2 ** min(attempt - 1, 10), LONGEST_WAIT)
    return longest * (1 - chance / 2)


def after_a_lapsed_lease(delivery: Delivery) -> DeliveryState:
    """What a reserved delivery is whose process died: it may have left."""
    return "planned" if delivery.channel in REPEATABLE else "unknown"


def may_resend(delivery: Delivery) -> bool:
    """Whether an unknown delivery is sent a second, last time. An answer is not: its agent is asked."""
    return delivery.kind in RESENT and delivery.resent_at is None
