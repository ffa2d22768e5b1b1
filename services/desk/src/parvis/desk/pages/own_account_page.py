"""Shows somebody their own rights, lets them name a deputy, and ends all their sessions."""

from dataclasses import replace
from datetime import timedelta

from fastapi import APIRouter, Request
from fastapi.responses import Response

from parvis.desk.pages.accounts_page import end_of_day
from parvis.desk.pages.dependencies import DeskDependencies, redirect
from parvis.desk.store import accounts as account_store
from parvis.desk.store.audit_trail import append_audit
from parvis.desk.store.sessions import end_sessions_of
from parvis.desk.verify.agent_sessions import AgentSession
from parvis.web.form_parsing import SubmittedForm

_LONGEST = timedelta(days=60)
_PASSED_ON = ("agent", "supervisor", "counter")


def routes(dependencies: DeskDependencies) -> APIRouter:
    """The page and its forms. Gives: 303; 422 for a deputy without an account, or a day that is too far away."""
    router = APIRouter()
    allow = dependencies.access.allow

    @router.get("/me", dependencies=[allow("session.own")])
    async def show(request: Request) -> Response:
        return _page(dependencies, request)

    @router.post("/me/deputy", dependencies=[allow("deputy.name")])
    async def name_deputy(request: Request) -> Response:
        session = dependencies.require_session(request)
        form = await dependencies.read_own_form(request, session)
        if not await _name_deputy(dependencies, session, form):
            return _page(dependencies, request, status=422)
        return redirect("/me?notice=deputy_named")

    @router.post("/me/sessions", dependencies=[allow("session.own")])
    async def end_all(request: Request) -> Response:
        session = dependencies.require_session(request)
        await dependencies.read_own_form(request, session)
        async with dependencies.access.database.transaction() as connection:
            await end_sessions_of(connection, session.user.account_id, at=dependencies.clock())
            await append_audit(connection, dependencies.access.record(session, "session.end", detail="all"))
        return redirect("/login?notice=logged_out")

    _ = show, name_deputy, end_all
    return router


def _page(dependencies: DeskDependencies, request: Request, status: int = 200) -> Response:
    session = dependencies.require_session(request)
    return dependencies.render_page(request, "own_account.html", session, status=status, is_wrong=status != 200)


async def _name_deputy(dependencies: DeskDependencies, session: AgentSession, form: SubmittedForm) -> bool:
    """Pass one's own rights to another account until a day; never those that one has as a deputy, nor an administrator's or auditor's."""
    at, until = dependencies.clock(), end_of_day(dependencies, form.first("until"))
    if until is None or not at < until <= at + _LONGEST:
        return False
    async with dependencies.access.database.transaction() as connection:
        deputy = await account_store.find_account_by_mail(connection, form.first("mail").strip())
        if deputy is None or deputy.disabled_at or deputy.account_id == session.user.account_id:
            return False
        for own in session.user.grants:
            if own.source != "deputy" and own.role in _PASSED_ON:
                grant = replace(own, grant_id="", source="deputy", expires_at=min(until, own.expires_at or until))
                await account_store.add_grant(
                    connection, deputy.account_id, grant, at=at, by=session.user.name, deputy_of=session.user.account_id
                )
        record = dependencies.access.record(
            session, "deputy.name", subject=deputy.account_id, detail=until.date().isoformat()
        )
        await append_audit(connection, record)
    return True
