"""Finds QR codes, Code128 and DataMatrix on the picture of a page. Runs in a sandboxed process only."""

from typing import Any

import zxingcpp
from PIL import Image

from parvis.ingest_postal.models.page import Barcode, BarcodeFormat

_SIDE = 2400  # pixels; A4 at 200 dpi: our smallest bar is two pixels wide, and a larger picture only takes longer
_MOST = 20  # per page; our letters have one, our sheets eight
_FORMATS: dict[zxingcpp.BarcodeFormat, BarcodeFormat] = {
    zxingcpp.BarcodeFormat.QRCode: "QRCode",
    zxingcpp.BarcodeFormat.Code128: "Code128",
    zxingcpp.BarcodeFormat.DataMatrix: "DataMatrix",
}


def find_codes(picture: Image.Image) -> tuple[Barcode, ...]:
    """Find the codes in any orientation, sorted from the top left of the page as scanned."""
    grey = picture.convert("L")
    grey.thumbnail((_SIDE, _SIDE))
    formats = zxingcpp.BarcodeFormats(list(_FORMATS))
    barcodes = zxingcpp.read_barcodes(grey, formats=formats, text_mode=zxingcpp.TextMode.Plain)
    codes = [_code(barcode, *grey.size) for barcode in barcodes[:_MOST] if barcode.text]
    return tuple(sorted(codes, key=lambda code: (code.top, code.left)))


def _code(barcode: Any, width: int, height: int) -> Barcode:
    position = barcode.position
    corners = (position.top_left, position.top_right, position.bottom_left, position.bottom_right)
    across, down = [corner.x / width for corner in corners], [corner.y / height for corner in corners]
    return Barcode(
        text=barcode.text[:4000],
        format=_FORMATS[barcode.format],
        left=min(across),
        top=min(down),
        right=max(across),
        bottom=max(down),
    )
