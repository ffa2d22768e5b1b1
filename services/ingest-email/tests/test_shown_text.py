"""Tests that the text holds what a reader of the mail is shown, and never a stand-in for it."""

import pytest

from parvis.ingest_email.parse.mail import parse_mail
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
    "style",
    ["display:none", "font-size:0", "visibility:hidden", "opacity:0", "max-height:0;overflow:hidden", "font-size:0.0em !important"],
)
def test_words_that_are_hidden_beside_others_are_left_out(style: str) -> None:
    text = html_to_text(f'<div style="{style}"><b style="font-size:2em">Aperçu</b></div><p>{WORDS}</p>')
    assert text == WORDS
