"""Facts about webhook forms, contacts and status callbacks."""

from pathlib import Path
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parvis.common.contract.contact import ClaimCheck, ContactReceived, make_contact_id
from parvis.common.contract.errors import Rejected
from parvis.common.contract.references import make_reference
from parvis.common.testing import A_KEY, AN_INSTANT
from parvis.ingest_sms.parse.message_to_contact import MessageMetadata, build_contact
from parvis.ingest_sms.parse.status_callback import parse_status_callback
from parvis.ingest_sms.parse.webhook_form import InboundMessage, parse_form_fields, parse_inbound_message

ACCOUNT = "AC" + "0123456789abcdef" * 2
SAMPLES = Path(__file__).parents[1] / "samples"
REPLY = "9c6d1f0e-5a51-5c5e-8d1f-1f0e5a515c5e"
A_FORM = {"AccountSid": ACCOUNT, "MessageSid": "SM" + "0" * 32, "To": "+33536490100", "From": "+33639980001"}


def told_by(body: bytes) -> InboundMessage:
    return parse_inbound_message(parse_form_fields(body), frozenset([ACCOUNT]))


def contact_of(body: bytes) -> ContactReceived:
    original = ClaimCheck(blob="x", sha256="0" * 64, size_bytes=len(body), media_type="text/plain")
    message = told_by(body)
    facts = MessageMetadata(original=original, received_at=AN_INSTANT, recorded_at=AN_INSTANT, hashing_key=A_KEY)
    return build_contact(message, facts)


def sample(name: str) -> bytes:
    return (SAMPLES / f"{name}.form").read_bytes()


def test_an_sms_is_a_contact_from_a_number() -> None:
    contact = contact_of(sample("road-fr"))
    assert contact.channel == "sms"
    assert contact.to == "+33536490100"
    assert contact.personal.from_
    assert contact.personal.from_.value == "+33639980001"
    assert contact.personal.text.startswith("Bonjour, le lampadaire")
    assert (contact.language, contact.sender.level, contact.unreadable, contact.machine) == (
        "fr",
        "provider",
        None,
        None,
    )
    assert contact.contact_id == make_contact_id("sms", "+33536490100", "SM" + "01" * 16)


def test_the_text_is_unchanged() -> None:
    assert contact_of(sample("emoji-and-spaces")).personal.text == "  Merci 👍🏽  à + demain & bon courage=100%  "


def test_english_is_distinguished_from_french() -> None:
    assert contact_of(sample("road-en")).language == "en"


def test_a_quoted_reference_is_a_thread_reference() -> None:
    quoted = make_reference(make_contact_id("sms", "+33536490100", "SM" + "01" * 16))
    assert contact_of(sample("quotes-reference")).thread.reference == quoted


def test_a_stated_preference_is_kept_with_its_address() -> None:
    (channels,) = contact_of(sample("wants-mail")).personal.reply_channels
    assert (channels.channel, channels.address) == ("email", "camille@citizens.example")


def test_whatsapp_is_its_own_channel_from_the_same_number() -> None:
    contact = contact_of(sample("whatsapp"))
    assert (contact.channel, contact.to) == ("whatsapp", "+33536490100")
    assert contact.personal.from_
    assert contact.personal.from_.value == "+33639980002"
    assert contact.personal.display_name == "Camille Exemple"


@pytest.mark.parametrize(("name", "shown"), [("short-code", "36105"), ("name-in-letters", "LaPoste")])
def test_a_sender_without_a_number_has_no_contact_point(name: str, shown: str) -> None:
    contact = contact_of(sample(name))
    assert contact.personal.from_ is None
    assert contact.contact_point_hash is None
    assert contact.personal.display_name == shown
    assert contact.unreadable == "the sender's number cannot be read"


def test_a_message_has_its_files_in_order() -> None:
    message = told_by(sample("mms"))
    assert [(file.url.rpartition("/")[2], file.declared_type) for file in message.media] == [("ME01", "image/jpeg")]
    assert contact_of(sample("mms")).personal.text == "Voici le trou dans la chaussée"


def test_counted_files_without_a_url_make_the_contact_unreadable() -> None:
    form = A_FORM | {"NumMedia": "2", "MediaUrl0": "https://api.twilio.com/x", "Body": "Voici"}
    assert contact_of(urlencode(form).encode()).unreadable == "has pictures or files for which Twilio gives no URL"


def test_a_blank_message_is_a_contact() -> None:
    assert contact_of(sample("blank")).unreadable == "the message is empty"


@pytest.mark.parametrize("missing", ["AccountSid", "MessageSid"])
def test_a_form_without_a_required_field_is_rejected(missing: str) -> None:
    form = {name: value for name, value in A_FORM.items() if name != missing}
    with pytest.raises(Rejected):
        told_by(urlencode(form).encode())


