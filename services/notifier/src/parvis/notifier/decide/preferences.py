"""Folds the preferences of a contact point into the one in force, and derives preferences from failures and complaints. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from parvis.common.contract.channels import channel
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
from parvis.notifier.decide.reply_channels import channels_closed_with, contact_point_kind_of
from parvis.notifier.models.delivery import Delivery

# These sources say nothing about opting out.
_SILENT = frozenset({SMS_HELP, UNDELIVERABLE, REACHED})


@dataclass(frozen=True)
class EffectivePreference:
    """The preference in force for one contact point. `is_dead`: providers say for good that nothing arrives there."""

    opt_outs: frozenset[str] = frozenset()
    reply_channels: tuple[ReplyAddress, ...] = ()
    language: str | None = None
    quiet_hours: QuietHours | None = None
    large_print: bool | None = None
    is_dead: bool = False


EffectivePreferences = Mapping[str, EffectivePreference]


def effective_preference(changes: Sequence[PreferenceChanged]) -> EffectivePreference:
    """The preference in force after all changes of one contact point, given oldest first.

    Gives:  of each member the newest change that sets it: a citizen who says STOP may still like letters. An address is dead only while nothing newer came: any later change, STOP included, came from there.
    """
    newest = list(reversed(changes))
    return EffectivePreference(
        opt_outs=frozenset(next((c.opt_outs for c in newest if c.source not in _SILENT), ())),
        reply_channels=next((c.personal.reply_channels for c in newest if c.personal.reply_channels), ()),
        language=next((c.language for c in newest if c.language), None),
        quiet_hours=next((c.quiet_hours for c in newest if c.quiet_hours), None),
        large_print=next((c.large_print for c in newest if c.large_print is not None), None),
        is_dead=bool(newest) and newest[0].source == UNDELIVERABLE,
    )


def presentation_preference(
    chosen: str, hashes: Sequence[str], preferences: EffectivePreferences
) -> EffectivePreference:
    """How a reply is presented: as preferred for the address it goes to, else for another one that the same citizen gave.

    Shape:  chosen, the hash of that address; hashes, those of all addresses of the reply.
    """
    known = [preferences[name] for name in dict.fromkeys((chosen, *hashes)) if name in preferences]
    return EffectivePreference(
        language=next((s.language for s in known if s.language), None),
        quiet_hours=next((s.quiet_hours for s in known if s.quiet_hours), None),
        large_print=next((s.large_print for s in known if s.large_print is not None), None),
    )


def preference_from_complaint(
    report: DeliveryReported, delivery: Delivery, preferences: EffectivePreferences, at: datetime
) -> PreferenceChanged | None:
    """The opt-out that a complaint means: it was delivered, and its recipient wants no more of it. None for any other report."""
    if report.failure_class != "opted-out" or report.outcome != "delivered":
        return None
    return _preference_changed(
        delivery, preferences, COMPLAINT, closes=(delivery.channel,), detail=report.detail, at=at
    )


def preference_from_failure(
    delivery: Delivery, preferences: EffectivePreferences, at: datetime
) -> PreferenceChanged | None:
    """The preference that a failure means: an opt-out at the provider, or an address where nothing arrives.

    Gives:  None for a failure that passes, is a refusal or our own fault: it says nothing about the address.
    """
    if delivery.state not in {"failed", "undelivered"} or not delivery.address_hash or not delivery.attempt:
        return None
    if delivery.failure_class == "opted-out":
        closes = channels_closed_with(delivery.channel)
        return _preference_changed(delivery, preferences, PROVIDER_STOP, closes=closes, detail=delivery.detail, at=at)
    if delivery.failure_class == "permanent":
        return _preference_changed(delivery, preferences, UNDELIVERABLE, closes=(), detail=delivery.detail, at=at)
    return None


def preferences_from_contact(
    reply: ReplyRequested, hashes: Mapping[str, ContactPoint], preferences: EffectivePreferences
) -> list[PreferenceChanged]:
    """Revives addresses that were given up: their citizen has just written from there.

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
        if name in preferences and preferences[name].is_dead and _proven_kind(reply.channel_of_contact) == point.kind
    ]


def _proven_kind(channel_of_contact: str | None) -> str | None:
    """The kind of address that people prove to be theirs by writing from it; an address read off paper proves nothing."""
    kind = channel(channel_of_contact or "").contact_point_kind
    return None if kind == "post" else kind


def _preference_changed(
    delivery: Delivery,
    preferences: EffectivePreferences,
    source: str,
    *,
    closes: Sequence[str],
    detail: str,
    at: datetime,
) -> PreferenceChanged:
    before = preferences.get(delivery.address_hash, EffectivePreference()).opt_outs
    point = {"kind": contact_point_kind_of(delivery.channel), "value": delivery.address}
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
