"""Tests that an empty Message-ID or subject never joins two people's mails, nor two mails of one person."""

import pytest
from services.router.tests.test_conversation_assignment import ConversationWorkingSet, assign, mailed


@pytest.mark.parametrize("empty", ["", "<>", " "])
def test_mails_with_an_empty_message_id_are_not_swallowed_into_one_case(empty: str) -> None:
    known = ConversationWorkingSet()
    first = assign(known, mailed("1", empty, empty))
    same_sender = assign(known, mailed("2", empty, empty))
    other = assign(known, mailed("3", "<3@citizens.example>", empty, sender="v1.b"))

    assert len({first.conversation_id, same_sender.conversation_id, other.conversation_id}) == 3
