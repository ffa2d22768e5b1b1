"""Tests that a file attached on the desk's page arrives: in a mail, printed with a letter, and behind the link of an SMS."""

import hashlib
import re
from html import unescape
from io import BytesIO

import httpx
import pypdfium2
import pytest
from PIL import Image

from parvis.local.citizen_client import Citizens
from parvis.local.demo.agents import DemoAgents
from parvis.local.demo.watch import Journey, JourneyWatch
from parvis.local.stack import Stack
from tests.journey.until import routed, until, until_there

pytestmark = [pytest.mark.journey, pytest.mark.stack]
DEPARTMENT = "voirie"
HOME = "Camille Exemple\n1 rue Fictive\n00100 VAL-EXEMPLE"


def plan() -> bytes:
    pages = [Image.new("RGB", (60, 85), colour) for colour in ("red", "lime")]
    out = BytesIO()
    pages[0].save(out, "PDF", save_all=True, append_images=pages[1:])
    return out.getvalue()


async def answer_with(town: Stack, journey: Journey, content: bytes, **fields: str) -> None:
    """Log in, open the case and send an answer with a file, as a browser does without a script."""
    async with httpx.AsyncClient(base_url=town.url("desk"), timeout=60) as desk:
        token = _hidden((await desk.get("/login")).text, "_csrf")
        who = {"_csrf": token, "name": "Dominique Exemple", "department": journey.department or "", "role": "agent"}
        assert (await desk.post("/login", data=who)).status_code == 303
        case = f"/cases/{journey.conversation_id}"
        page = (await desk.get(case)).text
        form = {name: _hidden(page.split("data-draft")[1], name) for name in ("_csrf", "_once", "version")}
        answer = form | {"do": "send", "text": "Voici le plan.", "then": "closed", "channel": ""} | fields
        file = ("plan du quartier.pdf", content, "application/pdf")
        sent = await desk.post(f"{case}/reply", data=answer, files={"files": file})
        assert sent.status_code == 303, sent.text


def _hidden(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found, name
    return unescape(found[1])


async def test_a_file_arrives_by_mail_letter_and_sms(
    town: Stack, citizens: Citizens, agents: DemoAgents, watch: JourneyWatch
) -> None:
    number, mailbox, content = "+33639980431", "camille.plan@citoyens.example", plan()
    first = await routed(watch, await citizens.text(number, "Bonjour, un nid de poule rue des Lilas."))
    await agents.case(first.conversation_id, first.department or "")
    await answer_with(town, first, content, channel="email", **{"address-email": mailbox})
    await answer_with(town, first, content, channel="post", **{"address-post": HOME})
    await answer_with(town, first, content)

    (mail,) = await until_there(lambda: citizens.mails_to(mailbox))
    assert [file["filename"] for file in mail["attachments"]] == ["plan du quartier.pdf"]
    assert mail["attachments"][0]["sha256"] == hashlib.sha256(content).hexdigest()
    assert await until(lambda: any(len(pypdfium2.PdfDocument(letter)) == 3 for letter in citizens.letters()))

    async def linked() -> list[str]:
        return [m["body"] for m in await citizens.messages_to(number) if "/inbox/" in m["body"]]

    (text,) = await until_there(linked)
    async with httpx.AsyncClient(timeout=60) as citizen:
        page = await citizen.get(re.findall(r"https?://\S+", text)[-1])
    assert page.status_code == 200
    assert "code" in page.text
