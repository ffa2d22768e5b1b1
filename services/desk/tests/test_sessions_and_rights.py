"""Tests sessions that end, rights that change at once, cases opened with a reason, and what the audit trail says of it."""

import re
from collections.abc import Awaitable, Callable
from datetime import timedelta

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from starlette.responses import Response

from parvis.common.contract.contact import ContactReceived
from parvis.common.contract.routing.decisions import ContactRouted, Routing, make_conversation_id
from parvis.common.storage.postgres import Database
from parvis.common.testing import AN_INSTANT, a_contact
from parvis.desk.models.accounts import AuditRecord
from parvis.desk.store.audit_trail import AuditFilter, append_audit, read_audit, verify_audit
from parvis.desk.verify.agent_sessions import SessionCookies

pytestmark = pytest.mark.asyncio(loop_scope="module")
Project = Callable[..., Awaitable[None]]
CONTACT = a_contact(procedure="school-meals")
CASE_ID = make_conversation_id(CONTACT.contact_id, CONTACT.received_at)
CASE = f"/cases/{CASE_ID}"


def routed(contact: ContactReceived = CONTACT, department: str = "voirie") -> ContactRouted:
    routing = Routing(
        conversation_id=make_conversation_id(contact.contact_id, contact.received_at), sequence=1, department=department,
        reference=contact.reference, procedure=contact.procedure, rule="x", rules_version="v", confidence=1, reason={"fr": "Parce que."},
        received_at=AN_INSTANT, answer_due_at=AN_INSTANT + timedelta(days=7), decided_at=AN_INSTANT,
    )  # fmt: skip
    return ContactRouted(routing=routing, contact=contact)


async def token_of(browser: httpx.AsyncClient, page: str) -> str:
    found = re.search(r'name="_csrf" value="([^"]+)"', (await browser.get(page)).text)
    assert found
    return found[1]


async def log_in(browser: httpx.AsyncClient, name: str, **who: str) -> str:
    """Log in, forgetting any earlier session; gives the session's cookie."""
    browser.cookies.clear()
    form = {"name": name, "department": "voirie"} | who | {"_csrf": await token_of(browser, "/login")}
    assert (await browser.post("/login", data=form)).status_code == 303
    return browser.cookies["parvis-desk"]


async def post(browser: httpx.AsyncClient, page: str, path: str, **fields: str) -> httpx.Response:
    """Send a form of the page, with the token and the version of the case that the page has."""
    shown = (await browser.get(page)).text
    hidden = dict(re.findall(r'name="(_csrf|version)" value="([^"]+)"', shown))
    assert "_csrf" in hidden
    return await browser.post(path, data=hidden | fields)


async def entries(database: Database, subject: str) -> list[tuple[str, str, str]]:
    async with database.transaction() as connection:
        found = await read_audit(connection, AuditFilter(subject=subject), 100)
    return [(entry.actor, entry.action, entry.detail) for entry in reversed(found)]


async def test_a_text_sent_after_the_session_ended_comes_back(browser: httpx.AsyncClient) -> None:
    await log_in(browser, "Dominique Exemple")
    token = await token_of(browser, "/queue")
    await post(browser, "/queue", "/logout")
    path = "/cases/019cade2-11c0-8815-be3a-478b02cbac51/reply"
    own = {"origin": str(browser.base_url).rstrip("/")}

    answer = await browser.post(path, data={"_csrf": token, "text": "Une <b>longue</b> réponse."}, headers=own)
    assert answer.status_code == 403
    assert "Une &lt;b&gt;longue&lt;/b&gt; réponse." in answer.text
    assert "Votre session a pris fin" in answer.text
    assert (await browser.post(path, data={"text": ""}, headers=own)).headers["location"] == "/login"
    foreign = await browser.post(path, data={"text": "x"}, headers={"origin": "https://evil.example"})
    assert foreign.headers["location"] == "/login"


async def test_a_cookie_kept_after_logout_opens_nothing(browser: httpx.AsyncClient) -> None:
    kept = await log_in(browser, "Dominique Exemple")
    await post(browser, "/queue", "/logout")
    browser.cookies.set("parvis-desk", kept)

    assert (await browser.get("/queue")).headers["location"] == "/login"


