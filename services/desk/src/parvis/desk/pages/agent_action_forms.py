"""Handles the forms of a case's page: one form, one action, one redirect."""

from collections.abc import Sequence
from uuid import UUID

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response

from parvis.common.contract.errors import Rejected, Unavailable
from parvis.desk.decide import apply_agent_actions, request_split_and_link
from parvis.desk.decide.apply_agent_actions import AgentTextInput
from parvis.desk.decide.case_version import CaseChanged, CaseVersion
from parvis.desk.decide.request_split_and_link import LinkInput, SplitInput
from parvis.desk.models.case import Case, CaseChanges, CaseContact
from parvis.desk.pages import case_work_forms, reply_files, reply_forms
from parvis.desk.pages.case_page import RedisplayedForm, case_page
from parvis.desk.pages.dependencies import DeskDependencies, redirect
from parvis.desk.pages.form_fields import keep_draft, next_state, one_time_seed, seen_version, typed_fields
from parvis.desk.pages.refusals import unsent_page
from parvis.desk.store.case_transactions import CaseNotFound
from parvis.desk.verify.agent_sessions import AgentSession
from parvis.web.form_parsing import SubmittedForm

_STATE_CHANGES = {
    "take": apply_agent_actions.take_case,
    "release": apply_agent_actions.release_case,
    "close": apply_agent_actions.close_case,
    "reopen": apply_agent_actions.reopen_case,
}
_NOTE_OF = {"note": "internal", "call-note": "internal"}  # the field that becomes a note, and is no draft then
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
        form = await dependencies.read_own_form(request, session, has_files=True)
        try:
            return await _answer(request, session, str(conversation), action, form)
        finally:
            await form.close()

    async def _answer(
        request: Request, session: AgentSession, conversation: str, action: str, form: SubmittedForm
    ) -> Response:
        try:
            await reply_files.keep_files(dependencies, session, conversation, form)
            if action != "reply" or form.first("do") == "preview":
                await keep_draft(dependencies, session, conversation, form, leaving_out=_NOTE_OF.get(action))
            return await _act(dependencies, request, session, conversation, action, form)
        except Unavailable:
            return unsent_page(dependencies, request, session, form)
        except CaseNotFound:
            sent = RedisplayedForm(typed_fields(form))
        except CaseChanged:
            sent = RedisplayedForm(
                typed_fields(form), seen=seen_version(form), action="" if action == "reply" else action, status=409
            )
        except Rejected as error:
            typed = typed_fields(form)
            if str(error) == "sent_before":  # the next attempt is another action
                del typed["_once"]
            box = "reply" if str(error).startswith("file") else action  # files come with any button
            sent = RedisplayedForm(typed, wrong=(box, str(error)), status=422)
        await keep_draft(dependencies, session, conversation, form)
        return await case_page(dependencies, request, session, conversation, sent)

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
    if action == "draft" and "application/json" in request.headers.get("accept", ""):
        return await reply_forms.measure_draft(dependencies, request, session, conversation, form)
    if action == "draft":
        return redirect(f"/cases/{conversation}?notice=draft_kept#end")
    if action in _STATE_CHANGES:
        answer = await _change_state(dependencies, session, conversation, action, seen_version(form))
        return redirect(f"{answer}#end") if form.first("text").strip() and action != "release" else redirect(answer)
    if action == "reply":
        return await reply_forms.reply(dependencies, request, session, conversation, form)
    if action in _REQUESTS:
        return await _REQUESTS[action](dependencies, session, conversation, form)
    raise HTTPException(404)


async def _change_state(
    dependencies: DeskDependencies, session: AgentSession, conversation: str, action: str, seen: CaseVersion
) -> str:
    """Change the state. Gives the page that then shows it."""
    do, context = _STATE_CHANGES[action], dependencies.action_context(session)
    await dependencies.cases.change_case(conversation, session.agent, lambda case, _: do(case, context), seen=seen)
    return "/queue?notice=released" if action == "release" else f"/cases/{conversation}?notice={_STATE_NOTICES[action]}"


async def _call(
    dependencies: DeskDependencies, session: AgentSession, conversation: str, form: SubmittedForm
) -> Response:
    context = dependencies.action_context(session)
    note = AgentTextInput(form.first("note"), one_time_seed(dependencies, session, form), next_state(form))
    await dependencies.cases.change_case(
        conversation,
        session.agent,
        lambda case, _: apply_agent_actions.record_call(case, context, note),
        seen=seen_version(form),
    )
    return redirect(f"/cases/{conversation}?notice=called#notice")


async def _transfer(
    dependencies: DeskDependencies, session: AgentSession, conversation: str, form: SubmittedForm
) -> Response:
    context = dependencies.action_context(session)
    once = one_time_seed(dependencies, session, form)

    def work(case: Case, _: Sequence[CaseContact]) -> CaseChanges:
        return apply_agent_actions.request_transfer(case, context, form.first("to"), form.first("reason"), once)

    await dependencies.cases.change_case(conversation, session.agent, work, seen=seen_version(form))
    return redirect(f"/cases/{conversation}?notice=transfer_asked")


async def _split(
    dependencies: DeskDependencies, session: AgentSession, conversation: str, form: SubmittedForm
) -> Response:
    at = dependencies.clock()
    split_input = SplitInput(
        contacts=form.fields.get("messages", ()),
        to_department=form.first("split-to"),
        reason=form.first("split-reason"),
        idempotency_key=one_time_seed(dependencies, session, form),
    )

    def work(case: Case, contacts: Sequence[CaseContact]) -> CaseChanges:
        return request_split_and_link.request_split(
            case, session.agent, contacts, split_input, dependencies.town_config, at
        )

    await dependencies.cases.change_case(conversation, session.agent, work, seen=seen_version(form))
    return redirect(f"/cases/{conversation}?notice=split_asked")


async def _link(
    dependencies: DeskDependencies, session: AgentSession, conversation: str, form: SubmittedForm
) -> Response:
    at = dependencies.clock()
    is_undone = bool(form.first("unlink"))
    link_input = LinkInput(
        form.first("unlink") or form.first("other"),
        one_time_seed(dependencies, session, form),
        "unlinked" if is_undone else "linked",
    )
    await dependencies.cases.change_case(
        conversation,
        session.agent,
        lambda case, _: request_split_and_link.request_link(case, session.agent, link_input, at),
        seen=seen_version(form),
    )
    return redirect(f"/cases/{conversation}?notice={'unlink_asked' if is_undone else 'link_asked'}")


async def _confirm_wish(
    dependencies: DeskDependencies, session: AgentSession, conversation: str, form: SubmittedForm
) -> Response:
    context = dependencies.action_context(session)

    def work(case: Case, contacts: Sequence[CaseContact]) -> CaseChanges:
        return apply_agent_actions.confirm_wish(case, context, contacts, form.first("contact"))

    await dependencies.cases.change_case(conversation, session.agent, work, seen=seen_version(form))
    return redirect(f"/cases/{conversation}?notice=wish_confirmed#notice")


_REQUESTS = {
    **reply_forms.REQUESTS,
    **reply_files.REQUESTS,
    **case_work_forms.REQUESTS,
    "call": _call,
    "wish": _confirm_wish,
    "transfer": _transfer,
    "split": _split,
    "link": _link,
}
