"""Facts about contacts that say nothing but thanks: they join the conversation, reopen nothing, and cause no notice."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parvis.common.contract.contact import Attachment, ContactId, ContactReceived, MachineSent, Verification
from parvis.common.contract.references import make_reference
from parvis.common.contract.routing.decisions import make_conversation_id
from parvis.common.testing import AN_INSTANT
from parvis.router.decide.conversation_working_set import ConversationWorkingSet
from parvis.router.decide.thanks import is_only_thanks, says_only_thanks

from .conftest import Town
from .makers import a_case, sms
from .test_other_persons import assign, close, mailed, with_token

THANKS = "Merci beaucoup !!"


@pytest.mark.parametrize(
    "text",
    [
        THANKS, "merci", "MERCI BEAUCOUP", "Merciiii 🙏🏽", "Ok merci, bonne journée.", "Un grand merci à toute l’équipe 😊",
        "Bonjour, merci pour votre réponse rapide.\nCordialement,\nInès Martin", "C'est parfait, merci et bon week-end :)",
        "Merci Madame Durand", "Je vous remercie pour votre aide. Bien à vous", f"Merci. {make_reference(ContactId('1'))}", "Mille mercis ❤️",
        "Thanks a lot!", "Thank you so much for your help, have a nice day", "Many thanks. Kind regards, John Smith",
        "Merci à toute l'équipe de la mairie", "Merci de votre aide", "Merci, c’est réparé 👍", "Cheers", "D'accord merci, bonne fin de journée",
        "That's great, thanks again", "Mercı", "Merci à vous, je vous souhaite une très bonne soirée",
    ],
)  # fmt: skip
def test_thanks_are_recognised(text: str) -> None:
    assert says_only_thanks(text)


@pytest.mark.parametrize(
    "text",
    [
        "", "Bonjour", "ok", "👍", "Merci ?", "Merci d’avance", "Merci de me rappeler", "Merci de votre retour", "Non merci",
        "Merci d'une réponse rapide", "Merci mais le trou est toujours là", "Merci. Et la poubelle ?", "Merci pour rien",
        "Oui merci", "Merci :(", "Merci 😡", "Merci, quand passe le camion", "Merci. Il y a encore du bruit", "merci pas de réponse",
        "Merci de bien vouloir répondre", "Merci. Appelez le 06 39 98 00 01", "Merci beaucoup\nVoisin bruyant la nuit",
        "Merci répare", "merci fait le", "Merci STOP", "Thank you for nothing", "Merci pour le rendez-vous du 3", "no thanks",
        "Thanks in advance", "Thanks but no", "Thank you to have it done quickly", "Thank you for calling me back", "Thanks, when will it be done", "please, thanks",
        "Merci " * 200,
    ],
)  # fmt: skip
def test_a_question_a_request_or_a_new_matter_is_no_mere_thanks(text: str) -> None:
    assert not says_only_thanks(text)


def test_a_writer_may_sign_with_their_name() -> None:
    assert says_only_thanks("Merci beaucoup. inès", "Inès Martin")
    assert not says_only_thanks("Merci beaucoup. Incendie", "Inès Martin")


@given(st.text(max_size=500))
def test_no_text_raises(text: str) -> None:
    assert says_only_thanks(text) in (True, False)


def sms_of(text: str, *, days: float = 0, key: int = 9, **changes: Any) -> ContactReceived:
    return sms(key, text, received_at=AN_INSTANT + timedelta(days=days), **changes)


def test_what_else_comes_with_thanks_is_looked_at_by_a_person() -> None:
    contact = sms_of(THANKS)
    photo = Attachment(blob="b", sha256="0" * 64, size_bytes=1, media_type="image/jpeg")
    letter = contact.personal.model_copy(update={"quoted": "Voici la lettre de mon voisin."})
    for changes in (
        {"attachments": (photo,)}, {"machine": MachineSent(reason="auto-submitted")}, {"unreadable": "no text"},
        {"personal": contact.personal.model_copy(update={"answers": {"need": "x"}})}, {"personal": letter},
        {"personal": contact.personal.model_copy(update={"subject": "Lampadaire éteint"})},
        {"sender": Verification(level="none", dmarc="fail")},
    ):  # fmt: skip
        assert not is_only_thanks(contact.model_copy(update=changes)), changes
    assert is_only_thanks(mailed("1", subject="Re: Lampadaire éteint", text=THANKS))
    assert is_only_thanks(mailed("1", subject="Merci", text=""))


def closed(known: ConversationWorkingSet, **changes: Any) -> tuple[str, UUID]:
    first = assign(known, sms(1, "un nid de poule", **changes))
    close(known, first, days=1)
    id_ = UUID(first.conversation_id)
    known.recent["v1.one"][id_].active_at = AN_INSTANT + timedelta(days=1)
    return first.conversation_id, id_


@pytest.mark.parametrize(("days", "joins"), [(2, True), (14.9, True), (15.5, False)])
def test_thanks_join_the_closed_conversation_for_fourteen_days(days: float, joins: bool) -> None:
    known = ConversationWorkingSet()
    conversation, id_ = closed(known)
    thanked = assign(known, sms_of(THANKS, days=days))
    assert (thanked.conversation_id == conversation, thanked.only_thanks) == (joins, True if joins else None)
    assert known.conversations[id_].closed_at is not None


def test_thanks_are_never_asked_which_conversation_they_are_for() -> None:
    known = ConversationWorkingSet()
    assign(known, sms(1, "un nid de poule"))
    second = assign(known, sms(2, "Nouvelle demande : mes encombrants"))
    assert assign(known, sms_of(THANKS, days=1)).conversation_id == second.conversation_id


def test_thanks_with_our_token_reopen_nothing_and_those_of_another_person_do() -> None:
    known = ConversationWorkingSet()
    first = assign(known, mailed("1"))
    close(known, first, days=0)
    own = assign(known, with_token(mailed("2", text=THANKS), first.conversation_id))
    assert (own.conversation_id, own.only_thanks) == (first.conversation_id, True)
    id_ = UUID(first.conversation_id)
    assert known.conversations[id_].closed_at is not None
    other = assign(known, with_token(mailed("3", sender="v1.b", text=THANKS), first.conversation_id))
    assert (other.only_thanks, known.conversations[id_].closed_at) == (None, None)


def test_a_danger_beats_thanks() -> None:
    known = ConversationWorkingSet()
    conversation, _ = closed(known)
    contact = sms_of(THANKS, days=2)
    gas = contact.personal.model_copy(update={"signature": "Odeur de gaz dans l'escalier"})
    urgent = assign(known, contact.model_copy(update={"personal": gas}))
    assert (urgent.urgency, urgent.only_thanks) == ("immediate", None)
    assert urgent.conversation_id != conversation


async def test_thanks_cause_no_notice_and_no_second_conversation(town: Town) -> None:
    first = sms(1, "un nid de poule")
    await town.route(first)
    await town.route(a_case(first, "closed", department="voirie", hours=24))
    notices = len(await town.replies())
    await town.route(sms_of(THANKS, days=10))
    stored = await town.rows("select id::text, sequence, closed_at from router.conversation")
    assert [(row.id, row.sequence) for row in stored] == [
        (make_conversation_id(first.contact_id, first.received_at), 2)
    ]
    assert (stored[0].closed_at is not None, len(await town.replies())) == (True, notices)
