"""Runs as the isolated process that renders one page of a scan or picture as a JPEG."""

import io
import json
from collections.abc import Iterator

import pypdfium2
from PIL import Image, ImageOps

from parvis.common.files.previews.preview_frames import JPEG, PAGE_COUNT
from parvis.common.runtime.sandbox.child import serve
from parvis.common.runtime.sandbox.pipe_protocol import Frame

_MOST_PIXELS = 80_000_000
# Only these decoders of Pillow: others start programs, or read formats that citizens do not send.
_FORMATS = {"image/jpeg": "JPEG", "image/png": "PNG", "image/tiff": "TIFF", "image/gif": "GIF", "image/webp": "WEBP", "image/bmp": "BMP"}  # fmt: skip


def render_page(job: list[Frame]) -> Iterator[Frame]:
    (_, question), (_, content) = job
    media_type, number, width, turn = json.loads(question)
    pages, picture = (
        _page_of_pdf(content, number, width)
        if media_type == "application/pdf"
        else _page_of_image(content, _FORMATS[media_type], number, width)
    )
    yield PAGE_COUNT, str(pages).encode()
    yield JPEG, _encoded(picture.rotate(-turn, expand=True) if turn else picture)


def _page_of_pdf(content: bytes, number: int, width: int) -> tuple[int, Image.Image]:
    document = pypdfium2.PdfDocument(content)
    document.init_forms()  # text typed into form fields is part of the letter
    page = document[_index(number, len(document))]
    across, down = page.get_size()
    scale = min(width / max(across, 1), 8, (_MOST_PIXELS / max(across * down, 1)) ** 0.5)
    return len(document), page.render(scale=scale).to_pil()


def _page_of_image(content: bytes, pillow_format: str, number: int, width: int) -> tuple[int, Image.Image]:
    Image.MAX_IMAGE_PIXELS = _MOST_PIXELS
    image = Image.open(io.BytesIO(content), formats=[pillow_format])
    pages: int = getattr(image, "n_frames", 1)
    image.seek(_index(number, pages))
    if image.width * image.height > _MOST_PIXELS:
        raise ValueError("too large")
    upright = ImageOps.exif_transpose(image)
    upright.thumbnail((width, width * 4))
    return pages, upright


def _index(number: int, pages: int) -> int:
    if not 1 <= number <= pages:
        raise IndexError(number)
    return number - 1


def _encoded(image: Image.Image) -> bytes:
    """JPEG on white without EXIF: no location, no camera, no thumbnail of the uncropped picture."""
    if image.mode.startswith(("I", "F")):  # 16 bits per pixel: Pillow's conversion clips them instead of scaling
        image = image.convert("F").point(lambda level: level * (1 / 257)).convert("L")
    rgba = image.convert("RGBA")
    plain = Image.new("RGB", image.size, "white")
    plain.paste(rgba, mask=rgba.getchannel("A"))
    out = io.BytesIO()
    plain.save(out, "JPEG", quality=82, optimize=True)
    return out.getvalue()


def warm() -> None:
    Image.init()


if __name__ == "__main__":
    serve(render_page, warm=warm)
