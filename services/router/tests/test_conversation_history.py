"""Facts about conversation histories: bounded, in order, without contacts that were split off."""

from uuid import UUID, uuid4

from hypothesis import given
from hypothesis import strategies as st

from parvis.common.contract.contact import ContactId, ConversationId
from parvis.common.contract.routing.conversation_history import History, PastContact, PastTransfer
from parvis.common.contract.routing.split_and_link import ConversationSplit
from parvis.common.testing import AN_INSTANT, a_contact
from parvis.router.decide.conversation_history import (
    MOST_CONTACTS,
    ConversationHistory,
    build_history,
    decode_source,
    encode_source,
)
from parvis.router.models.stored_rows import Conversation, DecisionRow

CONVERSATION = Conversation(uuid4(), "P-0000-0000-0000", "voirie", 1, None, AN_INSTANT, AN_INSTANT)


def a_past(number: int) -> PastContact:
    return PastContact(
        contact_id=ContactId(str(UUID(int=number))), reference="P-0000-0000-0000", sequence=number + 1,
        conversation_id=ConversationId(str(CONVERSATION.id)), department="voirie", rule="conversation",
        reason={"fr": "x" * 100, "en": "y" * 100}, received_at=AN_INSTANT,
    )  # fmt: skip


def test_an_encoded_source_is_decoded_unchanged() -> None:
    contact = a_contact()
    came = decode_source(contact.contact_id, encode_source(contact))
    assert came
    assert (came.channel, came.sender) == (contact.channel, contact.contact_point_hash)
    assert came.original.model_copy(update={"scan": contact.original.scan}) == contact.original


@given(st.text(max_size=60))
def test_a_malformed_source_is_decoded_as_none(line: str) -> None:
    decode_source("x", line)


def test_the_history_of_a_long_conversation_is_bounded_and_counts_the_contacts_left_out() -> None:
    past = ConversationHistory(tuple(a_past(number) for number in range(MOST_CONTACTS + 50)), left_out=7)
    content = past.encode(CONVERSATION)
    history = History.model_validate_json(content)
    assert len(history.contacts) == MOST_CONTACTS
    assert history.left_out == 57
    assert history.contacts[-1].sequence == MOST_CONTACTS + 50
    assert len(content) < 256 * 1024


def test_equal_histories_are_encoded_as_equal_bytes() -> None:
    move = PastTransfer(sequence=2, from_department="voirie", to_department="finances", reason="-", at=AN_INSTANT)
    first, second = (ConversationHistory((a_past(0),), moves=(move,), linked=("P-0000-0000-0000",)) for _ in range(2))
    assert first.encode(CONVERSATION) == second.encode(CONVERSATION)


def test_contacts_that_were_split_off_are_not_in_the_history() -> None:
    contact = a_contact()
    split = ConversationSplit(
        conversation_id=ConversationId(str(CONVERSATION.id)), sequence=2, reference="P-0000-0000-0000", department="voirie",
        contact_ids=(contact.contact_id,), into_conversation=ConversationId("x"), into_reference="P-0000-0000-0000",
        into_department="voirie", reason="-", at=AN_INSTANT,
    )  # fmt: skip
    step = DecisionRow(uuid4(), "split", CONVERSATION.id, 2, False, split.model_dump_json(), AN_INSTANT)
    row = DecisionRow(
        UUID(contact.contact_id), "contact", CONVERSATION.id, 1, True, "{}", AN_INSTANT, encode_source(contact)
    )
    assert build_history([step], [row], [], left_out=0).contacts == ()
