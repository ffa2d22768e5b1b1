"""Tests which conversation a mail joins, and to which mails nothing may be sent."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parvis.common.contract.contact import ClaimCheck, ContactReceived, ConversationId, Verification, make_contact_id
from parvis.common.contract.delivery import DeliveryReported
from parvis.common.contract.mail_tokens import make_message_id
from parvis.common.contract.reply import ReplyId
from parvis.common.testing import A_KEY, AN_INSTANT
from parvis.ingest_email.models.parsed_mail import ParsedMail
from parvis.ingest_email.parse.bounce.delivery_outcome import build_delivery_report, find_reported_reply
from parvis.ingest_email.parse.machine_sent import find_machine_reason
from parvis.ingest_email.parse.mail import parse_mail
from parvis.ingest_email.parse.mail_to_contact import MailDelivery, TownMailConfig, build_contact
from parvis.ingest_email.parse.mime.headers import parse_headers

PACKAGE = Path(__file__).parents[1] / "src"
MACHINES = Path(__file__).parents[1] / "samples" / "machine"
DOMAIN = "example-town.example"
TOWN, ROADS = f"mairie@{DOMAIN}", f"voirie@{DOMAIN}"
KEYS = TownMailConfig(DOMAIN, A_KEY, A_KEY, frozenset([TOWN, ROADS]))
REPLY = ReplyId("9c6d1f0e-5a51-5c5e-8d1f-1f0e5a515c5e")
CONVERSATION = ConversationId("0b0f3a52-7c43-5c1e-9b1a-3a527c435c1e")
OURS = make_message_id(REPLY, CONVERSATION, DOMAIN, A_KEY)
MADE = make_contact_id("email", TOWN, "x")
CLAIM = ClaimCheck(blob="x", sha256="0" * 64, size_bytes=1, media_type="message/rfc822")
ARRIVAL = MailDelivery(
    MADE, TOWN, "camille@citizens.example", AN_INSTANT, AN_INSTANT, CLAIM, (), Verification(level="none")
)


def contact(content: str | bytes, **changes: Any) -> ContactReceived:
    mail, _ = parse_mail(content.encode() if isinstance(content, str) else content)
    return build_contact(mail, dataclasses.replace(ARRIVAL, **changes), KEYS)


@pytest.mark.parametrize(
    "marks",
    [
        f"In-Reply-To: {OURS}",
        f"References: <a@x.example>\n\t{OURS} <b@x.example>",
        f"In-Reply-To: <other@x.example> {OURS}",
    ],
)
def test_our_signed_message_id_is_the_thread(marks: str) -> None:
    thread = contact(f"From: camille@citizens.example\n{marks}\n\nOui.\n").thread
    assert thread.conversation_id == CONVERSATION


def test_other_marks_are_handed_on_and_prove_nothing() -> None:
    made = contact(
        "From: camille@citizens.example\nMessage-ID: <m@x.example>\nIn-Reply-To: <p@x.example>\nReferences: <g@x.example> <p@x.example>\n\nOui.\n"
    )
    assert made.thread.conversation_id is None
    assert made.thread.message_id == "<m@x.example>"
    assert made.thread.in_reply_to == ("<p@x.example>", "<g@x.example>")


def test_a_thread_token_in_the_text_or_of_another_domain_is_none() -> None:
    assert contact(f"From: camille@citizens.example\n\n{OURS}\n").thread.conversation_id is None
    elsewhere = make_message_id(REPLY, CONVERSATION, "other-town.example", A_KEY)
    assert contact(f"From: camille@citizens.example\nIn-Reply-To: {elsewhere}\n\nOui.\n").thread.conversation_id is None


def test_who_writes_in_an_agents_name_is_a_machine_and_no_agent() -> None:
    """CVE-2026-47123: a forged From of the staff and a known Message-ID had the mail sent on to the citizen."""
    forged = Verification(level="none", dmarc="fail")
    made = contact(f"From: Voirie <{ROADS}>\nIn-Reply-To: {OURS}\n\nPayez ici.\n", sender=forged)
    assert made.machine
    assert made.machine.reason == "own-address"
    assert "dmarc-failed" in made.remarks
    assert (made.channel, made.sender.level) == ("email", "none")


def test_the_mail_door_cannot_ask_for_a_reply() -> None:
    """Agents act on the desk only: nothing here knows the request that sends."""
    sources = [file.read_text() for file in PACKAGE.rglob("*.py")]
    assert len(sources) > 10
    assert not [source for source in sources if "ReplyRequested" in source or "REPLY_REQUESTED" in source]


@pytest.mark.parametrize(
    ("sender", "envelope", "reason"),
    [
        (f"mairie+suivi@{DOMAIN}", "x@y.example", "own-address"),
        ("a@b.example", f"bounce+{REPLY}.token@{DOMAIN}", "own-address"),
        ("a@b.example", "MAILER-DAEMON@b.example", "robot-address"),
        ("a@b.example", "", "null-sender"),
        ("a@b.example", "not-said", None),
    ],
)
def test_envelopes_that_nothing_is_sent_for(sender: str, envelope: str, reason: str | None) -> None:
    machine = contact(f"From: {sender}\n\nBonjour\n", envelope_sender=envelope).machine
    assert (machine.reason if machine else None) == reason


def said(name: str, *, null_sender: bool) -> tuple[str, str | None, str] | None:
    mail, _ = parse_mail((MACHINES / f"{name}.eml").read_bytes().replace(b"ORIGINAL", OURS.encode()))
    assert name == "notice" or find_reported_reply(mail, DOMAIN, A_KEY) == REPLY
    found: DeliveryReported | None = build_delivery_report(
        mail, REPLY, MADE, null_sender=null_sender, reported_at=AN_INSTANT
    )
    return (found.outcome, found.failure_class, found.detail) if found else None


@pytest.mark.parametrize(
    ("name", "null_sender", "expected"),
    [
        ("exim", True, ("undelivered", "permanent", "5.1.1")),
        ("qmail", True, ("undelivered", "temporary", "5.2.2")),
        ("status-two", True, ("undelivered", "refused", "5.7.1")),
        ("expired", True, ("undelivered", "unreachable", "")),
        ("blocked", True, ("undelivered", "refused", "5.7.1")),
        ("delayed-words", True, ("accepted", None, "4.4.1")),
        ("complaint", False, ("delivered", "opted-out", "complaint abuse")),
        ("read", False, ("delivered", None, "disposition displayed")),
        ("notice", False, ("undelivered", "permanent", "5.1.1")),
    ],
)
def test_what_becomes_of_the_reply(name: str, null_sender: bool, expected: tuple[str, str | None, str]) -> None:
    assert said(name, null_sender=null_sender) == expected


def test_a_citizens_words_about_a_bounce_are_no_report() -> None:
    mail, _ = parse_mail((MACHINES.parent / "forwarded-bounce.eml").read_bytes())
    assert build_delivery_report(mail, REPLY, MADE, null_sender=False, reported_at=AN_INSTANT) is None


_ASCII = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=80)


@given(st.lists(st.tuples(st.sampled_from(["Subject", "From", "To", "X-Loop", "Precedence", "Date"]), _ASCII)), _ASCII)
def test_what_says_that_a_machine_wrote_it_is_always_a_machine(others: list[tuple[str, str]], body: str) -> None:
    head = "".join(f"{name}: {value}\n" for name, value in others)
    for mark in (
        "Auto-Submitted: auto-replied",
        "Auto-submitted:auto-generated; x=y",
        "AUTO-SUBMITTED: (no) auto-notified",
    ):
        assert contact(f"{head}{mark}\n\n{body}").machine
        assert contact(f"Auto-Submitted: no\n{mark}\n{head}\n{body}").machine
    assert contact(f"{head}\n{body}", envelope_sender="").machine


@given(st.binary(max_size=2000))
def test_recognising_never_raises(content: bytes) -> None:
    find_machine_reason(parse_headers(content))
    assert contact(content, envelope_sender="").machine


@given(st.text(max_size=300))
def test_own_words_never_make_a_mail_of_ours(text: str) -> None:
    assert (
        find_reported_reply(ParsedMail(sender="a@b.example", subject=text, text=text, message_id=text), DOMAIN, A_KEY)
        is None
    )


def test_who_wrote_in_a_form_of_a_site_is_a_person() -> None:
    for writer in (TOWN, "no-reply@site.example"):
        made = contact(f"From: {writer}\nReply-To: Lou <lou@citizens.example>\n\nUn arbre est tombé.\n")
        assert made.machine is None
        assert made.personal.from_
        assert made.personal.from_.value == "lou@citizens.example"
        assert (made.sender.level, made.personal.reply_channels) == ("none", ())


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        (f"From: {TOWN}\nReply-To: voirie@{DOMAIN}", "own-address"),
        (f"From: {TOWN}\nReply-To: lou@x.example\nIn-Reply-To: {OURS}", "own-address"),
        ("From: no-reply@shop.example\nReply-To: help@shop.example", "robot-address"),
        ("From: no-reply@shop.example\nReply-To: lou@x.example\nList-Id: <news>", "list"),
        ("From: no-reply@shop.example\nReply-To: lou@x.example\nAuto-Submitted: auto-replied", "auto-replied"),
    ],
)
def test_what_is_no_form_stays_a_machine(head: str, reason: str) -> None:
    made = contact(f"{head}\n\nBonjour\n")
    assert made.machine
    assert made.machine.reason == reason


def test_a_forged_form_of_our_own_is_none() -> None:
    forged = Verification(level="none", dmarc="fail")
    made = contact(f"From: {TOWN}\nReply-To: lou@x.example\n\nBonjour\n", sender=forged)
    assert made.machine
    assert made.thread.conversation_id != CONVERSATION


@pytest.mark.parametrize(
    "bare", [OURS.strip("<>"), f"{OURS.strip('<>')} x@y.example", f"Votre message du 3 mai {OURS.strip('<>')}"]
)
def test_our_id_without_its_brackets_is_known(bare: str) -> None:
    mail = f"From: camille@citizens.example\nIn-Reply-To: {bare}\n\nMerci"
    assert contact(mail).thread.conversation_id == CONVERSATION


def test_two_senders_that_differ_are_nobody() -> None:
    head = "From: camille@citizens.example\nFrom: Bruno <bruno@citizens.example>\n\nBonjour"
    assert contact(head).personal.from_ is None
    twice = contact("From: Camille <camille@citizens.example>\nFrom: camille@citizens.example\n\nBonjour")
    assert twice.personal.from_
    assert twice.personal.from_.value == "camille@citizens.example"
