"""F-07b: records are gone before the routers read them: they stop and say which, and never jump over them."""

from parvis.common.bus.cloudevents import ReceivedRecord
from tests.faults.cluster import commit_by_hand, delete_records
from tests.faults.contacts import Contacts
from tests.faults.oracle import Verdict, look
from tests.faults.routers import MISCONFIGURED
from tests.faults.scenario import Play
from tests.faults.stage import Stage
from tests.patience import PATIENCE_S


async def play(stage: Stage, full: bool) -> Verdict:
    per_second = 200 if full else 60
    verdict = Verdict()
    await stage.routers.stop_all()
    # Everybody writes once: what is restored stands behind what came later, and no promise of order is broken by it.
    async with stage.load(per_second=per_second, senders=15_000, transfers_every_s=None) as contacts:
        await contacts.until_sent(60 * per_second if full else 60)
    lost = await _lose(stage, contacts)
    stage.routers.launch(1)
    code = await stage.routers.exit_code(1, seconds=PATIENCE_S)
    verdict.expect(code == MISCONFIGURED, f"a router that misses records ended with {code}")
    verdict.expect(
        stage.routers.said(1, "misconfigured: parvis.contact.received") + stage.routers.said(1, "records are gone") > 0,
        "it did not say what is missing",
    )
    verdict.figures["records lost"] = len(lost)
    # The operator writes them again (from the blob store, in earnest) and says that this is done.
    await contacts.again(lost)
    await contacts.stop()
    starts = {(received.topic, received.partition): 0 for received in lost}
    for received in lost:
        place = received.topic, received.partition
        starts[place] = max(starts[place], received.offset + 1)
    await commit_by_hand(stage.stack, starts)
    await stage.routers.start(1, 2, 3)
    await stage.healed(verdict, deaths=1)
    return verdict


async def _lose(stage: Stage, contacts: Contacts) -> list[ReceivedRecord]:
    """Retention takes the older half of what the routers have not read, of each partition."""
    world = await look(stage.stack)
    mine = {attempt.contact_id for attempt in contacts.mine}
    unread: dict[tuple[str, int], list[ReceivedRecord]] = {}
    for received in world.received:
        if received.event_id in mine:
            unread.setdefault((received.topic, received.partition), []).append(received)
    lost = {place: records[: (len(records) + 1) // 2] for place, records in unread.items()}
    await delete_records(stage.stack, {place: records[-1].offset + 1 for place, records in lost.items()})
    gone = [received for records in lost.values() for received in records]
    places = {(received.partition, received.offset) for received in gone}
    world.received = [received for received in world.received if (received.partition, received.offset) not in places]
    stage.gone = world.beside(stage.gone)  # what was read and went as well
    return gone


SCENARIO = Play(
    "F-07b",
    "retention takes records that the routers, stopped for a minute, have not read",
    "exit 78 naming them, no jump; after they are restored I1 I2 I7",
    play,
    "two",
)
