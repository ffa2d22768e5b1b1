"""Tests that no sequence of mails makes the router answer one with a null sender or written by a machine."""

import dataclasses
from datetime import timedelta
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from parvis.common.contract.contact import ClaimCheck, ContactReceived, ConversationId, Verification, make_contact_id
from parvis.common.contract.mail_tokens import make_message_id
from parvis.common.contract.reply import ReplyId, make_reply_id
from parvis.common.contract.routing.decisions import Routing
from parvis.common.testing import A_KEY, AN_INSTANT
from parvis.common.town.loading import load_town_config
from parvis.ingest_email.parse.mail import parse_mail
from parvis.ingest_email.parse.mail_to_contact import MailDelivery, TownMailConfig, build_contact
from parvis.router.decide.notices import receipt_notice, registration_notice

TOWN_CONFIG = load_town_config(Path(__file__).parents[2] / "config" / "example-town")
DOMAIN, TOWN = TOWN_CONFIG.town.mail_domain, TOWN_CONFIG.town.mailbox
KEYS = TownMailConfig(DOMAIN, A_KEY, A_KEY, frozenset([TOWN]))
CLAIM = ClaimCheck(blob="x", sha256="0" * 64, size_bytes=1, media_type="message/rfc822")
OURS = make_message_id(ReplyId("r"), ConversationId("c"), DOMAIN, A_KEY)

MARKS = (
    "Auto-Submitted: auto-replied",
    "Auto-Submitted: auto-generated",
    "Precedence: bulk",
    "Precedence: list",
    "Precedence: junk",
    "List-Id: <voisins.example>",
    "List-Unsubscribe: <mailto:x@voisins.example>",
    "Return-Path: <>",
    f"Message-ID: {OURS}",
)
INNOCENT = ("X-Mailer: something", "Auto-Submitted: no", "Precedence: first-class", "X-Auto-Response-Suppress: All", "")
SENDERS = ("camille@citizens.example", "celeste@citizens.example", "repondeur@other.example")

mails = st.fixed_dictionaries(
    {
        "sender": st.sampled_from(SENDERS),
        "marks": st.lists(st.sampled_from(MARKS), max_size=3, unique=True),
        "innocent": st.lists(st.sampled_from(INNOCENT), max_size=2),
        "is_null": st.booleans(),
        "is_ours": st.booleans(),
        "subject": st.sampled_from(["Lampadaire en panne", "Re: Votre demande", "Merci de votre message"]),
        "text": st.sampled_from(
            ["Bonjour.", "Votre message nous est bien parvenu.", "Répondez-moi par SMS au 06 39 98 00 12."]
        ),
    }
)


def contact(number: int, mail: dict[str, Any]) -> ContactReceived:
    sender = TOWN if mail["is_ours"] else mail["sender"]
    head = [f"From: {sender}", f"Subject: {mail['subject']}", *mail["marks"], *filter(None, mail["innocent"])]
    read, _ = parse_mail("\n".join([*head, "", mail["text"], ""]).encode())
    contact_id = make_contact_id("email", TOWN, str(number))
    envelope = "" if mail["is_null"] else sender
    arrival = MailDelivery(contact_id, TOWN, envelope, AN_INSTANT, AN_INSTANT, CLAIM, (), Verification(level="none"))
    return build_contact(read, dataclasses.replace(arrival), KEYS)


def routing(received: ContactReceived) -> Routing:
    values: dict[str, Any] = {
        "conversation_id": received.contact_id, "sequence": 1, "department": "voirie", "reference": received.reference,
        "procedure": "road-report", "rule": "place", "rules_version": "0" * 12, "confidence": 1.0,
        "reason": {"fr": "x", "en": "x"}, "received_at": received.received_at, "decided_at": AN_INSTANT,
        "receipt_due_at": AN_INSTANT + timedelta(days=7), "answer_due_at": AN_INSTANT + timedelta(days=14),
    }  # fmt: skip
    return Routing.model_validate(values)


@given(st.lists(mails, min_size=1, max_size=8))
def test_no_sequence_with_a_null_sender_or_a_machines_mail_causes_a_send(sequence: list[dict[str, Any]]) -> None:
    reply_ids: set[str] = set()
    contacts = [contact(number, mail) for number, mail in enumerate(sequence)]
    for received in contacts:
        for notice in (
            registration_notice(received, routing(received), TOWN_CONFIG, language="fr"),
            receipt_notice(received, routing(received), TOWN_CONFIG, language="fr"),
        ):
            reply_ids |= {notice.reply_id} if notice else set()
    silent = [c for c, m in zip(contacts, sequence, strict=True) if m["is_null"] or m["marks"] or m["is_ours"]]
    assert all(received.machine for received in silent)
    assert not reply_ids & {
        make_reply_id(kind, received.contact_id) for received in silent for kind in ("registration", "receipt")
    }
    assert len(reply_ids) == 2 * (len(contacts) - len(silent))
