"""Shows who is absent from the department, and lets agents note their own absence and supervisors anybody's."""

import uuid
from datetime import timedelta

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response

from parvis.desk.decide.access_rights import may, working_departments
from parvis.desk.models.absence import Absence
from parvis.desk.models.accounts import CaseAccessFacts
from parvis.desk.pages.accounts_page import end_of_day
from parvis.desk.pages.dependencies import DeskDependencies, redirect
from parvis.desk.store.absences import end_absence, note_absence, read_absences, return_cases_of_absent
from parvis.desk.store.audit_trail import append_audit
from parvis.desk.store.single_case_queries import read_colleagues
from parvis.desk.verify.agent_sessions import AgentSession
from parvis.web.form_parsing import SubmittedForm

_LONGEST = timedelta(days=366)
_LONGEST_NAME = 80


def routes(dependencies: DeskDependencies) -> APIRouter:
    """The page and its form. Gives: 303; 403 for somebody else's absence without the right; 422 for a day that is past or too far away."""
    router = APIRouter()
    allowed = dependencies.access.allow("queue.read")

    @router.get("/absences", dependencies=[allowed])
    async def show(request: Request) -> Response:
        return await _page(dependencies, request, dependencies.require_session(request))

    @router.post("/absences", dependencies=[allowed])
    async def note(request: Request) -> Response:
        session = dependencies.require_session(request)
        form = await dependencies.read_own_form(request, session)
        agent = _named(session, form)
        if form.first("do") == "end":
            await _end(dependencies, session, agent)
        elif not await _note(dependencies, session, agent, form):
            return await _page(dependencies, request, session, form)
        await return_cases_of_absent(dependencies.cases, dependencies.town_config, dependencies.clock)
        return redirect("/absences?notice=absence_noted")

    _ = show, note
    return router


async def _page(
    dependencies: DeskDependencies, request: Request, session: AgentSession, form: SubmittedForm | None = None
) -> Response:
    async with dependencies.cases.database.transaction() as connection:
        absences = await read_absences(connection, session.own_department, dependencies.clock())
        colleagues = await read_colleagues(connection, session.own_department)
    typed = {name: form.first(name) if form else "" for name in ("agent", "until", "deputy")}
    return dependencies.render_page(
        request, "absences.html", session, status=422 if form else 200, is_wrong=form is not None, typed=typed,
        absences=absences, colleagues=colleagues, may_note_others=_may_note_others(session),
    )  # fmt: skip


def _may_note_others(session: AgentSession) -> bool:
    return may(session.user, "absence.note", CaseAccessFacts(session.own_department))


def _named(session: AgentSession, form: SubmittedForm) -> str:
    """Whose absence it is. Raises: HTTPException 403."""
    agent = " ".join(form.first("agent").split())[:_LONGEST_NAME] or session.agent.name
    if agent != session.agent.name and not _may_note_others(session):
        raise HTTPException(403)
    return agent


def _departments(dependencies: DeskDependencies, session: AgentSession, agent: str) -> list[str]:
    """One's own absence holds wherever one works, a colleague's in the chosen department."""
    own = working_departments(session.user, dependencies.town_config.departments)
    return own if agent == session.agent.name else [session.own_department]


async def _note(dependencies: DeskDependencies, session: AgentSession, agent: str, form: SubmittedForm) -> bool:
    at, until = dependencies.clock(), end_of_day(dependencies, form.first("until"))
    deputy = " ".join(form.first("deputy").split())[:_LONGEST_NAME]
    if until is None or not at < until <= at + _LONGEST or deputy == agent:
        return False
    async with dependencies.cases.database.transaction() as connection:
        for department in _departments(dependencies, session, agent):
            noted = Absence(department, agent, str(uuid.uuid4()), at, until, deputy, session.agent.name)
            await note_absence(connection, noted)
        detail = f"{agent} {until.date().isoformat()} {deputy}".strip()
        await append_audit(connection, dependencies.access.record(session, "absence.note", detail=detail))
    return True


async def _end(dependencies: DeskDependencies, session: AgentSession, agent: str) -> None:
    async with dependencies.cases.database.transaction() as connection:
        for department in _departments(dependencies, session, agent):
            await end_absence(connection, department, agent)
        await append_audit(connection, dependencies.access.record(session, "absence.end", detail=agent))
