"""Tests that every route of the pages and the API asks for a right, and that each role gets through exactly where it has that right."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from uuid import uuid4

import httpx
import pytest
from fastapi.routing import APIRoute

from parvis.common.contract.contact import ContactReceived
from parvis.common.contract.routing.decisions import ContactRouted, Routing, make_conversation_id
from parvis.common.runtime.service import Service
from parvis.common.testing import AN_INSTANT, a_contact
from parvis.common.town.models import TownConfig
from parvis.desk.api.dependencies import ApiGuard
from parvis.desk.decide.access_rights import CASE_ACTIONS, form_action, may
from parvis.desk.models.accounts import CONFIDENTIALITIES, ROLES, Action, CaseAccessFacts, DeskUser, Role, RoleGrant
from parvis.desk.pages.access import RouteGuard

pytestmark = pytest.mark.asyncio(loop_scope="module")
Project = Callable[..., Awaitable[None]]
Guarded = list[tuple[str, APIRoute, list[RouteGuard | ApiGuard]]]
# What has no right to ask for: who comes here has not logged in yet, or asks for a style sheet; the telephone
# system has a token of its own.
PUBLIC = {
    ("GET", "/login"),
    ("POST", "/login"),
    ("GET", "/static/{name}"),
    ("GET", "/openapi.json"),
    ("POST", "/calls"),
}
FORMS = (
    "take",
    "attach",
    "remove-file",
    "release",
    "close",
    "reopen",
    "reply",
    "call",
    "transfer",
    "split",
    "link",
    "wish",
    "note",
    "call-note",
    "withdraw",
    "insert",
    "snooze",
    "wake",
    "assign",
    "procedure",
    "urgency",
    "tags",
    "correct-text",
)
CASES = {
    ("voirie", "road-report"): CaseAccessFacts("voirie"),
    ("voirie", "school-meals"): CaseAccessFacts("voirie", frozenset({"minors"})),
    ("etat-civil", "birth-certificate"): CaseAccessFacts("etat-civil"),
    ("social-ccas", "social-appointment"): CaseAccessFacts("social-ccas", frozenset({"social"})),
    ("police-municipale", "road-report"): CaseAccessFacts("police-municipale", frozenset({"police"})),
}


async def test_no_route_lacks_a_check(guarded_routes: Guarded, unguarded: set[tuple[str, str]]) -> None:
    assert len(guarded_routes) > 30
    assert unguarded <= PUBLIC


def routed(department: str, procedure: str) -> ContactRouted:
    contact: ContactReceived = a_contact(key=f"{department} {procedure}", procedure=procedure)
    return ContactRouted(
        routing=Routing(
            conversation_id=make_conversation_id(contact.contact_id, contact.received_at),
            sequence=1,
            department=department,
            reference=contact.reference,
            procedure=procedure,
            rule="x",
            rules_version="v",
            confidence=1,
            reason={"fr": "Parce que."},
            received_at=AN_INSTANT,
            answer_due_at=AN_INSTANT,
            decided_at=AN_INSTANT,
        ),
        contact=contact,
    )


async def log_in(browser: httpx.AsyncClient, role: Role, confidential: str) -> str:
    """Log in as this role in the roads department; gives the token of the session's forms."""
    browser.cookies.clear()
    token = re.search(r'name="_csrf" value="([^"]+)"', (await browser.get("/login")).text)
    assert token
    who = {"name": "Dominique Exemple", "department": "voirie", "role": role, "confidential": confidential}
    assert (await browser.post("/login", data=who | {"_csrf": token[1]})).status_code == 303
    found = re.search(r'name="_csrf" value="([^"]+)"', (await browser.get("/me")).text)
    assert found
    return found[1]


def is_refused(answer: httpx.Response, action: Action) -> bool:
    if answer.status_code == 403:
        return "Vous n’avez pas accès à cette page" in answer.text
    return action in CASE_ACTIONS and answer.status_code in (404, 410) and "Cette page n’existe pas" in answer.text


@pytest.mark.parametrize("confidential", ["all", "none"])
@pytest.mark.parametrize("role", ROLES)
async def test_each_role_gets_through_exactly_where_it_has_the_right(
    guarded_routes: Guarded,
    browser: httpx.AsyncClient,
    project: Project,
    town_config: TownConfig,
    service: Service,
    role: Role,
    confidential: str,
) -> None:
    stopped = asyncio.Event()
    stopped.set()
    await service.tasks[1](stopped)  # a desk that stops: its event streams end at once
    events = {key: routed(*key) for key in CASES}
    await project(*events.values())
    token = await log_in(browser, role, confidential)
    kinds = frozenset(CONFIDENTIALITIES) if confidential == "all" else frozenset[str]()
    department = "*" if role in ("auditor", "administrator") else "voirie"
    user = DeskUser("", "", (RoleGrant(role, department, kinds),))
    wrong: list[str] = []

    async def try_page(method: str, path: str, action: Action, scope: CaseAccessFacts | None) -> None:
        answer = await browser.request(method, path, data={"_csrf": token} if method == "POST" else None)
        if is_refused(answer, action) == may(user, action, scope):
            wrong.append(f"{method} {path} {action} {scope}: {answer.status_code}")

    for method, route, checks in guarded_routes:
        for guard in checks:
            if not isinstance(guard, RouteGuard) or route.path in ("/logout", "/me/sessions"):
                continue
            for key, scope in CASES.items() if "{conversation}" in route.path else [(("voirie", "road-report"), None)]:
                event = events[key]
                for form in FORMS if "{action}" in route.path else ("",):
                    path = (
                        route.path.replace("{conversation}", event.routing.conversation_id)
                        .replace("{contact}", event.contact.contact_id)
                        .replace("{which}", "original")
                        .replace("{page}", "1")
                        .replace("{action}", form)
                        .replace("{reference}", "P-0000")
                    )
                    action = guard.action or form_action(form)
                    about = scope if action in CASE_ACTIONS else None
                    if action in ("queue.read", "contact.register"):
                        about = CaseAccessFacts(
                            "voirie" if department == "voirie" else next(iter(town_config.departments))
                        )
                    await try_page(method, re.sub(r"{\w+}", str(uuid4()), path), action, about)

    assert wrong == []
