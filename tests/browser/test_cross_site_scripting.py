"""Tests in a real browser that nothing runs of what citizens, providers and agents wrote, in any field of any channel."""

import asyncio
from collections.abc import Generator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from parvis.common.bus.cloudevents import build_record
from parvis.common.bus.producer import Producer
from parvis.common.contract import topics
from parvis.common.contract.channels import channels
from parvis.common.contract.contact import (
    Attachment,
    ContactPersonalData,
    ContactPoint,
    ContactReceived,
    ConversationIdentifiers,
    MachineSent,
    OcrQuality,
    ReplyAddress,
    Verification,
    make_contact_id,
)
from parvis.common.contract.delivery import DeliveryUpdated
from parvis.common.contract.event_base import Event
from parvis.common.contract.routing.decisions import ContactRouted, Routing, make_conversation_id
from parvis.common.contract.routing.transfer import ConversationArrived
from parvis.common.runtime.clock import now
from parvis.common.storage.blobs import BlobStore
from parvis.common.testing import a_contact
from parvis.local.stack import Stack
from parvis.local.towns_on_shared_brokers import TownsOnSharedBrokers
from tests.browser.conftest import missing
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.stack
DEPARTMENT, TOKEN = "voirie", "a token for tests only"
# One for each place where a text may stand: between tags, in an attribute with either quote, in a title or text area, in
# a link, in a style, in a script, in a template.
PAYLOADS = (
    "<script>executed('tag')</script><img src=x onerror=executed('image')><svg onload=executed('svg')>",
    "\" autofocus onfocus=executed('double') x=\"'/onfocus='executed(1)' autofocus tabindex=1><img src=x onerror=executed('quote')>",
    "</title></textarea></style></script><script>executed('closed')</script><iframe srcdoc=\"<script>parent.executed('frame')</script>\"></iframe>",
    "javascript:executed('link')",
    "</td></tr></table><details open ontoggle=executed('toggle')><math><mi xlink:href=\"data:x,<script>executed('math')</script>\">",
    "{{ cycler.__init__.__globals__ }}{% raw %}${executed('template')}<%= executed('template') %>",
    "&lt;script&gt;executed('entity')&lt;/script&gt;\\u003cscript\\u003eexecuted('escape')\\u003c/script\\u003e",
)
# What escaped text can never become: elements that only the payloads have.
INJECTED = (
    "img[src=x], iframe[srcdoc], svg[onload], details[ontoggle], [onfocus], [onerror], a[href^='javascript:' i], math"
)


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory, towns: TownsOnSharedBrokers) -> Generator[Stack]:
    if reason := missing():
        pytest.skip(reason)
    settings = {"PARVIS_DESK_API_TOKEN": TOKEN}
    with towns.start(tmp_path_factory.mktemp("town"), services=["desk"], environment=settings) as stack:
        yield stack


@pytest.fixture(scope="module")
def cases(town: Stack) -> list[str]:
    """The cases with a payload in every field, one for each channel and payload."""
    return asyncio.run(_write(town))


@pytest.fixture(scope="module")
def door(town: Stack, cases: list[str]) -> str:
    """The desk's address; the cases are written before the browser starts, whose event loop holds this thread."""
    return town.url("desk")


