"""Facts about rendered texts: SMS, mail headers, and cleaned input."""

import email
from collections.abc import Callable
from email import policy
from email.message import EmailMessage
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from services.notifier.tests.parts import MakeReply

from parvis.common.contract.contact import ContactPoint
from parvis.common.contract.errors import Rejected
from parvis.common.contract.mail_tokens import conversation_id_of_message_id
from parvis.common.contract.reply import ReplyRequested
from parvis.common.testing import A_KEY, AN_INSTANT
from parvis.common.text.sms_encoding import count_segments, simplify_typography
from parvis.notifier.decide.channel_choice import ChannelChooser
from parvis.notifier.render.message_renderer import MessageRenderer
from parvis.notifier.render.reply_text import remove_invisible, tidy, to_one_line

MAIL = ContactPoint(kind="email", value="celeste@citizens.example")
NOTICE = {"variables": {"received_on": "2 mars 2026"}}

# What others tried in header fields; each must stay words.
INJECTIONS = [
    "x\r\nBcc: victim@elsewhere.example",
    "x\nBcc: victim@elsewhere.example",
    "x\rBcc: victim@elsewhere.example",
    "x\x00\nBcc: v@elsewhere.example",
    "x\x85Bcc: v@elsewhere.example",
    "x\u2028Bcc: v@elsewhere.example",
    "x\x0bBcc: v@elsewhere.example\x0c",
    "Re: é =?UTF-8?Q?=0A?=Bcc: injected@elsewhere.example",
    "=?utf-8?q?a=0d=0aBcc:_x@elsewhere.example?=",
    "=?utf-8?b?DQpCY2M6IHhAZWxzZXdoZXJlLmV4YW1wbGU=?=",
    "a" * 3000,
    "é" * 3000,
    "\ud800 lone",
    "\u202egnp.exe",
]


@pytest.fixture
def sent(renderer: MessageRenderer, addressing: ChannelChooser) -> Callable[[ReplyRequested], bytes]:
    def render(reply: ReplyRequested) -> bytes:
        delivery = addressing.build_delivery(reply, addressing.choose(reply, {}))
        return renderer.render(reply, delivery, AN_INSTANT).content

    return render


Sent = Callable[[ReplyRequested], bytes]


def read(content: bytes) -> EmailMessage:
    message = email.message_from_bytes(content, policy=policy.default)
    assert isinstance(message, EmailMessage)
    return message


def body(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    assert part
    content: Any = part.get_content()
    return str(content)


def test_an_sms_says_who_answers_and_with_which_reference(make_reply: MakeReply, sent: Sent) -> None:
    reply = make_reply()
    text = sent(reply).decode()
    assert text.startswith("Votre acte est prêt.")
    assert reply.reference in text
    assert "05 36 49 01 10" in text


def test_an_sms_keeps_letters_and_gives_up_typography() -> None:
    assert simplify_typography("L’élève\u00a0: « ça va… » – œuf") == 'L\'élève : "ça va..." - œuf'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a" * 160, ("GSM-7", 1)),
        ("a" * 161, ("GSM-7", 2)),
        ("€" * 80, ("GSM-7", 1)),
        ("€" * 81, ("GSM-7", 2)),
        ("é" * 160, ("GSM-7", 1)),
        ("ê" * 70, ("UCS-2", 1)),
        ("ê" * 71, ("UCS-2", 2)),
        ("👍" * 35, ("UCS-2", 1)),
        ("👍" * 36, ("UCS-2", 2)),
    ],
)
def test_segments_are_counted_as_they_are_paid(text: str, expected: tuple[str, int]) -> None:
    assert count_segments(text) == expected


def test_a_text_too_long_for_an_sms_is_rejected(make_reply: MakeReply, sent: Sent) -> None:
    with pytest.raises(Rejected, match="1600"):
        sent(make_reply(personal={"text": "a" * 1600}))


def test_a_mail_has_two_parts_and_the_thread_token(make_reply: MakeReply, sent: Sent) -> None:
    reply = make_reply(channel="email", points=(MAIL,), personal={"in_reply_to": "<abc@citizens.example>"})
    message = read(sent(reply))
    sender = message["From"].addresses[0]
    assert [str(to) for to in message["To"].addresses] == ["celeste@citizens.example"]
    assert sender.display_name == "État civil, Mairie de Val-Exemple"
    assert sender.addr_spec == "etat-civil@example-town.example"
    assert message["Subject"] == f"Réponse à votre demande {reply.reference}"
    assert message["In-Reply-To"] == message["References"] == "<abc@citizens.example>"
    assert conversation_id_of_message_id(message["Message-ID"], "example-town.example", A_KEY) == reply.conversation_id
    assert "Votre acte est prêt." in body(message, "plain")
    assert "<p" in body(message, "html")
    assert "Votre acte est prêt." in body(message, "html")
    assert message["Auto-Submitted"] is None


