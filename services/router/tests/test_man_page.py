"""Tests that the man page states the router's event ids and batch size as the code has them."""

import json
import re
from pathlib import Path

import pytest

from parvis.router.settings import Settings

from .conftest import Town
from .makers import a_transfer, sms

MAN_PAGE = (Path(__file__).parents[1] / "README.md").read_text()


def stated_event_id(event_type: str) -> str:
    """The last cell of the table row that names the event."""
    (row,) = [
        line for line in MAN_PAGE.splitlines() if line.startswith("|") and f"`{event_type}`" in line.split("|")[2]
    ]
    return row.rstrip(" |").rpartition("|")[2].strip()


def test_the_batch_size_is_the_default_of_the_setting():
    (stated,) = re.findall(r"Up to ([\d,]+) records \(`PARVIS_ROUTER_BATCH`\)", MAN_PAGE)
    assert int(stated.replace(",", "")) == Settings.model_fields["batch"].default


@pytest.mark.stack
async def test_the_event_id_of_a_routed_contact_is_the_contact_id(town: Town):
    await town.route(sms(1, "un nid de poule"))
    (routed,) = await town.queue("voirie")
    assert stated_event_id("contact.routed") == "the contact id"
    assert routed.header("ce_id") == sms(1).contact_id


@pytest.mark.stack
async def test_the_event_ids_of_a_transfer_are_conversation_number_and_word(town: Town):
    contact = sms(1, "un nid de poule")
    await town.route(contact)
    await town.route(a_transfer(contact, "dechets", from_department="voirie"))
    await town.route(a_transfer(contact, "dechets", from_department="voirie", transfer_id="t2"))
    _, left, refused = await town.queue("voirie")
    (arrived,) = await town.queue("dechets")
    conversation = json.loads(left.value)["conversation_id"]
    assert stated_event_id("conversation.arrived") == "`<conversation>:<sequence>:left` or `:arrived`"
    assert [r.header("ce_id") for r in (left, arrived)] == [f"{conversation}:2:left", f"{conversation}:2:arrived"]
    assert stated_event_id("transfer.refused").startswith("`<transfer>:refused`")
    assert refused.header("ce_id") == "t2:refused"


@pytest.mark.stack
async def test_the_event_id_of_a_notice_is_the_reply_id(town: Town):
    await town.route(sms(1, "un nid de poule"))
    assert stated_event_id("registration") == "the reply id"
    records = await town.records(f"{town.prefix}.reply.requested")
    assert [r.header("ce_id") for r in records] == [json.loads(r.value)["reply_id"] for r in records]
