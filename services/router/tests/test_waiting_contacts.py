"""Tests that waiting contacts are stored with their bytes and released once, in order, by any router, on the real Kafka and PostgreSQL."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import text

from parvis.common.bus.cloudevents import Record
from parvis.common.contract import topics
from parvis.common.contract.contact import ContactPersonalData, ContactReceived, ConversationIdentifiers
from parvis.common.contract.errors import OutcomeUnknown, TopicMissing, Unavailable
from parvis.common.contract.routing.decisions import make_conversation_id
from parvis.common.testing import AN_INSTANT, FakeProducer
from parvis.router.consume.publish_waiting_contacts import TOPIC_AGAIN
from parvis.router.consume.waiting_contacts import MAX_ATTEMPTS

from .conftest import Town
from .makers import a_case, a_transfer, mail, sms

pytestmark = pytest.mark.stack


def visit(number: int, message: str, **changes: Any) -> ContactReceived:
    return sms(number, message, channel="counter", **changes)


async def with_two_open(town: Town) -> tuple[ContactReceived, ContactReceived]:
    """Two open conversations of one telephone number: a visit and an SMS."""
    first, second = visit(1, "un acte de naissance"), sms(2, "un nid de poule")
    await town.route(first, second)
    return first, second


async def questions(town: Town) -> list[dict[str, Any]]:
    return [reply for reply in await town.replies() if reply["kind"] == "question"]


async def routings(town: Town, department: str) -> list[dict[str, Any]]:
    return [json.loads(received.value)["routing"] for received in await town.queue(department)]


async def waiting(town: Town) -> list[str]:
    return [row.why for row in await town.rows("select why from router.waiting order by number")]


async def test_a_question_is_asked_once_and_its_answer_releases_the_waiting_contacts(town: Town) -> None:
    first, second = await with_two_open(town)
    question = sms(3, "et alors ?")
    await town.route(question)
    await town.route(question)  # redelivered before an answer
    await town.route(sms(4, "c'est urgent"))
    assert await waiting(town) == ["question", "queued"]
    await town.release_waiting()
    (question_reply,) = await questions(town)
    assert "1. Signaler" in question_reply["personal"]["text"]
    assert first.reference in question_reply["personal"]["text"]
    await town.release_waiting()
    assert len(await questions(town)) == 1

    await town.route(sms(5, "2."))
    await town.release_waiting()
    assert await waiting(town) == []
    routed_there = sorted(await routings(town, "etat-civil"), key=lambda routing: routing["sequence"])
    assert [(r["sequence"], r["matched"]) for r in routed_there] == [(1, ["word: acte de naissance"])] + [
        (sequence, ["answer"]) for sequence in (2, 3, 4)
    ]
    routed = {json.loads(r.value)["contact"]["contact_id"]: r for r in await town.queue("etat-civil")}
    assert routed[question.contact_id].value.endswith(b',"contact":' + town.item(question).record.value + b"}")
    assert len(await routings(town, "voirie")) == 1
    assert second.reference


async def test_records_redelivered_after_the_answer_are_published_again_and_decided_once(town: Town) -> None:
    await with_two_open(town)
    items = [town.item(sms(3, "et alors ?")), town.item(sms(4, "le 1"))]
    await town.router().handle(items[:1])
    await town.router().handle(items)
    await town.release_waiting()
    await town.router().handle(items)
    await town.release_waiting()

    assert sorted({r["sequence"] for r in await routings(town, "voirie")}) == [1, 2, 3]
    assert len(await town.rows("select * from router.decision")) == 4
    assert await waiting(town) == []


async def test_an_unanswered_question_sends_the_contact_to_triage_when_it_is_due(town: Town) -> None:
    first, second = await with_two_open(town)
    await town.route(sms(3, "et alors ?"))
    await town.release_waiting()
    town.at = AN_INSTANT + timedelta(minutes=119)
    await town.release_waiting()
    assert await routings(town, "triage") == []

    town.at = AN_INSTANT + timedelta(minutes=121)
    await asyncio.gather(town.release_waiting(), town.release_waiting())
    (routing,) = await routings(town, "triage")
    assert routing["rule"] == "unanswered"
    assert [one["reference"] for one in routing["candidates"]] == [second.reference, first.reference]
    assert await waiting(town) == []
    notices = [reply for reply in await town.replies() if reply["reference"] == sms(3).reference]
    assert [notice["kind"] for notice in notices] == ["registration"]

    await town.route(sms(6, "2"))  # too late for an answer; no second question is asked
    assert [r["sequence"] for r in await routings(town, "triage")] == [1, 2]


async def test_a_crash_after_the_release_loses_nothing(town: Town) -> None:
    await with_two_open(town)
    await town.route(sms(3, "et alors ?"))
    town.at = AN_INSTANT + timedelta(hours=3)
    with pytest.raises(Unavailable):
        await town.router(FakeProducer(broken=OutcomeUnknown("no acknowledgement"))).waiting.turn()
    assert await routings(town, "triage") == []

    await town.release_waiting()
    assert len(await routings(town, "triage")) == 1
    assert await waiting(town) == []


async def test_concurrent_routers_release_each_waiting_contact_once(town: Town) -> None:
    for number in range(5):
        sender = f"v1.{number}"
        await town.route(
            visit(number, "un acte de naissance", sender=sender), sms(10 + number, "un nid de poule", sender=sender)
        )
        await town.route(*(sms(20 + 10 * step + number, "et alors ?", sender=sender) for step in range(3)))
    town.at = AN_INSTANT + timedelta(hours=3)
    late = [sms(60 + number, "allô", sender=f"v1.{number}") for number in range(5)]
    await asyncio.gather(town.release_waiting(), town.release_waiting(), town.route(*late), town.release_waiting())
    await town.release_waiting()

    rows = await town.rows("select conversation_id, sequence from router.decision order by 1, 2")
    assert len(rows) == 30
    by_conversation: dict[Any, list[int]] = {}
    for row in rows:
        by_conversation.setdefault(row.conversation_id, []).append(row.sequence)
    assert all(rows == list(range(1, len(rows) + 1)) for rows in by_conversation.values())
    assert await waiting(town) == []


async def test_a_contact_that_takes_too_long_is_parked_and_the_others_are_routed(town: Town) -> None:
    """Another transaction holds the conversation's row lock and does not end."""
    first = sms(1, "un nid de poule", sender="v1.slow")
    await town.route(first)
    router = town.router(limit_s=0.5)
    async with town.database.engine.connect() as other:
        await other.execute(text("select * from router.conversation for update"))
        batch = [town.item(sms(2, sender="v1.slow")), town.item(visit(3, "un acte de naissance", sender="v1.other"))]
        await router.handle(batch)
        await router.handle([town.item(sms(4, sender="v1.slow"))])
        assert len(await routings(town, "etat-civil")) == 1
        assert await waiting(town) == ["trouble", "queued"]

        town.at = AN_INSTANT + timedelta(seconds=6)
        await router.waiting.turn()
        ((attempts,),) = await town.rows("select attempts from router.waiting where why = 'trouble'")
        assert attempts == 2
    town.at = AN_INSTANT + timedelta(minutes=1)
    await town.router().waiting.turn()  # a limit that is long enough on a slow machine

    assert [r["sequence"] for r in await routings(town, "voirie")] == [1, 2, 3]
    assert await waiting(town) == []


