"""A running town in, five citizens' journeys out: each writes by another road, an agent answers each."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from parvis.common.errors import Unavailable
from parvis.local.citizens import Citizens
from parvis.local.demo.agents import Agents
from parvis.local.demo.watch import Journey, Watch
from parvis.local.letter import BIRTH_CERTIFICATE, make_scan
from parvis.local.stack import Stack

Tell = Callable[[str], None]
PATIENCE_S = 90.0

# Numbers of the block kept for fiction, domains that end in .example, a town that does not exist.
MAIL_CITIZEN = "une.habitante@citizen.example"
MAIL_TEXT = """Bonjour,

Je viens d’emménager et je voudrais m’inscrire sur les listes électorales avant les prochaines élections.
Quels papiers faut-il ? Je lis rarement mes courriels : répondez-moi par SMS au 06 39 98 00 02.

Merci beaucoup
"""
WEB_ANSWERS = {
    "problem": "pothole",
    "place": "12 rue de l’Église, devant la boulangerie",
    "details": "Un trou profond, dangereux à vélo.",
    "reply-channel": "email",
    "reply-email": "un.cycliste@citizen.example",
}
VISIT = {
    "subject": "Inscription à la cantine",
    "procedure": "school-meals",
    "name": "Une grand-mère",
    "reply_channel": "post",
    "reply_address": "Famille Exemple\n3 impasse des Tilleuls\n00100 VAL-EXEMPLE",
}
ANSWERS = {
    "sms": "Bonjour, une équipe passe ce matin. Coupez l’arrivée d’eau en attendant. Merci de nous avoir prévenus.",
    "email": "Bonjour, il faut une pièce d’identité et un justificatif de domicile de moins de trois mois.",
    "web": "Bonjour, le trou sera rebouché jeudi. En attendant, il est signalé. Merci !",
    "post": "Madame, la copie intégrale de votre acte de naissance vous est envoyée sous pli séparé.",
    "counter": "Bonjour, l’inscription à la cantine est faite ; elle commence lundi.",
}


@dataclass
class Scene:
    """Who is there while the play lasts."""

    stack: Stack
    citizens: Citizens
    agents: Agents
    watch: Watch
    tell: Tell


async def play(stack: Stack, tell: Tell) -> list[Journey]:
    """Send one contact through every front door, answer each, and wait until every notice has reached its end."""
    config = Path(stack.env["PARVIS_CONFIG_DIR"])
    async with Citizens(stack) as citizens, Agents(stack) as agents, Watch(stack.kafka, config) as watch:
        scene = Scene(stack, citizens, agents, watch, tell)
        known = await _already_there(watch)
        await _everybody_writes(scene)
        journeys = await _five_new(watch, known)
        await asyncio.gather(*(_answer(scene, journey) for journey in journeys))
        await _until(lambda: all(journey.is_told for journey in journeys), "not every notice reached its end")
        return journeys


async def _already_there(watch: Watch) -> set[str]:
    """Contacts of earlier demos in the same folder: the watch reads the topics from their beginning."""
    count = -1
    while count != len(watch.journeys):
        count = len(watch.journeys)
        await asyncio.sleep(0.7)
    return set(watch.journeys)


async def _everybody_writes(scene: Scene) -> None:
    run = time.time_ns()
    number = f"+33639980{run // 1000 % 900:03d}"  # another telephone each time: yesterday's conversation is not meant
    scene.tell(f"An SMS from {number}: a burst water pipe.")
    await scene.citizens.text(number, "Bonjour, une canalisation a éclaté, fuite d’eau au 4 rue du Moulin !")
    scene.tell("An email about the electoral roll; its writer asks to be answered by SMS.")
    subject = "Inscription sur les listes électorales"
    await scene.citizens.mail(MAIL_CITIZEN, subject, MAIL_TEXT, message_id=f"<demo-{run:x}@citizen.example>")
    scene.tell("A web form, without JavaScript: a pothole; the answer is wanted by email.")
    form = await scene.citizens.open_form("road-report")
    if (answer := await form.send(WEB_ANSWERS)).status_code != 303:
        raise Unavailable(f"the form was answered with {answer.status_code}")
    scene.tell("A letter, scanned askew in the mail room: a birth certificate, from somebody without internet.")
    scan = await asyncio.to_thread(make_scan, BIRTH_CERTIFICATE, angle=0.7, noise=12, seed=run % 1_000_000)
    scene.citizens.drop(scan, f"lettre-{run:x}.pdf")
    scene.tell("A visit to the counter: school meals; the answer is wanted by letter.")
    visitor = "Elle veut inscrire son petit-fils à la cantine à partir de lundi."
    await scene.agents.receive_at_the_counter("enfance-ecoles", visitor, **VISIT)


async def _five_new(watch: Watch, known: set[str]) -> list[Journey]:
    """The five contacts of this play, each in its department's queue."""

    def routed() -> list[Journey]:
        return [j for j in watch.journeys.values() if j.contact_id not in known and j.department]

    await _until(lambda: len(routed()) >= len(ANSWERS), "five contacts were not routed")
    order = list(ANSWERS)
    return sorted(routed(), key=lambda journey: order.index(journey.channel))


async def _answer(scene: Scene, journey: Journey) -> None:
    await scene.agents.answer(journey.conversation_id, journey.department, ANSWERS[journey.channel])
    scene.tell(f"{journey.department} has answered the {journey.channel}.")


async def _until(seen: Callable[[], bool], otherwise: str) -> None:
    ends_at = time.monotonic() + PATIENCE_S
    while not seen():
        if time.monotonic() > ends_at:
            raise Unavailable(f"{otherwise} within {PATIENCE_S:.0f} s; the services' logs are under var/log")
        await asyncio.sleep(0.05)
