"""Tests how a mail is parsed."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parvis.ingest_email.models.parsed_mail import ParsedMail
from parvis.ingest_email.parse.mail import parse_head, parse_mail
from parvis.ingest_email.parse.mime.charsets import clean_text, decode_text
from parvis.ingest_email.parse.mime.headers import decode_words, first_address, parse_headers
from parvis.ingest_email.parse.mime.html_text import html_to_text

SAMPLES = Path(__file__).parents[1] / "samples"


def sample(name: str) -> bytes:
    return (SAMPLES / f"{name}.eml").read_bytes()


def read(name: str) -> ParsedMail:
    return parse_mail(sample(name))[0]


def test_a_plain_mail_says_who_and_what() -> None:
    mail = read("road-fr")
    assert (mail.sender, mail.sender_name) == ("cecile@citizens.example", "Cécile Exemple")
    assert mail.subject == "Lampadaire en panne – rue des Lilas"
    assert mail.text.startswith("Bonjour,\n\nLe lampadaire devant le 12 rue des Lilas")
    assert mail.message_id == "<road-fr@citizens.example>"
    assert (mail.machine, mail.trouble, mail.attachments) == (None, None, ())


def test_of_two_ways_to_say_the_same_the_plain_one_is_read() -> None:
    text = read("asks-for-sms").text
    assert text.count("cantine de l'école") == 1
    assert "<p>" not in text


def test_html_is_read_as_its_reader_sees_it() -> None:
    text = read("html-only").text
    assert "Il y a un nid de poule au 3 rue du Cadastre." in text
    assert "- profond\n" in text
    assert "ici <https://photos.citizens.example/1>" in text
    assert not any(word in text for word in ("alert", "color", "Titre"))


def test_files_keep_their_names_and_are_what_they_contain() -> None:
    mail, contents = parse_mail(sample("with-files"))
    assert mail.text == "Bonjour, voici les plans de la maison que nous voulons construire."
    assert [(one.name, one.media_type) for one in mail.attachments] == [
        ("plans résumé.doc", "application/pdf"),
        ("message.eml", "message/rfc822"),
    ]
    assert contents[0].startswith(b"%PDF")
    assert b"Le mail transmis." in contents[1]
    assert mail.sender_name == "Exemple, Dominique"


def test_a_charset_that_does_not_exist_loses_nothing() -> None:
    mail = read("broken-charset")
    assert mail.subject == "Déchets"
    assert "La déchèterie est-elle ouverte le 14 juillet" in mail.text


def test_no_header_holds_a_line_end_or_turns_the_writing_around() -> None:
    subject = read("injected-subject").subject
    assert subject == "Bonjour Bcc: x@citizens.exampleгnp".replace("г", "g")
    assert "\n" not in subject
    assert "\r" not in subject


def test_a_broken_head_is_read_as_far_as_it_goes() -> None:
    mail = read("broken-head")
    assert mail.sender == "a@citizens.example"
    assert mail.text.endswith("Texte")


@pytest.mark.parametrize(
    ("field", "address", "name"),
    [
        ("a@b.example", "a@b.example", ""),
        ("<a@b.example>", "a@b.example", ""),
        ('"Dupont, A." <a@b.example>, c@d.example', "a@b.example", "Dupont, A."),
        ("A (le voisin) <a@b.example>", "a@b.example", "A"),
        ("c@d.example <a@b.example>", "a@b.example", "c@d.example"),
        ("=?utf-8?q?=3Cfake=40x.example=3E?= <a@b.example>", "a@b.example", "<fake@x.example>"),
        ("undisclosed-recipients:;", "", ""),
        ("Group: a@b.example;", "a@b.example", ""),
        ('"anne exemple"@b.example', '"anne exemple"@b.example', ""),
        ("Anne <anne@b -c.example>", "anne@b -c.example", "Anne"),
        ('"unclosed <a@b.example>', "a@b.example", '"unclosed'),
        ("a@b.example (Camille)", "a@b.example", ""),
        ("", "", ""),
    ],
)
def test_the_first_address_of_a_field(field: str, address: str, name: str) -> None:
    assert first_address(field) == (address, name)


@pytest.mark.parametrize(
    ("written", "read_as"),
    [
        ("=?utf-8?q?a_b?=", "a b"),
        ("=?utf-8?b?w6k=?= =?utf-8?q?t=C3=A9?=", "été"),
        ("=?utf-8?q?=C3?= =?utf-8?q?=A9?=", "é"),  # one letter in two words: forbidden, and common
        ("=?iso-8859-1*fr?q?=E9?= x", "é x"),
        ("Re: =?utf-8?q?=E9?=", "Re: é"),
        ("=?utf-8?x?abc?=", "=?utf-8?x?abc?="),
    ],
)
def test_encoded_words(written: str, read_as: str) -> None:
    assert decode_words(written) == read_as


@pytest.mark.parametrize(
    ("content", "declared", "text"),
    [
        ("é".encode(), "utf-8", "é"),
        ("é€".encode("cp1252"), "iso-8859-1", "é€"),
        ("été".encode("cp1252"), "", "été"),
        ("été à Pâques, où êtes-vous allés ?".encode(), "us-ascii", "été à Pâques, où êtes-vous allés ?"),
        (b"abc", "zip", "abc"),
        (b"abc", "undefined", "abc"),
        ("日本".encode("cp932"), "shift_jis", "日本"),
    ],
)
def test_charsets_as_declared_or_as_likely(content: bytes, declared: str, text: str) -> None:
    assert decode_text(content, declared) == text


def _nested(kind: str, depth: int) -> bytes:
    if kind == "message/rfc822":
        return b"From: a@b.example\n" + b"Content-Type: message/rfc822\n\n" * depth + b"\nhello\n"
    opened = b"".join(b'Content-Type: multipart/mixed; boundary="b%d"\n\n--b%d\n' % (n, n) for n in range(depth))
    return b"From: a@b.example\n" + opened + b"\nhello\n"


@pytest.mark.parametrize("kind", ["multipart/mixed", "message/rfc822"])
def test_a_mail_nested_without_end_still_has_its_sender(kind: str) -> None:
    mail, _ = parse_mail(_nested(kind, 2000))
    assert mail.sender == "a@b.example"
    assert mail.trouble


def test_twenty_thousand_addresses_are_not_all_read() -> None:
    head = b"To: " + b"".join(b"a%d@b.example, " % n for n in range(20_000)) + b"\n"
    assert parse_mail(head + b"From: a@b.example\n\nBonjour")[0].text == "Bonjour"


def test_six_hundred_parts_are_too_many() -> None:
    body = b"".join(b"--b\nContent-Type: text/plain\n\n%d\n" % n for n in range(600))
    mail, _ = parse_mail(b'From: a@b.example\nContent-Type: multipart/mixed; boundary="b"\n\n' + body + b"--b--\n")
    assert mail.trouble == "over 500 parts"
    assert "499" not in mail.text.splitlines()[0]


@given(st.binary())
def test_no_bytes_are_too_strange(content: bytes) -> None:
    mail, contents = parse_mail(content)
    assert len(contents) == len(mail.attachments)
    ParsedMail.model_validate_json(mail.model_dump_json())


_PIECES = [
    b"From: ", b"a@b.example", b"\n", b"\r\n", b"\n\n", b"Content-Type: multipart/mixed; boundary=b\n\n", b"--b\n", b"--b--\n",
    b"Content-Type: text/html; charset=utf-7\n\n", b"Content-Transfer-Encoding: base64\n\n", b"=?utf-8?b?", b"?=", b"=E9", b"<", b">", b'"',
    b"Content-Type: message/rfc822\n\n", b"Content-Disposition: attachment; filename*0*=x''%; filename*1=\xff\n", b"Subject: \x00\xff",
    b"Content-Type: message/delivery-status\n\nAction: failed\n", b"In-Reply-To: <a@b> <c@d>\n", b"begin 644 x\n",
]  # fmt: skip


@given(st.lists(st.sampled_from(_PIECES), max_size=40).map(b"".join))
def test_no_mail_made_of_these_pieces_is_too_strange(content: bytes) -> None:
    mail, _ = parse_mail(content)
    assert "\\u0000" not in mail.model_dump_json()
    parse_head(content)
    ParsedMail.model_validate_json(mail.model_dump_json())


@given(st.text())
def test_no_html_is_too_strange(html: str) -> None:
    html_to_text(html)


@given(st.text())
def test_text_is_fit_for_people_and_stores(text: str) -> None:
    clean_text(text).encode()


def test_folded_fields_are_one() -> None:
    headers = parse_headers(b"Subject: a\r\n b\r\n\tc\r\nX: y\r\n\r\nBody: no")
    assert headers.text("subject", 100) == "a b c"
    assert not headers.has("body")
