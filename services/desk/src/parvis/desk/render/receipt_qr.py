"""Draws the QR code of a receipt. Pure; no I/O."""

import segno
from markupsafe import Markup


def draw_receipt_code(public_url: str, reference: str) -> Markup:
    """A QR code as SVG: the town's pages, with the reference as fragment, which a browser sends to nobody.

    A scanner at the counter types it into the search field, where the reference is found.
    """
    code = segno.make(f"{public_url.rstrip('/')}/#{reference}", error="m", micro=False)
    return Markup(code.svg_inline(scale=3, border=2, svgclass="code", lineclass=None, omitsize=True))  # noqa: S704 (segno writes numbers only)
