"""Facts about damaged rows: each loop brings one to an end, logs its id, and goes on with the others."""

import json
from collections.abc import Generator, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from services.notifier.tests.parts import MakeReply, Notifier
from sqlalchemy import text
from structlog.testing import capture_logs
from structlog.typing import EventDict

from parvis.common.contract.contact import ContactPoint
from parvis.common.contract.delivery import DeliveryReported, make_delivery_id
from parvis.common.contract.preference import SMS_START, PreferenceChanged, PreferencePersonalData
from parvis.common.contract.reply import ReplyRequested
from parvis.common.runtime.clock import now
from parvis.notifier.store.one_time_codes import use_code

pytestmark = pytest.mark.stack
HOME = "Mme Céleste EXEMPLE\n{} rue de la Fontaine\n99999 VILLE-EXEMPLE"


def phone(number: int) -> tuple[ContactPoint, ...]:
    return (ContactPoint(kind="phone", value=f"+3363998{number:04d}"),)


def home(number: int) -> tuple[ContactPoint, ...]:
    return (ContactPoint(kind="post", value=HOME.format(number)),)


@pytest.fixture
def logs() -> Generator[Sequence[EventDict]]:
    with capture_logs() as lines:
        yield lines


def errors(logs: Sequence[EventDict], event: str, key: str) -> set[object]:
    """The ids that were logged as errors under an event."""
    return {line[key] for line in logs if line["event"] == event and line["log_level"] == "error"}


def sms_of(reply: ReplyRequested) -> str:
    return make_delivery_id(reply.reply_id, "sms")


async def damage(notifier: Notifier, statement: str, **values: object) -> None:
    async with notifier.database.transaction() as connection:
        await connection.execute(text(statement), values)


async def test_a_request_that_cannot_be_read_fails_and_the_next_is_sent(
    notifier: Notifier, make_reply: MakeReply, logs: Sequence[EventDict]
) -> None:
    bad = make_reply("bad")
    await notifier.take(bad, make_reply("good", points=phone(2)))
    await damage(notifier, "update notifier.reply set request = '{}' where reply_id = :id", id=bad.reply_id)
    async with notifier.running():
        await notifier.until(lambda states: states == ["failed", "accepted"])
    assert [(u.reply_id, u.failure_class) for u in notifier.published if u.state == "failed"] == [
        (bad.reply_id, "refused")
    ]
    assert errors(logs, "stored-reply.unreadable", "reply_id") == {bad.reply_id}


@pytest.mark.parametrize("column", ["kind", "evidence", "reference"])
async def test_a_delivery_that_cannot_be_read_is_set_aside_and_the_next_is_sent(
    notifier: Notifier, make_reply: MakeReply, logs: Sequence[EventDict], column: str
) -> None:
    bad = make_reply("bad")
    await notifier.take(bad, make_reply("good", points=phone(2)))
    value = "cast('{\"x\": 1}' as jsonb)" if column == "evidence" else "'damaged'"
    await damage(notifier, f"update notifier.delivery set {column} = {value} where reply_id = :id", id=bad.reply_id)  # noqa: S608
    async with notifier.running():
        await notifier.until(lambda states: states == ["failed", "accepted"])
    assert errors(logs, "delivery-row.unreadable", "delivery_id") == {sms_of(bad)}


async def damage_preference(notifier: Notifier, *points: ContactPoint) -> None:
    for number, point in enumerate(points):
        await damage(
            notifier,
            "insert into notifier.preference (event_id, contact_point_hash, event, changed_at) values (:id, :name, '{}', :at)",
            id=f"unreadable-{number}",
            name=notifier.chooser.hash_of(point),
            at=now() - timedelta(hours=1),
        )


async def channels_and_states(notifier: Notifier) -> list[tuple[str, str, str | None]]:
    return [(row.channel, row.state, row.failure_class) for row in await notifier.rows()]


async def test_no_information_goes_to_an_address_whose_preference_cannot_be_read(
    notifier: Notifier, make_reply: MakeReply, logs: Sequence[EventDict]
) -> None:
    await damage_preference(notifier, *phone(1), *home(1))
    status = make_reply("status", kind="status", legal=False, points=(*phone(1), *home(1)))
    async with notifier.running():
        await notifier.take(status, make_reply("good", points=phone(2)))
        await notifier.until(lambda states: states == ["failed", "accepted"])
    assert (await channels_and_states(notifier))[0] == ("phone", "failed", "refused")
    assert [message.recipient for message in notifier.at_twilio] == [phone(2)[0].value]
    assert not notifier.letters.exists()
    assert errors(logs, "stored-preference.unreadable", "code") == {"unreadable-0", "unreadable-1"}
    hashes = {notifier.chooser.hash_of(point) for point in (*phone(1), *home(1))}
    assert errors(logs, "stored-preference.unreadable", "sender_hash") == hashes


async def test_a_legal_reply_goes_by_letter_when_a_preference_cannot_be_read(
    notifier: Notifier, make_reply: MakeReply
) -> None:
    await damage_preference(notifier, *phone(1), *home(1))
    async with notifier.running():
        await notifier.take(make_reply(points=(*phone(1), *home(1))))
        await notifier.until(lambda states: states == ["accepted"])
    assert await channels_and_states(notifier) == [("post", "accepted", None)]
    assert not notifier.at_twilio


