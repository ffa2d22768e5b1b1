"""Tests that each contact gets one decision and each conversation gapless numbers, on the real Kafka and PostgreSQL."""

import json
from datetime import timedelta

import pytest

from parvis.common.contract.contact import ContactPersonalData, ConversationIdentifiers, MachineSent
from parvis.common.contract.errors import OutcomeUnknown, Poison, Unavailable
from parvis.common.contract.routing.decisions import make_conversation_id
from parvis.common.testing import AN_INSTANT, FakeProducer

from .conftest import Town
from .makers import a_case, a_transfer, kinds, mail, sms

pytestmark = pytest.mark.stack


async def test_a_contact_reaches_its_department_with_its_bytes_untouched(town: Town) -> None:
    contact = sms(1, "un nid de poule")
    value = (
        contact.model_dump_json(by_alias=True).replace('"channel"', '"a_later_member": {"x":  1}, "channel"').encode()
    )
    await town.router().handle([town.item(contact, value)])

    (routed,) = await town.queue("voirie")
    assert routed.value.endswith(b',"contact":' + value + b"}")
    routing = json.loads(routed.value)["routing"]
    assert (routing["department"], routing["rule"], routing["sequence"]) == ("voirie", "pothole", 1)
    assert routing["answer_due_at"] == "2026-03-09T22:59:59Z"
    assert (
        routed.key.decode()
        == routing["conversation_id"]
        == make_conversation_id(contact.contact_id, contact.received_at)
    )
    assert routed.header("ce_type") == "contact.routed"


async def test_a_citizen_gets_one_registration_per_conversation(town: Town) -> None:
    await town.route(sms(1, "un nid de poule"))
    await town.route(sms(2, "il est profond"))

    (notice,) = await town.replies()
    assert (notice["kind"], notice["department"], notice["template"]) == ("registration", "voirie", "registration")
    assert notice["reference"] == sms(1).reference
    assert notice["personal"]["variables"]["department_phone"] == "05 36 49 01 20"


async def test_a_receipt_is_requested_for_the_day_before_it_is_due(town: Town) -> None:
    await town.route(sms(1, "un acte de naissance"))

    registration, receipt = await town.replies()
    assert (registration["kind"], receipt["kind"]) == ("registration", "receipt")
    assert receipt["send_at"] == "2026-03-08T22:59:59Z"
    assert receipt["personal"]["variables"]["procedure"] == "Demander un acte de naissance"


async def test_no_notice_is_sent_for_automatic_mail_or_without_a_recipient(town: Town) -> None:
    await town.route(
        mail(1, "un acte de naissance", machine=MachineSent(reason="auto-submitted")),
        mail(2, contact_point_hash=None, personal=ContactPersonalData(text="un acte de naissance")),
    )

    assert await town.replies() == []
    assert len(await town.queue("triage")) == 1
    assert len(await town.queue("etat-civil")) == 1


async def test_a_redelivered_contact_is_produced_again_byte_for_byte(town: Town) -> None:
    contact = town.item(sms(1, "un nid de poule"))
    await town.router().handle([contact])
    await town.router().handle([contact, contact])

    first, *again = await town.queue("voirie")
    assert [(r.value, r.headers) for r in again] == [(first.value, first.headers)] * 2
    assert len({notice["reply_id"] for notice in await town.replies()}) == 1
    assert len(await town.rows("select * from router.decision")) == 1


async def test_a_contact_twice_in_a_batch_is_decided_once(town: Town) -> None:
    await town.route(sms(1), sms(1), sms(2), sms(1))

    found = await town.rows("select sequence from router.decision order by sequence")
    assert [row.sequence for row in found] == [1, 2]


async def test_a_crash_after_the_commit_loses_nothing(town: Town) -> None:
    broken = FakeProducer(broken=OutcomeUnknown("no acknowledgement"))
    with pytest.raises(Unavailable):
        await town.router(broken).handle([town.item(sms(1, "un nid de poule"))])
    assert len(await town.rows("select * from router.decision")) == 1

    await town.route(sms(1, "un nid de poule"))
    assert len(await town.queue("voirie")) == 1


async def test_messages_of_one_sender_stay_together_in_one_batch_and_over_batches(town: Town) -> None:
    await town.route(sms(1, "un nid de poule"), sms(2, "rue des Lilas"), sms(3, "x", sender="v1.two"))
    await town.route(sms(4, "mes encombrants"))

    routings = [json.loads(r.value)["routing"] for r in await town.queue("voirie")]
    assert [(r["sequence"], r["rule"]) for r in routings] == [(1, "pothole"), (2, "conversation"), (3, "conversation")]
    assert {r["reference"] for r in routings} == {sms(1).reference}
    assert routings[2]["runners_up"][0]["department"] == "dechets"
    assert len(await town.queue("triage")) == 1


async def test_a_mail_follows_its_token_and_a_quoted_reference_of_a_participant(town: Town) -> None:
    first = mail(1, "un nid de poule")
    await town.route(first)
    await town.route(
        mail(
            2,
            thread=ConversationIdentifiers(conversation_id=make_conversation_id(first.contact_id, first.received_at)),
            sender="v1.family",
        ),
        mail(3, thread=ConversationIdentifiers(reference=first.reference)),
        mail(4, thread=ConversationIdentifiers(reference=first.reference), sender="v1.stranger"),
        mail(5, thread=ConversationIdentifiers(reference="P-\x00")),
    )

    assert [json.loads(r.value)["routing"]["sequence"] for r in await town.queue("voirie")] == [1, 2, 3]
    assert len(await town.queue("triage")) == 2