@pytest.mark.parametrize(
    "form",
    [
        A_FORM | {"AccountSid": "AC" + "f" * 32},
        A_FORM | {"MessageSid": "SM123"},
        A_FORM | {"MessageSid": A_FORM["MessageSid"] + "\n"},
        A_FORM | {"Bo dy": "x"},
        A_FORM | {"": "x"},
    ],
)
def test_a_form_of_another_shape_is_rejected(form: dict[str, str]) -> None:
    with pytest.raises(Rejected):
        told_by(urlencode(form).encode())


def test_a_required_field_that_occurs_twice_is_rejected() -> None:
    with pytest.raises(Rejected):
        told_by(urlencode(A_FORM).encode() + b"&MessageSid=SM" + b"1" * 32)


@given(st.dictionaries(st.from_regex(r"[A-Za-z]{1,12}", fullmatch=True), st.text(), max_size=8), st.text(), st.text())
def test_any_signed_message_is_a_contact(more: dict[str, str], body: str, sender: str) -> None:
    form = more | A_FORM | {"Body": body, "From": sender}
    contact = contact_of(urlencode({k: v.encode("utf-8", "replace") for k, v in form.items()}).encode())
    assert contact.contact_id == make_contact_id("sms", A_FORM["To"], A_FORM["MessageSid"])
    ContactReceived.model_validate_json(contact.model_dump_json(by_alias=True))


@given(st.binary())
def test_any_bytes_are_a_form_or_rejected(body: bytes) -> None:
    try:
        told_by(body)
    except Rejected:
        return
    contact_of(body)


@pytest.mark.parametrize(
    ("name", "outcome", "failure"),
    [
        ("status-sent", "accepted", None),
        ("status-delivered", "delivered", None),
        ("status-undelivered", "undelivered", "permanent"),
    ],
)
def test_a_status_becomes_a_delivery_outcome(name: str, outcome: str, failure: str | None) -> None:
    report = parse_status_callback(told_by(sample(name)), reply_id=REPLY, reported_at=AN_INSTANT)
    assert (report.outcome, report.failure_class, report.provider_id) == (outcome, failure, "SM" + "0b" * 16)


@pytest.mark.parametrize(("reply", "status"), [("", "sent"), ("../../etc", "sent"), (REPLY, "received"), (REPLY, "")])
def test_a_status_without_a_reply_or_a_known_value_is_rejected(reply: str, status: str) -> None:
    callback = told_by(urlencode(A_FORM | {"MessageStatus": status}).encode())
    with pytest.raises(Rejected):
        parse_status_callback(callback, reply_id=reply, reported_at=AN_INSTANT)


def test_a_status_in_capitals_is_the_same() -> None:
    callback = told_by(urlencode(A_FORM | {"MessageStatus": "DELIVERED"}).encode())
    assert parse_status_callback(callback, reply_id=REPLY, reported_at=AN_INSTANT).outcome == "delivered"


@pytest.mark.parametrize(
    ("code", "failure"),
    [
        ("21610", "opted-out"),
        ("30003", "unreachable"),
        ("30005", "permanent"),
        ("30007", "refused"),
        ("99999", "temporary"),
    ],
)
def test_an_error_code_has_a_failure_class(code: str, failure: str) -> None:
    form = A_FORM | {"MessageStatus": "undelivered", "ErrorCode": code}
    assert (
        parse_status_callback(told_by(urlencode(form).encode()), reply_id=REPLY, reported_at=AN_INSTANT).failure_class
        == failure
    )


def test_read_over_whatsapp_is_delivered() -> None:
    form = A_FORM | {"MessageStatus": "read", "To": "whatsapp:+33639980002"}
    report = parse_status_callback(told_by(urlencode(form).encode()), reply_id=REPLY, reported_at=AN_INSTANT)
    assert (report.outcome, report.channel) == ("delivered", "whatsapp")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"Latitude": "48.1", "Longitude": "2.2", "Address": "3 rue du Port"}, ["48.1, 2.2", "3 rue du Port"]),
        ({"InteractiveData": '{"flow_token": "x", "screen": {"place": "3 rue du Port"}}'}, ["place : 3 rue du Port"]),
        ({"InteractiveData": "not json"}, ["not json"]),
        ({"ButtonText": "Oui"}, ["Oui"]),
    ],
)
def test_a_message_without_a_body_has_the_words_of_its_other_fields(fields: dict[str, str], words: list[str]) -> None:
    contact = contact_of(urlencode({**A_FORM, "Body": "", **fields}).encode())
    assert all(word in contact.personal.text for word in words)
    assert "flow_token" not in contact.personal.text
    assert contact.unreadable is None


def test_a_message_of_an_unknown_kind_is_unreadable() -> None:
    contact = contact_of(urlencode({**A_FORM, "Body": "", "MessageType": "contacts"}).encode())
    assert contact.unreadable == "has no text that can be read (kind: contacts)"