async def test_a_legal_reply_becomes_a_task_when_its_only_preference_cannot_be_read(
    notifier: Notifier, make_reply: MakeReply
) -> None:
    await damage_preference(notifier, *phone(1))
    async with notifier.running():
        await notifier.take(make_reply(points=phone(1)))
        await notifier.until(lambda states: states == ["failed"])
    assert await channels_and_states(notifier) == [("phone", "failed", "refused")]
    assert not notifier.at_twilio


async def test_a_planned_reply_leaves_its_channel_when_the_preference_becomes_unreadable(
    notifier: Notifier, make_reply: MakeReply
) -> None:
    await notifier.take(make_reply(points=(*phone(1), *home(1))))
    await damage_preference(notifier, *phone(1))
    async with notifier.running():
        await notifier.until(lambda states: states == ["cancelled", "accepted"])
    assert [row.channel for row in await notifier.rows()] == ["sms", "post"]
    assert not notifier.at_twilio


async def test_a_later_start_makes_an_unreadable_preference_irrelevant(
    notifier: Notifier, make_reply: MakeReply
) -> None:
    (point,) = phone(1)
    await damage_preference(notifier, point)
    start = PreferenceChanged(
        contact_point_hash=notifier.chooser.hash_of(point),
        source=SMS_START,
        changed_at=now(),
        personal=PreferencePersonalData(contact_point=point),
    )
    async with notifier.running():
        await notifier.take(start)
        await notifier.take(make_reply(points=(point,)))
        await notifier.until(lambda states: states == ["accepted"])


async def test_the_reconciler_sets_a_damaged_row_aside_and_resolves_the_others(
    notifier: Notifier, make_reply: MakeReply, logs: Sequence[EventDict]
) -> None:
    bad = make_reply("bad")
    await notifier.take(bad, make_reply("good", points=phone(2)))
    await notifier.send_loop().reserve(10)
    await damage(notifier, "update notifier.delivery set lease_until = now() - interval '1 hour'")
    await damage(notifier, "update notifier.delivery set kind = 'damaged' where reply_id = :id", id=bad.reply_id)
    await notifier.reconciliation().reconcile()
    assert await notifier.states() == ["failed", "unknown"]
    assert errors(logs, "delivery-row.unreadable", "delivery_id") == {sms_of(bad)}


async def test_the_poller_asks_about_the_others_when_a_request_cannot_be_read(
    notifier: Notifier, make_reply: MakeReply, logs: Sequence[EventDict]
) -> None:
    bad, good = make_reply("bad"), make_reply("good", points=phone(2))
    async with notifier.running():
        await notifier.take(bad, good)
        await notifier.until(lambda states: states == ["accepted", "accepted"])
    await damage(notifier, "update notifier.delivery set state = 'unknown', provider_id = null")
    await damage(notifier, "update notifier.reply set request = '{}' where reply_id = :id", id=bad.reply_id)
    await notifier.reconciliation().reconcile()
    states = await notifier.states()
    assert states[1] in {"accepted", "delivered"}
    assert states[0] in {"accepted", "delivered"}, "the provider's list has its reference"
    assert errors(logs, "stored-reply.unreadable", "reply_id") == {bad.reply_id}


async def test_a_batch_that_no_folder_can_hold_is_dissolved_and_its_letters_leave_in_another(
    notifier: Notifier, make_reply: MakeReply, logs: Sequence[EventDict]
) -> None:
    async with notifier.running():
        await notifier.take(*(make_reply(str(n), channel="post", points=home(n)) for n in range(2)))
        await notifier.until(lambda states: states == ["accepted"] * 2)
    await damage(notifier, "insert into notifier.batch (name, made_at) values ('a/b', now())")
    await damage(
        notifier,
        "update notifier.letter set batch = 'a/b' where delivery_id = (select min(delivery_id) from notifier.letter)",
    )
    (name,) = await notifier.parts.print_batches().make_due_batches(at_once=True)
    manifest = json.loads((notifier.letters / name / "manifest.json").read_text())
    assert manifest["count"] == 2
    assert errors(logs, "print-batch.dissolved", "file") == {"a/b"}


async def test_a_damaged_code_is_a_wrong_code(
    notifier: Notifier, make_reply: MakeReply, logs: Sequence[EventDict]
) -> None:
    reply = make_reply()
    await damage(
        notifier,
        "insert into notifier.code (reply_id, address_hash, digest, asked_at, expires_at) values (:id, 'h', 'é', now(), :until)",
        id=reply.reply_id,
        until=datetime.now(UTC) + timedelta(hours=1),
    )
    async with notifier.database.transaction() as connection:
        assert not await use_code(connection, reply.reply_id, "a digest", now())
    assert errors(logs, "access-code.damaged", "reply_id") == {reply.reply_id}


async def test_a_report_on_a_damaged_row_leaves_the_others_of_its_batch_alone(
    notifier: Notifier, make_reply: MakeReply, logs: Sequence[EventDict]
) -> None:
    bad, good = make_reply("bad"), make_reply("good", points=phone(2))
    await notifier.take(bad, good)
    await notifier.send_loop().reserve(10)
    await damage(notifier, "update notifier.delivery set kind = 'damaged' where reply_id = :id", id=bad.reply_id)
    reports = [
        DeliveryReported(
            reply_id=reply.reply_id, channel="sms", provider="twilio", outcome="delivered", reported_at=now()
        )
        for reply in (bad, good)
    ]
    await notifier.take(*reports)
    assert (await notifier.states())[1] == "delivered"
    assert errors(logs, "delivery-row.unreadable", "delivery_id") == {sms_of(bad)}
