"""Handles the form by which an agent registers someone at the counter or on the phone."""

from collections.abc import Mapping
from uuid import UUID

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response

from parvis.common.contract.contact import TRIAGE
from parvis.common.contract.errors import Rejected, Unavailable
from parvis.desk.decide.counter_contact import CounterForm, VisitedCase
from parvis.desk.decide.reply_recipient import find_case_addressee
from parvis.desk.models.case import IN_PERSON_CHANNELS, NO_DATE
from parvis.desk.pages.case_page import is_visible
from parvis.desk.pages.dependencies import DeskDependencies, redirect
from parvis.desk.store.case_queries import find_reference, read_case, read_linked_case, read_receipt
from parvis.desk.store.case_updates import read_brief_contacts
from parvis.desk.store.row_decoding import DamagedCase
from parvis.desk.verify.agent_sessions import AgentSession
from parvis.web.form_parsing import SubmittedForm
from parvis.web.pages import group_digits

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
    """The form and its receipt.

    Gives: 303 to the receipt once the contact is committed; 422 or 503 with the page and everything that was typed.
    """
    router = APIRouter()
    allowed = dependencies.access.allow("contact.register")

    @router.get("/counter", dependencies=[allowed])
    async def show_form(request: Request) -> Response:
        session = dependencies.require_session(request)
        conversation = request.query_params.get("conversation", "")
        typed = {"conversation": conversation, "reference": request.query_params.get("reference", "")}
        typed |= await _known_person(dependencies, session, conversation)
        return _page(dependencies, request, session, typed=typed)

    @router.post("/counter", dependencies=[allowed])
    async def register(request: Request) -> Response:
        session = dependencies.require_session(request)
        form = await dependencies.read_own_form(request, session)
        return await _submit(dependencies, request, session, form)

    @router.get("/counter/{reference}", dependencies=[allowed])
    async def show_receipt(request: Request, reference: str) -> Response:
        session = dependencies.require_session(request)
        async with dependencies.cases.database.transaction() as connection:
            receipt = await read_receipt(connection, session.agent.department, reference)
            if receipt is None:
                raise HTTPException(404)
            known = await find_reference(connection, receipt.to_department or receipt.department, reference)
            case = await read_linked_case(connection, known) if known else None
        department = case.department if case else receipt.to_department
        shown = dependencies.town_config.departments.get(department or "")
        return dependencies.render_page(
            request, "written_down.html", session, receipt=receipt, department=shown if department != TRIAGE else None,
            due_at=case.answer_due_at if case else NO_DATE, no_date=NO_DATE,
        )  # fmt: skip

    _ = show_form, register, show_receipt
    return router


async def _submit(
    dependencies: DeskDependencies, request: Request, session: AgentSession, form: SubmittedForm
) -> Response:
    seed = dependencies.sessions.read_one_time_token(form.first("_once"), session)
    if seed is None:
        raise HTTPException(403)
    channel = form.first("reply-channel")
    fields = {name: form.first(name) for name in _FIELDS}
    counter_form = CounterForm(**fields, reply_channel=channel, reply_address=form.first(f"reply-{channel}"))
    typed = {name: values[0] for name, values in form.fields.items()}
    try:
        case = await _case(dependencies, session, form.first("conversation"))
        registered = await dependencies.counter_contacts.register(
            counter_form, session.agent, seed=seed, at=dependencies.clock(), case=case
        )
    except Rejected as error:
        return _page(dependencies, request, session, status=422, typed=typed, wrong=str(error))
    except Unavailable:
        return _page(dependencies, request, session, status=503, typed=typed, wrong="unavailable")
    return redirect(f"/counter/{registered.reference}")


async def _known_person(dependencies: DeskDependencies, session: AgentSession, typed: str) -> Mapping[str, str]:
    """The name, number and mail address of the person who came back, as their case has them."""
    case = await _case(dependencies, session, typed)
    if case is None:
        return {}
    async with dependencies.cases.database.transaction() as connection:
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
) -> Response:
    agents = session.agent.department
    open_ones = [d for d in dependencies.town_config.departments.values() if not d.successor and d.slug != TRIAGE]
    own = [p for p in dependencies.town_config.procedures.values() if p.department == session.agent.department]
    others = [p for p in dependencies.town_config.procedures.values() if p.department != session.agent.department]
    return dependencies.render_page(
        request, "counter.html", session, status=status, typed=typed, wrong=wrong, procedures=own + others,
        channels=IN_PERSON_CHANNELS, departments=open_ones, own_department=agents if agents != TRIAGE else "",
    )  # fmt: skip
