"""All that was said about a contact point in, what counts now out; a provider's word in, what the town keeps of it out. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from parvis.common.contract.contact import ContactPoint, ReplyAddress
from parvis.common.contract.delivery import DeliveryReported
from parvis.common.contract.preference import (
    COMPLAINT,
    PROVIDER_STOP,
    REACHED,
    SMS_HELP,
    UNDELIVERABLE,
    PersonalPreference,
    PreferenceChanged,
    QuietHours,
)
from parvis.common.contract.reply import ReplyRequested
from parvis.notifier.models.delivery import POINT_KIND, Delivery

# No word on opting out: who asks for help, and what we learn of an address.
_SILENT = frozenset({SMS_HELP, UNDELIVERABLE, REACHED})
# Numbers and addresses that people give us by writing from them; what is typed into a form or read off paper proves nothing.
_WRITTEN_FROM = {"sms": "phone", "whatsapp": "phone", "phone": "phone", "email": "email"}


@dataclass(frozen=True)
class Standing:
    """What counts now for one contact point. `is_dead`: providers say for good that nothing arrives there."""

    opt_outs: frozenset[str] = frozenset()
    reply_channels: tuple[ReplyAddress, ...] = ()
    language: str | None = None
    quiet_hours: QuietHours | None = None
    large_print: bool | None = None
    is_dead: bool = False


Kept = Mapping[str, Standing]


def standing(changes: Sequence[PreferenceChanged]) -> Standing:
    """What counts after all that was said about one contact point, oldest first.

    Gives:  of each thing the newest word that says anything about it: who says STOP has not forgotten that they like
            letters. An address is dead only while nothing newer came: any later word, STOP included, came from somewhere.
    """
    newest = list(reversed(changes))
    return Standing(
        opt_outs=frozenset(next((c.opt_outs for c in newest if c.source not in _SILENT), ())),
        reply_channels=next((c.personal.reply_channels for c in newest if c.personal.reply_channels), ()),
        language=next((c.language for c in newest if c.language), None),
        quiet_hours=next((c.quiet_hours for c in newest if c.quiet_hours), None),
        large_print=next((c.large_print for c in newest if c.large_print is not None), None),
        is_dead=bool(newest) and newest[0].source == UNDELIVERABLE,
    )


def wishes_for(chosen: str, hashes: Sequence[str], kept: Kept) -> Standing:
    """How a reply is to be: what was said of the address it goes to, else of another one that the same citizen gave.

    Shape:  chosen, the hash of that address; hashes, those of all addresses of the reply.
    """
    known = [kept[name] for name in dict.fromkeys((chosen, *hashes)) if name in kept]
    return Standing(
        language=next((s.language for s in known if s.language), None),
        quiet_hours=next((s.quiet_hours for s in known if s.quiet_hours), None),
        large_print=next((s.large_print for s in known if s.large_print is not None), None),
    )


def learnt_from(report: DeliveryReported, delivery: Delivery, kept: Kept, at: datetime) -> PreferenceChanged | None:
    """What a complaint says, whatever became of the delivery: delivered, and nobody wants more of it."""
    if report.failure_class != "opted-out" or report.outcome != "delivered":
        return None
    return _said(delivery, kept, COMPLAINT, closes=(delivery.channel,), detail=report.detail, at=at)


def learnt_by_sending(stands: Delivery, kept: Kept, at: datetime) -> PreferenceChanged | None:
    """What the town keeps of a failure: the provider's own list of who said STOP, an address where nothing arrives.

    Gives:  none for what is refused, passes, or is our own fault: it says nothing about the address.
    """
    if stands.state not in {"failed", "undelivered"} or not stands.address_hash or not stands.attempt:
        return None
    if stands.failure_class == "opted-out":
        closes = ("sms", "whatsapp") if POINT_KIND.get(stands.channel) == "phone" else (stands.channel,)
        return _said(stands, kept, PROVIDER_STOP, closes=closes, detail=stands.detail, at=at)
    if stands.failure_class == "permanent":
        return _said(stands, kept, UNDELIVERABLE, closes=(), detail=stands.detail, at=at)
    return None


def learnt_by_reading(reply: ReplyRequested, hashes: Mapping[str, ContactPoint], kept: Kept) -> list[PreferenceChanged]:
    """The way back of an address that was given up: its citizen has just written from it.

    Gives:  only for registrations, which are asked for when a contact comes; an answer may be about an old one.
    """
    if reply.kind != "registration":
        return []
    return [
        PreferenceChanged(
            contact_point_hash=name,
            source=REACHED,
            detail=f"a contact by {reply.channel_of_contact}",
            changed_at=reply.requested_at,
            personal=PersonalPreference(contact_point=point),
        )
        for name, point in hashes.items()
        if name in kept and kept[name].is_dead and _WRITTEN_FROM.get(reply.channel_of_contact) == point.kind
    ]


def _said(
    delivery: Delivery, kept: Kept, source: str, *, closes: Sequence[str], detail: str, at: datetime
) -> PreferenceChanged:
    before = kept.get(delivery.address_hash, Standing()).opt_outs
    point = {"kind": POINT_KIND[delivery.channel], "value": delivery.address}
    return PreferenceChanged.model_validate(
        {
            "contact_point_hash": delivery.address_hash,
            "opt_outs": sorted(before | set(closes)),
            "source": source,
            "evidence": delivery.evidence,
            "detail": f"delivery {delivery.delivery_id}: {detail}"[:200],
            "changed_at": at,
            "personal": {"contact_point": point},
        }
    )
