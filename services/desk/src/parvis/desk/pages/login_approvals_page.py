"""Shows supervisors the identities that ask for somebody's account, and approves or refuses them."""

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response

from parvis.desk.pages.dependencies import DeskDependencies, redirect
from parvis.desk.store import login_identities
from parvis.desk.store.audit_trail import append_audit
from parvis.desk.verify.agent_sessions import AgentSession
from parvis.web.form_parsing import SubmittedForm


def routes(dependencies: DeskDependencies) -> APIRouter:
    """The list and its forms. Gives: 303; 404 if the identity does not wait any more; 403 for one's own account."""
    router = APIRouter()
    allowed = dependencies.access.allow("identity.approve")

    @router.get("/identities", dependencies=[allowed])
    async def show(request: Request) -> Response:
        async with dependencies.access.database.transaction() as connection:
            pending = await login_identities.list_pending(connection)
        return dependencies.render_page(
            request, "identities.html", dependencies.require_session(request), pending=pending
        )

    @router.post("/identities", dependencies=[allowed])
    async def decide(request: Request) -> Response:
        session = dependencies.require_session(request)
        form = await dependencies.read_own_form(request, session)
        return await _decide(dependencies, session, form)

    _ = show, decide
    return router


async def _decide(dependencies: DeskDependencies, session: AgentSession, form: SubmittedForm) -> Response:
    state: login_identities.IdentityState = "approved" if form.first("do") == "approve" else "refused"
    issuer, subject, at = form.first("issuer"), form.first("subject"), dependencies.clock()
    async with dependencies.access.database.transaction() as connection:
        account = await login_identities.decide_identity(
            connection, issuer, subject, state, at=at, by=session.user.name
        )
        if account is None:
            raise HTTPException(404)
        if account == session.user.account_id:
            raise HTTPException(403)
        await append_audit(connection, dependencies.access.record(session, f"identity.{state}", subject=account))
    return redirect("/identities?notice=decided")
