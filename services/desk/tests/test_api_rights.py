"""Tests every operation of the API's OpenAPI document with each role, in its own and another department, on open and confidential cases."""

import uuid
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta

import httpx
import pytest
from fastapi.routing import APIRoute

from parvis.common.contract.routing.decisions import ContactRouted, Routing, make_conversation_id
from parvis.common.runtime.clock import now
from parvis.common.storage.postgres import Database
from parvis.common.testing import AN_INSTANT, a_contact
from parvis.desk.api.dependencies import ApiGuard
from parvis.desk.decide.access_rights import CASE_ACTIONS, may
from parvis.desk.models.accounts import CONFIDENTIALITIES, ROLES, Action, CaseAccessFacts, DeskUser, Role, RoleGrant
from parvis.desk.pages.access import RouteGuard
from parvis.desk.store import accounts as account_store
from parvis.desk.store.sessions import begin_session
from parvis.desk.verify.agent_sessions import hash_token, new_token

pytestmark = pytest.mark.asyncio(loop_scope="module")
Project = Callable[..., Awaitable[None]]
Guarded = list[tuple[str, APIRoute, list[RouteGuard | ApiGuard]]]
API = "/api/v1"
# Each kind of confidentiality, in the program's own department and in others.
CASES = {
    ("voirie", "road-report"): CaseAccessFacts("voirie"),
    ("voirie", "school-meals"): CaseAccessFacts("voirie", frozenset({"minors"})),
    ("voirie", "social-appointment"): CaseAccessFacts("voirie", frozenset({"social"})),
    ("etat-civil", "birth-certificate"): CaseAccessFacts("etat-civil"),
    ("etat-civil", "school-meals"): CaseAccessFacts("etat-civil", frozenset({"minors"})),
    ("social-ccas", "social-appointment"): CaseAccessFacts("social-ccas", frozenset({"social"})),
    ("police-municipale", "road-report"): CaseAccessFacts("police-municipale", frozenset({"police"})),
}


def routed(department: str, procedure: str) -> ContactRouted:
    contact = a_contact(key=f"api {department} {procedure}", procedure=procedure)
    routing = Routing(
        conversation_id=make_conversation_id(contact.contact_id, contact.received_at), sequence=1, department=department,
        reference=contact.reference, procedure=procedure, rule="x", rules_version="v", confidence=1, reason={"fr": "Parce que."},
        received_at=AN_INSTANT, answer_due_at=AN_INSTANT, decided_at=AN_INSTANT,
    )  # fmt: skip
    return ContactRouted(routing=routing, contact=contact)


async def add_program(database: Database, grant: RoleGrant) -> str:
    """An account of a program with this right, as `parvis desk program add` makes it. Gives its token."""
    account, token, at = str(uuid.uuid4()), new_token(), now()
    async with database.transaction() as connection:
        await account_store.add_account(connection, account, "Program", "program", mail=None, at=at, by="test")
        await account_store.add_grant(connection, account, grant, at=at, by="test")
        values: dict[str, object] = {"session_id": str(uuid.uuid4()), "account_id": account, "department": ""}
        await begin_session(connection, hash_token(token), values, at=at, expires_at=at + timedelta(hours=1))
    return token


async def operations(browser: httpx.AsyncClient, guarded: Guarded) -> list[tuple[str, str, Action]]:
    """Method, path and right of every operation of the document; each has a route with exactly one check."""
    described = (await browser.get(f"{API}/openapi.json")).json()["paths"]
    rights: dict[tuple[str, str], list[Action]] = {
        (method, route.path): [check.action for check in checks if isinstance(check, ApiGuard)]
        for method, route, checks in guarded
        if any(isinstance(check, ApiGuard) for check in checks)
    }
    found = [(method.upper(), path) for path, methods in described.items() for method in methods]
    assert set(found) == set(rights)
    assert all(len(actions) == 1 for actions in rights.values())
    return [(method, path, rights[method, path][0]) for method, path in found]


def tried(path: str, action: Action) -> Iterator[tuple[CaseAccessFacts, str | None]]:
    """What an operation is tried on: every case, or every department that has one."""
    if action in CASE_ACTIONS:
        for key, scope in CASES.items():
            yield scope, routed(*key).routing.conversation_id
    else:
        yield from ((CaseAccessFacts(department), None) for department in {department for department, _ in CASES})


@pytest.mark.parametrize("confidential", ["none", "minors", "all"])
@pytest.mark.parametrize("role", ROLES)
async def test_a_program_gets_through_exactly_where_its_role_has_the_right(
    browser: httpx.AsyncClient,
    guarded_routes: Guarded,
    project: Project,
    database: Database,
    role: Role,
    confidential: str,
) -> None:
    await project(*(routed(*key) for key in CASES))
    kinds = {"none": frozenset[str](), "all": frozenset(CONFIDENTIALITIES)}.get(confidential, frozenset({confidential}))
    grant = RoleGrant(role, "voirie", kinds)  # pyright: ignore[reportArgumentType] (one of the kinds)
    program = DeskUser("", "", (grant,))
    headers = {"authorization": f"Bearer {await add_program(database, grant)}"}
    wrong: list[str] = []
    for method, path, action in await operations(browser, guarded_routes):
        for scope, conversation in tried(path, action):
            address = f"{API}{path}".replace("{conversation_id}", conversation or "")
            address = address.replace("{file_id}", str(uuid.uuid4()))
            body = (
                {"agent": "Program", "department": scope.department, "text": "Bonjour."} if method == "POST" else None
            )
            if action in CASE_ACTIONS and body:
                body = {}  # who may act is told what is missing, and nothing changes
            answer = await browser.request(
                method, address, params={"department": scope.department}, json=body, headers=headers
            )
            if answer.status_code == 404 and ("{reply_id}" in path or answer.json()["detail"] == "no such file"):
                continue  # a reply or a file that is not there
            is_refused = answer.status_code == 403 or (action in CASE_ACTIONS and answer.status_code == 404)
            if is_refused == may(program, action, scope) or answer.status_code >= 500:
                wrong.append(f"{method} {path} {action} {scope}: {answer.status_code}")

    assert wrong == []


@pytest.mark.parametrize("token", [None, "", "unknown"])
async def test_without_a_programs_token_no_operation_answers(
    browser: httpx.AsyncClient, guarded_routes: Guarded, token: str | None
) -> None:
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    for method, path, _ in await operations(browser, guarded_routes):
        address = f"{API}{path}".replace("{conversation_id}", str(uuid.uuid4()))
        assert (await browser.request(method, address, headers=headers, json={})).status_code == 401
