"""Facts about damaged departments' requests and histories, on the real Kafka and PostgreSQL."""

import json

import pytest
from sqlalchemy import text

from parvis.common.bus.cloudevents import Record, build_record
from parvis.common.contract import topics
from parvis.common.contract.errors import Poison
from parvis.common.contract.routing.transfer import TransferRequested

from .conftest import Town
from .makers import a_transfer, kinds, sms
from .test_app import routers, until

pytestmark = pytest.mark.stack


def request_record(town: Town, request: TransferRequested, value: bytes | None = None) -> Record:
    return build_record(
        request,
        topic=topics.TRANSFER_REQUESTED.full_name(town.prefix),
        key=request.conversation_id,
        event_id=request.transfer_id,
        source="test",
        value=value,
    )


@pytest.mark.parametrize("value", [b"{", b"{}", b"\xff\x00"])
async def test_an_undecodable_request_is_a_dead_letter_and_later_requests_are_decided(
    town: Town, database_url: str, value: bytes
) -> None:
    contact = sms(1, "un nid de poule")
    damaged = a_transfer(contact, "urbanisme", from_department="voirie", transfer_id="damaged")
    sound = a_transfer(contact, "dechets", from_department="voirie", transfer_id="sound")
    await town.route(contact)
    async with routers(town, database_url, 1):
        await town.producer.send_all([request_record(town, damaged, value), request_record(town, sound)])

        async def is_transferred() -> bool:
            return bool(await town.queue("dechets"))

        await until(is_transferred)

    (letter,) = await town.records(topics.dead_letter_topic("router").full_name(town.prefix))
    assert (letter.value, letter.header("ce_id")) == (value, "damaged")
    (arrived,) = await town.queue("dechets")
    assert json.loads(arrived.value)["sequence"] == 2
    assert kinds(await town.queue("voirie")) == ["contact.routed", "conversation.left"]
    assert await town.queue("urbanisme") == []


async def test_an_unreadable_history_refuses_no_other_request(town: Town) -> None:
    first, second = sms(1, "un nid de poule"), sms(2, "un nid de poule", sender="v1.two")
    await town.route(first, second)
    async with town.database.transaction() as connection:
        damage = text("update router.decision set value = '{' where id = cast(:id as uuid)")
        await connection.execute(damage, {"id": first.contact_id})
    damaged = a_transfer(first, "dechets", from_department="voirie")
    sound = a_transfer(second, "dechets", from_department="voirie", transfer_id="t2")
    with pytest.raises(Poison):
        await town.router().handle([town.item(damaged)])
    await town.router().handle([town.item(sound)])
    assert kinds(await town.queue("dechets")) == ["conversation.arrived"]
