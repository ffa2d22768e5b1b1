"""F-32: twenty clicks on the same button at once, and once more later: one contact, one reference."""

import asyncio

from parvis.local.citizen_client import Citizens
from parvis.local.stack import Stack
from tests.faults.oracle import Verdict, World, look
from tests.faults.scenario import Place, Scenario, town
from tests.patience import PATIENCE_S

ANSWERS = {"problem": "pothole", "place": "12 rue de l’Église", "reply-channel": "none"}
CLICKS = 20
MARKER = "Le dernier trou"


async def run(place: Place, full: bool) -> Verdict:
    forms = 50 if full else 3
    verdict, references = Verdict(), set[str]()
    with town(place, ["ingest-web"]) as (stack, _log):
        async with Citizens(stack) as citizens:
            for number in range(forms):
                form = await citizens.open_form("road-report")
                answers = ANSWERS | {"details": f"Un trou, numéro {number}."}
                clicks = await asyncio.gather(*(form.send(answers) for _ in range(CLICKS)))
                clicks.append(await form.send(answers))  # back, and sent again
                verdict.expect({c.status_code for c in clicks} == {303}, f"told {[c.status_code for c in clicks]}")
                shown = {click.headers.get("location", "") for click in clicks}
                verdict.expect(len(shown) == 1, f"one form was given {len(shown)} references")
                references |= shown
            world = await _arrived(stack, citizens)
    verdict.expect(len(references) == forms, f"{forms} forms share {len(references)} references")
    verdict.expect(len(world.received) == forms, f"{forms} forms made {len(world.received)} contacts")
    verdict.figures |= {"forms": forms, "clicks": forms * (CLICKS + 1), "contacts": len(world.received)}
    return verdict


async def _arrived(stack: Stack, citizens: Citizens) -> World:
    """Wait until the outbox, which keeps its order, has sent a form that was filled in after all others: the marker."""
    form = await citizens.open_form("road-report")
    await form.send(ANSWERS | {"details": MARKER})
    async with asyncio.timeout(PATIENCE_S):
        while True:
            world = await look(stack)
            others = [received for received in world.received if MARKER.encode() not in received.value]
            if len(others) < len(world.received):
                world.received = others
                return world
            await asyncio.sleep(0.2)


SCENARIO = Scenario(
    "F-32", "twenty parallel clicks with one token, and the form sent again", "one contact, one reference", run
)
