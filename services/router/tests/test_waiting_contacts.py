"""What waits, on the real Kafka and PostgreSQL: kept with its bytes, released once, in order, by whichever router is there."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import text

from parvis.common.contract.contact import ContactReceived, PersonalContact, ThreadIdentifiers
from parvis.common.contract.errors import OutcomeUnknown, Unavailable
from parvis.common.contract.routing.decisions import make_conversation_id
from parvis.common.testing import AN_INSTANT, FakeProducer
from parvis.router.consume.waiting_contacts import MAX_ATTEMPTS

from .conftest import Town
from .makers import a_case, mail, sms

pytestmark = pytest.mark.stack


def visit(number: int, said: str, **changes: Any) -> ContactReceived:
    return sms(number, said, channel="counter", **changes)


async def with_two_open(town: Town) -> tuple[ContactReceived, ContactReceived]:
    """A visit and an SMS of one telephone, open both."""
    first, second = visit(1, "un acte de naissance"), sms(2, "un nid de poule")
    await town.route(first, second)
    return first, second


async def questions(town: Town) -> list[dict[str, Any]]:
    return [reply for reply in await town.replies() if reply["kind"] == "question"]


async def routings(town: Town, department: str) -> list[dict[str, Any]]:
    return [json.loads(received.value)["routing"] for received in await town.queue(department)]


async def waiting(town: Town) -> list[str]:
    return [row.why for row in await town.rows("select why from router.waiting order by number")]


async def test_the_question_is_asked_once_and_its_answer_brings_what_waits(town: Town) -> None:
    first, second = await with_two_open(town)
    question = sms(3, "et alors ?")
    await town.route(question)
    await town.route(question)  # comes again before anybody answered
    await town.route(sms(4, "c'est urgent"))
    assert await waiting(town) == ["question", "queued"]
    await town.wait()
    (asked,) = await questions(town)
    assert "1. Signaler" in asked["personal"]["text"]
    assert first.reference in asked["personal"]["text"]
    await town.wait()
    assert len(await questions(town)) == 1

    await town.route(sms(5, "2."))
    await town.wait()
    assert await waiting(town) == []
    told = sorted(await routings(town, "etat-civil"), key=lambda routing: routing["sequence"])
    assert [(r["sequence"], r["matched"]) for r in told] == [(1, ["word: acte de naissance"])] + [
        (sequence, ["answer"]) for sequence in (2, 3, 4)
    ]
    routed = {json.loads(r.value)["contact"]["contact_id"]: r for r in await town.queue("etat-civil")}
    assert routed[question.contact_id].value.endswith(b',"contact":' + town.item(question).record.value + b"}")
    assert len(await routings(town, "voirie")) == 1
    assert second.reference


async def test_records_that_come_again_after_the_answer_are_told_again_and_decided_once(town: Town) -> None:
    await with_two_open(town)
    items = [town.item(sms(3, "et alors ?")), town.item(sms(4, "le 1"))]
    await town.router().handle(items[:1])
    await town.router().handle(items)
    await town.wait()
    await town.router().handle(items)
    await town.wait()

    assert sorted({r["sequence"] for r in await routings(town, "voirie")}) == [1, 2, 3]
    assert len(await town.rows("select * from router.decision")) == 4
    assert await waiting(town) == []


async def test_unanswered_goes_to_people_when_its_time_has_come(town: Town) -> None:
    first, second = await with_two_open(town)
    await town.route(sms(3, "et alors ?"))
    await town.wait()
    town.at = AN_INSTANT + timedelta(minutes=119)
    await town.wait()
    assert await routings(town, "triage") == []

    town.at = AN_INSTANT + timedelta(minutes=121)
    await asyncio.gather(town.wait(), town.wait())
    (routing,) = await routings(town, "triage")
    assert routing["rule"] == "unanswered"
    assert [one["reference"] for one in routing["candidates"]] == [second.reference, first.reference]
    assert await waiting(town) == []
    notices = [reply for reply in await town.replies() if reply["reference"] == sms(3).reference]
    assert [notice["kind"] for notice in notices] == ["registration"]

    await town.route(sms(6, "2"))  # too late, and no second question
    assert [r["sequence"] for r in await routings(town, "triage")] == [1, 2]


async def test_a_crash_after_the_release_loses_nothing(town: Town) -> None:
    await with_two_open(town)
    await town.route(sms(3, "et alors ?"))
    town.at = AN_INSTANT + timedelta(hours=3)
    with pytest.raises(Unavailable):
        await town.router(FakeProducer(broken=OutcomeUnknown("no acknowledgement"))).waiting.turn()
    assert await routings(town, "triage") == []

    await town.wait()
    assert len(await routings(town, "triage")) == 1
    assert await waiting(town) == []


async def test_routers_that_release_at_once_place_each_contact_once(town: Town) -> None:
    for number in range(5):
        sender = f"v1.{number}"
        await town.route(
            visit(number, "un acte de naissance", sender=sender), sms(10 + number, "un nid de poule", sender=sender)
        )
        await town.route(*(sms(20 + 10 * step + number, "et alors ?", sender=sender) for step in range(3)))
    town.at = AN_INSTANT + timedelta(hours=3)
    late = [sms(60 + number, "allô", sender=f"v1.{number}") for number in range(5)]
    await asyncio.gather(town.wait(), town.wait(), town.route(*late), town.wait())
    await town.wait()

    rows = await town.rows("select conversation_id, sequence from router.decision order by 1, 2")
    assert len(rows) == 30
    by_conversation: dict[Any, list[int]] = {}
    for row in rows:
        by_conversation.setdefault(row.conversation_id, []).append(row.sequence)
    assert all(found == list(range(1, len(found) + 1)) for found in by_conversation.values())
    assert await waiting(town) == []


async def test_a_contact_that_takes_too_long_is_parked_and_the_others_flow(town: Town) -> None:
    """F-05: somebody holds the conversation's row, as a statement that never ends would."""
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
    await town.router().waiting.turn()  # with a limit that a slow machine keeps

    assert [r["sequence"] for r in await routings(town, "voirie")] == [1, 2, 3]
    assert await waiting(town) == []


