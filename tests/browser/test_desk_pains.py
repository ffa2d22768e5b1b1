"""Tests, one by one, the pains that agents of other desks report, where a browser decides; services/desk/tests/test_pains.py has the others."""

from collections.abc import Generator, Iterator
from typing import Any

import pytest

from parvis.local.stack import Stack
from parvis.local.towns_on_shared_brokers import TownsOnSharedBrokers
from tests.browser.conftest import log_in, missing
from tests.browser.desk_cases import execute
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.stack
CHANGES = 40  # of a queue, as in a busy hour
_CASE = """
insert into desk.case_file (conversation_id, reference, department, state, channel, subject, urgency, contacts,
    received_at, answer_due_at, changed_at)
values (gen_random_uuid(), 'P-' || $1, 'voirie', 'open', $2, $1, 2, 1, now(), now() + interval '9 days', now())
"""
_CHANGE = "select pg_notify('desk_queue', 'voirie')"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, towns: TownsOnSharedBrokers) -> Generator[Stack]:
    if reason := missing():
        pytest.skip(reason)
    with towns.start(tmp_path_factory.mktemp("town"), services=["desk"]) as stack:
        for number in range(3):
            change(stack, (_CASE, f"Trottoir {number}", "sms"))
        yield stack


@pytest.fixture(scope="module")
def door(stack: Stack) -> str:
    return stack.url("desk")


@pytest.fixture
def colleague(browser: Any, door: str) -> Iterator[Any]:
    page = log_in(browser, door, "Lou Exemple")
    yield page
    page.context.close()


def change(stack: Stack, *statements: tuple[str, ...]) -> None:
    execute(stack, *statements, (_CHANGE,))


def open_stream(page: Any, address: str) -> None:
    """Open a list and wait until its stream has said what stands on it."""
    with page.expect_response("**/queue/events*"):
        page.goto(address)


def test_12_live_news_obey_the_filter_of_the_list(agent: Any, stack: Stack, door: str) -> None:
    open_stream(agent, f"{door}/queue?show=open&channel=post")
    change(stack, (_CASE, "Un SMS", "sms"))
    change(stack, (_CASE, "Une lettre", "post"))
    agent.get_by_text("1 nouveau ↑").wait_for()
    agent.get_by_text("1 nouveau ↑").click()
    agent.get_by_role("link", name="Une lettre").wait_for()
    assert agent.get_by_role("link", name="Un SMS").count() == 0


def test_13_reloading_one_tab_reloads_no_other(agent: Any, door: str) -> None:
    other = agent.context.new_page()
    open_stream(other, f"{door}/queue")
    other.evaluate("window.untouched = true")
    for _ in range(3):
        agent.reload()
    assert other.evaluate("window.untouched")


def test_14_a_list_that_stays_open_does_not_grow(agent: Any, stack: Stack, door: str) -> None:
    open_stream(agent, f"{door}/queue")
    browser = agent.context.new_cdp_session(agent)
    browser.send("Performance.enable")
    sizes: list[dict[str, float]] = []
    for _ in range(3):
        for number in range(CHANGES):
            state = ("open", "closed")[number % 2]
            statement = "update desk.case_file set state = $1, changed_at = now() where subject = 'Trottoir 2'"
            change(stack, (statement, state))
        change(stack, ("update desk.case_file set state = 'open' where subject = 'Trottoir 2'",))
        agent.locator("tr.gone").wait_for(state="detached")
        browser.send("HeapProfiler.collectGarbage")
        metrics = {m["name"]: m["value"] for m in browser.send("Performance.getMetrics")["metrics"]}
        sizes.append({name: metrics[name] for name in ("Nodes", "JSEventListeners", "Documents")})
    assert all(sizes[-1][name] <= sizes[0][name] for name in sizes[0]), sizes


def test_16_who_is_looking_is_shown_in_the_list_and_on_the_case(
    agent: Any, colleague: Any, stack: Stack, door: str
) -> None:
    open_stream(agent, f"{door}/queue")
    colleague.get_by_role("link", name="Trottoir 1").click()
    colleague.wait_for_url("**/cases/*")
    row = agent.locator("tr", has=agent.get_by_role("link", name="Trottoir 1"))
    row.get_by_text("LE", exact=True).wait_for(timeout=PATIENCE_S * 1000)

    agent.get_by_role("link", name="Trottoir 1").click()
    agent.get_by_text("Lou Exemple").first.wait_for()
    colleague.get_by_text("Dominique Exemple").first.wait_for()


def test_20_no_shortcut_takes_a_key_of_the_browser_or_of_who_types(agent: Any) -> None:
    agent.evaluate("window.addEventListener('keydown', (event) => (window.taken = event.defaultPrevented))")
    for key in ("Control+j", "Alt+j", "Meta+k", "Control+u", "F6", "Tab", "Escape"):
        agent.keyboard.press(key)
        assert not agent.evaluate("window.taken"), key
    agent.fill("#f-search", "")
    agent.locator("#f-search").press_sequentially("jkn/u")
    assert agent.input_value("#f-search") == "jkn/u"

    agent.check("#keys-off")
    agent.keyboard.press("j")
    assert agent.evaluate("document.activeElement.id") == "keys-off"
    agent.get_by_role("link", name="Trottoir 0").click()
    agent.wait_for_url("**/cases/*")
    case = agent.url
    for key in "uritegs":
        agent.keyboard.press(key)
    assert agent.url == case
    assert agent.locator("aside details[open]").count() == 0