@pytest.mark.parametrize(
    ("kind", "mark"),
    [
        ("registration", "auto-replied"),
        ("receipt", "auto-replied"),
        ("question", "auto-replied"),
        ("status", "auto-generated"),
    ],
)
def test_automatic_mail_is_marked_as_automatic(make_reply: MakeReply, sent: Sent, kind: str, mark: str) -> None:
    message = read(sent(make_reply(kind=kind, channel="email", points=(MAIL,), personal=NOTICE)))
    assert (message["Auto-Submitted"], message["X-Auto-Response-Suppress"]) == (mark, "All")


def test_the_same_reply_has_the_same_message_id_at_every_attempt(make_reply: MakeReply, sent: Sent) -> None:
    reply = make_reply(kind="registration", channel="email", points=(MAIL,), personal=NOTICE)
    assert read(sent(reply))["Message-ID"] == read(sent(reply))["Message-ID"]


@pytest.mark.parametrize("evil", INJECTIONS)
def test_nothing_that_comes_from_outside_adds_a_header(make_reply: MakeReply, sent: Sent, evil: str) -> None:
    clean = {"channel": "email", "points": (MAIL,)}
    names = read(sent(make_reply(**clean, personal={"in_reply_to": "<a@b>"}))).keys()
    for personal in (
        {"text": evil},
        {"variables": {"subject": evil, "reference": evil, "department": evil, "town": evil}},
        {"in_reply_to": evil},
        {"in_reply_to": f"<{evil}>"},
    ):
        content = sent(make_reply(**clean, personal=personal))
        message = read(content)
        assert set(message.keys()) <= set(names)
        assert message["Bcc"] is None
        assert all(len(line) <= 998 for line in content.split(b"\r\n"))


@given(evil=st.text(max_size=200))
def test_no_text_at_all_adds_a_header(
    make_reply: MakeReply, renderer: MessageRenderer, addressing: ChannelChooser, evil: str
) -> None:
    variables = {"received_on": evil, "town": evil, "reference": evil, "procedure": evil}
    personal = {"text": evil, "in_reply_to": f"<{evil}>", "variables": variables}
    for kind in ("answer", "receipt"):
        reply = make_reply(kind=kind, channel="email", points=(MAIL,), personal=personal)
        delivery = addressing.build_delivery(reply, addressing.choose(reply, {}))
        message = read(renderer.render(reply, delivery, AN_INSTANT).content)
        assert message["Bcc"] is None
        assert message["Subject"].endswith(reply.reference)
        assert message["From"].endswith("<etat-civil@example-town.example>")


def test_an_acknowledgement_repeats_nothing_a_citizen_wrote(make_reply: MakeReply, sent: Sent) -> None:
    spam = "Gagnez un téléphone sur http://spam.example"
    reply = make_reply(kind="registration", channel="email", points=(MAIL,), personal={"text": spam, **NOTICE})
    assert "spam.example" not in sent(reply).decode()


def test_nobody_writes_another_telephone_number_into_a_notice(make_reply: MakeReply, sent: Sent) -> None:
    variables = {"town_phone": "08 99 00 00 00", "department_phone": "08 99 00 00 00", "received_on": "2 mars 2026"}
    text = sent(make_reply(kind="registration", personal={"variables": variables})).decode()
    assert "08 99" not in text
    assert "05 36 49 01 10" in text


def test_an_unknown_department_or_language_still_gets_an_answer(make_reply: MakeReply, sent: Sent) -> None:
    text = sent(make_reply(department="no-such-place", language="br")).decode()
    assert "Accueil et orientation" in text


def test_a_reply_without_a_template_of_its_kind_is_wrapped_in_the_answer(make_reply: MakeReply, sent: Sent) -> None:
    assert (
        "De quelle rue" in sent(make_reply(kind="question", personal={"text": "De quelle rue parlez-vous ?"})).decode()
    )


@given(text=st.text(max_size=300))
def test_cleaned_text_is_stable_and_holds_nothing_invisible(text: str) -> None:
    for clean in (remove_invisible(text), to_one_line(text), tidy(text)):
        assert remove_invisible(clean) == clean
        assert not any(ord(character) < 32 and character != "\n" for character in clean)
        clean.encode()
