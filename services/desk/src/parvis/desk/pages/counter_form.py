"""Handles the form by which an agent registers someone at the counter or on the telephone."""

from collections.abc import Mapping
from uuid import UUID

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response

from parvis.common.contract.contact import TRIAGE
from parvis.common.contract.errors import Rejected, Unavailable
from parvis.desk.decide.access_rights import may
from parvis.desk.decide.counter_contact import CounterForm, VisitedCase
from parvis.desk.decide.reply_recipient import find_case_addressee
from parvis.desk.models.case import IN_PERSON_CHANNELS
from parvis.desk.pages.case_page import is_visible
from parvis.desk.pages.counter_search import CallerSearchResult, search_callers
from parvis.desk.pages.dependencies import DeskDependencies, redirect
from parvis.desk.store.case_updates import read_brief_contacts
from parvis.desk.store.row_decoding import DamagedCase
from parvis.desk.store.single_case_queries import read_case
from parvis.desk.verify.agent_sessions import AgentSession
from parvis.web.form_parsing import SubmittedForm
from parvis.web.pages import group_digits
from parvis.web.security_headers import allow_scripts

_FIELDS = (
    "channel",
    "procedure",
    "subject",
    "text",
    "name",
    "phone",
    "email",
    "reference",
    "language",
    "to_department",
)


def routes(dependencies: DeskDependencies) -> APIRouter:
    """The form.

    Gives: 303 to the receipt once the contact is committed; 422 or 503 with the page and everything that was typed.
    """
    router = APIRouter()
    allowed = dependencies.access.allow("contact.register")

    @router.get("/counter", dependencies=[allowed])
    async def show_form(request: Request) -> Response:
        session = dependencies.require_session(request)
        found = await search_callers(dependencies, request, session)
        conversation = request.query_params.get("conversation", "")
        is_new = bool(request.query_params.get("new"))
        known_from = conversation or (found.only_person_of if is_new else "")
        typed = _typed_by_caller(found) | dict(await _known_person(dependencies, session, known_from))
        typed |= {"conversation": conversation, "reference": request.query_params.get("reference", "")}
        return _page(
            dependencies, request, session, typed=typed, found=found, focus=_focus(found, typed, is_new=is_new)
        )

    @router.post("/counter", dependencies=[allowed])
    async def register(request: Request) -> Response:
        session = dependencies.require_session(request)
        form = await dependencies.read_own_form(request, session)
        return await _submit(dependencies, request, session, form)

    _ = show_form, register
    return router


async def _submit(
    dependencies: DeskDependencies, request: Request, session: AgentSession, form: SubmittedForm
) -> Response:
    seed = dependencies.sessions.read_one_time_token(form.first("_once"), session)
    if seed is None:
        raise HTTPException(403)
    channel = form.first("reply-channel")
    wanted = "" if channel == "none" else channel
    fields = {name: form.first(name) for name in _FIELDS}
    counter_form = CounterForm(**fields, reply_channel=wanted, reply_address=form.first(f"reply-{channel}"))
    typed = {name: values[0] for name, values in form.fields.items()}
    try:
        if not channel:
            raise Rejected("no_reply_asked")
        case = await _case(dependencies, session, named := form.first("conversation"))
        if named and case is None:  # never a new request because the case went to another department
            raise Rejected("visited_case_gone")
        registered = await dependencies.counter_contacts.register(
            counter_form, session.agent, seed=seed, at=dependencies.clock(), by=session.user, case=case
        )
    except Rejected as error:
        if str(error) == "sent_before":  # the next attempt is another visit
            del typed["_once"]
        return _page(dependencies, request, session, status=422, typed=typed, wrong=str(error))
    except Unavailable:
        return _page(dependencies, request, session, status=503, typed=typed, wrong="unavailable")
    return redirect(f"/counter/{registered.reference}")


def _typed_by_caller(found: CallerSearchResult) -> dict[str, str]:
    """The fields of the form that what was typed for the search fills."""
    typed = found.typed
    filled = {
        "name": "" if found.cases else typed.name,
        "phone": group_digits(typed.phone),
        "email": typed.email,
        "channel": found.channel,
    }
    return {name: value for name, value in filled.items() if value}


def _focus(found: CallerSearchResult, typed: Mapping[str, str], *, is_new: bool) -> str:
    """Where the agent goes on: the search, the cases that were found, or the first thing that is not known yet."""
    if typed.get("conversation") or typed.get("reference"):
        return "text"
    if not found.typed.typed:
        return "who"
    if found.cases and not is_new:
        return "people"
    return "text" if typed.get("name") and typed.get("phone") else "phone" if typed.get("name") else "name"


async def _known_person(dependencies: DeskDependencies, session: AgentSession, typed: str) -> Mapping[str, str]:
    """The name, number and mail address of the person who came back, as their case has them, for who may read it."""
    case = await _case(dependencies, session, typed)
    if case is None:
        return {}
    async with dependencies.cases.database.transaction() as connection:
        scope = await dependencies.access.scope_of_case(connection, case.conversation_id)
        if scope is None or not may(session.user, "case.read", scope):
            return {}
        contacts = await read_brief_contacts(connection, case.conversation_id)
    points = find_case_addressee(contacts).contact_points
    numbers = {
        "email" if point.kind == "email" else "phone": group_digits(point.value)
        for point in reversed(points)
        if point.kind != "post"
    }
    return numbers | {"name": case.citizen}


async def _case(dependencies: DeskDependencies, session: AgentSession, typed: str) -> VisitedCase | None:
    """The case of the visit, if the form was opened from the page of one of the department's cases."""
    try:
        conversation = str(UUID(typed))
    except ValueError:
        return None
    async with dependencies.cases.database.transaction() as connection:
        try:
            case = await read_case(connection, conversation)
        except DamagedCase as damaged:
            is_own = damaged.department == session.agent.department
            return VisitedCase(conversation, damaged.reference, damaged.department) if is_own else None
    if case is None or not is_visible(case, session):
        return None
    return VisitedCase(conversation, case.reference, case.department, case.citizen)


def _page(
    dependencies: DeskDependencies,
    request: Request,
    session: AgentSession,
    *,
    typed: Mapping[str, str],
    status: int = 200,
    wrong: str = "",
    found: CallerSearchResult | None = None,
    focus: str = "",
) -> Response:
    agents = session.agent.department
    open_ones = [d for d in dependencies.town_config.departments.values() if not d.successor and d.slug != TRIAGE]
    own = [p for p in dependencies.town_config.procedures.values() if p.department == session.agent.department]
    others = [p for p in dependencies.town_config.procedures.values() if p.department != session.agent.department]
    page = dependencies.render_page(
        request, "counter.html", session, status=status, typed=typed, wrong=wrong, procedures=own + others,
        channels=IN_PERSON_CHANNELS, departments=open_ones, own_department=agents if agents != TRIAGE else "",
        found=found or CallerSearchResult(), focus=focus,
    )  # fmt: skip
    page.headers.update(allow_scripts({}))
    return page
