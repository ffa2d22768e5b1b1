"""Runs the demo's script: five citizens write, each on another channel, and an agent answers each."""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from parvis.common.contract.errors import Unavailable
from parvis.common.town.loading import load_town_config
from parvis.local.citizen_client import Citizens
from parvis.local.demo.agents import DemoAgents
from parvis.local.demo.open_cases import OpenCases
from parvis.local.demo.watch import Journey, JourneyWatch
from parvis.local.letter import BIRTH_CERTIFICATE, SampleLetter, make_scan
from parvis.local.stack import Stack
from parvis.local.waiting import StartInterrupted

Tell = Callable[[str], None]
Result = TypeVar("Result")
PATIENCE_S = 90.0

ANSWERS = {
    "sms": "Bonjour, une équipe passe ce matin. Coupez l’arrivée d’eau en attendant. Merci de nous avoir prévenus.",
    "email": "Bonjour, il faut une pièce d’identité et un justificatif de domicile de moins de trois mois.",
    "web": "Bonjour, le trou sera rebouché jeudi. En attendant, il est signalé. Merci !",
    "post": "Madame, la copie intégrale de votre acte de naissance vous est envoyée sous pli séparé.",
    "counter": "Bonjour, l’inscription à la cantine est faite ; elle commence lundi.",
}


@dataclass(frozen=True)
class DemoCast:
    """The citizens of one demo. They differ each time, because the notifier limits messages per address and day.

    Telephone numbers are from the block reserved for fiction, and domains end in .example.
    """

    run: int = field(default_factory=time.time_ns)

    @property
    def house(self) -> int:
        return self.run // 1000 % 900 + 1

    @property
    def texting_number(self) -> str:
        return f"+33639980{self.house:03d}"

    @property
    def mail_writer(self) -> str:
        return f"une.habitante.{self.house}@citizen.example"

    @property
    def mail_writers_number(self) -> str:
        return f"+33639981{self.house:03d}"

    @property
    def mail_text(self) -> str:
        return (
            "Bonjour,\n\nJe viens d’emménager et je voudrais m’inscrire sur les listes électorales avant les prochaines "
            "élections.\nQuels papiers faut-il ? Je lis rarement mes courriels : répondez-moi par SMS au "
            f"0{self.mail_writers_number[3:]}.\n\nMerci beaucoup\n"
        )

    @property
    def cyclist(self) -> str:
        return f"un.cycliste.{self.house}@citizen.example"

    @property
    def form(self) -> dict[str, str]:
        return {
            "problem": "pothole",
            "place": "12 rue de l’Église, devant la boulangerie",
            "details": "Un trou profond, dangereux à vélo.",
            "reply-channel": "email",
            "reply-email": self.cyclist,
        }

    @property
    def letter(self) -> SampleLetter:
        name, _, town = BIRTH_CERTIFICATE.sender
        return replace(BIRTH_CERTIFICATE, sender=(name, f"{self.house} rue de la Fontaine-aux-Lièvres", town))

    @property
    def visit(self) -> dict[str, str]:
        return {
            "subject": "Inscription à la cantine",
            "procedure": "school-meals",
            "name": "Une grand-mère",
            "reply_channel": "post",
            "reply_address": f"Famille Exemple\n{self.house} impasse des Tilleuls\n00100 VAL-EXEMPLE",
        }


@dataclass
class DemoClients:
    """The clients that a demo uses."""

    stack: Stack
    citizens: Citizens
    agents: DemoAgents
    watch: JourneyWatch
    cast: DemoCast
    tell: Tell


async def run_until_stopped(stopping: threading.Event, play: Coroutine[Any, Any, Result]) -> Result:
    """Run a part of the demo; stop at once when the stack is stopped. Raises: StartInterrupted."""
    playing = asyncio.create_task(play)
    while not playing.done():
        if stopping.is_set():
            playing.cancel()
            await asyncio.wait([playing])
            raise StartInterrupted
        await asyncio.wait([playing], timeout=0.2)
    return playing.result()


