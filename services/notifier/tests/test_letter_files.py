"""Tests that the files of an answer are printed with its letter, and that the letter says how to ask for those that are not."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path

import pypdfium2
import pytest
from PIL import Image
from services.notifier.tests import validator
from services.notifier.tests.parts import MakeReply, Notifier
from services.notifier.tests.test_letter import HOME, pages_of

from parvis.common.contract.contact import ClaimCheck, ContactId, ScanVerdict
from parvis.common.contract.errors import Unavailable
from parvis.common.contract.reply import MAX_PRINTED_PAGES, ReplyRequested
from parvis.common.testing import AN_INSTANT

pytestmark = pytest.mark.stack


def sheets(colours: Sequence[str], form: str = "PDF", size: tuple[int, int] = (60, 85)) -> bytes:
    first, *others = [Image.new("RGB", size, colour) for colour in colours]
    out = BytesIO()
    first.save(out, form, **({"save_all": True, "append_images": others} if form == "PDF" else {}))
    return out.getvalue()


@asynccontextmanager
async def printing(notifier: Notifier) -> AsyncGenerator[None]:
    stopping = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(notifier.parts.page_previews.run(stopping))
        yield
        stopping.set()


async def claim_of(notifier: Notifier, content: bytes, media_type: str, scan: ScanVerdict = "clean") -> ClaimCheck:
    claim = await notifier.parts.clients.blobs.put(
        ContactId("5f3f7a0e-5a0c-5c3e-9a53-2f0d9c1b7e11"), content, media_type
    )
    return claim.model_copy(update={"scan": scan})


async def write(notifier: Notifier, reply: ReplyRequested) -> bytes:
    delivery = notifier.chooser.build_delivery(reply, notifier.chooser.choose(reply, {}))
    async with printing(notifier):
        files = await notifier.parts.attachments.fetch_for(reply, delivery, largest_bytes=0)
    return notifier.renderer.render(reply, delivery, AN_INSTANT, files).content


def colour_of(pdf: bytes, number: int) -> tuple[int, ...]:
    picture = pypdfium2.PdfDocument(pdf)[number].render(scale=1).to_pil()
    return tuple(picture.getpixel((picture.width // 2, picture.height // 2)))  # pyright: ignore[reportArgumentType]


async def test_the_pages_of_its_files_follow_the_letter(
    notifier: Notifier, make_reply: MakeReply, tmp_path: Path
) -> None:
    plan = await claim_of(notifier, sheets(["red", "lime"]), "application/pdf")
    wide = await claim_of(notifier, sheets(["blue"], "PNG", (90, 40)), "image/png")
    names = ("Plan du quartier.pdf", "photo <1> 日.png")
    reply = make_reply(channel="post", points=(HOME,), attachments=(plan, wide), personal={"file_names": names})
    pdf = await write(notifier, reply)

    first, *others = pages_of(pdf)
    assert "Pièces jointes : Plan du quartier.pdf, photo -1- _.png" in first
    assert "demandez-les" not in first
    assert [bool(page.strip()) for page in others] == [True] * 3  # the footer with the reference
    assert all("4" in page and reply.reference in page for page in others)
    expected = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]
    for number, colour in enumerate(expected, 1):
        assert max(abs(a - b) for a, b in zip(colour_of(pdf, number), colour, strict=False)) < 30
    (tmp_path / "letter.pdf").write_bytes(pdf)
    try:
        jar = validator.ensure()
    except Unavailable:
        pytest.skip("the validator cannot be fetched")
    for flavour in ("ua1", "2a"):
        assert validator.broken_rules(jar, flavour, tmp_path)["letter.pdf"] == []


@pytest.mark.parametrize("file", ["text", "many", "broken"])
async def test_a_letter_says_how_to_ask_for_what_is_not_printed(
    notifier: Notifier, make_reply: MakeReply, file: str
) -> None:
    content, media_type = {
        "text": (b"Bonjour.", "text/plain"),
        "many": (sheets(["white"] * (MAX_PRINTED_PAGES + 1)), "application/pdf"),
        "broken": (b"%PDF-1.7 nothing", "application/pdf"),
    }[file]
    good = await claim_of(notifier, sheets(["red"]), "application/pdf")
    claims = (good, await claim_of(notifier, content, media_type))
    pdf = await write(notifier, make_reply(channel="post", points=(HOME,), attachments=claims))
    (text,) = pages_of(pdf)
    assert "Des documents accompagnent cette réponse" in text


async def test_as_many_pages_as_allowed_are_printed(notifier: Notifier, make_reply: MakeReply) -> None:
    most = await claim_of(notifier, sheets(["white"] * (MAX_PRINTED_PAGES - 1)), "application/pdf")
    one = await claim_of(notifier, sheets(["red"]), "application/pdf")
    pdf = await write(notifier, make_reply(channel="post", points=(HOME,), attachments=(most, one)))
    assert len(pages_of(pdf)) == 1 + MAX_PRINTED_PAGES


async def test_a_letter_with_files_reaches_the_print_shop(notifier: Notifier, make_reply: MakeReply) -> None:
    plan = await claim_of(notifier, sheets(["red", "lime"]), "application/pdf")
    reply = make_reply(channel="post", points=(HOME,), attachments=(plan,), personal={"file_names": ("plan.pdf",)})
    async with printing(notifier), notifier.running():
        await notifier.take(reply)
        await notifier.until(lambda states: states == ["accepted"], within_s=60)
    (letter,) = notifier.letters.glob("*.pdf")
    assert len(pages_of(letter.read_bytes())) == 3