async def test_a_contact_that_failed_too_often_goes_to_triage(town: Town) -> None:
    first = sms(1, "un nid de poule")
    await town.route(first)
    router = town.router(limit_s=0.2)
    async with town.database.engine.connect() as other:
        await other.execute(text("select * from router.conversation for update"))
        await router.handle([town.item(sms(2))])
        while (await town.rows("select attempts from router.waiting"))[0].attempts < MAX_ATTEMPTS:
            town.at += timedelta(minutes=11)
            await router.waiting.turn()
        town.at += timedelta(minutes=11)
        await town.router().waiting.turn()  # a limit that is long enough on a slow machine
        (routing,) = await routings(town, "triage")
    assert routing["rule"] == "trouble"
    assert await waiting(town) == []


async def test_an_overdue_contact_is_reported(town: Town) -> None:
    await with_two_open(town)
    await town.route(sms(3, "et alors ?"), sms(4, "allô"))
    task = town.router().waiting
    await task.count()
    assert [gauge(f"parvis_contacts_waiting_{why}") for why in ("question", "queued", "trouble")] == [1, 1, 0]
    assert task.health.notes == {}

    town.at = AN_INSTANT + timedelta(hours=3)
    await (late := town.router().waiting).count()
    assert gauge("parvis_contacts_overdue_seconds") == 3600
    assert late.health.notes == {"waiting": "2 contacts wait, the first is 60 min late"}
    assert late.health.is_ready

    await late.turn()
    await late.count()
    assert (late.health.notes, gauge("parvis_contacts_overdue_seconds")) == ({}, 0)


def gauge(name: str) -> float | None:
    base, _, why = name.partition("_waiting_")
    return REGISTRY.get_sample_value(f"{base}_waiting", {"why": why}) if why else REGISTRY.get_sample_value(name)


