"""Tests the notifier's pages in a browser without JavaScript: by keyboard, at 320 pixels, with axe."""

import asyncio
import re
import time
from collections.abc import Callable, Generator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from parvis.common.bus.cloudevents import build_record
from parvis.common.bus.producer import Producer
from parvis.common.contract.contact import ContactPoint, ConversationId, make_contact_id
from parvis.common.contract.delivery import make_delivery_id
from parvis.common.contract.references import make_reference
from parvis.common.contract.reply import ReplyPersonalData, ReplyRequested, make_reply_id
from parvis.common.contract.topics import REPLY_REQUESTED
from parvis.common.runtime.health import Health
from parvis.local.stack import Stack
from parvis.local.towns_on_shared_brokers import TownsOnSharedBrokers
from parvis.notifier.render.signed_links import SignedLinks
from tests.browser.conftest import missing
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.stack
PHONE = "+33639980077"
AT = datetime.now(UTC)
CONTACT = make_contact_id("email", "x", "pages")
REPLY = ReplyRequested(
    reply_id=make_reply_id("status", "pages"), conversation_id=ConversationId(CONTACT), reference=make_reference(CONTACT), kind="status",
    department="voirie", channel_of_contact="sms", template="answer", language="fr", legal=False, send_at=AT, requested_at=AT,
    requested_by="a test",
    personal=ReplyPersonalData(contact_points=(ContactPoint(kind="phone", value=PHONE),), text="La rue est réparée."),
)  # fmt: skip


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory, towns: TownsOnSharedBrokers) -> Generator[Stack]:
    if reason := missing():
        pytest.skip(reason)
    with towns.start(tmp_path_factory.mktemp("town"), services=["notifier"], outside=True) as stack:
        asyncio.run(_request_reply(stack))
        yield stack


@pytest.fixture(scope="module")
def door(town: Stack) -> str:
    """The address before which `browser` is opened."""
    return town.url("notifier")


async def _request_reply(stack: Stack) -> None:
    producer = Producer(stack.kafka, service="a-test", health=Health())
    record = build_record(
        REPLY,
        topic=REPLY_REQUESTED.full_name(stack.plan.topic_prefix),
        key=REPLY.conversation_id,
        event_id=REPLY.reply_id,
        source="a-test",
    )
    await producer.send(record)
    await producer.stop()


def texts(stack: Stack) -> list[str]:
    """The text messages that the telephone has received, oldest first."""
    url = f"http://127.0.0.1:{stack.port('outside.twilio')}/_sim/messages"
    listed = httpx.get(url, params={"to": PHONE}, trust_env=False).json()["messages"]
    return [message["body"] for message in listed]


def wait_until_any(fetch: Callable[[], list[str]]) -> list[str]:
    ends_at = time.monotonic() + PATIENCE_S
    while not (items := fetch()) and time.monotonic() < ends_at:
        time.sleep(0.2)
    return items


def links(stack: Stack) -> SignedLinks:
    return SignedLinks(stack.url("notifier"), stack.env["PARVIS_SECRET_KEY"].encode())


def check_page(page: Any, violations: Callable[[Any], list[str]]) -> None:
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


@pytest.mark.parametrize("language", ["fr", "en"])
def test_a_reply_is_read_with_a_code(
    town: Stack, browser: Any, violations: Callable[[Any], list[str]], language: str
) -> None:
    assert wait_until_any(lambda: texts(town)), "the reply itself"
    page = browser.new_context(viewport={"width": 320, "height": 640}).new_page()
    link = links(town).inbox(REPLY.reply_id, REPLY.requested_at.replace(year=REPLY.requested_at.year + 1))
    page.goto(f"{link}?lang={language}")
    check_page(page, violations)
    known = len(texts(town))
    page.locator("main button").first.press("Enter")
    check_page(page, violations)
    codes = wait_until_any(
        lambda: [
            matches[0] for text in texts(town) if (matches := re.findall(r"code (?:est|is) (\d{4} \d{4} \d{4})", text))
        ][known - 1 :]
    )
    page.locator("#code").fill("000000000000")
    page.keyboard.press("Enter")
    page.locator("[role=alert]").wait_for()
    check_page(page, violations)
    page.locator("#code").fill(codes[-1])
    page.keyboard.press("Enter")
    page.get_by_text("La rue est réparée.").wait_for()
    assert "courriel" not in page.locator("article").inner_text(), "a page cannot be replied to"
    check_page(page, violations)


@pytest.mark.parametrize("language", ["fr", "en"])
def test_unsubscribing_takes_one_button(
    town: Stack, browser: Any, violations: Callable[[Any], list[str]], language: str
) -> None:
    wait_until_any(lambda: texts(town))
    page = browser.new_context(viewport={"width": 320, "height": 640}).new_page()
    page.goto(f"{links(town).unsubscribe(make_delivery_id(REPLY.reply_id, 'sms'))}?lang={language}")
    check_page(page, violations)
    page.locator("main button").press("Enter")
    page.wait_for_load_state()
    check_page(page, violations)
