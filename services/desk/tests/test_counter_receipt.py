"""Tests the receipt of a visit: what it says, its code, and the papers that it is printed on."""

import re
from collections.abc import Awaitable, Callable
from io import BytesIO
from typing import Any

import httpx
import pytest
import segno
import zxingcpp
from PIL import Image
from services.desk.tests.test_pages import VISIT

from parvis.common.contract.contact import ContactReceived
from parvis.desk.decide.caller_terms import read_caller
from parvis.desk.render.receipt_qr import draw_receipt_code

pytestmark = pytest.mark.asyncio(loop_scope="module")
Published = Callable[[str], Awaitable[list[bytes]]]
Send = Callable[..., Awaitable[httpx.Response]]


async def test_a_receipt_says_what_was_noted_and_where_to_ask(
    agent: httpx.AsyncClient, send: Send, published: Published
) -> None:
    answer = await send("/counter", "/counter", **VISIT)
    (value,) = await published("contact.received")
    contact = ContactReceived.model_validate_json(value)

    page = (await agent.get(answer.headers["location"])).text

    slip = page.partition('class="slip"')[2]
    for shown in (
        contact.reference,
        "Le lampadaire est éteint.",
        "Val-Exemple",
        "Voirie et éclairage",
        "05 36 49 01 20",
    ):
        assert shown in slip
    assert "Par courrier" in slip
    assert "<svg" in slip
    assert 'class="code"' in slip
    assert "Dominique" not in slip
    assert "style=" not in slip
    assert re.search(r'<button type="button" id="print"[^>]* autofocus', page)


async def test_the_paper_is_chosen_once(agent: httpx.AsyncClient, send: Send) -> None:
    location = (await send("/counter", "/counter", **VISIT)).headers["location"]
    assert 'class="narrow receipt a5"' in (await agent.get(location)).text

    assert 'class="narrow receipt roll"' in (await agent.get(f"{location}?paper=roll")).text
    assert 'class="narrow receipt roll"' in (await agent.get(location)).text
    assert 'class="narrow receipt roll"' in (await agent.get(f"{location}?paper=skin")).text


async def test_the_code_is_read_by_a_scanner_and_finds_the_reference() -> None:
    assert "<svg" in draw_receipt_code("https://www.town.example", "P-CZ10-DQ48-CNFG")
    picture = BytesIO()
    segno.make("https://www.town.example/#P-CZ10-DQ48-CNFG", error="m", micro=False).save(picture, kind="png", scale=4)
    codes: Any = zxingcpp.read_barcodes(Image.open(picture).convert("L"))

    assert read_caller(codes[0].text).reference == "P-CZ10-DQ48-CNFG"
