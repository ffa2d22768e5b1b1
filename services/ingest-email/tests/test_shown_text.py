"""Tests that the text holds what a reader of the mail is shown, and never a stand-in for it."""

import pytest

from parvis.ingest_email.parse.mail import parse_mail
from parvis.ingest_email.parse.mime.charsets import clean_line
from parvis.ingest_email.parse.mime.html_text import html_to_text

WORDS = "Le banc de la place est cassé"


@pytest.mark.parametrize(
    "page",
    [
        f'<div style="font-size:0"><p style="font-size:14px">{WORDS}</p></div>',
        f'<table style="font-size:0px"><tr><td style="font-size:1rem">{WORDS}</td></tr></table>',
        f'<div style="visibility:hidden"><p style="visibility:visible">{WORDS}</p></div>',
        f'<div style="max-height:0">{WORDS}</div>',
        f'<div style="opacity:0;animation:show 1s forwards">{WORDS}</div>',
        f'<div style="display:none">{WORDS}</div>',
        f'<p style="display:block!important;display:none">{WORDS}</p>',
        f'<div style="display:none">{WORDS}</div><img src="cid:a" alt="logo">',
    ],
)
def test_words_that_are_shown_or_all_there_are_stay(page: str) -> None:
    assert WORDS in html_to_text(page)


@pytest.mark.parametrize(
    "page",
    [
        f"<textarea>{WORDS}</textarea>",
        f"<noscript><p>{WORDS}</p></noscript>",
        f"<svg><style>p {{}}</style><text x='0'>{WORDS}</text></svg>",
        f"<object data='x.pdf'><p>{WORDS}</p></object>",
        f'<input type="text" value="{WORDS}">',
        f"<select><option>Un arbre<option selected>{WORDS}</select>",
        f"<math><mtext>{WORDS}</mtext></math>",
    ],
)
def test_words_stay_whatever_element_shows_them(page: str) -> None:
    text = html_to_text(f"<p>Bonjour</p>{page}<p>Merci</p>")
    assert text == f"Bonjour\n\n{WORDS}\n\nMerci"


@pytest.mark.parametrize(
    "page", ['<input type="hidden" value="jeton">', "<svg><desc>jeton</desc></svg>", "<template>jeton</template>"]
)
def test_what_no_browser_shows_is_left_out(page: str) -> None:
    assert html_to_text(f"<p>Bonjour{page}</p>") == "Bonjour"


def test_boxes_of_a_form_show_whether_they_are_ticked() -> None:
    page = '<input type="checkbox" checked>Urgent <input type="radio">Plus tard'
    assert html_to_text(page).split() == ["[x]", "Urgent", "[", "]", "Plus", "tard"]


@pytest.mark.parametrize("tag", ["legend", "summary", "figcaption", "main", "form", "fieldset", "option selected"])
def test_words_of_two_blocks_are_two_words(tag: str) -> None:
    assert html_to_text(f"<{tag}>rue</{tag.split(maxsplit=1)[0]}>haute").split() == ["rue", "haute"]


@pytest.mark.parametrize("flood", ["&", "&amp;", "& ", "&a", "&lt;", "&#38;"])
def test_a_flood_of_ampersands_is_read(flood: str) -> None:
    """Read in a way that is not linear, these take minutes, and the test run ends."""
    count = 1_900_000 // len(flood)
    text = html_to_text(f'<p><a href="https://a.example/?b=1&amp;copy=2">{WORDS}</a>{flood * count}</p>')
    assert text.startswith(f"{WORDS} <https://a.example/?b=1&copy=2>{'<' if flood == '&lt;' else '&'}")


@pytest.mark.parametrize(
    "style",
    [
        "display:none",
        "font-size:0",
        "visibility:hidden",
        "opacity:0",
        "max-height:0;overflow:hidden",
        "font-size:0.0em !important",
    ],
)
def test_words_that_are_hidden_beside_others_are_left_out(style: str) -> None:
    text = html_to_text(f'<div style="{style}"><b style="font-size:2em">Aperçu</b></div><p>{WORDS}</p>')
    assert text == WORDS


