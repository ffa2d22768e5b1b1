"""Scans and pictures become plain JPEGs, and what is none is refused without harm."""

import asyncio
import io

import pypdfium2
import pytest
from PIL import Image

from parvis.common.errors import Rejected
from parvis.desk.read import Pictures


def a_picture(form: str, **more: object) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (400, 300), "white").save(out, form, **more)  # pyright: ignore[reportArgumentType]
    return out.getvalue()


def a_pdf(pages: int) -> bytes:
    document = pypdfium2.PdfDocument.new()
    for _ in range(pages):
        document.new_page(595, 842)
    out = io.BytesIO()
    document.save(out)
    document.close()
    return out.getvalue()


async def test_each_page_of_a_pdf_is_drawn() -> None:
    made = await Pictures().page(a_pdf(2), "a" * 64, "application/pdf", 2)

    assert made.pages == 2
    assert Image.open(io.BytesIO(made.jpeg)).size[0] == 1240


async def test_a_tiff_has_pages_and_a_photo_loses_its_place() -> None:
    exif = Image.Exif()
    exif[0x010E] = "taken at home"
    several = a_picture("TIFF", save_all=True, append_images=[Image.new("RGB", (400, 300))])
    photo = await Pictures().page(a_picture("JPEG", exif=exif), "b" * 64, "image/jpeg", 1)

    assert (await Pictures().page(several, "c" * 64, "image/tiff", 2)).pages == 2
    assert b"taken at home" not in photo.jpeg


@pytest.mark.parametrize(
    ("content", "media_type", "page"),
    [
        (b"%PDF-1.4 broken", "application/pdf", 1),
        (b"\x89PNG\r\n\x1a\n", "image/png", 1),
        (b"", "image/jpeg", 1),
        (b"<svg/>", "image/svg+xml", 1),
        (a_picture("PNG"), "image/png", 2),
        (a_picture("PNG"), "image/png", -1),
    ],
)
async def test_what_is_no_picture_is_refused(content: bytes, media_type: str, page: int) -> None:
    with pytest.raises(Rejected):
        await Pictures().page(content, "d" * 64, media_type, page)


async def test_many_at_once_are_made_two_at_a_time() -> None:
    pictures = Pictures()
    made = await asyncio.gather(*(pictures.page(a_picture("PNG"), "e" * 64, "image/png", 1) for _ in range(6)))

    assert len({picture.jpeg for picture in made}) == 1
