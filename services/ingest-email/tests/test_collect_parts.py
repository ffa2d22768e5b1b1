"""Tests which texts, files and remarks are collected from MIME parts."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parvis.ingest_email.models.parsed_mail import MAX_ATTACHMENTS, ParsedMail
from parvis.ingest_email.parse.mail import parse_mail
from parvis.ingest_email.parse.mime.charsets import decode_with_guess
from parvis.ingest_email.parse.mime.html_text import html_to_text, parse_html

SAMPLES = Path(__file__).parents[1] / "samples"


def read(name: str) -> ParsedMail:
    return parse_mail((SAMPLES / f"{name}.eml").read_bytes())[0]


def files(mail: ParsedMail) -> list[tuple[str, str, str | None, bool]]:
    return [(one.name, one.media_type, one.trouble, one.inline) for one in mail.attachments]


@pytest.mark.parametrize(
    ("name", "text", "remarks"),
    [
        ("folded-boundary", "Voici les plans.", ("text-outside-parts",)),
        ("wrong-boundary", "Voici les plans.", ()),
        ("two-types", "Voici la photo.", ("ambiguous-mime",)),
        ("html-beside", "Le banc du parc est cassé.", ()),
        ("enriched", "Le banc est cassé : 3 < 4.\nMerci", ()),
        ("uuencoded", "Voici la note.\n\n\nMerci", ()),
        ("pgp-signed", "-- le banc est cassé", ("pgp-not-verified",)),
        ("partial", "", ("partial-message",)),
        ("external-body", "Le plan est sur le serveur.", ("external-body",)),
        ("forgotten-gap", "Bonjour, le banc du parc est cassé\nmerci de le réparer.\n\nCamille", ("damaged-parts",)),
        (
            "base64-prose",
            "Bonjour, le banc du parc est cassé et ce texte n'est pas codé du tout.",
            ("damaged-parts",),
        ),
        ("utf8-as-latin1", "Les déchets débordent à côté de l'école.", ("charset-guessed",)),
        ("twice-encoded", "Les déchets débordent à côté de l'école.", ("charset-guessed",)),
        ("reply-gmail", "Bonjour,\n\nMerci, c'est réparé.\n\nCamille", ()),
        ("reply-outlook", "Bonjour,\n\nJe viendrai mardi.", ()),
        ("reply-inline", "Bonjour,\n\n12 rue des Lilas\n\nDepuis dimanche.", ()),
    ],
)
def test_the_words_of_a_mail_and_what_is_remarked(name: str, text: str, remarks: tuple[str, ...]) -> None:
    mail = read(name)
    assert (mail.text, mail.remarks) == (text, remarks)


def test_what_is_quoted_and_signed_is_kept_apart() -> None:
    gmail, outlook = read("reply-gmail"), read("reply-outlook")
    assert gmail.quoted.startswith("Le lun. 2 nov. 2026 à 08:30, Mairie")
    assert gmail.signature == "Envoyé de mon iPhone"
    assert outlook.quoted.endswith("Pouvez-vous passer en mairie ?")
    assert outlook.signature == "Obtenez Outlook pour Android"


def test_a_mail_sent_on_inside_is_kept_whole() -> None:
    mail = read("forward-inline")
    assert mail.text.startswith("Pour votre service.")
    assert mail.text.endswith("Votre facture est de 80 euros.")
    assert mail.remarks == ("mail-forwarded",)


def test_a_mail_that_is_only_another_mail_says_what_that_one_says() -> None:
    mail, contents = parse_mail((SAMPLES / "forward-attached.eml").read_bytes())
    assert mail.text.startswith("From: Regie des eaux")
    assert mail.text.endswith("Votre facture est de 80 euros.")
    assert files(mail) == [("Facture.eml", "message/rfc822", None, False)]
    assert contents[0].startswith(b"From: Regie des eaux")


def test_words_beside_a_mail_that_is_sent_on_are_the_senders_own() -> None:
    content = (SAMPLES / "forward-attached.eml").read_bytes().replace(b"--f\n", b"--f\n\nPour vous.\n--f\n", 1)
    mail, _ = parse_mail(content)
    assert mail.text == "Pour vous."
    assert mail.quoted.endswith("Votre facture est de 80 euros.")


def test_a_page_is_read_as_its_reader_sees_it() -> None:
    mail = read("html-rich")
    assert mail.text.splitlines() == [
        "Rue | Trou",
        "Lilas | grand",
        "",
        "1. barrer",
        "2. combler",
        "",
        "Voir les photos <https://photos.citizens.example/7> ou mon voisin <voisin@citizens.example>.",
        "",
        "[le plan]",
        "",
        "> Citation",
    ]
    assert mail.remarks == ("remote-images:2",)


def test_an_image_inside_a_page_is_inline_and_a_file_that_says_two_things_is_not_opened() -> None:
    assert [(one.inline, one.trouble) for one in read("html-beside").attachments] == [(True, None)]
    assert files(read("two-types")) == [
        ("photo.png", "image/png", "the mail declares two different types for this part", False),
    ]


def test_files_are_called_what_they_are_called() -> None:
    assert [one.name for one in read("strange-names").attachments] == [
        "relevé.csv",
        "relevé deux.csv",
        "facturefdp.csv",
    ]


def test_a_file_in_the_text_is_a_file() -> None:
    mail, contents = parse_mail((SAMPLES / "uuencoded.eml").read_bytes())
    assert (mail.attachments[0].name, contents) == ("note.txt", [b"Cat"])


def test_what_is_not_there_is_named_and_never_fetched() -> None:
    (file,) = read("external-body").attachments
    assert file.trouble == "the mail refers to this file but does not contain it"
    assert read("partial").trouble == "one fragment of a mail that was sent in several (message/partial)"


def test_an_encrypted_mail_goes_to_people() -> None:
    mail = read("pgp-encrypted")
    assert mail.remarks == ("encrypted",)
    assert mail.trouble
    assert mail.trouble.startswith("the mail is encrypted")
    assert mail.attachments[1].name == "encrypted.asc"


def test_an_invitation_is_one_line() -> None:
    mail = read("calendar")
    assert mail.text.splitlines() == [
        "Réunion de quartier.",
        "",
        "[Conseil de quartier, ordinaire | 2026-11-23 18:00 – 20:00 Europe/Paris | Salle des fêtes]",
    ]
    assert mail.remarks == ("calendar",)
    assert files(mail) == [("calendar.ics", "text/calendar", None, False)]


def test_soft_line_ends_are_undone() -> None:
    mail = read("flowed")
    assert mail.text.splitlines()[0] == "La haie de la rue des Lilas déborde."
    assert mail.signature == "-- \nCamille"


def test_a_file_that_says_it_is_text_is_a_file() -> None:
    mail, _ = parse_mail(b"From: a@b.example\n\n" + b"\x00\x01\x02" * 100)
    assert (mail.text, mail.attachments[0].trouble) == ("", "declared as text but contains binary data")


@pytest.mark.parametrize("stray", ["\x00", "\x1b[31m", "\x07\x08"])
def test_a_stray_control_character_does_not_hide_the_words_in_a_file(stray: str) -> None:
    mail, _ = parse_mail(f"From: a@b.example\n\nOdeur{stray} de gaz".encode())
    assert mail.text.startswith("Odeur")
    assert mail.text.endswith(" de gaz")
    assert not mail.attachments


@pytest.mark.parametrize("end", ["\x0b", "\x0c", "\x85", "\u2028", "\u2029"])
def test_whatever_ends_a_line_keeps_the_words_apart(end: str) -> None:
    head = "From: a@b.example\nContent-Type: text/plain; charset=utf-8\n\n"
    assert parse_mail(f"{head}rue Haute{end}12 bis".encode())[0].text == "rue Haute\n12 bis"


def test_a_telephone_may_send_its_message_as_a_named_text() -> None:
    mail, _ = parse_mail(b'From: a@b.example\nContent-Type: text/plain; name="text_0.txt"\n\nBonjour')
    assert mail.text == "Bonjour"
    assert [one.name for one in mail.attachments] == ["text_0.txt"]


def test_fifty_files_are_too_many_and_their_mail_says_so() -> None:
    parts = b"".join(b"--b\nContent-Type: text/csv; name=%d.csv\n\na;b\n" % n for n in range(50))
    mail, _ = parse_mail(b"Content-Type: multipart/mixed; boundary=b\n\n" + parts + b"--b--\n")
    assert len(mail.attachments) == MAX_ATTACHMENTS
    assert mail.trouble


@pytest.mark.parametrize(
    ("content", "declared", "text", "is_guess"),
    [
        ("été", "utf-8", "été", False),
        ("été", "iso-8859-1", "été", True),  # says Latin-1, is UTF-8
        ("été", "heard-of-never", "été", True),
        ("été", "", "été", False),
        ("CHÂ»", "utf-8", "CHÂ»", False),  # one pair alone may be meant
    ],
)
def test_a_charset_that_was_not_declared_is_a_guess(content: str, declared: str, text: str, *, is_guess: bool) -> None:
    assert decode_with_guess(content.encode(), declared) == (text, is_guess)


def test_a_text_without_zero_bytes_is_not_utf_16_whatever_it_claims() -> None:
    assert decode_with_guess("La cave est inondée".encode(), "utf-16").text == "La cave est inondée"


@pytest.mark.parametrize("order", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16_is_read_in_either_order(order: str) -> None:
    assert decode_with_guess("Bonjour à tous".encode(order), "utf-16").text == "Bonjour à tous"


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<div>a</div><div>b</div>", "a\nb"),
        ("<div>a<br></div><div><br></div><div>b</div>", "a\n\nb"),
        ("<p>a</p><p>b</p>", "a\n\nb"),
        ("a<blockquote>b<blockquote>c</blockquote></blockquote>d", "a\n\n> b\n>\n>> c\n\nd"),
        ("<a href='https://a.example'>https://a.example</a>", "https://a.example"),
        ("<a href='javascript:x()'>a</a>", "a"),
        ("<p hidden>a</p><p style='visibility: hidden'>b</p>c", "c"),
        ("a&nbsp;&lt;b&gt;", "a <b>"),
        ("<svg onload=x><text>a</text></svg>b", "a\nb"),
    ],
)
def test_lines_and_links_of_pages(html: str, text: str) -> None:
    assert html_to_text(html).replace("\N{NO-BREAK SPACE}", " ") == text


def test_what_is_too_long_is_cut_and_says_so() -> None:
    assert parse_mail(b"From: a@b.example\n\n" + b"mot " * 1_100_000)[0].remarks == ("text-cut",)
    assert parse_mail(b"From: a@b.example\nContent-Type: text/html\n\n" + b"mot " * 600_000)[0].remarks == ("text-cut",)


def test_a_page_nested_without_end_still_has_its_words() -> None:
    assert parse_html("<div>" * 100_000 + "Bonjour").text.strip() == "Bonjour"


SCRAPS = [
    *(path.read_bytes() for path in sorted(SAMPLES.glob("*.eml"))),
    b"Content-Type: application/pkcs7-mime\nContent-Transfer-Encoding: base64\n\nMIAGCSqGSIb3DQEHAqCAMIACAQE=\n",
    b"Content-Type: application/ms-tnef\n\n\x78\x9f\x3e\x22\x01\x00\x02\x02\x90\x06\x00\x01\x00\x00\x00",
    b"Content-Type: text/calendar\n\nBEGIN:VEVENT\nDTSTART;TZID=x:2026\nEND:VEVENT\n",
]


@given(st.sampled_from(SCRAPS), st.lists(st.tuples(st.integers(0, 3000), st.binary(max_size=8)), max_size=6), st.data())
@settings(max_examples=300)
def test_no_damaged_mail_is_too_strange(scrap: bytes, cuts: list[tuple[int, bytes]], data: st.DataObject) -> None:
    for place, put in cuts:
        at = min(place, len(scrap))
        scrap = scrap[:at] + put + scrap[at + data.draw(st.integers(0, 40)) :]
    mail, contents = parse_mail(scrap)
    assert len(contents) == len(mail.attachments)
    ParsedMail.model_validate_json(mail.model_dump_json())
