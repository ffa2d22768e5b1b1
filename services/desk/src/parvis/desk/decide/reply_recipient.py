"""Finds the channel, address and language of a reply from the contacts of a case. Pure; no I/O."""

from collections.abc import Collection, Sequence

from parvis.common.contract.contact import ReplyAddress
from parvis.common.contract.find_addressee import Addressee, find_addressee, own_contact_points, reply_candidates
from parvis.common.contract.routing.decisions import OTHER_PERSON
from parvis.common.town.models import TownConfig
from parvis.desk.models.case import CaseContact, CaseFile, DeliveryStatus, ReplyRecipient

# The other classes say something about the message, not about the address.
_DEAD = frozenset({"permanent", "unreachable", "opted-out", None})


def find_case_addressee(contacts: Sequence[CaseContact]) -> Addressee:
    """Who is answered in a case: whoever opened it, and where, with the wishes that agents confirmed."""
    # A damaged first row must not make somebody who joined later the addressee.
    first = next((opened for opened in contacts if not is_other_person(opened)), None)
    ordered = [first, *(opened for opened in contacts if opened is not first)] if first else contacts
    confirmed = {opened.contact.contact_id for opened in contacts if opened.is_confirmed}
    return find_addressee([opened.contact for opened in ordered], confirmed)


def is_other_person(opened: CaseContact) -> bool:
    """Whether somebody else than the conversation's participants wrote it, with our token."""
    return OTHER_PERSON in opened.routing.matched


def find_dead_addresses(file: CaseFile) -> tuple[ReplyAddress, ...]:
    """The addresses at which something of this case did not arrive and will not, unless the citizen has written from there since."""
    sent_to = {reply.reply_id: ReplyAddress(channel=reply.channel, address=reply.address) for reply in file.replies}
    usual = {
        candidate.to.channel: candidate.to
        for candidate in reversed([*reply_candidates(find_case_addressee(file.contacts))])
    }
    dead: dict[ReplyAddress, None] = {}
    for delivery in file.deliveries:
        to = sent_to.get(delivery.reply_id)
        to = to if to and to.channel == delivery.channel else usual.get(delivery.channel)
        if to and _is_dead(delivery) and not _has_written_since(to, delivery, file.contacts):
            dead[to] = None
    return tuple(dead)


def _is_dead(delivery: DeliveryStatus) -> bool:
    return delivery.state in ("failed", "undelivered") and delivery.failure_class in _DEAD


def _has_written_since(to: ReplyAddress, delivery: DeliveryStatus, contacts: Sequence[CaseContact]) -> bool:
    return any(
        point.value == to.address and opened.contact.received_at > delivery.at
        for opened in contacts
        if opened.contact.sender.dmarc != "fail"
        for point in own_contact_points(opened.contact)
    )


def find_recipient(contacts: Sequence[CaseContact], dead: Collection[ReplyAddress] = ()) -> ReplyRecipient:
    """The first address for a reply that is not dead, by the same order as the notifier's.

    A preference stored by the notifier may still change it; the desk does not know those.
    """
    addressee = find_case_addressee(contacts)
    for candidate in reply_candidates(addressee):
        if candidate.to in dead:
            continue
        source = "stated" if candidate.to in addressee.stated else "contact"
        return ReplyRecipient(candidate.to.channel, candidate.to.address, source)
    return ReplyRecipient("", "", "unknown")


def latest_message_id(contacts: Sequence[CaseContact]) -> str | None:
    """The Message-ID of the latest mail, for In-Reply-To."""
    return next((o.contact.thread.message_id for o in reversed(contacts) if o.contact.thread.message_id), None)


def reply_language(contacts: Sequence[CaseContact], town_config: TownConfig) -> str:
    """The language of the reply template: the citizen's, if the town supports it."""
    language = next((o.contact.language for o in reversed(contacts) if o.contact.language), None)
    return town_config.town.supported_language(language)
