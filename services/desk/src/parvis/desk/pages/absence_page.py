"""Shows who is absent from the department, and lets agents note their own absence and supervisors anybody's."""

import uuid
from datetime import timedelta

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response
from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.contract.errors import Rejected
from parvis.desk.decide.access_rights import may, scope_of, working_departments
from parvis.desk.models.absence import Absence
from parvis.desk.models.accounts import CaseAccessFacts
from parvis.desk.pages.accounts_page import end_of_day
from parvis.desk.pages.dependencies import DeskDependencies, redirect
from parvis.desk.store.absences import end_absence, note_absence, read_absences, return_cases_of_absent
from parvis.desk.store.audit_trail import append_audit
from parvis.desk.store.department_agents import propose_names, read_agents
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
        else:
            try:
                await _note(dependencies, session, agent, form)
            except Rejected as error:
                return await _page(dependencies, request, session, form, wrong=str(error))
        rules = dependencies.access.rules.confidential
        await return_cases_of_absent(dependencies.cases, dependencies.town_config, rules, dependencies.clock)
        return redirect("/absences?notice=absence_noted")

    _ = show, note
    return router


async def _page(
    dependencies: DeskDependencies,
    request: Request,
    session: AgentSession,
    form: SubmittedForm | None = None,
    *,
    wrong: str = "",
) -> Response:
    at, department = dependencies.clock(), _scope(dependencies, session.own_department)
    async with dependencies.cases.database.transaction() as connection:
        absences = await read_absences(connection, session.own_department, at)
        deputies = await propose_names(connection, department, at)
        colleagues = await read_colleagues(connection, session.own_department)
    typed = {name: form.first(name) if form else "" for name in ("agent", "until", "deputy")}
    return dependencies.render_page(
        request, "absences.html", session, status=422 if wrong else 200, wrong=wrong, typed=typed,
        absences=absences, deputies=deputies, colleagues=sorted({*deputies, *colleagues}), may_note_others=_may_note_others(session),
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


def _scope(dependencies: DeskDependencies, department: str) -> CaseAccessFacts:
    return scope_of(dependencies.access.rules.confidential, department, None, ())


async def _note(dependencies: DeskDependencies, session: AgentSession, agent: str, form: SubmittedForm) -> None:
    """Note the absence.

    Raises: Rejected, with the key of its sentence: `absence_day`; `absence_deputy`, for a deputy who works in none of its departments.
    """
    at, until = dependencies.clock(), end_of_day(dependencies, form.first("until"))
    deputy = " ".join(form.first("deputy").split())[:_LONGEST_NAME]
    if until is None or not at < until <= at + _LONGEST:
        raise Rejected("absence_day")
    async with dependencies.cases.database.transaction() as connection:
        departments = _departments(dependencies, session, agent)
        covered = [slug for slug in departments if deputy and await _works_in(dependencies, connection, deputy, slug)]
        if deputy and (deputy == agent or not covered):
            raise Rejected("absence_deputy")
        for slug in departments:
            stand_in = deputy if slug in covered else ""
            noted = Absence(slug, agent, str(uuid.uuid4()), at, until, stand_in, session.agent.name)
            await note_absence(connection, noted)
        detail = f"{agent} {until.date().isoformat()} {deputy}".strip()
        await append_audit(connection, dependencies.access.record(session, "absence.note", detail=detail))


async def _works_in(dependencies: DeskDependencies, connection: AsyncConnection, name: str, department: str) -> bool:
    scope = _scope(dependencies, department)
    return bool(await read_agents(connection, scope, dependencies.clock(), names=[name]))


async def _end(dependencies: DeskDependencies, session: AgentSession, agent: str) -> None:
    async with dependencies.cases.database.transaction() as connection:
        for department in _departments(dependencies, session, agent):
            await end_absence(connection, department, agent)
        await append_audit(connection, dependencies.access.record(session, "absence.end", detail=agent))
