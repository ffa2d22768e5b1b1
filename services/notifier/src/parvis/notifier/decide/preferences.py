"""Computes the preference in force of a contact point, and derives preferences from failures and complaints. Pure; no I/O."""

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
    PreferenceChanged,
    PreferencePersonalData,
    QuietHours,
)
from parvis.common.contract.reply import ReplyRequested
from parvis.notifier.decide.channel_lookup import channels_closed_with, contact_point_kind_of
from parvis.notifier.models.delivery import Delivery

# Changes of these sources do not state the opt-outs.
_SILENT = frozenset({SMS_HELP, UNDELIVERABLE, REACHED})


@dataclass(frozen=True)
class EffectivePreference:
    """The preference in force for one contact point.

    `is_dead`: nothing can be delivered there any more, by a provider's own report. `is_unreadable`: a stored change cannot be
    read, and no later one states the opt-outs; it may have been a STOP.
    """

    opt_outs: frozenset[str] = frozenset()
    reply_channels: tuple[ReplyAddress, ...] = ()
    language: str | None = None
    quiet_hours: QuietHours | None = None
    large_print: bool | None = None
    is_dead: bool = False
    is_unreadable: bool = False


EffectivePreferences = Mapping[str, EffectivePreference]


def effective_preference(history: Sequence[PreferenceChanged | None]) -> EffectivePreference:
    """The preference in force after all changes of one contact point, given oldest first; None is a change that cannot be read.

    Gives:  for each field the newest change that sets it: a citizen who says STOP may still prefer letters. An address is dead only
            until a newer change: any later one, STOP included, came from there. `is_unreadable` ends with the next readable change
            that states the opt-outs, for it lists all of them.
    """
    newest = [change for change in reversed(history) if change]
    stating = [change for change in newest if change.source not in _SILENT]
    last_stated = history.index(stating[0]) if stating else -1
    return EffectivePreference(
        opt_outs=frozenset(stating[0].opt_outs if stating else ()),
        reply_channels=next((c.personal.reply_channels for c in newest if c.personal.reply_channels), ()),
        language=next((c.language for c in newest if c.language), None),
        quiet_hours=next((c.quiet_hours for c in newest if c.quiet_hours), None),
        large_print=next((c.large_print for c in newest if c.large_print is not None), None),
        is_dead=bool(newest) and newest[0].source == UNDELIVERABLE,
        is_unreadable=None in history[last_stated + 1 :],
    )


def presentation_preference(
    chosen: str, hashes: Sequence[str], preferences: EffectivePreferences
) -> EffectivePreference:
    """The preferred language, quiet hours and type size: those of the address it goes to, else of another address of the citizen.

    Shape:  chosen, the hash of the address; hashes, those of all addresses of the reply.
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
    """The opt-out that follows from a complaint about a delivered message; None for any other report."""
    if report.failure_class != "opted-out" or report.outcome != "delivered":
        return None
    return _preference_changed(
        delivery, preferences, COMPLAINT, closes=(delivery.channel,), detail=report.detail, at=at
    )


def preference_from_failure(
    delivery: Delivery, preferences: EffectivePreferences, at: datetime
) -> PreferenceChanged | None:
    """The preference that follows from a failure: an opt-out at the provider, or a dead address.

    Gives:  None if the failure says nothing about the address: a temporary one, a refusal, or our own fault.
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
    """Mark dead addresses as reachable again, because their citizen has just written from there.

    Gives:  only for registrations, which follow a new contact; an answer may belong to an old one.
    """
    if reply.kind != "registration":
        return []
    return [
        PreferenceChanged(
            contact_point_hash=name,
            source=REACHED,
            detail=f"a contact by {reply.channel_of_contact}",
            changed_at=reply.requested_at,
            personal=PreferencePersonalData(contact_point=point),
        )
        for name, point in hashes.items()
        if name in preferences and preferences[name].is_dead and _proven_kind(reply.channel_of_contact) == point.kind
    ]


def _proven_kind(channel_of_contact: str | None) -> str | None:
    """The kind of address that a contact proves to be the sender's; None for post, since an address on paper proves nothing."""
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
