"""What an agent does with a case, from its page: one form, one transaction, one redirect."""

from collections.abc import Sequence
from uuid import UUID

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response

from parvis.common.contract.errors import Rejected
from parvis.desk.decide import agent_actions, request_split_and_link
from parvis.desk.decide.agent_actions import Answer, Words
from parvis.desk.decide.reply_recipient import language_for, target_of
from parvis.desk.decide.request_split_and_link import Linking, Splitting
from parvis.desk.models.case import STATES, Case, Changes, Opened, State, Target
from parvis.desk.pages.case_page import case_page, may_see
from parvis.desk.pages.dependencies import Place, go
from parvis.desk.render.view_models import frame, previewed
from parvis.desk.store.case_queries import case_of
from parvis.desk.store.case_transactions import NotHere
from parvis.desk.store.case_updates import contacts_of
from parvis.desk.verify.agent_sessions import Session
from parvis.web.http import SubmittedForm

_SIMPLE = {
    "take": agent_actions.take,
    "release": agent_actions.release,
    "close": agent_actions.close,
    "reopen": agent_actions.reopen,
}
_TOLD = {"take": "taken", "release": "released", "close": "closed", "reopen": "reopened"}


def routes(place: Place) -> APIRouter:
    """The forms of a case's page.

    Gives: 303 back to the case, once it is committed; 422 with the page, what was typed and what is wrong with it;
           403 for a form that is not ours; 404 when the case is not with the agent's department.
    Retry: the same form sent twice is one reply, one transfer, one note.
    """
    router = APIRouter()

    @router.post("/cases/{conversation}/{what}")
    async def act(request: Request, conversation: UUID, what: str) -> Response:
        session = place.session(request)
        form = await place.form(request, session)
        case = str(conversation)
        try:
            if what in _SIMPLE:
                return await _simple(place, session, case, what)
            if what == "reply":
                return await _reply(place, request, session, case, form)
            if what == "call":
                return await _call(place, session, case, form)
            if what in _ASKED:
                return await _ASKED[what](place, session, case, form)
        except NotHere:
            raise HTTPException(404) from None
        except Rejected as error:
            draft = {name: values[0] for name, values in form.fields.items()}
            draft |= {"messages": ",".join(form.fields.get("messages", ()))}
            return await case_page(place, request, session, case, status=422, draft=draft, wrong=(what, str(error)))
        raise HTTPException(404)

    _ = act
    return router


async def _simple(place: Place, session: Session, case: str, what: str) -> Response:
    at = place.clock()
    do = _SIMPLE[what]
    await place.cases.act(case, session.agent, lambda found, _: do(found, session.agent, place.town_config, at))
    return go("/queue?told=released" if what == "release" else f"/cases/{case}?told={_TOLD[what]}")


async def _reply(place: Place, request: Request, session: Session, case: str, form: SubmittedForm) -> Response:
    at = place.clock()
    answer = Answer(
        text=form.first("text"),
        once=_once(place, session, form),
        then=_then(form),
        channel=form.first("channel"),
        address=form.first(f"address-{form.first('channel')}"),
    )
    if form.first("do") == "preview":
        return await _preview(place, request, session, case, form, answer)

    def work(found: Case, contacts: Sequence[Opened]) -> Changes:
        return agent_actions.reply(found, session.agent, contacts, answer, place.town_config, at)

    await place.cases.act(case, session.agent, work)
    return go(f"/cases/{case}?told=replied#end")


async def _preview(
    place: Place, request: Request, session: Session, case: str, form: SubmittedForm, answer: Answer
) -> Response:
    """The page with the answer as it will read; nothing is sent or kept."""
    async with place.cases.database.transaction() as connection:
        found = await case_of(connection, case)
        contacts = await contacts_of(connection, case)
    if not may_see(found, session) or found is None:
        raise NotHere("case")
    target = Target(answer.channel, answer.address, "stated") if answer.channel else target_of(contacts)
    language = language_for(contacts, place.town_config)
    shown = frame(found, target, answer.text, place.town_config, place.templates, language)
    draft = {name: values[0] for name, values in form.fields.items()}
    preview = previewed(target, shown) if shown else None
    return await case_page(place, request, session, case, draft=draft, preview=preview)


async def _call(place: Place, session: Session, case: str, form: SubmittedForm) -> Response:
    at = place.clock()
    words = Words(form.first("note"), _once(place, session, form), _then(form))
    await place.cases.act(
        case, session.agent, lambda found, _: agent_actions.call(found, session.agent, words, place.town_config, at)
    )
    return go(f"/cases/{case}?told=called#end")


async def _transfer(place: Place, session: Session, case: str, form: SubmittedForm) -> Response:
    at = place.clock()
    once = _once(place, session, form)

    def work(found: Case, _: Sequence[Opened]) -> Changes:
        to, reason = form.first("to"), form.first("reason")
        return agent_actions.transfer(found, session.agent, to, reason, once, place.town_config, at)

    await place.cases.act(case, session.agent, work)
    return go(f"/cases/{case}?told=transfer_asked")


async def _split(place: Place, session: Session, case: str, form: SubmittedForm) -> Response:
    at = place.clock()
    wish = Splitting(
        contacts=form.fields.get("messages", ()),
        to_department=form.first("split-to"),
        reason=form.first("split-reason"),
        once=_once(place, session, form),
    )

    def work(found: Case, contacts: Sequence[Opened]) -> Changes:
        return request_split_and_link.split(found, session.agent, contacts, wish, place.town_config, at)

    await place.cases.act(case, session.agent, work)
    return go(f"/cases/{case}?told=split_asked")


async def _link(place: Place, session: Session, case: str, form: SubmittedForm) -> Response:
    at = place.clock()
    is_undone = form.first("wanted") == "unlinked"
    wish = Linking(form.first("other"), _once(place, session, form), "unlinked" if is_undone else "linked")
    await place.cases.act(
        case, session.agent, lambda found, _: request_split_and_link.link(found, session.agent, wish, at)
    )
    return go(f"/cases/{case}?told={'unlink_asked' if is_undone else 'link_asked'}")


_ASKED = {"transfer": _transfer, "split": _split, "link": _link}


def _once(place: Place, session: Session, form: SubmittedForm) -> str:
    seed = place.sessions.seed(form.first("_once"), session)
    if seed is None:
        raise HTTPException(403)
    return seed


def _then(form: SubmittedForm) -> State:
    by_name: dict[str, State] = {state: state for state in STATES}
    return by_name.get(form.first("then"), "waiting")
