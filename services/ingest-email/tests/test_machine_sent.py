"""Tests which mails are recognised as sent by a machine, and why."""

from pathlib import Path

import pytest

from parvis.ingest_email.parse.machine_sent import is_machine_address
from parvis.ingest_email.parse.mail import parse_mail

SAMPLES = Path(__file__).parents[1] / "samples"


def sign_of(head: str) -> str | None:
    return parse_mail(f"From: camille@citizens.example\n{head}\n\nBonjour\n".encode())[0].machine


@pytest.mark.parametrize(
    ("head", "sign"),
    [
        ("Auto-Submitted: auto-replied", "auto-replied"),
        ("Auto-Submitted: AUTO-GENERATED; type=x", "auto-submitted"),
        ("Auto-Submitted: no", None),
        ("Precedence: bulk", "precedence"),
        ("Precedence: List", "precedence"),
        ("Precedence: first-class", None),
        ("List-Id: <x>", "list"),
        ("Return-Path: <>", "null-sender"),
        ("X-Loop: x", "automatic-header"),
        ("X-Autoreply: yes", "automatic-header"),
        ("Content-Type: multipart/report; report-type=delivery-status; boundary=x", "report"),
        ("X-Auto-Response-Suppress: All", None),
        ("Subject: Automatic reply: votre demande", "wording"),
        ("Subject: Réponse automatique : votre demande", "wording"),
        ("Subject: Fwd: Undelivered Mail Returned to Sender", None),
        ("Subject: mon absence du bureau de vote", None),
        ("Subject: Absence du bureau de vote n° 4", None),
        ("Subject: Message d'absence de mon fils", None),
        ("Subject: Undeliverable parcels in my street", None),
        ("Subject: Read receipt of my letter, please", None),
        ("Subject: Re: Automatic reply: votre demande", None),
        ("Subject: Absence du bureau", "wording"),
        ("Subject: [EXT] Out of office: Re: road", "wording"),
        ("Subject: Undelivered Mail Returned to Sender", "wording"),
        ("Auto-Submitted: no\nAuto-Submitted: auto-notified", "auto-submitted"),
        ("Auto-Submitted: (by hand) no", None),
        ("Precedence: first-class\nPrecedence: bulk", "precedence"),
        ("X-MS-Exchange-Inbox-Rules-Loop: clerk@town.example", None),
        ("X-Apple-Action: VACATION", "automatic-header"),
        ("X-Mailer: vacation 1.2", "automatic-header"),
        ("Sender: no-reply@shop.example", "robot-address"),
    ],
)
def test_signs_of_a_machine(head: str, sign: str | None) -> None:
    assert sign_of(head) == sign


@pytest.mark.parametrize(
    "address",
    [
        "MAILER-DAEMON@x.example",
        "no-reply@x.example",
        "noreply+1@x.example",
        "bounce-12@x.example",
        "ne_pas_repondre@x.example",
    ],
)
def test_addresses_of_robots(address: str) -> None:
    assert is_machine_address(address)


@pytest.mark.parametrize(
    "sender", ["MAILER-DAEMON", "<>", "Mail Delivery Subsystem <odd@x.example>", '"Mail Delivery System" <a@b.example>']
)
def test_systems_that_give_only_their_name(sender: str) -> None:
    assert parse_mail(f"From: {sender}\n\nx\n".encode())[0].machine == "robot-address"


@pytest.mark.parametrize(
    "address",
    ["camille@x.example", "n.replay@x.example", "post.master@x.example".replace("post.master", "pascal.master"), ""],
)
def test_addresses_of_people(address: str) -> None:
    assert not is_machine_address(address)


@pytest.mark.parametrize(
    ("name", "sign"),
    [
        ("away", "auto-replied"),
        ("list", "list"),
        ("asks-for-silence", None),
        ("dsn-failed", "auto-replied"),
        ("road-fr", None),
    ],
)
def test_samples(name: str, sign: str | None) -> None:
    assert parse_mail((SAMPLES / f"{name}.eml").read_bytes())[0].machine == sign
