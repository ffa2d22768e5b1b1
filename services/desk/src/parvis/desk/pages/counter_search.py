"""Finds who is at the counter or on the telephone, while the agent types or by the number that calls."""

from dataclasses import dataclass, field

from fastapi import APIRouter, Request
from fastapi.responses import Response

from parvis.common.contract.contact import TRIAGE
from parvis.common.contract.errors import Unavailable
from parvis.desk.decide.access_rights import may, scope_of
from parvis.desk.decide.caller_terms import TypedCaller, read_caller
from parvis.desk.models.accounts import CaseAccessFacts
from parvis.desk.models.case import Case
from parvis.desk.pages.dependencies import DeskDependencies
from parvis.desk.store.audit_trail import append_audit
from parvis.desk.store.caller_lookup import find_cases_of_caller
from parvis.desk.store.incoming_calls import IncomingCall, read_latest_calls
from parvis.desk.verify.agent_sessions import AgentSession


@dataclass(frozen=True)
class CaseOfCaller:
    """A case that was found. Of one that the agent may not read, only department and state are shown."""

    case: Case
    is_readable: bool = False
    is_own: bool = False


@dataclass(frozen=True)
class CallerSearchResult:
    """What was typed, and the cases of whom it may be. `channel` is `phone` for a number that called."""

    typed: TypedCaller = field(default_factory=TypedCaller)
    cases: tuple[CaseOfCaller, ...] = ()
    calls: tuple[IncomingCall, ...] = ()
    channel: str = ""
    is_unavailable: bool = False
    is_of_town: bool = False  # the cases of all departments were searched

    @property
    def only_person_of(self) -> str:
        """The conversation of a case of the one person who was found; empty if there are several."""
        is_one = len({found.case.citizen for found in self.cases}) == 1
        return self.cases[0].case.conversation_id if is_one else ""


def routes(dependencies: DeskDependencies) -> APIRouter:
    """The parts of the counter page that its script replaces; without a script the page has them as well."""
    router = APIRouter()
    allowed = dependencies.access.allow("contact.register")

    @router.get("/counter/people", dependencies=[allowed])
    async def show_people(request: Request) -> Response:
        session = dependencies.require_session(request)
        found = await search_callers(dependencies, request, session)
        return dependencies.render_page(request, "counter_people.html", session, found=found, focus="")

    @router.get("/counter/calls", dependencies=[allowed])
    async def show_calls(request: Request) -> Response:
        session = dependencies.require_session(request)
        found = await search_callers(dependencies, request, session)
        return dependencies.render_page(request, "counter_calls.html", session, found=found)

    _ = show_people, show_calls
    return router


async def search_callers(dependencies: DeskDependencies, request: Request, session: AgentSession) -> CallerSearchResult:
    """The cases of who is meant by `q`, or calls from `tel`: those of the chosen department that the agent may read.

    Reception, and whoever may read no case there, finds the state of cases alone, of all departments, once a number, an
    address or a reference says whose they are; confidential ones never.
    """
    tel = request.query_params.get("tel", "").removeprefix("tel:")
    channel = "phone" if tel or request.query_params.get("channel") == "phone" else ""
    typed = read_caller(tel or request.query_params.get("q", ""))
    own = session.own_department
    is_reception = own == TRIAGE or not may(session.user, "case.read", CaseAccessFacts(own))
    department = None if is_reception and typed.is_identified else own
    try:
        async with dependencies.cases.database.transaction() as connection:
            cases = await find_cases_of_caller(connection, typed, department)
            calls = await read_latest_calls(connection, own, dependencies.clock())
            found = [_look(dependencies, session, case, typed) for case in cases]
            shown = tuple(case for case in found if case is not None)
            if shown:
                references = " ".join(one.case.reference for one in shown)
                record = dependencies.access.record(session, "caller.find", detail=references)
                await append_audit(connection, record)
    except Unavailable:  # what is said can be noted even so
        return CallerSearchResult(typed, channel=channel, is_unavailable=True)
    return CallerSearchResult(typed, shown, tuple(calls), channel, is_of_town=department is None)


def _look(dependencies: DeskDependencies, session: AgentSession, case: Case, typed: TypedCaller) -> CaseOfCaller | None:
    """What the agent may see of a case. None if not even that there is one."""
    rules = dependencies.access.rules.confidential
    scope = scope_of(rules, case.department, case.procedure, case.tags, case.conversation_id)
    if may(session.user, "case.read", scope):
        return CaseOfCaller(case, is_readable=True, is_own=case.department == session.own_department)
    return CaseOfCaller(case) if typed.is_identified and not scope.confidential else None