async def leave_open_cases(stack: Stack, cast: DemoCast) -> dict[str, int]:
    """Leave ten open cases on the desk. Gives the number of open cases of each department."""
    departments = tuple(load_town_config(Path(stack.env["PARVIS_CONFIG_DIR"])).departments)
    async with Citizens(stack) as citizens, DemoAgents(stack) as agents:
        return await OpenCases(citizens, agents, departments, cast.house).leave()


async def run_demo(stack: Stack, tell: Tell, cast: DemoCast) -> list[Journey]:
    """Send one contact through every channel, answer each, and wait until every reply has a final state."""
    config = Path(stack.env["PARVIS_CONFIG_DIR"])
    async with Citizens(stack) as citizens, DemoAgents(stack) as agents, JourneyWatch(stack.kafka, config) as watch:
        scene = DemoClients(stack, citizens, agents, watch, cast, tell)
        known = await _earlier_journeys(watch)
        await _write_on_every_channel(scene)
        journeys = await _new_journeys(watch, known)
        await asyncio.gather(*(_answer_as_agent(scene, journey) for journey in journeys))
        await _until(lambda: all(journey.is_answered for journey in journeys), "not every notice reached its end")
        return journeys


async def _earlier_journeys(watch: JourneyWatch) -> set[str]:
    """Find the contacts of earlier demos in the same folder, because the watch reads the topics from their beginning."""
    count = -1
    while count != len(watch.journeys):
        count = len(watch.journeys)
        await asyncio.sleep(0.7)
    return set(watch.journeys)


async def _write_on_every_channel(scene: DemoClients) -> None:
    cast, citizens = scene.cast, scene.citizens
    scene.tell(f"An SMS from {cast.texting_number}: a burst water pipe.")
    water = "Bonjour, une canalisation a éclaté, fuite d’eau au 4 rue du Moulin !"
    await citizens.text(cast.texting_number, water)
    scene.tell("An email about the electoral roll; its writer asks to be answered by SMS.")
    subject, message_id = "Inscription sur les listes électorales", f"<demo-{cast.run:x}@citizen.example>"
    await citizens.mail(cast.mail_writer, subject, cast.mail_text, message_id=message_id)
    scene.tell("A web form, without JavaScript: a pothole; the answer is wanted by email.")
    form = await citizens.open_form("road-report")
    if (answer := await form.send(cast.form)).status_code != 303:
        raise Unavailable(f"the form was refused with status {answer.status_code}")
    scene.tell("A letter, scanned askew in the mail room: a birth certificate, from somebody without internet.")
    scan = await asyncio.to_thread(make_scan, cast.letter, angle=0.7, noise=12, seed=cast.house)
    citizens.drop(scan, f"lettre-{cast.run:x}.pdf")
    scene.tell("A visit to the counter: school meals; the answer is wanted by letter.")
    visitor = "Elle veut inscrire son petit-fils à la cantine à partir de lundi."
    await scene.agents.receive_at_the_counter("enfance-ecoles", visitor, **cast.visit)


async def _new_journeys(watch: JourneyWatch, known: set[str]) -> list[Journey]:
    """Wait for the five contacts of this demo in their departments' queues."""

    def routed() -> list[Journey]:
        return [j for j in watch.journeys.values() if j.contact_id not in known and j.department]

    await _until(lambda: len(routed()) >= len(ANSWERS), "five contacts were not routed")
    order = list(ANSWERS)
    return sorted(routed(), key=lambda journey: order.index(journey.channel))


async def _answer_as_agent(scene: DemoClients, journey: Journey) -> None:
    await scene.agents.answer(journey.conversation_id, journey.department, ANSWERS[journey.channel])
    scene.tell(f"{journey.department} has answered the {journey.channel}.")


async def _until(seen: Callable[[], bool], otherwise: str) -> None:
    ends_at = time.monotonic() + PATIENCE_S
    while not seen():
        if time.monotonic() > ends_at:
            raise Unavailable(f"{otherwise} within {PATIENCE_S:.0f} s; see the services' logs in var/log")
        await asyncio.sleep(0.05)
