"""Tests every page of the desk in each of its states: axe, 320 px, 200 %, dark, and how much script it loads."""

from collections.abc import Generator, Iterator
from typing import Any

import pytest

from parvis.local.stack import Stack
from parvis.local.towns_on_shared_brokers import TownsOnSharedBrokers
from tests.browser.conftest import Look, log_in, missing
from tests.browser.desk_cases import execute, open_cases

pytestmark = pytest.mark.stack
MOST_SCRIPT_BYTES = 30_000
_SCRIPT = """() => performance.getEntriesByType("resource").filter((entry) => entry.initiatorType === "script")
    .reduce((sum, entry) => sum + entry.decodedBodySize, 0)"""
_DAMAGE = "update desk.case_file set urgency = 99 where conversation_id = $1::text::uuid"
_LETTER = """insert into desk.case_file (conversation_id, reference, department, state, channel, urgency, received_at, answer_due_at, changed_at)
    values (gen_random_uuid(), 'P-1', 'voirie', 'open', 'post', 2, now(), now() + interval '9 days', now())"""
_NEWS = "select pg_notify('desk_queue', 'voirie')"
_SNOOZE = "update desk.case_file set snoozed_until = now() + interval '2 days' where conversation_id = $1::text::uuid"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, towns: TownsOnSharedBrokers) -> Generator[Stack]:
    if reason := missing():
        pytest.skip(reason)
    longest = {"PARVIS_DESK_WITHDRAWAL_S": "60"}
    with towns.start(tmp_path_factory.mktemp("town"), services=["router", "desk"], environment=longest) as stack:
        open_cases(stack, 5)
        yield stack


@pytest.fixture(scope="module")
def door(stack: Stack) -> str:
    return stack.url("desk")


def barriers(page: Any, violations: Look, state: str) -> list[str]:
    """What stops somebody in this state: wide and light, at 200 %, narrow and dark; or a page that loads too much script."""
    found: list[str] = []
    for width, scheme in ((1280, "light"), (640, "light"), (320, "dark")):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # axe must not see a colour half-way
        page.set_viewport_size({"width": width, "height": 800})
        found += violations(page) if width != 640 else []
        if (needed := page.evaluate("document.documentElement.scrollWidth")) > width:
            found.append(f"{needed} px wide at {width} px")
    if (size := page.evaluate(_SCRIPT)) > MOST_SCRIPT_BYTES:
        found.append(f"{size} bytes of script")
    page.set_viewport_size({"width": 1280, "height": 800})
    return [f"{state}: {barrier}" for barrier in found]


def press(page: Any, button: str, address: str) -> None:
    page.get_by_role("button", name=button, exact=True).first.click()
    page.wait_for_url(address)


def agents_states(page: Any, colleague: Any, stack: Stack, door: str) -> Iterator[str]:
    cases: list[str] = page.locator("a.subject").evaluate_all("links => links.map((link) => link.href)")
    for state, path in {
        "queue": "/queue", "empty list": "/queue?show=closed", "filtered list": "/queue?show=open&channel=sms",
        "search": "/search", "nothing found": "/search?q=girafe", "found": "/search?q=nid-de-poule", "no such page": "/nowhere",
        "own account": "/me", "break-glass by reference": "/break-glass/find", "not allowed": "/audit",
    }.items():  # fmt: skip
        page.goto(door + path)
        yield state
    with page.expect_response("**/queue/events*"):
        page.goto(f"{door}/queue?show=open&channel=post")
    execute(stack, (_LETTER,), (_NEWS,))
    page.get_by_text("1 nouveau ↑").wait_for()
    yield "news of a list"
    page.goto(cases[0])
    yield "case"
    for summary in page.locator("summary").all():
        summary.click()
    yield "case with everything unfolded"
    page.fill("#f-text", "Une équipe passera jeudi.")
    press(page, "Aperçu", "**/reply*")
    yield "preview"
    page.fill("#f-text", "")
    press(page, "Envoyer la réponse", "**/reply*")
    yield "empty answer"
    colleague.goto(cases[0])
    press(colleague, "Prendre ce dossier", "**notice=taken*")
    page.fill("#f-text", "Une équipe passera jeudi.")
    press(page, "Envoyer la réponse", "**/reply*")
    yield "changed case"
    press(page, "Envoyer quand même", "**notice=replied*")
    yield "undo pending"
    execute(stack, (_SNOOZE, cases[1].rpartition("/")[2]), (_DAMAGE, cases[2].rpartition("/")[2]))
    for state, address in {
        "snoozed case": cases[1], "snoozed list": f"{door}/queue?show=snoozed", "damaged case": cases[2],
        "list with a damaged case": f"{door}/queue", "break-glass": door + cases[1].replace(f"{door}/cases", "/break-glass"),
    }.items():  # fmt: skip
        page.goto(address)
        yield state
    press(page, "Ouvrir le dossier", "**/break-glass/*")
    yield "break-glass without a reason"


def counters_states(page: Any, door: str) -> Iterator[str]:
    for state, query in {"counter": "", "caller found": "?q=06+39+98+47+01", "caller unknown": "?q=girafe"}.items():
        page.goto(f"{door}/counter{query}")
        yield state
    press(page, "Enregistrer", "**/counter")
    yield "visit without words"
    page.fill("#f-text", "Elle demande les horaires.")
    page.check("#f-reply-channel-none")
    press(page, "Enregistrer", "**/counter/P-*")
    yield "receipt"


def test_agents_pages_have_no_barrier(browser: Any, stack: Stack, door: str, violations: Look) -> None:
    page, colleague = log_in(browser, door), log_in(browser, door, "Lou Exemple")
    found = [
        line for state in agents_states(page, colleague, stack, door) for line in barriers(page, violations, state)
    ]
    found += [line for state in counters_states(page, door) for line in barriers(page, violations, state)]
    assert not found
    for tab in (page, colleague):
        tab.context.close()


@pytest.mark.parametrize(
    ("role", "paths"),
    [
        ("administrator", ["/accounts", "/me", "/queue"]),
        ("auditor", ["/audit", "/audit?action=nothing"]),
        ("supervisor", ["/queue", "/break-glass", "/identities"]),
        ("counter", ["/"]),
    ],
)
def test_the_pages_of_other_roles_have_no_barrier(
    browser: Any, door: str, violations: Look, role: str, paths: list[str]
) -> None:
    page = log_in(browser, door, f"Sacha {role}", role=role)
    found: list[str] = []
    for path in paths:
        page.goto(door + path)
        found += barriers(page, violations, f"{role}: {path}")
    assert not found
    page.context.close()


def test_the_login_and_its_error_have_no_barrier(browser: Any, door: str, violations: Look) -> None:
    page = browser.new_context(locale="fr-FR").new_page()
    page.goto(f"{door}/login")
    found = barriers(page, violations, "login")
    page.locator("main button").click()
    page.get_by_role("alert").first.wait_for()
    assert not found + barriers(page, violations, "login without a name")
    page.context.close()
