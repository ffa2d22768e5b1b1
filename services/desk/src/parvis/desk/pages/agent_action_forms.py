"""Handles the forms of a case's page: one form, one transaction, one redirect."""

from collections.abc import Sequence
from uuid import UUID

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response

from parvis.common.contract.errors import Rejected
from parvis.desk.decide import agent_actions, request_split_and_link
from parvis.desk.decide.agent_actions import ActionContext, AgentText, ReplyInput
from parvis.desk.decide.reply_recipient import find_recipient, reply_language
from parvis.desk.decide.request_split_and_link import LinkInput, SplitInput
from parvis.desk.models.case import STATES, Case, CaseChanges, CaseContact, ReplyRecipient, State
from parvis.desk.pages.case_page import case_page, is_visible
from parvis.desk.pages.dependencies import DeskDependencies, redirect
from parvis.desk.render.view_models import build_preview, render_reply
from parvis.desk.store.case_queries import read_case
from parvis.desk.store.case_transactions import CaseNotFound
from parvis.desk.store.case_updates import read_contacts
from parvis.desk.verify.agent_sessions import AgentSession
from parvis.web.form_parsing import SubmittedForm

_STATE_CHANGES = {
    "take": agent_actions.take_case,
    "release": agent_actions.release_case,
    "close": agent_actions.close_case,
    "reopen": agent_actions.reopen_case,
}
_STATE_NOTICES = {"take": "taken", "release": "released", "close": "closed", "reopen": "reopened"}


def routes(place: DeskDependencies) -> APIRouter:
    """The forms of a case's page.

    Gives: 303 back to the case, once it is committed; 422 with the page, what was typed and what is wrong with it;
           403 for a form that is not ours; 404 when the case is not with the agent's department.
    Retry: the same form sent twice is one reply, one transfer, one note.
    """
    router = APIRouter()

    @router.post("/cases/{conversation}/{what}")
    async def act(request: Request, conversation: UUID, what: str) -> Response:
        session = place.require_session(request)
        form = await place.read_own_form(request, session)
        case = str(conversation)
        try:
            if what in _STATE_CHANGES:
                return await _change_state(place, session, case, what)
            if what == "reply":
                return await _reply(place, request, session, case, form)
            if what == "call":
                return await _call(place, session, case, form)
            if what in _REQUESTS:
                return await _REQUESTS[what](place, session, case, form)
        except CaseNotFound:
            raise HTTPException(404) from None
        except Rejected as error:
            draft = {name: values[0] for name, values in form.fields.items()}
            draft |= {"messages": ",".join(form.fields.get("messages", ()))}
            return await case_page(place, request, session, case, status=422, draft=draft, wrong=(what, str(error)))
        raise HTTPException(404)

    _ = act
    return router


async def _change_state(place: DeskDependencies, session: AgentSession, case: str, what: str) -> Response:
    at = place.clock()
    do = _STATE_CHANGES[what]
    await place.cases.change_case(
        case, session.agent, lambda found, _: do(found, ActionContext(session.agent, place.town_config, at))
    )
    return redirect("/queue?notice=released" if what == "release" else f"/cases/{case}?notice={_STATE_NOTICES[what]}")


async def _reply(
    place: DeskDependencies, request: Request, session: AgentSession, case: str, form: SubmittedForm
) -> Response:
    at = place.clock()
    answer = ReplyInput(
        text=form.first("text"),
        idempotency_key=_one_time_seed(place, session, form),
        next_state=_next_state(form),
        channel=form.first("channel"),
        address=form.first(f"address-{form.first('channel')}"),
    )
    if form.first("do") == "preview":
        return await _preview(place, request, session, case, form, answer)

    def work(found: Case, contacts: Sequence[CaseContact]) -> CaseChanges:
        return agent_actions.request_reply(found, ActionContext(session.agent, place.town_config, at), contacts, answer)

    await place.cases.change_case(case, session.agent, work)
    return redirect(f"/cases/{case}?notice=replied#end")


async def _preview(
    place: DeskDependencies, request: Request, session: AgentSession, case: str, form: SubmittedForm, answer: ReplyInput
) -> Response:
    """The page with the answer as it will read; nothing is sent or kept."""
    async with place.cases.database.transaction() as connection:
        found = await read_case(connection, case)
        contacts = await read_contacts(connection, case)
    if not is_visible(found, session) or found is None:
        raise CaseNotFound("case")
    target = ReplyRecipient(answer.channel, answer.address, "stated") if answer.channel else find_recipient(contacts)
    language = reply_language(contacts, place.town_config)
    shown = render_reply(found, target, answer.text, place.town_config, place.templates, language)
    draft = {name: values[0] for name, values in form.fields.items()}
    preview = build_preview(target, shown) if shown else None
    return await case_page(place, request, session, case, draft=draft, preview=preview)


async def _call(place: DeskDependencies, session: AgentSession, case: str, form: SubmittedForm) -> Response:
    at = place.clock()
    words = AgentText(form.first("note"), _one_time_seed(place, session, form), _next_state(form))
    await place.cases.change_case(
        case,
        session.agent,
        lambda found, _: agent_actions.record_call(found, ActionContext(session.agent, place.town_config, at), words),
    )
    return redirect(f"/cases/{case}?notice=called#end")


async def _transfer(place: DeskDependencies, session: AgentSession, case: str, form: SubmittedForm) -> Response:
    at = place.clock()
    once = _one_time_seed(place, session, form)

    def work(found: Case, _: Sequence[CaseContact]) -> CaseChanges:
        to, reason = form.first("to"), form.first("reason")
        return agent_actions.request_transfer(
            found, ActionContext(session.agent, place.town_config, at), to, reason, once
        )

    await place.cases.change_case(case, session.agent, work)
    return redirect(f"/cases/{case}?notice=transfer_asked")


async def _split(place: DeskDependencies, session: AgentSession, case: str, form: SubmittedForm) -> Response:
    at = place.clock()
    wish = SplitInput(
        contacts=form.fields.get("messages", ()),
        to_department=form.first("split-to"),
        reason=form.first("split-reason"),
        idempotency_key=_one_time_seed(place, session, form),
    )

    def work(found: Case, contacts: Sequence[CaseContact]) -> CaseChanges:
        return request_split_and_link.request_split(found, session.agent, contacts, wish, place.town_config, at)

    await place.cases.change_case(case, session.agent, work)
    return redirect(f"/cases/{case}?notice=split_asked")


async def _link(place: DeskDependencies, session: AgentSession, case: str, form: SubmittedForm) -> Response:
    at = place.clock()
    is_undone = form.first("wanted") == "unlinked"
    wish = LinkInput(form.first("other"), _one_time_seed(place, session, form), "unlinked" if is_undone else "linked")
    await place.cases.change_case(
        case, session.agent, lambda found, _: request_split_and_link.request_link(found, session.agent, wish, at)
    )
    return redirect(f"/cases/{case}?notice={'unlink_asked' if is_undone else 'link_asked'}")


_REQUESTS = {"transfer": _transfer, "split": _split, "link": _link}


def _one_time_seed(place: DeskDependencies, session: AgentSession, form: SubmittedForm) -> str:
    seed = place.sessions.read_one_time_token(form.first("_once"), session)
    if seed is None:
        raise HTTPException(403)
    return seed


def _next_state(form: SubmittedForm) -> State:
    by_name: dict[str, State] = {state: state for state in STATES}
    return by_name.get(form.first("then"), "waiting")
