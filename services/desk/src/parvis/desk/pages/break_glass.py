"""Lets an agent read a case that their rights do not open, for a reason that a supervisor reviews."""

from datetime import timedelta
from uuid import UUID

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response
from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.contract.references import find_references
from parvis.desk.decide.access_rights import may
from parvis.desk.models.accounts import CaseAccessFacts
from parvis.desk.pages.dependencies import DeskDependencies, redirect
from parvis.desk.store import accounts as account_store
from parvis.desk.store.audit_trail import append_audit
from parvis.desk.verify.agent_sessions import AgentSession

LASTS = timedelta(hours=4)
_SHORTEST_REASON, _LONGEST_REASON = 10, 400


def routes(dependencies: DeskDependencies) -> APIRouter:
    """The search by reference, the form with the reason, and the supervisors' list.

    Gives: 303 to the case, which the account may read for four hours, and no more than read; 422 without a reason.
    """
    router = APIRouter()
    allow = dependencies.access.allow

    @router.get("/break-glass/find", dependencies=[allow("break-glass.open")])
    async def find(request: Request) -> Response:
        typed = request.query_params.get("reference", "")[:80]
        async with dependencies.access.database.transaction() as connection:
            for reference in find_references(typed):
                if case := await account_store.find_case_by_reference(connection, reference):
                    return redirect(
                        f"/cases/{case}" if await _is_open(connection, request, case) else f"/break-glass/{case}"
                    )
        session = dependencies.require_session(request)
        return dependencies.render_page(
            request, "break_glass_find.html", session, typed=typed, status=404 if typed else 200
        )

    @router.get("/break-glass/{conversation}", dependencies=[allow("break-glass.open")])
    async def ask(request: Request, conversation: UUID) -> Response:
        await _scope(dependencies, str(conversation))
        return _form(dependencies, request, str(conversation))

    @router.post("/break-glass/{conversation}", dependencies=[allow("break-glass.open")])
    async def open_case(request: Request, conversation: UUID) -> Response:
        session = dependencies.require_session(request)
        form = await dependencies.read_own_form(request, session)
        reason = " ".join(form.first("reason").split())
        if not _SHORTEST_REASON <= len(reason) <= _LONGEST_REASON:
            return _form(dependencies, request, str(conversation), status=422)
        return await _open(dependencies, session, str(conversation), reason)

    @router.get("/break-glass", dependencies=[allow("break-glass.review")])
    async def list_opened(request: Request) -> Response:
        session = dependencies.require_session(request)
        async with dependencies.access.database.transaction() as connection:
            opened = await account_store.list_break_glass(connection)
        mine = [row for row in opened if may(session.user, "break-glass.review", CaseAccessFacts(row["department"]))]
        return dependencies.render_page(request, "break_glass_list.html", session, opened=mine)

    @router.post("/break-glass/{opened}/review", dependencies=[allow("break-glass.review")])
    async def review(request: Request, opened: UUID) -> Response:
        session = dependencies.require_session(request)
        await dependencies.read_own_form(request, session)
        return await _review(dependencies, session, str(opened))

    async def _is_open(connection: AsyncConnection, request: Request, case: str) -> bool:
        """Whether the account may read the case already."""
        scope = await dependencies.access.scope_of_case(connection, case)
        return may(dependencies.require_session(request).user, "case.read", scope)

    _ = find, ask, open_case, list_opened, review
    return router


def _form(dependencies: DeskDependencies, request: Request, conversation: str, status: int = 200) -> Response:
    session = dependencies.require_session(request)
    return dependencies.render_page(
        request, "break_glass.html", session, status=status, conversation=conversation, is_wrong=status != 200,
        hours=int(LASTS.total_seconds() // 3600),
    )  # fmt: skip


async def _scope(dependencies: DeskDependencies, conversation: str) -> CaseAccessFacts:
    async with dependencies.access.database.transaction() as connection:
        scope = await dependencies.access.scope_of_case(connection, conversation)
    if scope is None:
        raise HTTPException(404)
    return scope


async def _open(dependencies: DeskDependencies, session: AgentSession, conversation: str, reason: str) -> Response:
    scope, at = await _scope(dependencies, conversation), dependencies.clock()
    async with dependencies.access.database.transaction() as connection:
        await account_store.open_with_reason(
            connection,
            {
                "account_id": session.user.account_id,
                "conversation_id": conversation,
                "department": scope.department,
                "reason": reason,
                "opened_at": at,
                "expires_at": at + LASTS,
            },
        )
        record = dependencies.access.record(session, "break-glass.open", subject=conversation, detail=reason)
        await append_audit(connection, record)
    return redirect(f"/cases/{conversation}")


async def _review(dependencies: DeskDependencies, session: AgentSession, opened: str) -> Response:
    """Mark one as reviewed, by a supervisor of the case's department who did not open it."""
    async with dependencies.access.database.transaction() as connection:
        entry = await account_store.find_break_glass(connection, opened)
        if entry is None or not may(session.user, "break-glass.review", CaseAccessFacts(entry["department"])):
            raise HTTPException(404)
        if entry["account_id"] == session.user.account_id:
            raise HTTPException(403)
        await account_store.mark_reviewed(connection, opened, at=dependencies.clock(), by=session.user.name)
        record = dependencies.access.record(session, "break-glass.review", subject=entry["conversation_id"])
        await append_audit(connection, record)
    return redirect("/break-glass?notice=reviewed")
