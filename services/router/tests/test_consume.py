"""Promise 3 on the real Kafka and PostgreSQL: one decision a contact, one department a conversation, numbers without gap."""

import asyncio
import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from parvis.common.bus import Record
from parvis.common.contact import ContactReceived, MachineSent, PersonalContact, ThreadMarks
from parvis.common.errors import Poison, Unavailable, Unknown
from parvis.common.routing import CaseUpdated, TransferRequested, conversation_id
from parvis.common.testing import AN_INSTANT, FakeProducer, a_contact

from .conftest import Town

pytestmark = pytest.mark.stack


def sms(number: int, text: str = "bonjour", *, sender: str = "v1.one", **changes: Any) -> ContactReceived:
    values: dict[str, Any] = {"received_at": AN_INSTANT + timedelta(minutes=number), "contact_point_hash": sender}
    return a_contact(key=f"SM{number}", text=text, **(values | changes))


def mail(number: int, text: str = "bonjour", **changes: Any) -> ContactReceived:
    return sms(number, text, channel="email", **changes)


def a_transfer(contact: ContactReceived, to: str, *, came_from: str, transfer_id: str = "t1") -> TransferRequested:
    return TransferRequested(
        transfer_id=transfer_id,
        conversation_id=conversation_id(contact.contact_id),
        from_department=came_from,
        to_department=to,
        reason="not ours",
        requested_by="agent-7",
        requested_at=AN_INSTANT,
    )


def a_case(contact: ContactReceived, state: str, *, department: str, hours: int = 1) -> CaseUpdated:
    return CaseUpdated(
        conversation_id=conversation_id(contact.contact_id),
        reference=contact.reference,
        department=department,
        state=state,  # pyright: ignore[reportArgumentType]
        at=AN_INSTANT + timedelta(hours=hours),
    )


def kinds(records: Sequence[Any]) -> list[str]:
    return [received.header("ce_type") for received in records]


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
    assert routed.key.decode() == routing["conversation_id"] == conversation_id(contact.contact_id)
    assert routed.header("ce_type") == "contact.routed"


async def test_the_citizen_gets_one_registration_a_conversation(town: Town) -> None:
    await town.route(sms(1, "un nid de poule"))
    await town.route(sms(2, "il est profond"))

    (notice,) = await town.replies()
    assert (notice["kind"], notice["department"], notice["template"]) == ("registration", "voirie", "registration")
    assert notice["reference"] == sms(1).reference
    assert notice["personal"]["variables"]["department_phone"] == "05 36 49 01 20"


async def test_a_procedure_with_a_receipt_has_it_held_until_the_day_before(town: Town) -> None:
    await town.route(sms(1, "un acte de naissance"))

    registration, receipt = await town.replies()
    assert (registration["kind"], receipt["kind"]) == ("registration", "receipt")
    assert receipt["send_at"] == "2026-03-08T22:59:59Z"
    assert receipt["personal"]["variables"]["procedure"] == "Demander un acte de naissance"


async def test_nothing_is_sent_because_of_a_machine_or_to_nobody(town: Town) -> None:
    await town.route(
        mail(1, "un acte de naissance", machine=MachineSent(reason="auto-submitted")),
        mail(2, contact_point_hash=None, personal=PersonalContact(text="un acte de naissance")),
    )

    assert await town.replies() == []
    assert len(await town.queue("triage")) == 1
    assert len(await town.queue("etat-civil")) == 1


async def test_a_contact_that_comes_again_is_produced_again_byte_for_byte(town: Town) -> None:
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
    broken = FakeProducer(broken=Unknown("no acknowledgement"))
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
        mail(2, thread=ThreadMarks(conversation_id=conversation_id(first.contact_id)), sender="v1.family"),
        mail(3, thread=ThreadMarks(reference=first.reference)),
        mail(4, thread=ThreadMarks(reference=first.reference), sender="v1.stranger"),
        mail(5, thread=ThreadMarks(reference="P-\x00")),
    )

    assert [json.loads(r.value)["routing"]["sequence"] for r in await town.queue("voirie")] == [1, 2, 3]
    assert len(await town.queue("triage")) == 2


async def test_a_later_reference_names_the_conversation_too(town: Town) -> None:
    await town.route(sms(1, "un nid de poule"), sms(2))
    await town.route(mail(3, thread=ThreadMarks(reference=sms(2).reference)))

    assert len(await town.queue("voirie")) == 3


async def test_a_transfer_is_told_to_both_and_later_contacts_follow(town: Town) -> None:
    first = sms(1)
    await town.route(first)
    await town.route(a_transfer(first, "finances", came_from="triage"))
    await town.route(a_transfer(first, "finances", came_from="triage"))
    await town.route(sms(2))

    left, arrived = await town.queue("triage"), await town.queue("finances")
    assert kinds(left) == ["contact.routed", "conversation.left", "conversation.left"]
    assert kinds(arrived) == ["conversation.arrived", "conversation.arrived", "contact.routed"]
    assert left[1].value == left[2].value
    assert [json.loads(r.value)["sequence"] for r in (left[1], arrived[0])] == [2, 2]
    assert json.loads(arrived[2].value)["routing"]["sequence"] == 3


