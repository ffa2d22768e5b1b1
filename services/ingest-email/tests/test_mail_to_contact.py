"""Tests which contact a mail becomes."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parvis.common.contract.contact import (
    EVENT_LIMIT_BYTES,
    ClaimCheck,
    ContactId,
    ContactReceived,
    ConversationId,
    Verification,
    make_contact_id,
)
from parvis.common.contract.mail_tokens import make_bounce_address, make_message_id
from parvis.common.contract.references import make_reference
from parvis.common.contract.reply import ReplyId
from parvis.common.testing import A_KEY, AN_INSTANT
from parvis.ingest_email.models.parsed_mail import MAX_ATTACHMENTS, MAX_MESSAGE_IDS, ParsedAttachment, ParsedMail
from parvis.ingest_email.parse.bounce.delivery_outcome import build_delivery_report, find_reported_reply
from parvis.ingest_email.parse.mail import parse_mail
from parvis.ingest_email.parse.mail_to_contact import (
    MailDelivery,
    TownMailConfig,
    build_contact,
    truncate_to_json_bytes,
)

SAMPLES = Path(__file__).parents[1] / "samples"
DOMAIN = "example-town.example"
TOWN = f"mairie@{DOMAIN}"
KEYS = TownMailConfig(DOMAIN, A_KEY, A_KEY, frozenset([TOWN]))
REPLY = ReplyId("9c6d1f0e-5a51-5c5e-8d1f-1f0e5a515c5e")
CONVERSATION = ConversationId("0b0f3a52-7c43-5c1e-9b1a-3a527c435c1e")
OURS = make_message_id(REPLY, CONVERSATION, DOMAIN, A_KEY)
MADE = make_contact_id("email", TOWN, "x")
CLAIM = ClaimCheck(blob="x", sha256="0" * 64, size_bytes=1, media_type="message/rfc822")
ARRIVAL = MailDelivery(
    MADE, TOWN, "camille@citizens.example", AN_INSTANT, AN_INSTANT, CLAIM, (), Verification(level="none")
)


def mail_of(name: str) -> ParsedMail:
    content = (SAMPLES / f"{name}.eml").read_bytes()
    address = make_bounce_address(REPLY, DOMAIN, A_KEY).encode()
    return parse_mail(content.replace(b"BOUNCE", address).replace(b"ORIGINAL", OURS.encode()))[0]


def contact(mail: ParsedMail, **changes: Any) -> ContactReceived:
    return build_contact(mail, dataclasses.replace(ARRIVAL, **changes), KEYS)


@pytest.mark.parametrize("reply_to", [TOWN, TOWN.upper(), f"mairie+voirie@{DOMAIN}"])
def test_a_reply_to_of_the_town_leaves_the_answer_with_the_sender(reply_to: str) -> None:
    made = contact(ParsedMail(sender="camille@citizens.example", reply_to=reply_to, text="Un arbre est tombé."))
    assert (made.personal.reply_channels, made.remarks, made.machine) == ((), (), None)
    assert made.personal.from_ is not None
    assert made.personal.from_.value == "camille@citizens.example"


def test_the_source_of_a_mail_is_its_proved_sender_else_its_client() -> None:
    proved = {"sender": Verification(level="domain")}
    camille, cecile = (
        contact(ParsedMail(sender=f"{name}@citizens.example"), **proved) for name in ("camille", "cecile")
    )
    assert camille.sources[0] != cecile.sources[0]
    assert camille.sources[1:] == cecile.sources[1:]
    forged = [contact(ParsedMail(sender=f"{n}@citizens.example"), client="198.51.100.7") for n in range(2)]
    assert forged[0].sources == forged[1].sources
    assert not set(forged[0].sources) & set(contact(ParsedMail(), client="203.0.113.7").sources)
    unnamed = [contact(ParsedMail(sender=f"{n}@citizens.example")) for n in range(2)]
    assert unnamed[0].sources == unnamed[1].sources != ()


def test_a_citizens_mail_is_a_contact() -> None:
    made = contact(mail_of("road-fr"))
    assert (made.channel, made.to, made.language, made.machine) == ("email", TOWN, "fr", None)
    assert made.personal.from_
    assert made.personal.from_.value == "cecile@citizens.example"
    assert made.personal.subject.startswith("Lampadaire")
    assert made.reference == make_reference(MADE)


def test_an_sms_asked_for_in_the_text_is_the_preferred_channel() -> None:
    (asked,) = contact(mail_of("asks-for-sms")).personal.reply_channels
    assert (asked.channel, asked.address) == ("sms", "+33639980012")


def test_reply_to_is_a_preference_when_the_text_states_none() -> None:
    (asked,) = contact(ParsedMail(sender="a@b.example", reply_to="c@d.example")).personal.reply_channels
    assert asked.address == "c@d.example"
    assert contact(ParsedMail(sender="a@b.example", reply_to="A@b.example")).personal.reply_channels == ()


def test_our_signed_token_names_the_conversation() -> None:
    thread = contact(ParsedMail(sender="a@b.example", in_reply_to=("<other@x>", OURS))).thread
    assert thread.conversation_id == CONVERSATION


def test_a_token_that_we_did_not_sign_names_nothing() -> None:
    forged = OURS.replace(str(CONVERSATION), str(REPLY))
    assert contact(ParsedMail(sender="a@b.example", in_reply_to=(forged,))).thread.conversation_id is None


def test_a_reference_quoted_in_the_subject_is_a_mark() -> None:
    quoted = make_reference(MADE)
    assert contact(ParsedMail(sender="a@b.example", subject=f"Re: {quoted.lower()}")).thread.reference == quoted


@pytest.mark.parametrize(
    ("mail", "envelope_sender", "reason"),
    [
        (ParsedMail(sender="a@b.example"), "", "null-sender"),
        (ParsedMail(sender="a@b.example", machine="list"), "a@b.example", "list"),
        (ParsedMail(sender="Mairie@example-town.example"), "x@b.example", "own-address"),
        (ParsedMail(sender="a@b.example"), TOWN, "own-address"),
        (ParsedMail(sender="a@b.example", message_id=OURS), "a@b.example", "own-mail"),
    ],
)
def test_nothing_is_sent_because_of_a_machine_or_of_ourselves(
    mail: ParsedMail, envelope_sender: str, reason: str
) -> None:
    machine = contact(mail, envelope_sender=envelope_sender).machine
    assert machine
    assert machine.reason == reason


def test_without_from_the_envelope_says_who() -> None:
    made = contact(ParsedMail(sender="not an address"))
    assert made.personal.from_
    assert made.personal.from_.value == "camille@citizens.example"


def test_a_mail_from_nobody_has_no_contact_point() -> None:
    made = contact(ParsedMail(), envelope_sender="")
    assert (made.personal.from_, made.contact_point_hash) == (None, None)


@given(st.text(max_size=300).map(lambda text: text * 400), st.lists(st.text(max_size=300), max_size=40))
def test_an_event_stays_within_its_size(text: str, names: list[str]) -> None:
    files = tuple(ParsedAttachment(name=name[:200], media_type="image/png", size_bytes=1) for name in names)
    mail = ParsedMail(
        sender="a@b.example",
        subject=text[:2000],
        text=text,
        attachments=files,
        in_reply_to=("<" + "x" * 250 + ">",) * 20,
    )
    made = contact(mail, attachments=tuple(CLAIM.model_copy(update={"blob": "x" * 101}) for _ in files))
    assert len(made.model_dump_json(exclude_none=True, by_alias=True).encode("utf-8", "replace")) <= EVENT_LIMIT_BYTES
    assert len(made.personal.file_names) == len(files)


@given(st.text(), st.integers(min_value=0, max_value=100))
def test_clipping_keeps_a_beginning(text: str, room: int) -> None:
    assert len(truncate_to_json_bytes(text, room).encode()) <= room or not truncate_to_json_bytes(text, room)


def report(name: str, *, null_sender: bool = True) -> tuple[str, str | None, str] | None:
    found = build_delivery_report(
        mail_of(name), REPLY, ContactId(MADE), null_sender=null_sender, reported_at=AN_INSTANT
    )
    return (found.outcome, found.failure_class, found.detail) if found else None


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("dsn-failed", ("undelivered", "permanent", "5.1.1")),
        ("dsn-full", ("undelivered", "temporary", "5.2.2")),
        ("dsn-delayed", ("accepted", None, "4.4.1")),
        ("dsn-delivered", ("delivered", None, "2.0.0")),
        ("bounce-in-words", ("undelivered", "permanent", "5.1.1")),
        ("away", None),
        ("list", None),
    ],
)
def test_a_report_says_what_became_of_the_reply(name: str, said: tuple[str, str | None, str] | None) -> None:
    assert report(name) == said


def test_a_person_who_writes_to_a_bounce_address_is_a_contact() -> None:
    assert report("road-fr", null_sender=False) is None


def test_a_report_names_its_reply_also_by_what_it_returns() -> None:
    assert find_reported_reply(mail_of("dsn-failed"), DOMAIN, A_KEY) == REPLY
    assert find_reported_reply(mail_of("dsn-failed"), DOMAIN, b"another key of some length") is None
    assert find_reported_reply(mail_of("road-fr"), DOMAIN, A_KEY) is None


def test_quotes_and_signature_are_apart_and_a_reference_in_a_quote_is_a_mark() -> None:
    content = (SAMPLES / "reply-gmail.eml").read_bytes()
    made = contact(parse_mail(content.replace(b"demande est", f"demande {make_reference(MADE)} est".encode()))[0])
    assert made.personal.text.endswith("Camille")
    assert made.personal.signature == "Envoyé de mon iPhone"
    assert made.personal.quoted.startswith("Le lun. 2 nov. 2026")
    assert made.thread.reference == make_reference(MADE)


def test_what_a_file_and_a_mail_are_remarked_for_is_in_the_contact() -> None:
    made = contact(mail_of("two-types"), attachments=(CLAIM,))
    assert made.attachments[0].trouble == "the mail declares two different types for this part"
    assert made.remarks == ("ambiguous-mime",)


@given(st.text(max_size=9), st.sampled_from([0, 1, 9000]), st.text(max_size=9), st.sampled_from([1, 9000]))
def test_text_comes_first_and_quotes_take_the_room_that_is_left(a: str, often: int, b: str, again: int) -> None:
    mail = ParsedMail(text=(a * often)[:200_000], quoted=(b * again)[:200_000])
    made = contact(mail)
    assert len(made.model_dump_json(exclude_none=True, by_alias=True).encode()) <= EVENT_LIMIT_BYTES
    assert made.personal.text == contact(ParsedMail(text=mail.text)).personal.text


def test_a_mail_of_long_ids_and_names_and_signature_is_an_event_too() -> None:
    wide = "\N{GRINNING FACE}"
    mail = ParsedMail(
        sender_name=wide * 400,
        subject=wide * 2000,
        text="Bonjour",
        signature=wide * 2000,
        message_id=f"<{wide * 240}>",
        in_reply_to=tuple(f"<{wide * 240}{n}>" for n in range(MAX_MESSAGE_IDS)),
        attachments=(ParsedAttachment(media_type="application/zip", size_bytes=1, name=wide * 300, trouble="x" * 60),)
        * MAX_ATTACHMENTS,
    )
    claim = CLAIM.model_copy(update={"blob": f"{MADE}/{'0' * 64}"})
    made = contact(mail, attachments=(claim,) * MAX_ATTACHMENTS)
    assert len(made.model_dump_json(exclude_none=True, by_alias=True).encode()) <= EVENT_LIMIT_BYTES
    assert made.personal.text == "Bonjour"


def test_what_has_no_room_at_all_is_empty() -> None:
    assert truncate_to_json_bytes("Bonjour", 0) == truncate_to_json_bytes("Bonjour", -9) == ""