def alternative(plain: str, page: str, *, second: str = "text/html") -> bytes:
    return (
        "From: camille@citizens.example\nSubject: Banc\nMIME-Version: 1.0\nContent-Type: multipart/alternative; boundary=b\n\n"
        f"--b\nContent-Type: text/plain; charset=utf-8\n\n{plain}\n"
        f"--b\nContent-Type: {second}; charset=utf-8\n\n{page}\n--b--\n"
    ).encode()


@pytest.mark.parametrize(
    "plain",
    [
        "\u200b\u200c\u00ad",
        "\ufffc",
        "-",
        "[image: logo.png]",
        "Bonjour,",
        "Le banc de la",
        "Ce courriel est en texte riche.",
        "This is a multi-part message in MIME format.",
        "Votre logiciel ne supporte pas ce format.",
        "Il faut un autre programme afin de voir la suite de cette lettre, merci.",
    ],
)
def test_a_plain_part_that_says_little_hides_no_page(plain: str) -> None:
    page = f"<p>Bonjour,</p><p>{WORDS} depuis hier, et une planche manque devant la fontaine.</p>"
    mail, _ = parse_mail(alternative(plain, page))
    assert WORDS in mail.text
    assert mail.trouble is None


def test_a_plain_part_of_its_own_stays_with_the_page() -> None:
    mail, _ = parse_mail(alternative("Appelez Zoé", f"<p>{WORDS} depuis hier, et une planche manque.</p>"))
    assert "Appelez Zoé" in mail.text
    assert WORDS in mail.text


def test_a_plain_text_that_says_the_same_is_taken() -> None:
    mail, _ = parse_mail(alternative(f"{WORDS}.", f"<p><b>{WORDS}</b>.</p>"))
    assert mail.text == f"{WORDS}."


def test_rtf_is_read_as_rtf() -> None:
    content = b"From: camille@citizens.example\nSubject: x\nContent-Type: text/rtf\n\n{\\rtf1\\ansi Le banc est cass\\'e9\\par}"
    assert parse_mail(content)[0].text == "Le banc est cassé"


@pytest.mark.parametrize(
    "text",
    [
        "Lire le message : https://confidential-mail.google.com/msg/AB12",
        "Votre messagerie ne prend pas en charge ce message.",
    ],
)
def test_a_text_that_stands_in_for_another_is_unreadable(text: str) -> None:
    content = f"From: camille@citizens.example\nSubject: x\nContent-Type: text/plain; charset=utf-8\n\n{text}\n"
    mail, _ = parse_mail(content.encode())
    assert mail.trouble
    assert mail.text == text


def test_an_empty_mail_is_unreadable() -> None:
    assert parse_mail(b"From: camille@citizens.example\n\n\n")[0].trouble


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("Inon\u00addation rue Basse", "Inondation rue Basse"),
        ("Place \U0001f468\u200d\U0001f469\u200d\U0001f467", "Place \U0001f468\u200d\U0001f469\u200d\U0001f467"),
        ("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"),
        ("i\u200bn\u2060o\u200dn", "inon"),
    ],
)
def test_a_subject_keeps_joiners_that_join(written: str, shown: str) -> None:
    assert clean_line(written, 100) == shown


TABLE = "<table><tr><th>Date</th><th>Heure</th></tr><tr><td>12 mai</td><td>14 h 30</td></tr><tr><td>19 mai</td><td>9 h</td></tr></table>"


@pytest.mark.parametrize("sign", ["\U000e0020", "\u206a", "\ufff9", "\U0001d173", "\u061c"])
def test_an_unseen_sign_divides_no_word_of_a_subject(sign: str) -> None:
    assert clean_line(f"Inon{sign}dation", 200) == "Inondation"


@pytest.mark.parametrize("plain", [f"{WORDS}.", f"{WORDS}. " * 40])
def test_a_table_that_the_text_version_leaves_out_is_told(plain: str) -> None:
    mail, _ = parse_mail(alternative(plain, f"<p>{plain}</p>{TABLE}"))
    assert "more-in-page" in mail.remarks or "14 h 30" in mail.text
    assert "more-in-page" not in parse_mail(alternative(plain, f"<p>{plain}</p>"))[0].remarks


def test_a_table_that_only_arranges_the_page_is_not_told() -> None:
    plain = f"{WORDS}. " * 40
    mail, _ = parse_mail(alternative(plain, f"<table><tr><td>{plain}</td></tr></table>"))
    assert "more-in-page" not in mail.remarks
