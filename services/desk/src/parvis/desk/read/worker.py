"""Hostile bytes on standard input, the number of pages and one JPEG on standard output; limited in memory and time."""

import io
import resource
import sys

_MEMORY_BYTES = 1536 * 1024 * 1024
_CPU_S = 15
_WIDTH = 1240  # A4 at 150 dots an inch: readable, about 200 kB
_MOST_PIXELS = 80_000_000


def main() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_S, _CPU_S))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    media_type, number = sys.argv[1], int(sys.argv[2])
    content = sys.stdin.buffer.read()
    draw = _draw_pdf if media_type == "application/pdf" else _draw_image
    pages, jpeg = draw(content, number)
    sys.stdout.buffer.write(f"{pages}\n".encode() + jpeg)


def _draw_pdf(content: bytes, number: int) -> tuple[int, bytes]:
    import pypdfium2

    document = pypdfium2.PdfDocument(content)
    page = document[number - 1]
    width, height = page.get_size()
    scale = min(_WIDTH / max(width, 1), 8, (_MOST_PIXELS / max(width * height, 1)) ** 0.5)
    return len(document), _jpeg(page.render(scale=scale).to_pil())


def _draw_image(content: bytes, number: int) -> tuple[int, bytes]:
    from PIL import Image, ImageOps

    Image.MAX_IMAGE_PIXELS = _MOST_PIXELS
    image = Image.open(io.BytesIO(content))
    pages = getattr(image, "n_frames", 1)
    if not 1 <= number <= pages or image.width * image.height > _MOST_PIXELS:
        sys.exit(1)
    image.seek(number - 1)
    upright = ImageOps.exif_transpose(image)
    upright.thumbnail((_WIDTH, _WIDTH * 4))
    return pages, _jpeg(upright)


def _jpeg(image: object) -> bytes:
    """A fresh encoding: no EXIF, no place, no camera."""
    from PIL import Image

    assert isinstance(image, Image.Image)  # noqa: S101
    plain = Image.new("RGB", image.size, "white")
    rgba = image.convert("RGBA")
    plain.paste(rgba, mask=rgba.getchannel("A"))
    out = io.BytesIO()
    plain.save(out, "JPEG", quality=82, optimize=True)
    return out.getvalue()


if __name__ == "__main__":
    main()
