"""Facts about orders as telephones send them, senders without a number, and forms that are no messages."""

import pytest

from parvis.common.contract.contact import ClaimCheck
from parvis.common.contract.errors import Rejected
from parvis.common.testing import A_KEY, AN_INSTANT
from parvis.ingest_sms.parse.keywords import find_keyword
from parvis.ingest_sms.parse.message_to_contact import MessageMetadata, build_contact
from parvis.ingest_sms.parse.webhook_form import InboundMessage, parse_inbound_message, refuse_status_report

CLAIM = ClaimCheck(blob="x", sha256="0" * 64, size_bytes=1, media_type="text/plain")
ACCOUNT, SID = "AC" + "0" * 32, "SM" + "1" * 32


def message(**fields: str) -> InboundMessage:
    form = {"AccountSid": ACCOUNT, "MessageSid": SID, "From": "+33639980041", "To": "+33536490100", **fields}
    return parse_inbound_message(list(form.items()), frozenset({ACCOUNT}))


@pytest.mark.parametrize(
    "body", ["STOP 36184", "Stop au 38200", "stop SMS 36111 merci", "Arrêt\n\nEnvoyé depuis mon mobile", "STOP\nSent from my phone"]
)  # fmt: skip
def test_an_order_with_its_short_number_or_a_telephones_line(body: str) -> None:
    keyword = find_keyword(message(Body=body))
    assert keyword
    assert (keyword.action, keyword.is_contact) == ("stop", False)


@pytest.mark.parametrize(
    "body", ["Dur", "ret", "basta", "alta", "STOP 12 rue Haute", "stop 2026", "Aide 36184", "36184"]
)
def test_an_ordinary_word_or_a_sentence_is_a_contact(body: str) -> None:
    assert find_keyword(message(Body=body)) is None


def test_a_town_chooses_the_languages_of_orders() -> None:
    assert find_keyword(message(Body="Dur"), ("tr",))
    assert find_keyword(message(Body="arrêt"), ("tr",)) is None
    assert find_keyword(message(Body="STOP"), ())


def test_a_sender_on_whatsapp_without_a_number_is_one_person() -> None:
    one, other = (message(From=f"whatsapp:FR.{n}", Body="Bonjour").pseudonymous_point for n in ("91823", "91824"))
    assert one
    assert one != other
    assert message(From="whatsapp:FR.91823", Body="Bonjour").sender is None
    assert message(From="TOWNHALL", Body="Bonjour").pseudonymous_point is None


def test_the_source_of_a_message_is_its_sender() -> None:
    facts = MessageMetadata(CLAIM, AN_INSTANT, AN_INSTANT, A_KEY)
    numbers = ("+33639980041", "+33639980041", "+33639980042", "whatsapp:FR.91823")
    one, again, other, hidden = (build_contact(message(From=n, Body="Bonjour"), facts).sources for n in numbers)
    assert one == again != ()
    assert len({one, other, hidden}) == 3


@pytest.mark.parametrize("fields", [{"MessageStatus": "sent"}, {"SmsStatus": "delivered"}])
def test_a_status_report_is_no_message(fields: dict[str, str]) -> None:
    with pytest.raises(Rejected, match="status report"):
        refuse_status_report(message(**fields))


@pytest.mark.parametrize("fields", [{"B": "odyhi"}, {"Bodyhi": ""}, {"MediaUrl": "0https"}, {"Fro": "m+33639980042"}])
def test_a_signed_form_cut_anew_is_refused(fields: dict[str, str]) -> None:
    with pytest.raises(Rejected, match="unknown"):
        message(**fields)


@pytest.mark.parametrize(
    "fields",
    [{"ApiVersion": "2010-04-01BodyBonjour"}, {"AddOns": '{"status":"successful"}ApiVersion2010-04-01BodyBonjour'}],
)
def test_a_field_that_has_swallowed_the_text_is_refused(fields: dict[str, str]) -> None:
    assert message(ApiVersion="2010-04-01", AddOns='{"status":"successful"}', Body="Bonjour")
    with pytest.raises(Rejected, match="swallowed"):
        message(**fields)


def test_a_text_that_has_swallowed_the_sender_is_refused() -> None:
    form = {"AccountSid": ACCOUNT, "Body": "BonjourFrom+33639980041", "MessageSid": SID, "To": "+33536490100"}
    with pytest.raises(Rejected, match="missing"):
        parse_inbound_message(list(form.items()), frozenset({ACCOUNT}))


def test_a_field_that_twilio_adds_one_day_is_no_trouble() -> None:
    assert message(Body="Bonjour", FromCity="PARIS", MediaUrl0="https://a", ChannelMetadata="{}", NewField="1")