async def test_the_database_does_not_have_what_opens_a_session(browser: httpx.AsyncClient, database: Database) -> None:
    kept = await log_in(browser, "Dominique Exemple")
    async with database.transaction() as connection:
        rows = (await connection.execute(text("select session::text from desk.session"))).scalars().all()

    assert rows
    assert not [row for row in rows if kept in row or kept.encode().hex() in row]


@pytest.mark.parametrize("change", ["expires_at = now() - interval '1 second'", "seen_at = now() - interval '2 hours'"])
async def test_a_session_ends_after_its_lifetime_and_when_nobody_uses_it(
    browser: httpx.AsyncClient, database: Database, change: str
) -> None:
    await log_in(browser, "Dominique Exemple")
    assert (await browser.get("/queue")).status_code == 200
    async with database.transaction() as connection:
        await connection.execute(text(f"update desk.session set {change}"))  # noqa: S608

    assert (await browser.get("/queue")).headers["location"] == "/login"


async def test_a_revoked_right_is_gone_with_the_next_request(browser: httpx.AsyncClient, project: Project) -> None:
    await project(routed())
    agent = await log_in(browser, "Camille Exemple")
    assert (await browser.get(CASE)).status_code == 200

    await log_in(browser, "Andrée Exemple", role="administrator")
    page = (await browser.get("/accounts")).text
    section = next(part for part in page.split("<section")[1:] if ">Camille Exemple" in part)
    account, grant = (
        re.search(r"/accounts/([^/]+)/revoke", section),
        re.search(r'name="grant" value="([^"]+)"', section),
    )
    assert account
    assert grant
    assert (await post(browser, "/accounts", account[0], grant=grant[1])).headers[
        "location"
    ] == "/accounts?notice=revoked"

    administrator = browser.cookies["parvis-desk"]
    browser.cookies.clear()
    browser.cookies.set("parvis-desk", agent)
    assert (await browser.get(CASE)).status_code == 404
    assert (await browser.get("/queue")).status_code == 403

    browser.cookies.clear()
    browser.cookies.set("parvis-desk", administrator)
    granted = f"/accounts/{account[1]}/grants"
    assert (await post(browser, "/accounts", granted, role="agent", department="nowhere")).status_code == 422
    answer = await post(browser, "/accounts", granted, role="agent", department="voirie", confidential="minors")
    assert answer.status_code == 303
    blocked = await post(browser, "/accounts", f"/accounts/{account[1]}/state", do="disable")
    assert blocked.status_code == 303
    browser.cookies.clear()
    browser.cookies.set("parvis-desk", agent)
    assert (await browser.get("/queue")).headers["location"] == "/login"


async def test_a_confidential_case_is_not_listed_and_opens_with_a_reason_that_a_supervisor_reads(
    browser: httpx.AsyncClient, project: Project, database: Database
) -> None:
    await project(routed())
    await log_in(browser, "Sacha Exemple", confidential="none")
    assert CONTACT.reference not in (await browser.get("/queue")).text
    refused = await browser.get(CASE)
    assert refused.status_code == 403
    assert f"/break-glass/{CASE_ID}" in refused.text

    assert (
        await post(browser, f"/break-glass/{CASE_ID}", f"/break-glass/{CASE_ID}", reason="urgent")
    ).status_code == 422
    reason = "La police municipale cherche l'enfant."
    opened = await post(browser, f"/break-glass/{CASE_ID}", f"/break-glass/{CASE_ID}", reason=reason)
    assert opened.headers["location"] == CASE
    page = await browser.get(CASE)
    assert page.status_code == 200
    assert f'formaction="{CASE}' not in page.text
    assert (await browser.post(f"{CASE}/close", data={"_csrf": await token_of(browser, CASE)})).status_code == 403

    await log_in(browser, "Dominique Exemple", role="supervisor")
    listed = (await browser.get("/break-glass")).text
    review = re.search(r'action="(/break-glass/[^/]+/review)"', listed)
    assert review
    assert reason.replace("'", "&#39;") in listed
    assert (await post(browser, "/break-glass", review[1])).headers["location"] == "/break-glass?notice=reviewed"
    said = [(actor, action) for actor, action, _ in await entries(database, subject=CASE_ID)]
    assert said[-6:] == [
        ("Sacha Exemple", "refused"),
        ("Sacha Exemple", "break-glass.open"),
        ("Sacha Exemple", "case.read"),
        ("Sacha Exemple", "case.read"),
        ("Sacha Exemple", "refused"),
        ("Dominique Exemple", "break-glass.review"),
    ]


