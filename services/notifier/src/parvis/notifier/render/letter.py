"""Renders a reply as a letter: a tagged, archivable PDF, the same on every machine. Pure; no I/O."""

import json
import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib import resources
from typing import Any
from zoneinfo import ZoneInfo

import typst
import zxingcpp

from parvis.common.contract.errors import Rejected
from parvis.common.contract.letter_qr import encode_letter_qr
from parvis.common.files.file_names import safe_file_name
from parvis.common.text.telephone import format_phone
from parvis.common.town.models import localized
from parvis.common.town.template_variables import format_day
from parvis.notifier.models.delivery import Delivery
from parvis.notifier.models.message import AttachedFile
from parvis.notifier.render.reply_text import ReplyTextRenderer, to_one_line

# Only the fonts inside the compiler, so that a letter looks the same on every machine.
_FONTS = typst.Fonts(include_system_fonts=False)
_LAYOUT = resources.files("parvis.notifier.render").joinpath("letter.typ").read_bytes()
_LABELS: Mapping[str, Mapping[str, str]] = {
    "fr": {
        "reference": "Notre référence : {}",
        "date": "Le {}",
        "subject": "Objet : {}",
        "page": "Page",
        "qr": "Code à laisser sur cette feuille si vous nous la renvoyez, référence {}",
        "fictional": "Ville fictive.",
        "enclosed": "Pièces jointes : {}",
    },
    "en": {
        "reference": "Our reference: {}",
        "date": "{}",
        "subject": "Subject: {}",
        "page": "Page",
        "qr": "Code to leave on this sheet if you send it back, reference {}",
        "fictional": "A fictional town.",
        "enclosed": "Enclosed: {}",
    },
}
_PAGES = re.compile(rb"/Type\s*/Pages\s*/Count\s+([0-9]{1,5})")
_NO_LATIN = re.compile(
    "[^ -\u024f\u2010-\u2026]"
)  # a file's name in another script has no glyphs, and must not stop its letter
_LONG_WORD = re.compile(r"\S{30,}")
_PIECE = re.compile(
    r"[^/?&=#_.-]{0,11}[/?&=#_.-]|[^/?&=#_.-]{12}"
)  # behind a sign that links have, else every twelve letters
_PICTURES = re.compile("[\U0001f000-\U0001faff\ufe0f\u200d\u20e3]")  # no font of the compiler has them


def render_letter(
    reply_text: ReplyTextRenderer, delivery: Delivery, at: datetime, key: bytes, pages: Sequence[AttachedFile] = ()
) -> bytes:
    """The PDF of a letter, PDF/UA-1 and PDF/A-2a, with the pages of its attachments, which are JPEG pictures.

    Gives:  the same bytes for every attempt: it bears the date of the first.
    Raises: Rejected, if a character is in none of the fonts.
    """
    dated_at = delivery.first_reserved_at or at
    values = _values(reply_text, delivery, dated_at, key) | _enclosures(reply_text, pages)
    letter = _PICTURES.sub("", json.dumps(values, ensure_ascii=False))
    try:
        pdf: Any = typst.compile(
            _LAYOUT,
            format="pdf",
            font_paths=_FONTS,
            sys_inputs={"letter": letter},
            pdf_standards=["a-2a", "ua-1"],
            timestamp=int(dated_at.timestamp()),
        )
    except typst.TypstError as error:
        raise Rejected("the letter cannot be typeset: a character without a glyph, or a layout error") from error
    return bytes(pdf)


def count_pages(pdf: bytes) -> int:
    """The number of pages of one of our letters; its compiler writes the page tree uncompressed."""
    match = _PAGES.search(pdf)
    return int(match[1]) if match else 0


def _values(reply_text: ReplyTextRenderer, delivery: Delivery, dated_at: datetime, key: bytes) -> dict[str, Any]:
    town, department, language = reply_text.town_config.town, reply_text.department, reply_text.language
    labels = _labels(reply_text)
    rendered = reply_text.render("letter")
    reference = reply_text.reply.reference
    day = dated_at.astimezone(ZoneInfo(town.time_zone))
    name = localized(town.name, language)
    return {
        "language": language,
        "large": delivery.large_print,
        "title": rendered.subject,
        "subject": labels["subject"].format(rendered.subject),
        "day": [day.year, day.month, day.day],
        "date": labels["date"].format(format_day(dated_at, town, language)),
        "reference": labels["reference"].format(reference),
        "letterhead": _letterhead(name, reply_text, department.email),
        "addressee": [to_one_line(line) for line in delivery.address.split("\n")],
        "paragraphs": [paragraph.split("\n") for paragraph in _break_long_words(rendered.text).split("\n\n")],
        "footer": f"{name} · {reference}{' · ' + labels['fictional'] if town.fictional else ''}",
        "page": labels["page"],
        "qr": _qr(
            encode_letter_qr(reference, reply_text.reply.conversation_id, reply_text.reply.reply_id, town.web_name, key)
        ),
        "qr_says": labels["qr"].format(reference),
    }


def _break_long_words(text: str) -> str:
    """Let a link or another long word go on in the next line, which the compiler does only where it is told."""
    return _LONG_WORD.sub(lambda word: _PIECE.sub("\\g<0>\N{ZERO WIDTH SPACE}", word[0]), text)


def _labels(reply_text: ReplyTextRenderer) -> Mapping[str, str]:
    languages = reply_text.town_config.town.languages
    return _LABELS.get(reply_text.language) or _LABELS["fr" if "fr" in languages else "en"]


def _letterhead(name: str, reply_text: ReplyTextRenderer, email: str) -> list[str]:
    department, language = reply_text.department, reply_text.language
    # The first lines of the address repeat the town and the department.
    names = {*reply_text.town_config.town.name.values(), *department.name.values()}
    address = [line for line in department.address if line not in names]
    return [name, localized(department.name, language), *address, format_phone(department.phone), email]


def _enclosures(reply_text: ReplyTextRenderer, pages: Sequence[AttachedFile]) -> dict[str, Any]:
    names = [_NO_LATIN.sub("_", to_one_line(safe_file_name(name))) for name in reply_text.reply.personal.file_names]
    return {
        "enclosed": _labels(reply_text)["enclosed"].format(", ".join(filter(None, names)))
        if pages and any(names)
        else "",
        "enclosures": [
            {"svg": _as_svg(page), "says": to_one_line(page.name), "is_wide": page.pixels[0] > page.pixels[1]}
            for page in pages
        ],
    }


def _as_svg(page: AttachedFile) -> str:
    """The only way to hand the compiler a JPEG as a value; it embeds the JPEG as it is."""
    size = 'width="{}" height="{}"'.format(*page.pixels)
    jpeg = b64encode(page.content).decode()
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}><image {size} href="data:image/jpeg;base64,{jpeg}"/></svg>'


def _qr(text: str) -> str:
    code: Any = zxingcpp.create_barcode(text, zxingcpp.BarcodeFormat.QRCode, ec_level="M")
    return code.to_svg(add_quiet_zones=False)
