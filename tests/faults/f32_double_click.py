"""F-32: a form is sent by twenty parallel clicks and once more later."""

import asyncio

from parvis.local.citizen_client import Citizens
from parvis.local.stack import Stack
from tests.faults.oracle import SystemState, Verdict, read_state
from tests.faults.scenario import OwnTownScenario, Workspace, start_town
from tests.patience import PATIENCE_S

ANSWERS = {"problem": "pothole", "place": "12 rue de l’Église", "reply-channel": "none"}
CLICKS = 20
MARKER = "Le dernier trou"


async def run(workspace: Workspace, full: bool) -> Verdict:
    forms = 50 if full else 3
    verdict, references = Verdict(), set[str]()
    with start_town(workspace, ["ingest-web"]) as (stack, _log):
        async with Citizens(stack) as citizens:
            for number in range(forms):
                form = await citizens.open_form("road-report")
                answers = ANSWERS | {"details": f"Un trou, numéro {number}."}
                clicks = await asyncio.gather(*(form.send(answers) for _ in range(CLICKS)))
                clicks.append(await form.send(answers))  # the browser's back button, and sent again
                verdict.expect(
                    {c.status_code for c in clicks} == {303}, f"the answers were {[c.status_code for c in clicks]}"
                )
                shown = {click.headers.get("location", "") for click in clicks}
                verdict.expect(len(shown) == 1, f"one form got {len(shown)} references")
                references |= shown
            state = await _read_state_after_marker(stack, citizens)
    verdict.expect(len(references) == forms, f"{forms} forms share {len(references)} references")
    verdict.expect(len(state.received) == forms, f"{forms} forms made {len(state.received)} contacts")
    verdict.figures |= {"forms": forms, "clicks": forms * (CLICKS + 1), "contacts": len(state.received)}
    return verdict


async def _read_state_after_marker(stack: Stack, citizens: Citizens) -> SystemState:
    """Wait until the outbox, which keeps its order, has published a marker form sent after all others."""
    form = await citizens.open_form("road-report")
    await form.send(ANSWERS | {"details": MARKER})
    async with asyncio.timeout(PATIENCE_S):
        while True:
            state = await read_state(stack)
            others = [received for received in state.received if MARKER.encode() not in received.value]
            if len(others) < len(state.received):
                state.received = others
                return state
            await asyncio.sleep(0.2)


SCENARIO = OwnTownScenario(
    "F-32", "twenty parallel clicks with one token, and the form sent again", "one contact, one reference", run
)