async def _write(town: Stack) -> list[str]:
    producer, prefix = Producer(town.kafka, service="test"), town.plan.topic_prefix
    department = topics.department_topic(DEPARTMENT).full_name(prefix)
    conversations: list[str] = []
    for channel in [row.name for row in channels()]:
        for number, payload in enumerate(PAYLOADS):
            contact = await _contact(town, channel, number, payload)
            routed = _routed(contact, payload)
            conversation = routed.routing.conversation_id
            for event, topic in (
                (routed, department),
                (_arrived(routed, payload), department),
                (_undelivered(routed, payload), topics.DELIVERY_UPDATED.full_name(prefix)),
            ):
                await producer.send(_record(event, topic, conversation))
            conversations.append(conversation)
    await producer.stop()
    headers = {"authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(base_url=town.url("desk"), headers=headers, trust_env=False) as api:
        async with asyncio.timeout(PATIENCE_S):
            for conversation in conversations:
                case = f"/api/v1/cases/{conversation}?department={DEPARTMENT}"
                while not ((read := await api.get(case)).status_code == 200 and read.json()["moves"]):
                    await asyncio.sleep(0.1)
        for number, conversation in enumerate(conversations):
            payload = PAYLOADS[number % len(PAYLOADS)]
            who = {"agent": payload[:80], "department": DEPARTMENT, "quality": payload[:80]}
            for act in ("call", "reply"):
                body = who | {"text": payload, "then": "open"}
                body |= {"channel": "post", "address": f"{payload}\n00100 Val-Exemple"} if act == "reply" else {}
                await api.post(f"/api/v1/cases/{conversation}/{act}", json=body)
    return conversations


async def _contact(town: Stack, channel: str, number: int, payload: str) -> ContactReceived:
    made = make_contact_id(channel, "xss", str(number))
    page = f"<html><script>executed('file')</script>{payload}".encode()
    claim = await BlobStore(town.env["PARVIS_BLOBS_URL"]).put(made, page, "text/html")
    short = payload[:200]
    personal = ContactPersonalData.model_validate(
        {
            "from": ContactPoint(kind="post", value=f"{payload}\n00100 Val-Exemple"), "display_name": payload, "subject": payload,
            "text": payload, "quoted": payload, "signature": payload, "answers": {"place": payload, short[:60]: payload},
            "file_names": (payload, f"{short}.html"), "reply_channels": (ReplyAddress(channel="post", address=payload),),
        }
    )  # fmt: skip
    return a_contact(
        key=f"xss-{number}", channel=channel, contact_id=made, original=claim, personal=personal, to=short, language="fr",
        attachments=(Attachment.from_claim_check(claim, trouble=short), Attachment.from_claim_check(claim, inline=True)),
        sender=Verification(level="none", evidence=short, spf=short[:20], dkim=short[:20], dmarc=short[:20]),
        machine=MachineSent(reason=short[:80]) if number == 0 else None, thread=ConversationIdentifiers(message_id=short),
        unreadable=short if number % 2 else None, ocr=OcrQuality(confidence=0.4, pages=1) if channel == "post" else None,
    )  # fmt: skip


def _routed(contact: ContactReceived, payload: str) -> ContactRouted:
    routing = Routing(
        conversation_id=make_conversation_id(contact.contact_id, contact.received_at), sequence=1, department=DEPARTMENT,
        reference=contact.reference, rule=payload, rules_version="v", matched=(payload,), confidence=0.5,
        reason={"fr": payload, "en": payload}, received_at=contact.received_at, decided_at=now(),
    )  # fmt: skip
    return ContactRouted(routing=routing, contact=contact)


def _arrived(routed: ContactRouted, payload: str) -> ConversationArrived:
    return ConversationArrived.model_validate(
        {
            "conversation_id": routed.routing.conversation_id, "sequence": 2, "reference": routed.routing.reference,
            "from_department": "triage", "to_department": DEPARTMENT, "reason": payload, "at": now() - timedelta(minutes=1),
            "stopped": {"wanted_department": "finances", "why": {"fr": payload, "en": payload}},
        }
    )  # fmt: skip


def _undelivered(routed: ContactRouted, payload: str) -> DeliveryUpdated:
    conversation = routed.routing.conversation_id
    return DeliveryUpdated.model_validate(
        {
            "delivery_id": conversation, "reply_id": conversation, "conversation_id": conversation, "attempt": 1,
            "reference": routed.routing.reference, "kind": "answer", "channel": "email", "state": "undelivered",
            "failure_class": "permanent", "detail": payload[:200], "why": payload[:200], "at": now(),
        }
    )  # fmt: skip


def _record(event: Event, topic: str, conversation: str) -> Any:
    return build_record(event, topic=topic, key=conversation, event_id=f"{conversation}.{event.TYPE}", source="test")


@pytest.fixture(scope="module")
def pages(browser: Any, door: str, cases: list[str]) -> Generator[tuple[Any, list[str]]]:
    """A page of an agent, and what ran on it. The content security policy is off: escaping alone must suffice."""
    ran: list[str] = []
    context = browser.new_context(locale="fr", bypass_csp=True)
    _tell(context, ran)
    page = context.new_page()

    def dismiss(dialog: Any) -> None:
        ran.append("dialog")
        dialog.dismiss()

    page.on("dialog", dismiss)
    page.goto(f"{door}/login")
    page.get_by_label("Votre nom").fill("Dominique Exemple")
    page.get_by_label("Votre service").select_option(DEPARTMENT)
    page.get_by_role("button", name="Se connecter").click()
    page.wait_for_url("**/queue*")
    yield page, ran
    context.close()


def _tell(context: Any, ran: list[str]) -> None:
    """Let every page and frame of a browser say that a script ran."""

    def executed(name: object) -> None:
        ran.append(str(name))

    context.expose_function("executed", executed)


def look(page: Any, address: str) -> None:
    """Open a page and everything that is folded on it."""
    page.goto(address)
    page.evaluate("document.querySelectorAll('details').forEach(folded => folded.open = true)")
    assert page.locator(INJECTED).count() == 0, address
    assert not page.evaluate(
        "[...document.scripts].some(script => !script.src && script.type !== 'application/json')"
    ), address


def test_the_payloads_run_where_nothing_escapes_them(browser: Any, door: str) -> None:
    """Otherwise the other tests would show nothing."""
    for payload in PAYLOADS[:3]:
        ran: list[str] = []
        context = browser.new_context()
        _tell(context, ran)
        page = context.new_page()
        page.set_content(f"<body><p>{payload}</p></body>")
        page.wait_for_function("document.readyState === 'complete'")
        page.wait_for_timeout(200)
        context.close()
        assert ran, payload


def test_nothing_runs_on_any_page_of_a_case(pages: tuple[Any, list[str]], door: str, cases: list[str]) -> None:
    page, ran = pages
    for conversation in cases:
        look(page, f"{door}/cases/{conversation}")
        assert ran == [], conversation
    assert page.get_by_text("executed(").count() > 0


@pytest.mark.parametrize("path", ["/queue", "/queue?show=waiting", "/counter", "/me", "/break-glass"])
def test_nothing_runs_on_lists(pages: tuple[Any, list[str]], door: str, path: str) -> None:
    page, ran = pages
    look(page, f"{door}{path}")
    assert ran == []


@pytest.mark.parametrize("payload", PAYLOADS)
def test_nothing_runs_of_what_an_address_carries(pages: tuple[Any, list[str]], door: str, payload: str) -> None:
    page, ran = pages
    for path in ("/queue", "/counter", "/find", "/break-glass/find"):
        query = httpx.QueryParams(
            dict.fromkeys(("show", "tag", "notice", "reference", "tel", "q", "after", "lang"), payload)
        )
        look(page, f"{door}{path}?{query}")
    assert ran == []


def test_nothing_runs_of_a_file(pages: tuple[Any, list[str]], door: str, cases: list[str]) -> None:
    """A page that a citizen sent is a download, and opened anyway it has no origin and no scripts."""
    page, ran = pages
    page.goto(f"{door}/cases/{cases[-1]}")
    links = page.locator("a[href*='/files/']").evaluate_all("links => links.map(link => link.href)")
    assert links
    for link in links:
        answer = page.request.get(link)
        assert answer.headers["content-disposition"].startswith("attachment")
        assert "sandbox" in answer.headers["content-security-policy"]
    assert ran == []
