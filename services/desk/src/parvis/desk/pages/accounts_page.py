"""Shows accounts and their rights to administrators, and grants, revokes and blocks."""

from datetime import UTC, datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response
from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.desk.models.accounts import CONFIDENTIALITIES, EVERY_DEPARTMENT, ROLE_BY_NAME, ROLES, RoleGrant
from parvis.desk.pages.dependencies import DeskDependencies, redirect
from parvis.desk.store import accounts as account_store
from parvis.desk.store.audit_trail import append_audit
from parvis.desk.store.sessions import end_sessions_of
from parvis.desk.verify.agent_sessions import AgentSession
from parvis.web.form_parsing import SubmittedForm


def routes(dependencies: DeskDependencies) -> APIRouter:
    """The page and its forms.

    Gives: 303 back to the page; 422 for a role or department that there is not; 404 for an unknown account or grant.
    """
    router = APIRouter()
    allow = dependencies.access.allow

    @router.get("/accounts", dependencies=[allow("account.read")])
    async def show(request: Request) -> Response:
        session = dependencies.require_session(request)
        async with dependencies.access.database.transaction() as connection:
            accounts = await account_store.list_accounts(connection, at=dependencies.clock())
        return dependencies.render_page(
            request, "accounts.html", session, accounts=accounts, roles=ROLES, kinds=CONFIDENTIALITIES
        )

    @router.post("/accounts/{account}/grants", dependencies=[allow("account.grant")])
    async def grant(request: Request, account: UUID) -> Response:
        session = dependencies.require_session(request)
        form = await dependencies.read_own_form(request, session)
        return await _grant(dependencies, session, str(account), form)

    @router.post("/accounts/{account}/revoke", dependencies=[allow("account.revoke")])
    async def revoke(request: Request, account: UUID) -> Response:
        session = dependencies.require_session(request)
        form = await dependencies.read_own_form(request, session)
        return await _revoke(dependencies, session, str(account), form.first("grant"))

    @router.post("/accounts/{account}/state", dependencies=[allow("account.revoke")])
    async def block(request: Request, account: UUID) -> Response:
        session = dependencies.require_session(request)
        form = await dependencies.read_own_form(request, session)
        return await _set_blocked(dependencies, session, str(account), is_blocked=form.first("do") == "disable")

    _ = show, grant, revoke, block
    return router


def read_grant(dependencies: DeskDependencies, form: SubmittedForm) -> RoleGrant | None:
    """The grant that a form describes. None if there is no such role, department or kind of case."""
    role = ROLE_BY_NAME.get(form.first("role"))
    department, kinds = form.first("department"), frozenset(form.fields.get("confidential", ()))
    is_known = department == EVERY_DEPARTMENT or department in dependencies.town_config.departments
    if role is None or not is_known or not kinds <= set(CONFIDENTIALITIES):
        return None
    until = form.first("until")
    expires_at = end_of_day(dependencies, until) if until else None
    if until and (expires_at is None or expires_at <= dependencies.clock()):
        return None
    return RoleGrant(role, department, kinds, expires_at=expires_at)


def begin_of_day(dependencies: DeskDependencies, day: str) -> datetime | None:
    """The beginning of a day in the town, as a browser sends it: 2026-12-31. None if it is no day that the database knows."""
    try:
        zone = ZoneInfo(dependencies.town_config.town.time_zone)
        begin = datetime.combine(datetime.fromisoformat(day).date(), time(), zone)
        _ = begin.astimezone(UTC)  # as it is stored: a day before all others begins before any instant
        return begin
    except (ValueError, OverflowError):
        return None


def end_of_day(dependencies: DeskDependencies, day: str) -> datetime | None:
    """The end of a day in the town. None if it is no day."""
    begin = begin_of_day(dependencies, day)
    try:
        return begin + timedelta(days=1) if begin else None
    except OverflowError:
        return None


async def _grant(dependencies: DeskDependencies, session: AgentSession, account: str, form: SubmittedForm) -> Response:
    grant = read_grant(dependencies, form)
    if grant is None:
        raise HTTPException(422)
    async with dependencies.access.database.transaction() as connection:
        await _require_account(connection, account)
        await account_store.add_grant(connection, account, grant, at=dependencies.clock(), by=session.user.name)
        detail = f"{grant.role} {grant.department} {' '.join(sorted(grant.confidential))}".strip()
        await append_audit(
            connection, dependencies.access.record(session, "account.grant", subject=account, detail=detail)
        )
    return redirect("/accounts?notice=granted")


async def _revoke(dependencies: DeskDependencies, session: AgentSession, account: str, grant_id: str) -> Response:
    try:
        grant_id = str(UUID(grant_id))
    except ValueError:
        raise HTTPException(404) from None
    async with dependencies.access.database.transaction() as connection:
        at = dependencies.clock()
        if not await account_store.revoke_grant(connection, account, grant_id, at=at, by=session.user.name):
            raise HTTPException(404)
        record = dependencies.access.record(session, "account.revoke", subject=account, detail=grant_id)
        await append_audit(connection, record)
    return redirect("/accounts?notice=revoked")


async def _set_blocked(
    dependencies: DeskDependencies, session: AgentSession, account: str, *, is_blocked: bool
) -> Response:
    """Block an account, which ends its sessions, or let it in again. Nobody blocks themselves: there may be no other administrator."""
    if account == session.user.account_id:
        raise HTTPException(422)
    at = dependencies.clock()
    async with dependencies.access.database.transaction() as connection:
        await _require_account(connection, account)
        await account_store.set_disabled(connection, account, at if is_blocked else None)
        if is_blocked:
            await end_sessions_of(connection, account, at=at)
        done = "account.disable" if is_blocked else "account.enable"
        await append_audit(connection, dependencies.access.record(session, done, subject=account))
    return redirect(f"/accounts?notice={'revoked' if is_blocked else 'granted'}")


async def _require_account(connection: AsyncConnection, account: str) -> None:
    if await account_store.find_account(connection, account) is None:
        raise HTTPException(404)
