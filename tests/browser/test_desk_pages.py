"""Tests the desk's queue and search in a real browser: accessible in each state, usable by keys, live, without sideways scrolling."""

from collections.abc import Generator
from typing import Any

import pytest

from parvis.local.stack import Stack
from parvis.local.towns_on_shared_brokers import TownsOnSharedBrokers
from tests.browser.conftest import Look, missing
from tests.browser.desk_cases import execute

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


def insert_cases(stack: Stack, first: int, last: int) -> None:
    execute(stack, (_CASES, first, last), ("select pg_notify('desk_queue', 'voirie')",))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
def test_queue_and_search_have_no_barrier(agent: Any, door: str, violations: Look, width: int, scheme: str) -> None:
    agent.emulate_media(color_scheme=scheme)
    agent.set_viewport_size({"width": width, "height": 800})
    for path in ("/queue", "/queue?show=closed", "/queue?show=open&tag=rue", "/search", "/search?q=girafe"):
        agent.goto(door + path)
        assert violations(agent) == []
        assert agent.evaluate("document.documentElement.scrollWidth") <= width


def test_keys_lead_through_the_queue_and_can_be_switched_off(agent: Any, door: str) -> None:
    agent.keyboard.press("j")
    agent.keyboard.press("j")
    assert agent.evaluate("document.activeElement.textContent").startswith("Trottoir 2")
    agent.keyboard.press("k")
    assert agent.evaluate("document.activeElement.textContent").startswith("Trottoir 1")
    agent.keyboard.press("/")
    assert agent.evaluate("document.activeElement.id") == "f-search"
    agent.keyboard.type("jj")
    assert agent.input_value("#f-search") == "jj"
    agent.check("#keys-off")
    agent.keyboard.press("j")
    assert agent.evaluate("document.activeElement.id") == "keys-off"
    agent.uncheck("#keys-off")
    agent.keyboard.press("j")
    agent.keyboard.press("Enter")
    agent.wait_for_url("**/cases/*")


def test_the_whole_row_opens_its_case(agent: Any) -> None:
    agent.locator("tr[id] .snippet").first.click(force=True)  # the link covers the row
    agent.wait_for_url("**/cases/*")


def test_new_cases_wait_and_nothing_moves(agent: Any, stack: Stack) -> None:
    before = agent.locator("a.subject").all_text_contents()
    with agent.expect_response("**/queue/events*"):
        agent.reload()
    insert_cases(stack, 13, 14)
    agent.get_by_text("2 nouveaux ↑").wait_for()
    assert agent.locator("a.subject").all_text_contents() == before
    agent.get_by_text("2 nouveaux ↑").click()
    agent.locator("a.subject", has_text="Trottoir 14").wait_for()
