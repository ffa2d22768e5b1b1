"""Facts about rendered letters, and their files in the print shop's folder."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, Protocol

import pypdfium2
import pytest
import zxingcpp
from hypothesis import given, settings
from hypothesis import strategies as st
from services.notifier.tests.parts import MakeReply, Notifier

from parvis.common.contract.contact import ContactPoint
from parvis.common.contract.errors import Rejected
from parvis.common.contract.letter_qr import LetterQrContent, conversation_id_of_letter_qr, decode_letter_qr
from parvis.common.contract.reply import ReplyRequested
from parvis.common.testing import A_KEY, AN_INSTANT
from parvis.notifier.decide.channel_choice import ChannelChooser
from parvis.notifier.render.message_renderer import MessageRenderer

LINES = (
    "Mme Céleste EXEMPLE",
    "Résidence du Théâtre",
    "Escalier B",
    "12 rue de la Fontaine-aux-Lièvres",
    "99999 VILLE-EXEMPLE",
)
HOME = ContactPoint(kind="post", value="\n".join(LINES))
MM = 72 / 25.4
# Millimetres from the left and the top of the sheet: what a DL envelope's window shows wherever the sheet lies inside, for
# the usual window of 45 × 100 mm and the smaller one of 35 × 100; and what may show if it lies unluckily.
LARGER_WINDOW, SMALLER_WINDOW, MAY_SHOW = (100, 45, 190, 79), (100, 55, 190, 79), (90, 34, 200, 90)
ABROAD = (
    "M. et Mme Jean-Baptiste EXEMPLE-TÉMOIN",
    "Appartement 12, escalier B",
    "Résidence du Théâtre des Quatre-Saisons",
    "Lieu-dit La Grande Fontaine-aux-Lièvres",
    "99999 VILLE-EXEMPLE-SUR-FICTION CEDEX 09",
    "BELGIQUE",
)

Write = Callable[[ReplyRequested], bytes]


@pytest.fixture
def write(renderer: MessageRenderer, addressing: ChannelChooser) -> Write:
    def render(reply: ReplyRequested) -> bytes:
        return renderer.render(
            reply, addressing.build_delivery(reply, addressing.choose(reply, {})), AN_INSTANT
        ).content

    return render


class SetLetter(Protocol):
    def __call__(self, reply: ReplyRequested, *, large_print: bool = False) -> bytes: ...


@pytest.fixture
def set_letter(renderer: MessageRenderer, addressing: ChannelChooser) -> SetLetter:
    def render(reply: ReplyRequested, *, large_print: bool = False) -> bytes:
        delivery = addressing.build_delivery(reply, addressing.choose(reply, {}))
        return renderer.render(reply, replace(delivery, large_print=large_print), AN_INSTANT).content

    return render


def pages_of(pdf: bytes) -> list[str]:
    document: Any = pypdfium2.PdfDocument(pdf)
    try:
        return [page.get_textpage().get_text_range() for page in document]
    finally:
        document.close()


def place_of(pdf: bytes, words: str) -> tuple[float, float, float, float]:
    """Where words stand on the first page: left, top, right, bottom in millimetres."""
    document: Any = pypdfium2.PdfDocument(pdf)
    try:
        text = document[0].get_textpage()
        start, count = text.search(words).get_next()
        boxes = [text.get_charbox(index) for index in range(start, start + count)]
        height = document[0].get_height()
        left, right = min(box[0] for box in boxes), max(box[2] for box in boxes)
        return (
            left / MM,
            (height - max(box[3] for box in boxes)) / MM,
            right / MM,
            (height - min(box[1] for box in boxes)) / MM,
        )
    finally:
        document.close()


def test_a_letter_names_sender_addressee_and_subject(make_reply: MakeReply, write: Write) -> None:
    reply = make_reply(channel="post", points=(HOME,))
    (text,) = pages_of(write(reply))
    for words in (
        *LINES,
        "Mairie de Val-Exemple",
        "État civil",
        "Le 2 mars 2026",
        reply.reference,
        "Votre acte est prêt.",
    ):
        assert words in text
    assert "Ville fictive" in text


@pytest.mark.parametrize(
    ("lines", "window"),
    [
        (LINES, SMALLER_WINDOW),
        (ABROAD, SMALLER_WINDOW),
        (("Zoé Z", "99998 ZZ"), SMALLER_WINDOW),
        (tuple(f"Ligne {i} " + "n" * 50 for i in range(7)), LARGER_WINDOW),
    ],
)
@pytest.mark.parametrize("large_print", [False, True])
def test_the_whole_address_is_seen_through_the_window(
    make_reply: MakeReply, set_letter: SetLetter, lines: tuple[str, ...], window: tuple[int, ...], *, large_print: bool
) -> None:
    reply = make_reply(channel="post", points=(ContactPoint(kind="post", value="\n".join(lines)),))
    pdf = set_letter(reply, large_print=large_print)
    left, top, right, bottom = window
    for line in lines:
        box = place_of(pdf, line)
        assert box[0] >= left, line
        assert box[1] >= top, line
        assert box[2] <= right, line
        assert box[3] <= bottom, line


@pytest.mark.parametrize("large_print", [False, True])
@pytest.mark.parametrize("kind", ["answer", "receipt"])
def test_nothing_but_the_address_can_show_through_the_window(
    make_reply: MakeReply, set_letter: SetLetter, kind: str, *, large_print: bool
) -> None:
    variables = {"received_on": "2 mars 2026", "procedure": "x", "answer_due_on": "x", "silence_rule": "x"}
    reply = make_reply(kind=kind, channel="post", points=(HOME,), personal={"variables": variables})
    document: Any = pypdfium2.PdfDocument(set_letter(reply, large_print=large_print))
    page = document[0].render(scale=200 / 72, grayscale=True).to_numpy()
    document.close()
    left, top, right, bottom = (round(mm * 200 / 25.4) for mm in MAY_SHOW)
    dark = page < 200
    rows, columns = dark[top:bottom, left:right].any(axis=1), dark[top:bottom, left:right].any(axis=0)
    inner = [round(mm * 200 / 25.4) for mm in SMALLER_WINDOW]
    assert rows[inner[1] - top : inner[3] - top].any(), "the address is there"
    assert not rows[: inner[1] - top].any()
    assert not rows[inner[3] - top :].any()
    assert not columns[: inner[0] - left].any()
    assert not columns[inner[2] - left :].any()


def test_large_print_is_half_as_large_again(make_reply: MakeReply, set_letter: SetLetter) -> None:
    reply = make_reply(channel="post", points=(HOME,))

    def height(pdf: bytes) -> float:
        box = place_of(pdf, "Votre acte est prêt")
        return box[3] - box[1]

    assert height(set_letter(reply, large_print=True)) == pytest.approx(1.5 * height(set_letter(reply)), rel=0.02)


def test_the_code_on_a_letter_names_its_conversation_when_it_comes_back(make_reply: MakeReply, write: Write) -> None:
    reply = make_reply(channel="post", points=(HOME,))
    document: Any = pypdfium2.PdfDocument(write(reply))
    image = document[0].render(scale=200 / 72).to_pil()
    document.close()
    read: Any = zxingcpp.read_barcodes(image)
    assert [conversation_id_of_letter_qr(code.text, A_KEY) for code in read] == [reply.conversation_id]
    assert [decode_letter_qr(code.text, A_KEY) for code in read] == [
        LetterQrContent(reply.conversation_id, reply.reply_id)
    ]
    assert reply.reference in read[0].text


def test_a_letter_is_tagged_titled_and_made_to_be_kept(make_reply: MakeReply, write: Write) -> None:
    pdf = write(make_reply(channel="post", points=(HOME,), language="en"))
    for mark in (
        b"/MarkInfo",
        b"/StructTreeRoot",
        b"/Lang(en)",
        b"pdfuaid:part",
        b"pdfaid:part",
        b"/DisplayDocTitle true",
    ):
        assert mark in pdf.replace(b"/Lang (en)", b"/Lang(en)"), mark


def test_every_attempt_gives_the_same_bytes(
    make_reply: MakeReply, renderer: MessageRenderer, addressing: ChannelChooser
) -> None:
    reply = make_reply(channel="post", points=(HOME,))
    delivery = addressing.build_delivery(reply, addressing.choose(reply, {}))
    first = renderer.render(reply, delivery, AN_INSTANT).content
    assert renderer.render(reply, delivery, AN_INSTANT).content == first


def test_a_long_answer_has_several_pages_with_the_reference_on_each(make_reply: MakeReply, write: Write) -> None:
    reply = make_reply(
        channel="post", points=(HOME,), personal={"text": "\n\n".join(["Une phrase de plus. " * 20] * 15)}
    )
    pages = pages_of(write(reply))
    assert len(pages) > 2
    assert all(reply.reference in page for page in pages)


def test_a_link_that_is_longer_than_a_line_is_printed_whole(make_reply: MakeReply, write: Write) -> None:
    link = f"https://www.example-town.example/{'a' * 200}?b=c"
    pdf = write(make_reply(channel="post", points=(HOME,), personal={"text": f"Voir {link}."}))
    document: Any = pypdfium2.PdfDocument(pdf)
    try:
        text, width = document[0].get_textpage(), document[0].get_width()
        ends = [text.get_charbox(index)[2] for index in range(text.count_chars())]
        printed = re.sub(r"[\s\u200b\ufffe]", "", text.get_text_range())
    finally:
        document.close()
    assert max(ends) < width - 10 * MM
    assert link in printed


def test_text_is_never_read_as_layout(make_reply: MakeReply, write: Write) -> None:
    text = '#panic("x") *gras* = Titre $x$ // non \\ #include "/etc/passwd" @ici <la>'
    (page,) = pages_of(write(make_reply(channel="post", points=(HOME,), personal={"text": text})))
    assert text in " ".join(page.split())


@settings(deadline=None, max_examples=25)
@given(text=st.text(st.characters(min_codepoint=1, max_codepoint=0x24F), max_size=200))
def test_any_european_text_can_be_set(
    make_reply: MakeReply, renderer: MessageRenderer, addressing: ChannelChooser, text: str
) -> None:
    reply = make_reply(channel="post", points=(HOME,), personal={"text": text})
    assert (
        renderer.render(reply, addressing.build_delivery(reply, addressing.choose(reply, {})), AN_INSTANT).content[:5]
        == b"%PDF-"
    )


def test_a_script_without_a_font_is_refused_and_not_printed_as_boxes(make_reply: MakeReply, write: Write) -> None:
    assert "Merci" in pages_of(write(make_reply(channel="post", points=(HOME,), personal={"text": "Merci 👍🏽"})))[0]
    with pytest.raises(Rejected, match="glyph"):
        write(make_reply(channel="post", points=(HOME,), personal={"text": "你好"}))


@pytest.mark.stack
async def test_a_letter_lands_whole_under_its_own_name(notifier: Notifier, make_reply: MakeReply) -> None:
    reply = make_reply(channel="post", points=(HOME,))
    async with notifier.running():
        await notifier.take(reply)
        await notifier.until(lambda states: states == ["accepted"])
    (row,) = await notifier.rows()
    (file,) = notifier.letters.iterdir()
    assert file.name == row.provider_id
    assert file.name.endswith(f"-{reply.reference}-{row.delivery_id}.pdf")
    assert [update.state for update in notifier.published] == ["reserved", "accepted"]
    assert notifier.published[-1].evidence


@pytest.mark.stack
async def test_a_letter_whose_writer_died_is_written_again_and_is_one_letter(
    notifier: Notifier, make_reply: MakeReply
) -> None:
    reply = make_reply(channel="post", points=(HOME,))
    await notifier.take(reply)
    notifier.parts.limits = type(notifier.parts.limits)(lease=timedelta(0))
    (due,) = await notifier.send_loop().reserve(1)
    message = notifier.renderer.render(due.reply, due.delivery, AN_INSTANT)
    await notifier.senders["post"].send(message)
    await notifier.reconciliation().reconcile()
    notifier.parts.limits = type(notifier.parts.limits)()
    async with notifier.running():
        await notifier.until(lambda states: states == ["accepted"])
    assert len(list(notifier.letters.iterdir())) == 1


@pytest.mark.stack
async def test_a_folder_that_cannot_be_written_is_tried_again(notifier: Notifier, make_reply: MakeReply) -> None:
    notifier.letters.rmdir() if notifier.letters.exists() else None
    notifier.letters.touch()  # a file where the folder should be
    async with notifier.running():
        await notifier.take(make_reply(channel="post", points=(HOME,)))
        await notifier.until(lambda states: states == ["planned"])
        while not (await notifier.rows())[0].failure_class:
            await notifier.until(lambda states: states in (["planned"], ["reserved"]))
        notifier.letters.unlink()
        await notifier.until(lambda states: states == ["accepted"])
