"""Facts about events as Kafka records."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parvis.common.bus.cloudevents import Headers, ReceivedRecord, build_record, encode_event
from parvis.common.bus.dead_letters import MIN_DEAD_LETTERS, WINDOW_RECORDS, DeadLetterLimit, build_dead_letter
from parvis.common.contract.contact import ContactReceived
from parvis.common.contract.errors import Poison
from parvis.common.testing import a_contact

TYPES = (ContactReceived,)


def received(value: bytes, headers: Headers = (("ce_type", b"contact.received"), ("ce_id", b"1"))) -> ReceivedRecord:
    return ReceivedRecord("parvis.contact.received", 3, 7, b"key", value, headers)


def test_an_event_survives_the_journey():
    contact = a_contact(text="Une fuite d’eau rue de l’Église 🚰")
    sent = build_record(
        contact, topic="t", key="k", event_id=contact.contact_id, source="ingest-sms", subject=contact.contact_id
    )

    arrived = received(sent.value, sent.headers)

    assert arrived.event(TYPES) == contact
    assert arrived.event_id == contact.contact_id


def test_a_header_holds_nothing_personal():
    contact = a_contact(text="un secret")
    sent = build_record(contact, topic="t", key="k", event_id=contact.contact_id, source="ingest-sms")

    assert contact.personal.from_ is not None
    for _, value in sent.headers:
        assert contact.personal.from_.value.encode() not in value
        assert b"un secret" not in value


@given(st.binary())
def test_any_bytes_are_an_event_or_poison(value: bytes):
    with pytest.raises(Poison):
        received(value).event(TYPES)


def test_a_deeply_nested_value_is_poison():
    with pytest.raises(Poison):
        received(b'{"personal":' + b"[" * 100_000 + b"]" * 100_000 + b"}").event(TYPES)


@pytest.mark.parametrize(
    "headers", [(), (("ce_type", b"case.updated"),), (("ce_type", b"contact.received"), ("ce_specversion", b"2.0"))]
)
def test_a_type_or_version_not_read_here_is_poison(headers: Headers):
    with pytest.raises(Poison):
        received(encode_event(a_contact()), headers).event(TYPES)


def test_a_later_minor_version_is_read():
    headers = (("ce_type", b"contact.received"), ("ce_specversion", b"1.1"))

    assert received(encode_event(a_contact()), headers).event(TYPES) == a_contact()


def test_poison_does_not_repeat_what_the_citizen_wrote():
    value = encode_event(a_contact(text="mon secret")).replace(b'"channel":"sms"', b'"channel":"MON SECRET"')

    with pytest.raises(Poison) as poison:
        received(value).event(TYPES)

    assert "SECRET" not in str(poison.value)
    assert "channel" in str(poison.value)


def test_poison_does_not_repeat_how_a_program_named_an_answer():
    value = encode_event(a_contact()).replace(b'"answers":{}', b'"answers":{"Camille":1}')

    with pytest.raises(Poison) as poison:
        received(value).event(TYPES)

    assert str(poison.value) == "contact.received does not fit at personal.answers.…: string_type"


def test_a_dead_letter_keeps_key_bytes_and_headers():
    original = received(b"\xff broken")

    letter = build_dead_letter(original, topic="parvis.dead-letter.router", reason="not JSON")

    assert (letter.key, letter.value) == (original.key, original.value)
    assert set(original.headers) < set(letter.headers)
    assert ("parvis_dead_letter_offset", b"7") in letter.headers


def test_a_consumer_stops_at_twenty_dead_letters_in_a_row():
    limit = DeadLetterLimit()
    for _ in range(MIN_DEAD_LETTERS - 1):
        limit.count(dead=True)
    assert not limit.is_reached
    limit.count(dead=True)
    assert limit.is_reached


def test_one_dead_letter_in_fifty_does_not_stop_a_consumer():
    limit = DeadLetterLimit()
    for number in range(3 * WINDOW_RECORDS):
        limit.count(dead=number % 50 == 0)
        assert not limit.is_reached