async def test_a_later_reference_names_the_conversation_too(town: Town) -> None:
    await town.route(sms(1, "un nid de poule"), sms(2))
    await town.route(mail(3, thread=ConversationIdentifiers(reference=sms(2).reference)))

    assert len(await town.queue("voirie")) == 3


async def test_a_transfer_is_published_to_both_departments_and_later_contacts_follow(town: Town) -> None:
    first = sms(1)
    await town.route(first)
    await town.route(a_transfer(first, "finances", from_department="triage"))
    await town.route(a_transfer(first, "finances", from_department="triage"))
    await town.route(sms(2))

    left, arrived = await town.queue("triage"), await town.queue("finances")
    assert kinds(left) == ["contact.routed", "conversation.left", "conversation.left"]
    assert kinds(arrived) == ["conversation.arrived", "conversation.arrived", "contact.routed"]
    assert left[1].value == left[2].value
    assert [json.loads(r.value)["sequence"] for r in (left[1], arrived[0])] == [2, 2]
    assert json.loads(arrived[2].value)["routing"]["sequence"] == 3


async def test_an_invalid_transfer_is_refused_to_the_requesting_department(town: Town) -> None:
    first = sms(1)
    await town.route(first)
    await town.route(
        a_transfer(first, "voirie", from_department="finances", transfer_id="stale"),
        a_transfer(first, "nowhere", from_department="triage", transfer_id="unknown"),
        a_transfer(first, "triage", from_department="triage", transfer_id="same"),
        a_transfer(sms(9), "voirie", from_department="triage", transfer_id="strange"),
        a_transfer(first, "voirie", from_department="nowhere", transfer_id="no-queue"),
    )

    whys = {json.loads(r.value)["transfer_id"]: json.loads(r.value)["why"] for r in (await town.queue("triage"))[1:]}
    assert whys == {"unknown": "unknown department", "same": "already there", "strange": "unknown conversation"}
    (stale,) = await town.queue("finances")
    assert json.loads(stale.value)["current_department"] == "triage"
    assert [row.sequence for row in await town.rows("select sequence from router.conversation")] == [1]


async def test_transfers_in_one_batch_are_carried_out_in_order(town: Town) -> None:
    first = sms(1)
    await town.route(first)
    await town.route(
        a_transfer(first, "voirie", from_department="triage", transfer_id="a"),
        a_transfer(first, "finances", from_department="triage", transfer_id="b"),
        a_transfer(first, "finances", from_department="voirie", transfer_id="c"),
    )

    ((department, sequence),) = await town.rows("select department, sequence from router.conversation")
    assert (department, sequence) == ("finances", 3)


async def test_a_token_reopens_a_closed_conversation_only_within_the_grace_period(town: Town) -> None:
    first = mail(1, "un nid de poule")
    await town.route(first)
    await town.route(a_case(first, "closed", department="voirie"))
    token = ConversationIdentifiers(conversation_id=make_conversation_id(first.contact_id, first.received_at))
    await town.route(mail(2, thread=token, received_at=AN_INSTANT + timedelta(days=31, hours=2)))
    assert len(await town.rows("select * from router.conversation")) == 2
    await town.route(mail(3, thread=token, received_at=AN_INSTANT + timedelta(days=20)))

    assert [row.closed_at for row in await town.rows("select closed_at from router.conversation")] == [None, None]
    routings = [json.loads(r.value)["routing"] for r in await town.queue("voirie")]
    assert [(r["rule"], r["sequence"], r.get("linked_to")) for r in routings] == [
        ("pothole", 1, None),
        ("linked", 1, make_conversation_id(first.contact_id, first.received_at)),
        ("conversation", 2, None),
    ]


async def test_an_sms_after_the_case_was_closed_opens_a_conversation_and_older_case_updates_are_ignored(
    town: Town,
) -> None:
    first = sms(1, "un nid de poule")
    await town.route(first)
    await town.route(a_case(first, "closed", department="voirie", hours=2))
    await town.route(
        a_case(first, "open", department="voirie", hours=1), a_case(first, "open", department="finances", hours=3)
    )
    await town.route(sms(2, "mes encombrants", received_at=AN_INSTANT + timedelta(hours=5)))

    assert len(await town.queue("dechets")) == 1


async def test_a_reference_shared_by_two_contacts_belongs_to_the_first(town: Town) -> None:
    first = mail(1, "un nid de poule")
    await town.route(first)
    await town.route(mail(2, "mes encombrants", reference=first.reference, sender="v1.two"))

    assert len(await town.queue("dechets")) == 1
    assert [str(r.contact_id) for r in await town.rows("select contact_id from router.alias")] == [first.contact_id]


async def test_a_contact_id_that_is_no_uuid_is_poison(town: Town) -> None:
    with pytest.raises(Poison):
        await town.route(sms(1, contact_id="not-an-id"))
