"""Handles the forms of a case's page: one form, one transaction, one redirect."""

from collections.abc import Sequence
from uuid import UUID

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response

from parvis.common.contract.errors import Rejected, Unavailable
from parvis.desk.decide import agent_actions, request_split_and_link
from parvis.desk.decide.agent_actions import ActionContext, AgentText, ReplyInput
from parvis.desk.decide.case_version import CaseChanged, CaseVersion
from parvis.desk.decide.reply_recipient import find_recipient, reply_language
from parvis.desk.decide.request_split_and_link import LinkInput, SplitInput
from parvis.desk.models.case import STATES, Case, CaseChanges, CaseContact, ReplyRecipient, State
from parvis.desk.pages.case_page import SentForm, case_page, is_visible
from parvis.desk.pages.dependencies import DeskDependencies, redirect
from parvis.desk.render.view_models import build_preview, render_reply
from parvis.desk.store.case_queries import read_case
from parvis.desk.store.case_transactions import CaseNotFound
from parvis.desk.store.case_updates import read_brief_contacts
from parvis.desk.verify.agent_sessions import AgentSession
from parvis.web.form_parsing import SubmittedForm

_STATE_CHANGES = {
    "take": agent_actions.take_case,
    "release": agent_actions.release_case,
    "close": agent_actions.close_case,
    "reopen": agent_actions.reopen_case,
}
_DRAFT_FIELDS = ("text", "note", "channel", "address-sms", "address-email", "address-post", "then")
_STATE_NOTICES = {"take": "taken", "release": "released", "close": "closed", "reopen": "reopened"}


def routes(dependencies: DeskDependencies) -> APIRouter:
    """The forms of a case's page.

    Gives: 303 back to the case, once the change is committed; 422 with the page, the typed text and the problem; 403 for a form
           without our tokens; 404 when the agent's department does not have the case, 410 with the typed text when it had it; 409
           with the typed text and the change, when the case changed since the page was made.
    Retry: the same form sent twice makes one reply, one transfer, one note.
    """
    router = APIRouter()

    @router.post("/cases/{conversation}/{action}", dependencies=[dependencies.access.allow(None)])
    async def act(request: Request, conversation: UUID, action: str) -> Response:
        session = dependencies.require_session(request)
        form = await dependencies.read_own_form(request, session)
        try:
            if action != "reply" or form.first("do") == "preview":
                await _keep_draft(dependencies, session, str(conversation), form)
            return await _act(dependencies, request, session, str(conversation), action, form)
        except Unavailable:
            return _unsent_page(dependencies, request, session, form)
        except CaseNotFound:
            sent = SentForm(_typed(form))
        except CaseChanged:
            sent = SentForm(_typed(form), seen=_seen(form), status=409)
        except Rejected as error:
            sent = SentForm(_typed(form), wrong=(action, str(error)), status=422)
        await _keep_draft(dependencies, session, str(conversation), form)
        return await case_page(dependencies, request, session, str(conversation), sent)

    _ = act
    return router


async def _act(
    dependencies: DeskDependencies,
    request: Request,
    session: AgentSession,
    conversation: str,
    action: str,
    form: SubmittedForm,
) -> Response:
    if action == "draft":
        return redirect(f"/cases/{conversation}?notice=draft_kept#end")
    if action in _STATE_CHANGES:
        answer = await _change_state(dependencies, session, conversation, action)
        return redirect(f"{answer}#end") if form.first("text").strip() and action != "release" else redirect(answer)
    if action == "reply":
        return await _reply(dependencies, request, session, conversation, form)
    if action in _REQUESTS:
        return await _REQUESTS[action](dependencies, session, conversation, form)
    raise HTTPException(404)


async def _change_state(dependencies: DeskDependencies, session: AgentSession, conversation: str, action: str) -> str:
    """Change the state. Gives the page that then shows it."""
    at = dependencies.clock()
    do = _STATE_CHANGES[action]
    await dependencies.cases.change_case(
        conversation,
        session.agent,
        lambda case, _: do(case, ActionContext(session.agent, dependencies.town_config, at)),
    )
    return "/queue?notice=released" if action == "release" else f"/cases/{conversation}?notice={_STATE_NOTICES[action]}"


async def _reply(
    dependencies: DeskDependencies, request: Request, session: AgentSession, conversation: str, form: SubmittedForm
) -> Response:
    at = dependencies.clock()
    answer = ReplyInput(
        text=form.first("text"),
        idempotency_key=_one_time_seed(dependencies, session, form),
        next_state=_next_state(form),
        channel=form.first("channel"),
        address=form.first(f"address-{form.first('channel')}"),
    )
    if not answer.channel and form.first("must-choose"):
        raise Rejected("no_channel")
    if form.first("do") == "preview":
        return await _preview(dependencies, request, session, conversation, form, answer)

    def work(case: Case, contacts: Sequence[CaseContact]) -> CaseChanges:
        return agent_actions.request_reply(
            case, ActionContext(session.agent, dependencies.town_config, at), contacts, answer
        )

    await dependencies.cases.change_case(conversation, session.agent, work, seen=_seen(form))
    return redirect(f"/cases/{conversation}?notice=replied#notice")


