"""Tests the operator's commands on a running town."""

import time

import pytest

from parvis.common.bus.cloudevents import build_record
from parvis.common.bus.producer import Producer
from parvis.common.contract.contact import ContactId
from parvis.common.contract.references import make_reference
from parvis.common.contract.topics import CONTACT_RECEIVED
from parvis.common.testing import a_contact
from parvis.local.citizen_client import Citizens
from parvis.local.demo.watch import JourneyWatch
from parvis.local.stack import Stack
from tests.journey.until import routed
from tests.patience import PATIENCE_S

pytestmark = [pytest.mark.journey, pytest.mark.stack]


async def test_trace_shows_a_contact_from_its_reference(town: Stack, citizens: Citizens, watch: JourneyWatch):
    journey = await routed(watch, await citizens.text("+33639980401", "Bonjour, ma poubelle n’a pas été vidée."))
    reference = make_reference(ContactId(journey.contact_id))

    shown = town.run_parvis("trace", reference)

    assert shown.returncode == 0
    for step in ("contact.received", "contact.routed", "reply.requested"):
        assert step in shown.stdout
    assert "+33639980401" not in shown.stdout


def test_trace_says_when_nothing_is_known(town: Stack):
    shown = town.run_parvis("trace", "P-0000-0000-0000")

    assert shown.returncode == 1
    assert "it was never accepted" in shown.stdout


async def test_a_dead_letter_is_listed_shown_and_replayed(town: Stack):
    poison, name = b'{"broken": "on purpose"', "a-poisonous-record"
    producer = Producer(town.kafka, service="test")
    sent = build_record(
        a_contact(), topic=CONTACT_RECEIVED.full_name("parvis"), key="k", event_id=name, source="test", value=poison
    )
    await producer.send(sent)
    await producer.stop()

    listed = _until_listed(town, f"{name}  ")

    assert "does not fit" in listed
    assert town.run_parvis("dead-letters", "show", "router", name).stdout.strip() == poison.decode()
    replayed = town.run_parvis("dead-letters", "replay", "router", name)
    assert "1 dead letters" in replayed.stdout
    assert "2 dead letters" in _until_listed(town, "2 dead letters")  # it died again, as it must


def test_a_consumer_that_runs_needs_no_resume(town: Stack):
    assert "was not halted" in town.run_parvis("dead-letters", "resume", "router").stdout


def test_the_topics_are_as_the_map_says(town: Stack):
    assert town.run_parvis("topics", "plan").stdout.strip() == "topics: nothing to change"


def _until_listed(town: Stack, words: str) -> str:
    ends_at = time.monotonic() + PATIENCE_S
    while words not in (said := town.run_parvis("dead-letters", "list", "router").stdout):
        assert time.monotonic() < ends_at, said
    return said
