"""Facts about who is answered in a conversation of several people, and where."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from parvis.common.contract.contact import (
    ContactPersonalData,
    ContactPoint,
    ContactReceived,
    ConversationIdentifiers,
    ReplyAddress,
    Verification,
)
from parvis.common.contract.find_addressee import (
    KNOWN_CASE,
    MOST_ADDRESSES,
    OTHER_REPLY_TO,
    find_addressee,
    reply_candidates,
)
from parvis.common.testing import a_contact

OPENER, STRANGER, THIRD = "ines@people.example", "other@evil.example", "third@people.example"
TOKEN = "018f0000-0000-7000-8000-000000000000"


def mail(
    key: str, sender: str, *wishes: str, level: str = "none", token: str | None = None, **changes: Any
) -> ContactReceived:
    personal = ContactPersonalData.model_validate(
        {
            "from": ContactPoint(kind="email", value=sender),
            "reply_channels": [ReplyAddress(channel="email", address=wish) for wish in wishes],
        }
    )
    values: dict[str, Any] = {
        "channel": "email",
        "personal": personal,
        "sender": Verification.model_validate({"level": level}),
        "thread": ConversationIdentifiers(conversation_id=token),
    }
    return a_contact(key=key, **(values | changes))


def reached(*contacts: ContactReceived, confirmed: tuple[str, ...] = ()) -> list[str]:
    return list(dict.fromkeys(c.to.address for c in reply_candidates(find_addressee(contacts, confirmed))))


def test_a_new_address_counts_only_with_proof() -> None:
    opening = mail("1", OPENER)
    forged = mail("2", OPENER, STRANGER)
    assert reached(opening, forged) == [OPENER]
    assert [wish.to.address for wish in find_addressee((opening, forged)).unconfirmed] == [STRANGER]
    assert reached(opening, forged, confirmed=(forged.contact_id,)) == [STRANGER, OPENER]
    for proven in (mail("3", OPENER, THIRD, level="domain"), mail("4", OPENER, THIRD, token=TOKEN)):
        assert reached(opening, proven) == [THIRD, OPENER]
    assert reached(opening, mail("5", STRANGER, THIRD, token=TOKEN, level="domain")) == [OPENER]
    assert reached(opening, mail("6", STRANGER, THIRD, level="staff", remarks=(KNOWN_CASE,)))[0] == THIRD
    unknown = mail("7", STRANGER, THIRD, level="staff")  # written down by somebody who may not read the case
    assert reached(opening, unknown) == [OPENER]
    assert [wish.to.address for wish in find_addressee((opening, unknown)).unconfirmed] == [THIRD]


def test_after_an_anonymous_beginning_the_first_who_can_be_answered_is() -> None:
    letter = a_contact(key="0", channel="post", personal=ContactPersonalData(), contact_point_hash=None)
    assert reached(letter) == []
    assert reached(letter, mail("1", OPENER), mail("2", STRANGER)) == [OPENER]


def test_a_website_is_never_answered_for_whom_it_writes() -> None:
    form = mail("1", "site@forms.example", OPENER, level="domain", remarks=(OTHER_REPLY_TO,))
    assert reached(form) == [OPENER]


def test_an_unproved_reply_to_is_answered_only_after_an_agent_confirmed_it() -> None:
    """Who forges From would else read what an agent writes to the person whose name it is."""
    forged = mail("1", OPENER, STRANGER, remarks=(OTHER_REPLY_TO,))
    assert reached(forged) == []
    assert [(w.contact_id, w.to.address) for w in find_addressee([forged]).unconfirmed] == [
        (forged.contact_id, STRANGER)
    ]
    own = mail("2", STRANGER, STRANGER, level="domain", token=TOKEN)  # who reads there is not yet who wrote
    assert reached(forged, own) == []
    assert reached(forged, confirmed=(forged.contact_id,)) == [STRANGER]
    assert reached(forged, mail("3", THIRD, level="staff", remarks=(KNOWN_CASE,))) == [THIRD]


def test_a_visit_written_down_in_a_mails_conversation_does_not_vouch_for_the_number_that_the_mail_names() -> None:
    """Who writes in somebody's name and gives their own number would else read what that person is told after a visit."""
    forged, visit = mail("1", OPENER, STRANGER), mail("2", THIRD, level="staff", remarks=(KNOWN_CASE,))
    assert reached(forged)[0] == STRANGER  # alone it holds nothing that its writer does not know
    assert reached(forged, visit) == [OPENER, THIRD]
    assert [wish.to.address for wish in find_addressee((forged, visit)).unconfirmed] == [STRANGER]
    assert reached(forged, visit, confirmed=(forged.contact_id,))[0] == STRANGER
    assert reached(mail("1", OPENER, STRANGER, level="domain"), visit)[0] == STRANGER


def test_however_many_addresses_are_named_few_are_kept() -> None:
    later = [mail(str(number), OPENER, f"{number}@x.example") for number in range(2, 400)]
    addressee = find_addressee([mail("1", OPENER), *later])
    assert (addressee.stated, len(addressee.contact_points)) == ((), 1)
    assert len(addressee.unconfirmed) == MOST_ADDRESSES


people = st.sampled_from([OPENER, STRANGER, THIRD])
levels = st.sampled_from(["none", "domain"])
messages = st.lists(st.tuples(people, st.lists(people, max_size=2), levels, st.booleans()), max_size=12)


@given(messages, st.sampled_from([None, OPENER, STRANGER]), levels)
def test_nobody_else_than_the_addressee_is_ever_reached(
    said: list[tuple[str, list[str], str, bool]], reply_to: str | None, level_of_first: str
) -> None:
    """Whoever joins, whatever they ask for: only the opener, and what the opener asked for with proof, is reached."""
    later = [
        mail(str(n), sender, *wishes, level=level, token=TOKEN if has_token else None)
        for n, (sender, wishes, level, has_token) in enumerate(said, start=2)
    ]
    has_other = reply_to not in (None, OPENER)
    opening = mail(
        "1", OPENER, *([reply_to] if reply_to else []), level=level_of_first, remarks=(OTHER_REPLY_TO,) * has_other
    )
    allowed = ({str(reply_to)} if level_of_first == "domain" else set[str]()) if has_other else {OPENER}
    agreed = set(allowed)
    for sender, wishes, level, has_token in said:
        if sender in agreed and (level == "domain" or has_token):
            allowed |= set(wishes)
    assert set(reached(opening, *later)) <= allowed
