"""Tests the desk's queue and search in a real browser: accessible in each state, usable by keys, live, without sideways scrolling."""

import asyncio
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import asyncpg
import pytest

from parvis.local.stack import Stack
from parvis.local.towns_for_tests import TownsOnSharedBrokers
from tests.browser.conftest import Look, missing
from tests.patience import PATIENCE_S

_CASES = """
insert into desk.case_file (conversation_id, reference, department, state, channel, subject, citizen, snippet, urgency, contacts,
    received_at, answer_due_at, changed_at, tags)
select gen_random_uuid(), 'P-' || n, 'voirie', 'open', (array['sms', 'email', 'post'])[1 + n % 3], 'Trottoir ' || n, 'Camille Exemple',
    'devant le 12 rue Haute', case when n = 1 then 0 else 2 end, 1, now(), now() + (n - 3) * interval '1 day', now(), array['rue']
from generate_series($1::int, $2::int) n
"""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, towns: TownsOnSharedBrokers) -> Generator[Stack]:
    if reason := missing():
        pytest.skip(reason)
    with towns.start(tmp_path_factory.mktemp("town"), services=["desk"]) as stack:
        insert_cases(stack, 1, 12)
        yield stack


@pytest.fixture(scope="module")
def door(stack: Stack) -> str:
    return stack.url("desk")


@pytest.fixture
def page(browser: Any, door: str) -> Generator[Any]:
    context = browser.new_context(locale="fr-FR")
    page = context.new_page()
    page.set_default_timeout(PATIENCE_S * 1000)
    page.goto(f"{door}/login")
    page.fill("input[name=name]", "Dominique Exemple")
    page.locator("[name=department]").select_option("voirie")
    page.locator("main button").click()
    page.wait_for_url("**/queue")
    yield page
    context.close()


def insert_cases(stack: Stack, first: int, last: int) -> None:
    with ThreadPoolExecutor() as pool:  # Playwright's loop runs in this thread
        pool.submit(asyncio.run, _insert_cases(stack, first, last)).result()


async def _insert_cases(stack: Stack, first: int, last: int) -> None:
    connection = await asyncpg.connect(stack.env["PARVIS_DATABASE_URL"].replace("+asyncpg", ""))
    await connection.execute(_CASES, first, last)
    await connection.execute("select pg_notify('desk_queue', 'voirie')")
    await connection.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
def test_queue_and_search_have_no_barrier(page: Any, door: str, violations: Look, width: int, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 800})
    for path in ("/queue", "/queue?show=closed", "/queue?show=open&tag=rue", "/search", "/search?q=girafe"):
        page.goto(door + path)
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_keys_lead_through_the_queue_and_can_be_switched_off(page: Any, door: str) -> None:
    page.keyboard.press("j")
    page.keyboard.press("j")
    assert page.evaluate("document.activeElement.textContent").startswith("Trottoir 2")
    page.keyboard.press("k")
    assert page.evaluate("document.activeElement.textContent").startswith("Trottoir 1")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "f-search"
    page.keyboard.type("jj")
    assert page.input_value("#f-search") == "jj"
    page.check("#keys-off")
    page.keyboard.press("j")
    assert page.evaluate("document.activeElement.id") == "keys-off"
    page.uncheck("#keys-off")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url("**/cases/*")


def test_the_whole_row_opens_its_case(page: Any) -> None:
    page.locator("tr[id] .snippet").first.click(force=True)  # the link covers the row
    page.wait_for_url("**/cases/*")


def test_new_cases_wait_and_nothing_moves(page: Any, stack: Stack) -> None:
    before = page.locator("a.subject").all_text_contents()
    with page.expect_response("**/queue/events*"):
        page.reload()
    insert_cases(stack, 13, 14)
    page.get_by_text("2 nouveaux ↑").wait_for()
    assert page.locator("a.subject").all_text_contents() == before
    page.get_by_text("2 nouveaux ↑").click()
    page.locator("a.subject", has_text="Trottoir 14").wait_for()
