"""Renders separator and batch cover sheets as PDF. Pure; no I/O."""

import json
from datetime import date
from importlib import resources
from typing import Any

import typst
import zxingcpp

from parvis.ingest_postal.codes.sheet_codes import SEPARATOR, SheetKind, make_batch_code

# The compiler's own fonts: a sheet looks the same on every machine.
_FONTS = typst.Fonts(include_system_fonts=False)
_LAYOUT = resources.files("parvis.ingest_postal.render").joinpath("sheet.typ").read_bytes()
_MONTHS = {
    "fr": [
        "janvier",
        "février",
        "mars",
        "avril",
        "mai",
        "juin",
        "juillet",
        "août",
        "septembre",
        "octobre",
        "novembre",
        "décembre",
    ],
    "en": [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ],
}


def render_sheets(kind: SheetKind, *, count: int, received: date | None = None, key: bytes = b"") -> bytes:
    """Render A4 sheets for printing on one side or both; both sides have the same codes.

    Shape:  `received` and `key` are for batch cover sheets: the day of receipt, which is signed with the town's key.
    """
    day = received.isoformat() if received else ""
    values = {
        "kind": kind,
        "count": count,
        "qr": _svg(make_batch_code(day, key) if kind == "batch" else SEPARATOR, zxingcpp.BarcodeFormat.QRCode),
        "bars": _svg(SEPARATOR, zxingcpp.BarcodeFormat.Code128),
        "code": SEPARATOR if kind == "letter" else f"PARVIS-BATCH · {day}",
        "days": [_format_day(received, "fr"), _format_day(received, "en")] if received else [],
    }
    pdf: Any = typst.compile(
        _LAYOUT, format="pdf", font_paths=_FONTS, sys_inputs={"sheet": json.dumps(values)}, pdf_standards=["ua-1"]
    )
    return bytes(pdf)


def _svg(text: str, code_format: zxingcpp.BarcodeFormat) -> str:
    options = {"ec_level": "Q"} if code_format == zxingcpp.BarcodeFormat.QRCode else {}
    code: Any = zxingcpp.create_barcode(text, code_format, **options)
    return code.to_svg(add_quiet_zones=False)


def _format_day(day: date, language: str) -> str:
    number = "1er" if language == "fr" and day.day == 1 else str(day.day)
    return f"{number} {_MONTHS[language][day.month - 1]} {day.year}"
