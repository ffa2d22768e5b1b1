"""Facts about damaged rows: each loop brings one to an end, logs its id, and goes on with the others."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from services.notifier.tests.parts import AskFor, Notifier
from sqlalchemy import text

from parvis.common.contract.contact import ContactPoint
from parvis.common.contract.delivery import DeliveryReported
from parvis.common.runtime.clock import now
from parvis.notifier.store.one_time_codes import use_code

pytestmark = pytest.mark.stack
HOME = "Mme Céleste EXEMPLE\n{} rue de la Fontaine\n99999 VILLE-EXEMPLE"


def phone(number: int) -> tuple[ContactPoint, ...]:
    return (ContactPoint(kind="phone", value=f"+3363998{number:04d}"),)


def home(number: int) -> tuple[ContactPoint, ...]:
    return (ContactPoint(kind="post", value=HOME.format(number)),)


async def damage(notifier: Notifier, statement: str, **values: object) -> None:
    async with notifier.database.transaction() as connection:
        await connection.execute(text(statement), values)


async def test_a_request_that_cannot_be_read_fails_and_the_next_is_sent(notifier: Notifier, ask_for: AskFor) -> None:
    bad = ask_for("bad")
    await notifier.take(bad, ask_for("good", points=phone(2)))
    await damage(notifier, "update notifier.reply set request = '{}' where reply_id = :id", id=bad.reply_id)
    async with notifier.running():
        await notifier.until(lambda states: states == ["failed", "accepted"])
    assert [(u.reply_id, u.failure_class) for u in notifier.published if u.state == "failed"] == [
        (bad.reply_id, "refused")
    ]


@pytest.mark.parametrize("column", ["kind", "evidence", "reference"])
async def test_a_delivery_that_cannot_be_read_is_set_aside_and_the_next_is_sent(
    notifier: Notifier, ask_for: AskFor, column: str
) -> None:
    bad = ask_for("bad")
    await notifier.take(bad, ask_for("good", points=phone(2)))
    value = "cast('{\"x\": 1}' as jsonb)" if column == "evidence" else "'damaged'"
    await damage(notifier, f"update notifier.delivery set {column} = {value} where reply_id = :id", id=bad.reply_id)  # noqa: S608
    async with notifier.running():
        await notifier.until(lambda states: states == ["failed", "accepted"])


async def test_a_preference_that_cannot_be_read_is_left_out_and_the_reply_is_sent(
    notifier: Notifier, ask_for: AskFor
) -> None:
    reply = ask_for()
    name = notifier.chooser.hash_of(reply.personal.contact_points[0])
    await damage(
        notifier,
        "insert into notifier.preference (event_id, contact_point_hash, event, changed_at) values ('x', :name, '{}', now())",
        name=name,
    )
    async with notifier.running():
        await notifier.take(reply)
        await notifier.until(lambda states: states == ["accepted"])


async def test_the_reconciler_sets_a_damaged_row_aside_and_resolves_the_others(
    notifier: Notifier, ask_for: AskFor
) -> None:
    bad = ask_for("bad")
    await notifier.take(bad, ask_for("good", points=phone(2)))
    await notifier.send_loop().reserve(10)
    await damage(notifier, "update notifier.delivery set lease_until = now() - interval '1 hour'")
    await damage(notifier, "update notifier.delivery set kind = 'damaged' where reply_id = :id", id=bad.reply_id)
    await notifier.reconciliation().reconcile()
    assert await notifier.states() == ["failed", "unknown"]


async def test_the_poller_asks_about_the_others_when_a_request_cannot_be_read(
    notifier: Notifier, ask_for: AskFor
) -> None:
    bad, good = ask_for("bad"), ask_for("good", points=phone(2))
    async with notifier.running():
        await notifier.take(bad, good)
        await notifier.until(lambda states: states == ["accepted", "accepted"])
    await damage(notifier, "update notifier.delivery set state = 'unknown', provider_id = null")
    await damage(notifier, "update notifier.reply set request = '{}' where reply_id = :id", id=bad.reply_id)
    await notifier.reconciliation().reconcile()
    states = await notifier.states()
    assert states[1] in {"accepted", "delivered"}
    assert states[0] in {"accepted", "delivered"}, "the provider's list has its reference"


async def test_a_batch_that_no_folder_can_hold_is_dissolved_and_its_letters_leave_in_another(
    notifier: Notifier, ask_for: AskFor
) -> None:
    async with notifier.running():
        await notifier.take(*(ask_for(str(n), channel="post", points=home(n)) for n in range(2)))
        await notifier.until(lambda states: states == ["delivered"] * 2)
    await damage(notifier, "insert into notifier.batch (name, made_at) values ('a/b', now())")
    await damage(
        notifier,
        "update notifier.letter set batch = 'a/b' where delivery_id = (select min(delivery_id) from notifier.letter)",
    )
    (name,) = await notifier.parts.print_batches().make_due_batches(at_once=True)
    manifest = json.loads((notifier.letters / name / "manifest.json").read_text())
    assert manifest["count"] == 2


async def test_a_damaged_code_is_a_wrong_code(notifier: Notifier, ask_for: AskFor) -> None:
    reply = ask_for()
    await damage(
        notifier,
        "insert into notifier.code (reply_id, address_hash, digest, asked_at, expires_at) values (:id, 'h', 'é', now(), :until)",
        id=reply.reply_id,
        until=datetime.now(UTC) + timedelta(hours=1),
    )
    async with notifier.database.transaction() as connection:
        assert not await use_code(connection, reply.reply_id, "a digest", now())


async def test_a_report_on_a_damaged_row_leaves_the_others_of_its_batch_alone(
    notifier: Notifier, ask_for: AskFor
) -> None:
    bad, good = ask_for("bad"), ask_for("good", points=phone(2))
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
