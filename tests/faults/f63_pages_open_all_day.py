"""F-63: an agent's list and case stay open in a browser while the department works at ten times the pace of a busy day."""

import asyncio
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import psutil

from parvis.local.stack import Stack
from tests.browser.conftest import CHROMIUM, QUIET, missing
from tests.faults.desk_load import DEPARTMENT, open_cases
from tests.faults.oracle import Verdict
from tests.faults.scenario import OwnTownScenario, Workspace, start_town
from tests.patience import PATIENCE_S

# A department with forty contacts an hour is busy: four hundred are ten times that.
_CHANGES, _EVERY_S = 400, 9.0
_MAY_GROW = 1.15  # the bytes of JavaScript; what a page counts (nodes, listeners, documents) may not grow
_COUNTED = ("Nodes", "JSEventListeners", "Documents")


async def run(workspace: Workspace, full: bool) -> Verdict:
    changes, every_s = (_CHANGES, _EVERY_S) if full else (12, 0.05)
    verdict = Verdict()
    with start_town(workspace, ["desk"], PARVIS_DESK_API_TOKEN="a token of the scenario") as (stack, _log):
        cases = list(await open_cases(stack, range(3)))
        async with _open_pages(stack, cases[0]) as pages:
            await _work(stack, cases, range(3, 3 + changes // 4), every_s)
            await _wait_for_news(pages["list"], changes // 4)  # its own means of asking are in the page from now on
            before = {name: await _weigh(page) for name, page in pages.items()}
            await _work(stack, cases, range(3 + changes // 4, 3 + changes), every_s)
            await _wait_for_news(pages["list"], changes)
            after = {name: await _weigh(page) for name, page in pages.items()}
        desk_mb = psutil.Process(stack.pid("desk")).memory_info().rss >> 20
    for name in pages:
        grown = {
            each: (before[name][each], after[name][each]) for each in _COUNTED if after[name][each] > before[name][each]
        }
        verdict.expect(not grown, f"the {name} has grown: {grown}")
        heap = [int(weight[name]["JSHeapUsedSize"]) for weight in (before, after)]
        verdict.expect(heap[1] <= heap[0] * _MAY_GROW, f"the heap of the {name} went from {heap[0]} to {heap[1]} bytes")
        verdict.figures[f"{name}, heap before kB"], verdict.figures[f"{name}, heap after kB"] = (
            heap[0] >> 10,
            heap[1] >> 10,
        )
    verdict.figures |= {"changes": changes, "desk MB": desk_mb}
    return verdict


@asynccontextmanager
async def _open_pages(stack: Stack, case: str) -> AsyncGenerator[dict[str, Any]]:
    """The queue and a case in a logged-in browser."""
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=str(CHROMIUM), args=QUIET)
        context = await chromium.new_context(locale="fr-FR")
        context.set_default_timeout(PATIENCE_S * 1000)
        first, second = await context.new_page(), await context.new_page()
        await first.goto(f"{stack.url('desk')}/login")
        await first.fill("input[name=name]", "Dominique Exemple")
        await first.select_option("select[name=department]", DEPARTMENT)
        await first.press("input[name=name]", "Enter")
        await first.wait_for_url(re.compile(r"/queue"))
        await second.goto(f"{stack.url('desk')}/cases/{case}")
        yield {"list": first, "case": second}
        await chromium.close()


async def _work(stack: Stack, cases: list[str], numbers: range, every_s: float) -> None:
    """A new case, and a note on one that is there, at each turn."""
    headers = {"Authorization": f"Bearer {stack.env['PARVIS_DESK_API_TOKEN']}"}
    async with httpx.AsyncClient(base_url=f"{stack.url('desk')}/api/v1", headers=headers, timeout=PATIENCE_S) as http:
        for number in numbers:
            await open_cases(stack, range(number, number + 1))
            body = {"agent": "Lou Exemple", "department": DEPARTMENT, "kind": "note", "text": f"Vu, {number}."}
            (await http.post(f"/cases/{cases[number % len(cases)]}/note", json=body)).raise_for_status()
            await asyncio.sleep(every_s)


async def _wait_for_news(page: Any, count: int) -> None:
    """Wait until the list says how many cases are new, as far as it counts."""
    await page.wait_for_function(
        "(n) => parseInt(document.getElementById('news').textContent) >= n", arg=min(count, 100)
    )


async def _weigh(page: Any) -> dict[str, float]:
    session = await page.context.new_cdp_session(page)
    await session.send("Performance.enable")
    await session.send("HeapProfiler.collectGarbage")
    found = await session.send("Performance.getMetrics")
    await session.detach()
    return {metric["name"]: metric["value"] for metric in found["metrics"]}


SCENARIO = OwnTownScenario(
    "F-63",
    "a list and a case stay open in a browser for an hour while 400 cases arrive and 400 notes are written",
    "the pages do not grow: nodes, listeners and documents as before, JavaScript's memory within 15 %; the list says how many cases are new",
    run,
    missing,
)
