"""Tests that a fax is made square, and that pages which only stand in for a letter are named."""

import io

import pytest
from PIL import Image

from parvis.ingest_postal.sandbox.scan_file import open_scan


@pytest.mark.parametrize(
    ("dpi", "size"),
    [((204, 98), (408, 400)), ((98, 204), (850, 192)), ((200, 200), (408, 192)), ((200, 1), (408, 192))],
)
def test_a_fax_is_made_square(dpi: tuple[int, int], size: tuple[int, int]) -> None:
    file = io.BytesIO()
    Image.new("L", (408, 192), 255).save(file, "TIFF", dpi=dpi)
    picture = open_scan(file.getvalue(), "image/tiff", pixels=10_000_000).render(0, dpi=300)
    assert abs(picture.width - size[0]) <= 1
    assert abs(picture.height - size[1]) <= 1


def pdf(catalog: str, *objects: str) -> bytes:
    rows = [
        f"<</Type/Catalog/Pages 2 0 R{catalog}>>",
        "<</Type/Pages/Kids[3 0 R]/Count 1>>",
        "<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 200]>>",
        *objects,
    ]
    body = "%PDF-1.7\n" + "".join(f"{number} 0 obj\n{row}\nendobj\n" for number, row in enumerate(rows, 1))
    return (body + "trailer<</Root 1 0 R/Size 9>>\n%%EOF\n").encode()


_EMBEDDED = (
    "/Names<</EmbeddedFiles<</Names[(a.pdf) 4 0 R]>>>>",
    "<</Type/Filespec/F(a.pdf)/EF<</F 5 0 R>>>>",
    "<</Type/EmbeddedFile/Length 1>>stream\nx\nendstream",
)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (pdf("/NeedsRendering true/AcroForm<</XFA 4 0 R/Fields[]>>", "<</Length 6>>stream\n<xdp/>\nendstream"), "XFA"),
        (pdf(f"/Collection<</View/D>>{_EMBEDDED[0]}", *_EMBEDDED[1:]), "portfolio"),
        (
            pdf(_EMBEDDED[0], _EMBEDDED[1].replace("/F(", "/AFRelationship/EncryptedPayload/F("), _EMBEDDED[2]),
            "protected",
        ),
        (pdf(_EMBEDDED[0], *_EMBEDDED[1:]), ""),
        (pdf(""), ""),
    ],
)
def test_pages_that_stand_in_for_a_letter_are_named(content: bytes, reason: str) -> None:
    stand_in = open_scan(content, "application/pdf", pixels=10_000_000).stand_in
    assert reason in stand_in
    assert bool(stand_in) == bool(reason)


def test_a_page_of_text_that_only_names_a_program_is_a_cover() -> None:
    words = "(This file is encrypted. Open it in the viewer of its sender.)"
    drawing = f"BT /F1 9 Tf 10 100 Td {words} Tj ET"
    content = pdf(
        "", f"<</Length {len(drawing)}>>stream\n{drawing}\nendstream", "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"
    )
    content = content.replace(b"200]>>", b"200]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>")
    assert "cover" in open_scan(content, "application/pdf", pixels=10_000_000).stand_in