async def test_a_second_participant_replies_by_message_id_and_a_stranger_cannot(town: Town) -> None:
    first = mail(1, "un nid de poule", thread=ConversationIdentifiers(message_id="<1@citizens.example>"))
    await town.route(first)
    token = ConversationIdentifiers(
        conversation_id=make_conversation_id(first.contact_id, first.received_at), message_id="<2@family.example>"
    )
    await town.route(mail(2, thread=token, sender="v1.family"))
    answer = ConversationIdentifiers(
        message_id="<3@family.example>", in_reply_to=("<unknown@x.example>", "<1@citizens.example>")
    )
    await town.route(mail(3, thread=answer, sender="v1.family"), mail(4, thread=answer, sender="v1.stranger"))

    assert [r["sequence"] for r in await routings(town, "voirie")] == [1, 2, 3]
    assert len(await routings(town, "triage")) == 1
    assert all(len(row.mark) == 16 for row in await town.rows("select mark from router.mark"))


async def test_mails_of_one_sender_with_one_subject_are_one_conversation(town: Town) -> None:
    def about(number: int, subject: str, **changes: Any) -> ContactReceived:
        return mail(number, personal=ContactPersonalData(subject=subject, text="bonjour"), **changes)

    await town.route(about(1, "Nid de poule"))
    await town.route(about(2, "RE: nid de poule"), about(3, "Nid de poule", sender="v1.two"))

    rows = await town.rows("select sequence from router.conversation order by sequence")
    assert [row.sequence for row in rows] == [1, 2]


async def test_the_token_of_a_closed_conversation_leads_to_its_follower(town: Town) -> None:
    first = mail(1, "un nid de poule")
    await town.route(first)
    await town.route(a_case(first, "closed", department="voirie"))
    token, later = (
        ConversationIdentifiers(conversation_id=make_conversation_id(first.contact_id, first.received_at)),
        AN_INSTANT + timedelta(days=40),
    )
    await town.route(mail(2, thread=token, received_at=later))
    await town.route(mail(3, thread=token, received_at=later + timedelta(days=1)))

    routed_there = await routings(town, "voirie")
    assert [(r["sequence"], r.get("linked_to")) for r in routed_there] == [
        (1, None),
        (1, make_conversation_id(first.contact_id, first.received_at)),
        (2, make_conversation_id(first.contact_id, first.received_at)),
    ]


def without_topic(town: Town, monkeypatch: pytest.MonkeyPatch, topic: str) -> None:
    """Let Kafka know no topic of this name."""
    real = town.producer.send_all

    async def send_without_topic(records: list[Record], *, deadline_s: float = 8.0) -> None:
        missing = frozenset(record.topic for record in records if record.topic.endswith(topic))
        await real([record for record in records if record.topic not in missing], deadline_s=deadline_s)
        if missing:
            raise TopicMissing(missing)

    monkeypatch.setattr(town.producer, "send_all", send_without_topic)


async def test_a_missing_topic_parks_its_own_contacts_alone(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    without_topic(town, monkeypatch, "department.etat-civil")
    await town.route(visit(1, "un acte de naissance"), sms(2, "un nid de poule"))
    assert len(await town.queue("voirie")) == 1
    assert await waiting(town) == ["queued"]
    await town.router().waiting.count()
    assert REGISTRY.get_sample_value("parvis_contacts_waiting", {"why": "unpublished"}) == 1

    monkeypatch.undo()
    await town.release_waiting()
    assert len(await town.queue("etat-civil")) == 1
    assert await waiting(town) == []


async def test_a_request_to_a_missing_topic_waits_alone(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    first, other = sms(1, "un nid de poule"), sms(2, "un acte de naissance", sender="another")
    await town.route(first)
    without_topic(town, monkeypatch, "department.dechets")
    await town.route(a_transfer(first, from_department="voirie", to="dechets"), other)
    assert len(await town.queue("etat-civil")) == 1
    assert await waiting(town) == ["queued"]
    await town.release_waiting()  # still no topic: it waits on, and the turn ends

    monkeypatch.undo()
    town.at += TOPIC_AGAIN
    await town.release_waiting()
    (arrived,) = await town.queue("dechets")
    assert json.loads(arrived.value)["from_department"] == "voirie"
    assert await waiting(town) == []


async def test_a_decided_row_that_became_unreadable_is_a_dead_letter_and_holds_no_other(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_topic(town, monkeypatch, "department.voirie")
    await town.route(sms(1, "un nid de poule"), sms(2, "un nid de poule", sender="another"))
    monkeypatch.undo()
    async with town.database.transaction() as connection:
        damaged = "update router.decision set value = '{}' where id = (select contact_id from router.waiting limit 1)"
        await connection.execute(text(damaged))

    await town.release_waiting()

    assert len(await town.queue("voirie")) == 1
    assert len(await town.records(topics.dead_letter_topic("router").full_name(town.prefix))) == 1
    assert await waiting(town) == []
