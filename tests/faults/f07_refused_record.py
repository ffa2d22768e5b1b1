"""F-07: a department's topic takes less than a contact is large; then records are deleted under the producer's feet.

A batch that the broker refuses leaves a gap in aiokafka's sequence, which fails every later one of that partition (#1017).
"""

import asyncio
import json

from parvis.common.bus.admin import apply_topics
from parvis.common.contract import topics
from parvis.common.contract.contact import ContactReceived, PersonalContact
from tests.faults.cluster import delete_records, limit_records
from tests.faults.contacts import Contacts
from tests.faults.oracle import Verdict, look
from tests.faults.scenario import Play
from tests.faults.stage import Stage

_TRIAGE = topics.department_topic("triage")
_LETTER = "Une question sans rapport avec rien. "


async def play(stage: Stage, full: bool) -> Verdict:
    rounds, per_second = (20, 200) if full else (2, 60)
    verdict, large = Verdict(), list[ContactReceived]()
    replaced = stage.said("producer.replaced")
    # Nobody transfers one of the large ones away, to a department whose topic takes it.
    async with stage.load(per_second=per_second, transfers_every_s=None) as contacts:
        await contacts.until_sent(20)
        await limit_records(stage.stack, _TRIAGE.full_name(stage.prefix), 20_000)
        for number in range(2 * rounds):
            large.append(_large(contacts, number))
            stage.may_die.add(large[-1].contact_id)
            await contacts.send([large[-1]])
            if number % 2 == 0:
                continue
            await contacts.until_sent(per_second // 2)
        await _delete_what_was_read(stage)
        await contacts.until_sent(per_second // 2)
    world = await stage.healed(verdict)
    wanted, dead = {contact.contact_id for contact in large}, stage.died_here(world, contacts)
    verdict.expect(dead == wanted, f"{len(dead)} contacts are dead letters; {len(wanted)} were too large")
    verdict.figures |= {"refused by the broker": len(wanted), "dead letters": len(dead)}
    verdict.figures["producers replaced"] = stage.said("producer.replaced") - replaced
    await apply_topics(stage.stack.kafka, [_TRIAGE], prefix=stage.prefix, replication=1)
    await _replay(stage, large, verdict)
    return verdict


def _large(contacts: Contacts, number: int) -> ContactReceived:
    """Of one of two citizens who write nothing else, so that their order can be told; `number` is none of the others'."""
    plain = contacts.contact(1_000_000 + number)
    words = PersonalContact.model_validate({"from": plain.personal.from_, "text": _LETTER * 800})
    return contacts.contact(1_000_000 + number, personal=words, contact_point_hash=f"{number % 2:064x}")


async def _delete_what_was_read(stage: Stage) -> None:
    """All that stands on the department topics now, kept for the judge."""
    stage.gone = world = (await look(stage.stack)).beside(stage.gone)
    before: dict[tuple[str, int], int] = {}
    for received in world.routed:
        place = received.topic, received.partition
        before[place] = max(before.get(place, 0), received.offset + 1)
    await delete_records(stage.stack, before)


async def _replay(stage: Stage, large: list[ContactReceived], verdict: Verdict) -> None:
    """The topic takes them now: an operator sends them again; each comes, in order, to the department that was decided then."""
    command = ("dead-letters", "replay", "router", "--reason", "refused")
    said = [await asyncio.to_thread(stage.stack.run_parvis, *command) for _ in range(2)]
    verdict.expect(said[0].stdout.startswith(f"{len(large)} dead letters"), f"replay: {said[0].stdout}{said[0].stderr}")
    verdict.expect("replayed before" in said[1].stderr, f"asked twice, it replayed twice: {said[1].stdout}")
    world = await stage.healed(verdict)
    wanted: dict[str, str | None] = {contact.contact_id: contact.contact_point_hash for contact in large}
    came: dict[str | None, dict[int, None]] = {}  # a second copy changes no order
    for received in sorted(world.routed, key=lambda received: (received.partition, received.offset)):
        if received.event_id in wanted:
            sequence = json.loads(received.value)["routing"]["sequence"]
            came.setdefault(wanted[received.event_id], {}).setdefault(sequence)
    verdict.expect(sum(map(len, came.values())) == len(large), f"{came} of {len(large)} contacts came by the replay")
    verdict.expect(all(list(ones) == sorted(ones) for ones in came.values()), f"replayed in the order {came}")


SCENARIO = Play(
    "F-07",
    "20 records that the broker refuses, amid traffic of their partitions; DeleteRecords; then replay",
    "only those are dead letters; the producer is replaced by itself; I1 I2 I3 I7",
    play,
    "two",
)
