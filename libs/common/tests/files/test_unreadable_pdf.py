"""Tests that PDFs whose pages are not the document itself are recognised, and that others are not."""

import pytest

from parvis.common.files.unreadable_pdf import screen_pdf

_EMBEDDED = "/Names<</EmbeddedFiles<</Names[(a.pdf) 6 0 R]>>>>"
_FILE = ("<</Type/Filespec/F(a.pdf)/EF<</F 7 0 R>>>>", "<</Type/EmbeddedFile/Length 1>>stream\nx\nendstream")


def pdf(words: str = "Madame, voici ma lettre.", catalog: str = "", *objects: str, trailer: str = "") -> bytes:
    drawing = f"BT /F1 9 Tf 10 100 Td ({words}) Tj ET"
    rows = [
        f"<</Type/Catalog/Pages 2 0 R{catalog}>>",
        "<</Type/Pages/Kids[3 0 R]/Count 1>>",
        "<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 200]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        f"<</Length {len(drawing)}>>stream\n{drawing}\nendstream",
        "<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>",
        *objects,
    ]
    body = "%PDF-1.7\n" + "".join(f"{number} 0 obj\n{row}\nendobj\n" for number, row in enumerate(rows, 1))
    return (body + f"trailer<</Root 1 0 R/Size 9{trailer}>>\n%%EOF\n").encode("latin-1")


ENCRYPTED = pdf(
    trailer=f"/ID[<{'00' * 16}><{'00' * 16}>]/Encrypt<</Filter/Standard/V 2/R 3/Length 128/P -4/O<{'17' * 32}>/U<{'2a' * 32}>>>"
)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (ENCRYPTED, "encrypted PDF"),
        (
            pdf("", "/NeedsRendering true/AcroForm<</XFA 6 0 R/Fields[]>>", "<</Length 6>>stream\n<xdp/>\nendstream"),
            "XFA",
        ),
        (pdf("", f"/Collection<</View/D>>{_EMBEDDED}", *_FILE), "portfolio"),
        (pdf("", _EMBEDDED, _FILE[0].replace("/F(", "/AFRelationship/EncryptedPayload/F("), _FILE[1]), "protected"),
        (pdf("This protected document opens in the viewer application of its sender: please download it."), "cover"),
        (pdf("Patience. Pour afficher ce formulaire, vous devez mettre à jour Adobe Reader."), "cover"),
    ],
    ids=["password", "xfa", "portfolio", "wrapper", "cover", "french cover"],
)
def test_a_pdf_that_stands_in_for_another_is_named(content: bytes, reason: str) -> None:
    assert reason in (screen_pdf(content, "application/pdf") or "")


@pytest.mark.parametrize(
    "content",
    [pdf(), pdf("", _EMBEDDED, *_FILE), b"%PDF-1.4 damaged", b""],
    ids=["letter", "embedded file", "damaged", "empty"],
)
def test_others_are_not(content: bytes) -> None:
    assert screen_pdf(content, "application/pdf") is None


def test_only_pdfs_are_opened() -> None:
    assert screen_pdf(ENCRYPTED, "image/png") is None
