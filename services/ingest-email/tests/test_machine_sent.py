"""Tests which mails are recognised as sent by a machine, and why."""

from pathlib import Path

import pytest

from parvis.common.contract.contact import make_contact_id
from parvis.common.contract.references import make_reference
from parvis.ingest_email.parse.machine_sent import is_machine_address
from parvis.ingest_email.parse.mail import parse_mail

REFERENCE = make_reference(make_contact_id("email", "a@x.example", "1"))
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
        ("X-Autoreply: yes", "automatic-header"),
        ("X-FC-MachineGenerated: true", "automatic-header"),
        ("X-POST-MessageClass: 9; Autoresponder", "automatic-header"),
        ("Preference: auto_reply", "automatic-header"),
        ("Preference: none", None),
        ("Content-Type: multipart/report; report-type=delivery-status; boundary=x", "report"),
        ("X-Auto-Response-Suppress: All", None),
        ("Subject: Automatic reply: votre demande", "wording"),
        ("Subject: Réponse automatique : votre demande", "wording"),
        ("Subject: Fwd: Undelivered Mail Returned to Sender", None),
        ("Subject: mon absence du bureau de vote", None),
        ("Subject: Courrier non remis", None),
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


BY_RULE = "Auto-Submitted: auto-generated\nX-MS-Exchange-Generated-Message-Source: Mailbox Rules Agent"
LOOP = "X-MS-Exchange-Inbox-Rules-Loop: clerk@old-town.example"
PARENT = "X-MS-Exchange-Parent-Message-Id: <p@x.example>"


@pytest.mark.parametrize(
    ("head", "sign"),
    [
        (f"{BY_RULE}\n{LOOP}\n{PARENT}\nSubject: Arbre tombé", None),
        (f"{BY_RULE}\n{PARENT}\nSubject: TR: Arbre tombé", None),
        (f"{BY_RULE}\n{LOOP}\n{PARENT}\nIn-Reply-To: <p@x.example>\nSubject: Arbre", "auto-submitted"),
        (f"{BY_RULE}\n{LOOP}\nSubject: Réponse automatique : Arbre", "wording"),
        (f"{BY_RULE}\nX-MS-Exchange-Inbox-Rules-Loop: camille@citizens.example\nSubject: Arbre", "auto-submitted"),
        (BY_RULE.replace("auto-generated", "auto-replied") + f"\n{LOOP}", "auto-replied"),
        ("X-MS-Exchange-Generated-Message-Source: Antispam Quarantine Agent", "automatic-header"),
        ("X-Loop: clerk@old-town.example", None),
        ("X-Loop: camille@citizens.example", "automatic-header"),
        ("Resent-From: clerk@old-town.example\nX-Forwarded-To: mairie@example-town.example", None),
    ],
)
def test_hops_that_send_mail_on_are_no_machines(head: str, sign: str | None) -> None:
    assert sign_of(head) == sign


@pytest.mark.parametrize(
    ("subject", "sign"),
    [
        ("Message non remis au concierge", None),
        ("Avis de non-remise d'un colis par le facteur", None),
        ("Message non remis : travaux", "wording"),
        ("[Réponse automatique] Travaux", "wording"),
        ("(Automatic reply) Road works", "wording"),
        ("[Absence] Travaux", None),
        ("Absence : Lou, cantine du 4 mars", None),
        (f"Absence : Réponse à votre demande {REFERENCE}", "wording"),
        ("Abwesend: Your message is registered", "wording"),
        (f"Assente: {REFERENCE}", "wording"),
        (f"Away: {REFERENCE}", "wording"),
        ("Mensaje de ausencia: Re: obras", "wording"),
        ("Away from home: who waters the trees?", None),
    ],
)
def test_fixed_words_are_signs_where_no_person_puts_them(subject: str, sign: str | None) -> None:
    assert sign_of(f"Subject: {subject}") == sign


@pytest.mark.parametrize(
    "address",
    ["bouncer.luc@x.example", "postmaster@club.example", "bounceclub@x.example", "SRS0=k3=ab=x.example=lou@y.example"],
)
def test_a_beginning_of_a_word_is_no_machine(address: str) -> None:
    assert not is_machine_address(address)


@pytest.mark.parametrize("address", ["bounces+12-a=b@x.example", "billing-no-reply@x.example", "no.reply.42@x.example"])
def test_separators_part_the_words_of_an_address(address: str) -> None:
    assert is_machine_address(address)


def test_a_postmaster_who_returns_a_mail_is_a_mail_system() -> None:
    words = "Your message could not be delivered:\n<lou@y.example>: 550 5.1.1 no such user\n"
    mail, _ = parse_mail(f"From: postmaster@x.example\nSubject: Note\n\n{words}".encode())
    assert mail.machine == "report"


GMAIL = (
    "Content-Type: multipart/alternative; boundary=b\n\n--b\nContent-Type: text/plain; charset=utf-8\n\n{text}\n"
    '--b\nContent-Type: text/vnd.google.email-reaction+json\n\n{{"emoji":"x","version":1}}\n--b--\n'
)
EMOJI_PART = "Content-Type: text/plain; charset=utf-8\nContent-Disposition: reaction\n\n{text}\n"


@pytest.mark.parametrize(
    ("form", "text", "sign"),
    [
        (GMAIL, "🎉\n\nLou a réagi via Gmail\n<https://www.google.com/gmail/about/>", "reaction"),
        (EMOJI_PART, "❤️", "reaction"),
        (EMOJI_PART, "❤️ mais la fuite continue", None),
        (GMAIL, "La fuite continue.\n<https://www.google.com/gmail/about/>", None),
    ],
)
def test_a_bare_reaction_asks_for_nothing(form: str, text: str, sign: str | None) -> None:
    head = "From: lou@citizens.example\nIn-Reply-To: <a@x.example>\n"
    mail, files = parse_mail((head + form.format(text=text)).encode())
    assert (mail.machine, mail.remarks, files) == (sign, ("reaction",), [])