async def test_reading_and_changing_are_in_the_trail_without_a_word_of_the_citizen(
    browser: httpx.AsyncClient, project: Project, database: Database
) -> None:
    contact = a_contact(key="trail", text="Mon voisin s'appelle Truchot.")
    await project(routed(contact))
    case = f"/cases/{make_conversation_id(contact.contact_id, contact.received_at)}"
    await log_in(browser, "Dominique Exemple")
    await browser.get(case)
    await post(browser, case, f"{case}/take")
    await browser.get(f"{case}/contacts/{contact.contact_id}/files/original")
    said = [(action, detail) for _, action, detail in await entries(database, subject=case.removeprefix("/cases/"))]
    async with database.transaction() as connection:
        whole = "".join((await connection.execute(text("select audit_entry::text from desk.audit_entry"))).scalars())

    assert said == [
        ("case.read", ""),
        ("case.read", ""),
        ("case.change", "taken"),
        ("file.read", f"contact={contact.contact_id} which=original"),
    ]
    assert "Truchot" not in whole


async def test_an_auditor_filters_the_trail_and_sees_no_case(browser: httpx.AsyncClient, project: Project) -> None:
    await project(routed())
    await log_in(browser, "Camille Lecture")
    await browser.get(CASE)
    await log_in(browser, "Andrée Audit", role="auditor")
    page = (await browser.get("/audit", params={"subject": CASE_ID, "action": "case.read"})).text

    assert "Camille Lecture" in page
    assert "session.begin" not in page
    assert (await browser.get(CASE)).status_code in (403, 404)
    assert (await browser.get("/", follow_redirects=True)).url.path == "/audit"


@pytest.mark.parametrize(
    "change", ["update desk.audit_entry set actor = 'x'", "delete from desk.audit_entry", "truncate desk.audit_entry"]
)
async def test_the_trail_cannot_be_changed(database: Database, change: str) -> None:
    async with database.transaction() as connection:
        await append_audit(connection, AuditRecord(AN_INSTANT, "", "Dominique", "case.read"))
    with pytest.raises(DBAPIError, match=r"append-only|permission denied"):
        async with database.engine.begin() as connection:
            await connection.execute(text(change))


async def test_a_change_behind_the_triggers_is_found(database: Database) -> None:
    """The owner of a database can switch triggers off; the chain still shows what was done."""
    async with database.engine.connect() as connection:
        for number in range(3):
            await append_audit(
                connection, AuditRecord(AN_INSTANT, "a", f"Ågent: {number}", "case.read", "voirie", "s", "d 🙂")
            )
        sound = await verify_audit(connection)
        await connection.rollback()
    assert sound.fault == ""
    assert sound.entries >= 3
    for change, fault in (
        ("update desk.audit_entry set detail = '' where number = :n", "was changed"),
        ("delete from desk.audit_entry where number = :n", "is missing"),
    ):
        async with database.engine.connect() as connection:
            for _ in range(2):
                await append_audit(connection, AuditRecord(AN_INSTANT, "a", "Agent", "case.read", detail="x"))
            number = await connection.scalar(text("select max(number) - 1 from desk.audit_entry"))
            await connection.execute(text("grant update, delete on desk.audit_entry to current_user"))
            await connection.execute(text("alter table desk.audit_entry disable trigger append_only"))
            await connection.execute(text(change), {"n": number})
            found = await verify_audit(connection)
            await connection.rollback()
        assert found.fault == f"entry {number} {fault}"


async def test_with_https_the_cookie_is_for_this_host_alone() -> None:
    response = Response()
    SessionCookies(b"k", timedelta(hours=1), timedelta(hours=1), "https://desk.example").set_cookie(response, "t")
    cookie = response.headers["set-cookie"]

    assert cookie.startswith("__Host-parvis-desk=t;")
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=lax"} <= set(cookie.split("; "))
    assert "Domain" not in cookie
