"""Tests page previews: scans and pictures become plain JPEGs, and other files are rejected."""

import asyncio
import io
from collections.abc import AsyncGenerator

import pypdfium2
import pytest
import pytest_asyncio
from PIL import Image

from parvis.common.contract.errors import Rejected
from parvis.common.files.previews.page_preview import DOWNLOAD_WIDTH, PagePreviews

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def pictures() -> AsyncGenerator[PagePreviews]:
    made, stopping = PagePreviews(), asyncio.Event()
    running = asyncio.create_task(made.run(stopping))
    await asyncio.sleep(0)  # it has begun: who asks from now on is waited for
    yield made
    stopping.set()
    await running


def a_picture(form: str, *, mode: str = "RGB", **more: object) -> bytes:
    out = io.BytesIO()
    Image.new(mode, (400, 300), "white").save(out, form, **more)  # pyright: ignore[reportArgumentType]
    return out.getvalue()


def a_pdf(pages: int) -> bytes:
    document = pypdfium2.PdfDocument.new()
    for _ in range(pages):
        document.new_page(595, 842)
    out = io.BytesIO()
    document.save(out)
    document.close()
    return out.getvalue()


async def test_each_page_of_a_pdf_is_drawn(pictures: PagePreviews) -> None:
    made = await pictures.render_page(a_pdf(2), "a" * 64, "application/pdf", 2)
    large = await pictures.render_page(a_pdf(2), "a" * 64, "application/pdf", 2, width=DOWNLOAD_WIDTH)

    assert made.pages == 2
    assert [Image.open(io.BytesIO(one.jpeg)).size[0] for one in (made, large)] == [1240, DOWNLOAD_WIDTH]


async def test_a_tiff_has_pages(pictures: PagePreviews) -> None:
    several = a_picture("TIFF", save_all=True, append_images=[Image.new("RGB", (400, 300))])

    assert (await pictures.render_page(several, "c" * 64, "image/tiff", 2)).pages == 2


async def test_a_photo_loses_its_place_and_its_camera(pictures: PagePreviews) -> None:
    exif = Image.Exif()
    exif[0x010E], exif[0x0110] = "taken at home", "a camera"
    exif.get_ifd(0x8825).update({1: "N", 2: (48.0, 12.0, 34.0), 3: "E", 4: (6.0, 7.0, 8.0)})
    photo = a_picture("JPEG", exif=exif, comment=b"a comment", icc_profile=b"a profile" * 20)
    assert Image.open(io.BytesIO(photo)).getexif().get_ifd(0x8825)

    made = Image.open(io.BytesIO((await pictures.render_page(photo, "b" * 64, "image/jpeg", 1)).jpeg))

    assert not made.getexif()
    assert not {"exif", "comment", "icc_profile", "xmp"} & set(made.info)


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA", "I;16"])
async def test_every_kind_of_dots_is_drawn_on_white(pictures: PagePreviews, mode: str) -> None:
    white = {"1": 1, "L": 255, "P": 255, "LA": (0, 0), "RGBA": (0, 0, 0, 0), "I;16": 65535}[mode]
    out = io.BytesIO()
    Image.new(mode, (40, 30), white).save(out, "PNG")
    if mode == "P":
        Image.new("RGB", (40, 30), "white").quantize(4).save(out := io.BytesIO(), "PNG")

    made = Image.open(io.BytesIO((await pictures.render_page(out.getvalue(), mode * 8, "image/png", 1)).jpeg))

    assert made.getpixel((20, 15)) == (255, 255, 255)


@pytest.mark.parametrize(
    ("content", "media_type", "page"),
    [
        (b"%PDF-1.4 broken", "application/pdf", 1),
        (b"\x89PNG\r\n\x1a\n", "image/png", 1),
        (b"", "image/jpeg", 1),
        (b"<svg/>", "image/svg+xml", 1),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n", "image/tiff", 1),
        (a_picture("PNG"), "image/jpeg", 1),
        (a_picture("PNG"), "image/png", 2),
        (a_picture("PNG"), "image/png", -1),
    ],
)
async def test_a_file_that_is_not_a_picture_is_rejected(
    pictures: PagePreviews, content: bytes, media_type: str, page: int
) -> None:
    with pytest.raises(Rejected):
        await pictures.render_page(content, "d" * 64, media_type, page)
    assert (await pictures.render_page(a_picture("PNG"), "f" * 64, "image/png", 1)).pages == 1


async def test_concurrent_requests_give_the_same_picture(pictures: PagePreviews) -> None:
    made = await asyncio.gather(*(pictures.render_page(a_picture("PNG"), "e" * 64, "image/png", 1) for _ in range(6)))

    assert len({picture.jpeg for picture in made}) == 1
