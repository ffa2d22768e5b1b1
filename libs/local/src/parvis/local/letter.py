"""Draws a sample letter and the scan that a mail room's scanner makes of it. Pure; no I/O."""

import io
import json
import random
from dataclasses import asdict, dataclass
from typing import Any, Literal

import pypdfium2
import typst
from PIL import Image, ImageChops

ScanFormat = Literal["pdf", "tiff", "png", "jpeg"]

# Typst's wheel contains its fonts (Libertinus Serif by default), so the machine's fonts make no difference.
_LAYOUT = """
#let letter = json(bytes(sys.inputs.letter))
#set document(title: letter.subject, date: none)
#set page(paper: "a4", margin: (x: 24mm, y: 22mm))
#set text(lang: "fr", size: 11.5pt, ligatures: false)
#set par(justify: false, leading: 0.7em, spacing: 1.3em)
#grid(columns: (1fr, 1fr), column-gutter: 10mm,
  letter.sender.join(linebreak()),
  pad(top: 26mm, letter.addressee.join(linebreak())))
#v(8mm)
#align(right, letter.date)
#v(6mm)
#if letter.subject != "" [Objet : #letter.subject]
#v(4mm)
#for paragraph in letter.body { par(paragraph) }
#v(8mm)
#align(right, letter.signature)
"""


@dataclass(frozen=True)
class SampleLetter:
    """A French letter in the usual layout: sender top left, addressee right, subject, body, signature."""

    sender: tuple[str, ...]
    addressee: tuple[str, ...]
    date: str
    subject: str
    body: tuple[str, ...]
    signature: str


# The people and the town are fictional; no postcode begins with 00.
BIRTH_CERTIFICATE = SampleLetter(
    sender=("Mme Céleste EXEMPLE", "12 rue de la Fontaine-aux-Lièvres", "00100 VAL-EXEMPLE"),
    addressee=("Mairie de Val-Exemple", "Service de l’état civil", "1 place du Parvis", "00100 VAL-EXEMPLE"),
    date="Val-Exemple, le 3 février 2026",
    subject="demande de copie intégrale d’acte de naissance",
    body=(
        "Madame, Monsieur,",
        "Je vous prie de bien vouloir m’adresser une copie intégrale de mon acte de naissance. Je suis née le "
        "14 août 1951 à Val-Exemple, où mes parents, Hector et Zoé Exemple, tenaient la boulangerie près du théâtre.",
        "Ce document m’est demandé par ma caisse de retraite pour le dossier de réversion qui a été déposé à la suite "
        "du décès de mon époux. N’ayant pas d’accès à internet, je vous saurais gré de me répondre par courrier, à "
        "l’adresse qui figure en tête de cette lettre.",
        "Vous trouverez ci-joint la photocopie de ma carte d’identité. Dans l’attente de votre réponse, je vous prie "
        "d’agréer, Madame, Monsieur, l’expression de mes sentiments très distingués.",
    ),
    signature="Céleste Exemple",
)


def write_pdf(letter: SampleLetter) -> bytes:
    """Write the letter as a word processor would export it: a PDF with text."""
    return typst.compile(_LAYOUT.encode(), format="pdf", sys_inputs={"letter": json.dumps(asdict(letter))})


def make_scan(
    letter: SampleLetter,
    *,
    dpi: int = 200,
    angle: float = 0.0,
    noise: int = 0,
    turn: Literal[0, 90, 180, 270] = 0,
    scan_format: ScanFormat = "pdf",
    pages: int = 1,
    seed: int = 1,
) -> bytes:
    """Make a scan of the printed letter: images only, without text.

    Shape:  `angle` in degrees, a skewed sheet; `turn` by quarters, a sheet fed the wrong way; `noise` 0 to 128, grey
            levels of grain; `pages` repeats the sheet. The same arguments give the same image.
    """
    sheet = _rasterise(letter, dpi=dpi)
    sheets = [
        _add_scan_artefacts(sheet, angle=angle, noise=noise, turn=turn, seed=seed + page) for page in range(pages)
    ]
    file = io.BytesIO()
    more = {"save_all": True, "append_images": sheets[1:]} if scan_format in ("pdf", "tiff") else {}
    compression = {"compression": "tiff_lzw"} if scan_format == "tiff" else {}
    sheets[0].save(file, format=scan_format.upper(), dpi=(dpi, dpi), **more, **compression)
    return file.getvalue()


def _rasterise(letter: SampleLetter, *, dpi: int) -> Image.Image:
    document: Any = pypdfium2.PdfDocument(write_pdf(letter))  # its type hints require an integer scale
    try:
        return document[0].render(scale=dpi / 72, grayscale=True).to_pil().convert("L")
    finally:
        document.close()


def _add_scan_artefacts(sheet: Image.Image, *, angle: float, noise: int, turn: int, seed: int) -> Image.Image:
    sheet = sheet.rotate(angle, resample=Image.Resampling.BICUBIC, fillcolor=255).rotate(turn, expand=True)
    if not noise:
        return sheet
    grain = Image.frombytes("L", sheet.size, random.Random(seed).randbytes(sheet.width * sheet.height))  # noqa: S311
    grain = grain.point([level * noise // 128 for level in range(256)])
    return ImageChops.add(sheet, grain, offset=-noise)
