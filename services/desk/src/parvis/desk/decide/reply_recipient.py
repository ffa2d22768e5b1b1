"""Finds the channel, address and language of a reply from the contacts of a case. Pure; no I/O."""

from collections.abc import Sequence

from parvis.common.contract.addressee import Addressee, find_addressee, reply_candidates
from parvis.common.contract.routing.decisions import OTHER_PERSON
from parvis.common.town.models import TownConfig
from parvis.desk.models.case import CaseContact, ReplyRecipient


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


def find_recipient(contacts: Sequence[CaseContact]) -> ReplyRecipient:
    """The first address for a reply, by the same order as the notifier's.

    A preference stored by the notifier may still change it; the desk does not know those.
    """
    addressee = find_case_addressee(contacts)
    for candidate in reply_candidates(addressee):
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