async def test_transfers_that_cannot_be_are_refused_to_who_asked(town: Town) -> None:
    first = sms(1)
    await town.route(first)
    await town.route(
        a_transfer(first, "voirie", came_from="finances", transfer_id="stale"),
        a_transfer(first, "nowhere", came_from="triage", transfer_id="unknown"),
        a_transfer(first, "triage", came_from="triage", transfer_id="same"),
        a_transfer(sms(9), "voirie", came_from="triage", transfer_id="strange"),
        a_transfer(first, "voirie", came_from="nowhere", transfer_id="no-queue"),
    )

    whys = {json.loads(r.value)["transfer_id"]: json.loads(r.value)["why"] for r in (await town.queue("triage"))[1:]}
    assert whys == {"unknown": "unknown department", "same": "already there", "strange": "unknown conversation"}
    (stale,) = await town.queue("finances")
    assert json.loads(stale.value)["current_department"] == "triage"
    assert [row.sequence for row in await town.rows("select sequence from router.conversation")] == [1]


async def test_two_transfers_in_one_batch_are_done_in_their_order(town: Town) -> None:
    first = sms(1)
    await town.route(first)
    await town.route(
        a_transfer(first, "voirie", came_from="triage", transfer_id="a"),
        a_transfer(first, "finances", came_from="triage", transfer_id="b"),
        a_transfer(first, "finances", came_from="voirie", transfer_id="c"),
    )

    ((department, sequence),) = await town.rows("select department, sequence from router.conversation")
    assert (department, sequence) == ("finances", 3)


async def test_a_closed_conversation_opens_again_by_its_token_only_in_its_grace(town: Town) -> None:
    first = mail(1, "un nid de poule")
    await town.route(first)
    await town.route(a_case(first, "closed", department="voirie"))
    token = ThreadMarks(conversation_id=conversation_id(first.contact_id))
    await town.route(mail(2, thread=token, received_at=AN_INSTANT + timedelta(days=31, hours=2)))
    assert len(await town.rows("select * from router.conversation")) == 2
    await town.route(mail(3, thread=token, received_at=AN_INSTANT + timedelta(days=20)))

    assert [row.closed_at for row in await town.rows("select closed_at from router.conversation")] == [None, None]
    assert len(await town.queue("voirie")) == 2


async def test_an_sms_after_the_case_was_closed_is_a_new_one_and_an_old_word_changes_nothing(town: Town) -> None:
    first = sms(1, "un nid de poule")
    await town.route(first)
    await town.route(a_case(first, "closed", department="voirie", hours=2))
    await town.route(
        a_case(first, "open", department="voirie", hours=1), a_case(first, "open", department="finances", hours=3)
    )
    await town.route(sms(2, "mes encombrants", received_at=AN_INSTANT + timedelta(hours=5)))

    assert len(await town.queue("dechets")) == 1


async def test_a_reference_that_two_contacts_share_stays_the_firsts(town: Town) -> None:
    first = mail(1, "un nid de poule")
    await town.route(first)
    await town.route(mail(2, "mes encombrants", reference=first.reference, sender="v1.two"))

    assert len(await town.queue("dechets")) == 1
    assert [str(r.contact_id) for r in await town.rows("select contact_id from router.alias")] == [first.contact_id]


async def test_a_contact_whose_id_is_none_dies_alone(town: Town) -> None:
    with pytest.raises(Poison):
        await town.route(sms(1, contact_id="not-an-id"))


async def test_routers_that_race_over_the_same_records_give_one_decision_and_no_gap(town: Town) -> None:
    """The zombie's case: both have the batch, neither knows of the other."""
    contacts = [sms(number, sender=f"v1.{number % 7}") for number in range(60)]
    mails = [
        mail(100 + n, thread=ThreadMarks(reference=contacts[n].reference), sender=f"v1.{n % 7}") for n in range(30)
    ]
    items = [town.item(contact) for contact in (*contacts, *mails)]

    async def one(start: int) -> None:
        router = town.router(FakeProducer())
        for at in range(start, len(items), 10):
            while True:
                try:
                    await router.handle(items[at : at + 25])
                    break
                except Unavailable:
                    await asyncio.sleep(0.01)

    await asyncio.gather(one(0), one(0), one(5), one(40))

    decided = await town.rows("select conversation_id, sequence, id from router.decision order by 1, 2")
    assert len(decided) == len({row.id for row in decided}) == 90
    by_conversation: dict[Any, list[int]] = {}
    for row in decided:
        by_conversation.setdefault(row.conversation_id, []).append(row.sequence)
    for found in by_conversation.values():
        assert found == list(range(1, len(found) + 1))
    last = {row.id: row.sequence for row in await town.rows("select id, sequence from router.conversation")}
    assert last == {conversation: len(found) for conversation, found in by_conversation.items()}


async def test_transfers_that_race_with_contacts_leave_no_gap(town: Town) -> None:
    first = sms(0)
    await town.route(first)
    quiet = FakeProducer()

    async def transfers() -> None:
        for number in range(20):
            came_from, to = ("triage", "finances") if number % 2 == 0 else ("finances", "triage")
            wish = a_transfer(first, to, came_from=came_from, transfer_id=str(uuid4()))
            await town.router(quiet).handle([town.item(wish)])

    async def contacts() -> None:
        for number in range(1, 21):
            await town.router(quiet).handle([town.item(sms(number))])

    await asyncio.gather(transfers(), contacts())

    steps = await town.rows("select sequence, kind from router.decision where sequence is not null order by 1")
    assert [row.sequence for row in steps] == list(range(1, len(steps) + 1))
    assert [row.kind for row in steps].count("contact") == 21
    _check_departments(quiet.sent)


def _check_departments(sent: list[Record]) -> None:
    """A contact lies in the queue of the department that the highest transfer before it names."""
    department, steps = (
        "triage",
        sorted(
            (json.loads(r.value).get("routing") or json.loads(r.value) for r in sent if b"requested_by" not in r.value),
            key=lambda step: step["sequence"],
        ),
    )
    for step in steps:
        if "to_department" in step:
            department = step["to_department"]
        else:
            assert step["department"] == department