async def _preview(
    dependencies: DeskDependencies,
    request: Request,
    session: AgentSession,
    conversation: str,
    form: SubmittedForm,
    answer: ReplyInput,
) -> Response:
    """The page with a preview of the reply; nothing is sent or stored."""
    async with dependencies.cases.database.transaction() as connection:
        case = await read_case(connection, conversation)
        contacts = await read_brief_contacts(connection, conversation)
    if not is_visible(case, session) or case is None:
        raise CaseNotFound("case")
    target = ReplyRecipient(answer.channel, answer.address, "stated") if answer.channel else find_recipient(contacts)
    language = reply_language(contacts, dependencies.town_config)
    rendered = render_reply(
        case, target, answer.text, dependencies.town_config, dependencies.templates, language, agent=session.agent
    )
    preview = build_preview(target, rendered) if rendered else None
    return await case_page(dependencies, request, session, conversation, SentForm(_typed(form), preview=preview))


async def _call(
    dependencies: DeskDependencies, session: AgentSession, conversation: str, form: SubmittedForm
) -> Response:
    at = dependencies.clock()
    note = AgentText(form.first("note"), _one_time_seed(dependencies, session, form), _next_state(form))
    await dependencies.cases.change_case(
        conversation,
        session.agent,
        lambda case, _: agent_actions.record_call(
            case, ActionContext(session.agent, dependencies.town_config, at), note
        ),
    )
    return redirect(f"/cases/{conversation}?notice=called#notice")


async def _transfer(
    dependencies: DeskDependencies, session: AgentSession, conversation: str, form: SubmittedForm
) -> Response:
    at = dependencies.clock()
    once = _one_time_seed(dependencies, session, form)

    def work(case: Case, _: Sequence[CaseContact]) -> CaseChanges:
        to, reason = form.first("to"), form.first("reason")
        return agent_actions.request_transfer(
            case, ActionContext(session.agent, dependencies.town_config, at), to, reason, once
        )

    await dependencies.cases.change_case(conversation, session.agent, work)
    return redirect(f"/cases/{conversation}?notice=transfer_asked")


async def _split(
    dependencies: DeskDependencies, session: AgentSession, conversation: str, form: SubmittedForm
) -> Response:
    at = dependencies.clock()
    split_input = SplitInput(
        contacts=form.fields.get("messages", ()),
        to_department=form.first("split-to"),
        reason=form.first("split-reason"),
        idempotency_key=_one_time_seed(dependencies, session, form),
    )

    def work(case: Case, contacts: Sequence[CaseContact]) -> CaseChanges:
        return request_split_and_link.request_split(
            case, session.agent, contacts, split_input, dependencies.town_config, at
        )

    await dependencies.cases.change_case(conversation, session.agent, work)
    return redirect(f"/cases/{conversation}?notice=split_asked")


async def _link(
    dependencies: DeskDependencies, session: AgentSession, conversation: str, form: SubmittedForm
) -> Response:
    at = dependencies.clock()
    is_undone = bool(form.first("unlink"))
    link_input = LinkInput(
        form.first("unlink") or form.first("other"),
        _one_time_seed(dependencies, session, form),
        "unlinked" if is_undone else "linked",
    )
    await dependencies.cases.change_case(
        conversation,
        session.agent,
        lambda case, _: request_split_and_link.request_link(case, session.agent, link_input, at),
    )
    return redirect(f"/cases/{conversation}?notice={'unlink_asked' if is_undone else 'link_asked'}")


async def _confirm_wish(
    dependencies: DeskDependencies, session: AgentSession, conversation: str, form: SubmittedForm
) -> Response:
    at = dependencies.clock()

    def work(case: Case, contacts: Sequence[CaseContact]) -> CaseChanges:
        context = ActionContext(session.agent, dependencies.town_config, at)
        return agent_actions.confirm_wish(case, context, contacts, form.first("contact"))

    await dependencies.cases.change_case(conversation, session.agent, work)
    return redirect(f"/cases/{conversation}?notice=wish_confirmed#notice")


_REQUESTS = {"call": _call, "wish": _confirm_wish, "transfer": _transfer, "split": _split, "link": _link}


def _one_time_seed(dependencies: DeskDependencies, session: AgentSession, form: SubmittedForm) -> str:
    seed = dependencies.sessions.read_one_time_token(form.first("_once"), session)
    if seed is None:
        raise HTTPException(403)
    return seed


async def _keep_draft(
    dependencies: DeskDependencies, session: AgentSession, conversation: str, form: SubmittedForm
) -> None:
    """Every button of the page sends the answer along, so that none loses it."""
    if "text" in form.fields or "note" in form.fields:
        fields = {name: form.first(name) for name in _DRAFT_FIELDS if name in form.fields}
        await dependencies.cases.keep_draft(conversation, session.agent, fields, dependencies.clock())


def _unsent_page(
    dependencies: DeskDependencies, request: Request, session: AgentSession, form: SubmittedForm
) -> Response:
    """The page for an outage: it has everything that was typed, and sends the same form again."""
    sent = [(name, value) for name, values in form.fields.items() for value in values if name != "_csrf"]
    return dependencies.render_page(
        request, "unsent.html", session, status=503, sent=sent, text=form.first("text") or form.first("note")
    )


def _typed(form: SubmittedForm) -> dict[str, str]:
    typed = {name: values[0] for name, values in form.fields.items()}
    return typed | {"messages": ",".join(form.fields["messages"])} if "messages" in form.fields else typed


def _seen(form: SubmittedForm) -> CaseVersion:
    return CaseVersion.parse(form.first("version")) or CaseVersion()


def _next_state(form: SubmittedForm) -> State:
    by_name: dict[str, State] = {state: state for state in STATES}
    return by_name.get(form.first("then"), "waiting")