async def test_what_is_tried_in_vain_too_often_goes_to_people(town: Town) -> None:
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
        await town.router().waiting.turn()  # with a limit that a slow machine keeps
        (routing,) = await routings(town, "triage")
    assert routing["rule"] == "trouble"
    assert await waiting(town) == []


async def test_what_stands_past_its_time_is_seen(town: Town) -> None:
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


# What ties mails, kept in the tables


async def test_a_second_participant_answers_by_references_and_a_stranger_does_not(town: Town) -> None:
    first = mail(1, "un nid de poule", thread=ThreadIdentifiers(message_id="<1@citizens.example>"))
    await town.route(first)
    token = ThreadIdentifiers(
        conversation_id=make_conversation_id(first.contact_id, first.received_at), message_id="<2@family.example>"
    )
    await town.route(mail(2, thread=token, sender="v1.family"))
    answer = ThreadIdentifiers(
        message_id="<3@family.example>", in_reply_to=("<unknown@x.example>", "<1@citizens.example>")
    )
    await town.route(mail(3, thread=answer, sender="v1.family"), mail(4, thread=answer, sender="v1.stranger"))

    assert [r["sequence"] for r in await routings(town, "voirie")] == [1, 2, 3]
    assert len(await routings(town, "triage")) == 1
    assert all(len(row.mark) == 16 for row in await town.rows("select mark from router.mark"))


async def test_a_subject_ties_the_mails_of_one_sender(town: Town) -> None:
    def about(number: int, subject: str, **changes: Any) -> ContactReceived:
        return mail(number, personal=PersonalContact(subject=subject, text="bonjour"), **changes)

    await town.route(about(1, "Nid de poule"))
    await town.route(about(2, "RE: nid de poule"), about(3, "Nid de poule", sender="v1.two"))

    found = await town.rows("select sequence from router.conversation order by sequence")
    assert [row.sequence for row in found] == [1, 2]


async def test_what_follows_a_closed_conversation_is_found_by_its_token_later(town: Town) -> None:
    first = mail(1, "un nid de poule")
    await town.route(first)
    await town.route(a_case(first, "closed", department="voirie"))
    token, later = (
        ThreadIdentifiers(conversation_id=make_conversation_id(first.contact_id, first.received_at)),
        AN_INSTANT + timedelta(days=40),
    )
    await town.route(mail(2, thread=token, received_at=later))
    await town.route(mail(3, thread=token, received_at=later + timedelta(days=1)))

    told = await routings(town, "voirie")
    assert [(r["sequence"], r.get("linked_to")) for r in told] == [
        (1, None),
        (1, make_conversation_id(first.contact_id, first.received_at)),
        (2, make_conversation_id(first.contact_id, first.received_at)),
    ]
