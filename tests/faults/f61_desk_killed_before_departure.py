"""F-61: the desk is killed between an agent's click and the departure of the answer, which may be withdrawn meanwhile."""

import asyncio
import random
import re
from collections import Counter
from dataclasses import dataclass, field
from html import unescape
from urllib.parse import urlsplit

import httpx
from sqlalchemy import text

from parvis.common.storage.postgres import Database
from parvis.local.stack import Stack
from parvis.simulators.app import Simulators
from tests.faults.desk_load import DEPARTMENT, open_cases
from tests.faults.oracle import Verdict
from tests.faults.reply_load import reply_id_of, wait_until
from tests.faults.scenario import OwnTownScenario, Workspace, start_town
from tests.faults.twilio_simulator import start_twilio_simulator
from tests.patience import PATIENCE_S

WITHDRAWAL_S, CASES_A_ROUND = 1, 3


@dataclass
class Answers:
    """The numbers that were shown, by reply, and what the agent was told of each withdrawal."""

    shown: dict[str, str] = field(default_factory=dict[str, str])
    told: dict[str, str] = field(default_factory=dict[str, str])


async def run(workspace: Workspace, full: bool) -> Verdict:
    kills = 100 if full else 2
    verdict, answers, chance = Verdict(), Answers(), random.Random(60)  # noqa: S311 (no secret)
    quick = {"PARVIS_DESK_WITHDRAWAL_S": str(WITHDRAWAL_S), "PARVIS_NOTIFIER_ASK_EVERY_S": "1"}
    with start_town(workspace, ["desk", "notifier"], outside=False, **quick) as (stack, _log):
        async with start_twilio_simulator(stack) as simulators, _log_in(stack) as agent:
            for number in range(kills):
                cases = await _open_cases(stack, agent, number)
                replies = [await _answer(agent, case, phone, answers) for case, phone in cases.items()]
                work = [
                    _withdraw(agent, *reply, chance.uniform(0, 1.2 * WITHDRAWAL_S), answers) for reply in replies[1:]
                ]
                killing = _kill(stack, chance.uniform(0, 1.2 * WITHDRAWAL_S))
                await asyncio.gather(killing, *work)
            await _check(stack, simulators, answers, verdict)
    told = Counter(answers.told.values())
    verdict.figures |= {"kills": kills, "answers": len(answers.shown), "withdrawn": told["withdrawn"]}
    return verdict


def _log_in(stack: Stack) -> httpx.AsyncClient:
    http = httpx.Client(base_url=stack.url("desk"), trust_env=False, timeout=PATIENCE_S)
    with http:
        form = _hidden(http.get("/login").text, "/login")
        http.post("/login", data=form | {"name": "Dominique Exemple", "department": DEPARTMENT})
        return httpx.AsyncClient(base_url=stack.url("desk"), cookies=http.cookies, trust_env=False, timeout=PATIENCE_S)


async def _open_cases(stack: Stack, agent: httpx.AsyncClient, number: int) -> dict[str, str]:
    """Open the cases of a round. Gives their pages and the citizens' numbers."""
    opened = await open_cases(stack, range(number * CASES_A_ROUND, (number + 1) * CASES_A_ROUND))
    cases = {f"/cases/{conversation}": phone for conversation, phone in opened.items()}
    async with asyncio.timeout(PATIENCE_S):
        for case in cases:
            while (await agent.get(case)).status_code != 200:
                await asyncio.sleep(0.1)
    return cases


async def _answer(agent: httpx.AsyncClient, case: str, phone: str, answers: Answers) -> tuple[str, dict[str, str]]:
    """Answer a case. Gives its page and the form that withdraws the answer."""
    form = _hidden((await agent.get(case)).text, f"{case}/reply")
    body = form | {"text": "Une équipe passera jeudi.", "channel": "", "then": "closed", "do": "send"}
    await agent.post(f"{case}/reply", data=body)
    form = _hidden((await agent.get(case)).text, f"{case}/withdraw")
    answers.shown[form["reply"]] = phone
    return case, form


async def _withdraw(agent: httpx.AsyncClient, case: str, form: dict[str, str], wait_s: float, answers: Answers) -> None:
    await asyncio.sleep(wait_s)
    try:
        answer = await agent.post(f"{case}/withdraw", data=form)
    except httpx.TransportError:
        return  # killed: the agent is told nothing
    answers.told[form["reply"]] = urlsplit(answer.headers.get("location", "")).query.removeprefix("notice=")


async def _kill(stack: Stack, wait_s: float) -> None:
    await asyncio.sleep(wait_s)
    await asyncio.to_thread(stack.kill, "desk", stays_down=True)
    await asyncio.to_thread(stack.start_again, "desk")


async def _check(stack: Stack, simulators: Simulators, answers: Answers, verdict: Verdict) -> None:
    """Every answer left once, to the number that was shown, or was withdrawn and never left."""
    database = Database(stack.database_url, service="test")
    query = text("select reply_id::text, withdrawn_at is not null from desk.reply")
    async with database.transaction() as connection:
        withdrawn = {reply_id for reply_id, is_withdrawn in await connection.execute(query) if is_withdrawn}
    await database.close()
    expected = answers.shown.keys() - withdrawn

    def sent() -> list[tuple[str, str]]:
        messages = simulators.twilio.account.messages.values()
        return [(reply_id_of(m), m.recipient) for m in messages if m.direction == "outbound-api"]

    await wait_until(lambda: {reply for reply, _ in sent()} >= expected)
    times = Counter(reply for reply, _ in sent())
    verdict.expect(
        set(times) == expected,
        f"{len(expected - set(times))} did not leave, {len(set(times) - expected)} left withdrawn",
    )
    verdict.expect(max(times.values(), default=0) <= 1, "an answer left twice")
    elsewhere = [reply for reply, to in sent() if to != answers.shown[reply]]
    verdict.expect(not elsewhere, f"{len(elsewhere)} answers went to another number than was shown")
    for reply, notice in answers.told.items():
        if notice in ("withdrawn", "too_late"):
            verdict.expect(
                (reply in withdrawn) == (notice == "withdrawn"), f"the agent was told {notice} of another outcome"
            )


def _hidden(page: str, action: str) -> dict[str, str]:
    form = next(part for part in page.split("<form")[1:] if f'action="{action}' in part)
    inputs = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form.split("</form>")[0])
    return {name: unescape(value) for name, value in inputs}


SCENARIO = OwnTownScenario(
    "F-61",
    "kill -9 of the desk between an agent's click and the departure of the answer, 100 times, with withdrawals around that instant",
    "every answer leaves once, to the number that was shown, or was withdrawn and never leaves; the agent was told which",
    run,
)
