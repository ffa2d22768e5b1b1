"""Handles the forms that answer the citizen: send, send and go on, preview, withdraw."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from urllib.parse import urlsplit
from uuid import UUID

from fastapi import Request
from fastapi.responses import JSONResponse, Response
from starlette.datastructures import QueryParams

from parvis.common.contract.errors import Rejected
from parvis.common.contract.reply import make_reply_id
from parvis.common.town.answer_texts import has_open_variable
from parvis.desk.decide import apply_agent_actions
from parvis.desk.decide.apply_agent_actions import ReplyInput
from parvis.desk.decide.reply_recipient import find_recipient, reply_language
from parvis.desk.models.case import Case, CaseChanges, CaseContact, ReplyRecipient
from parvis.desk.pages.case_page import RedisplayedForm, case_page, is_visible
from parvis.desk.pages.dependencies import DeskDependencies, last_list, redirect
from parvis.desk.pages.form_fields import draft_fields, next_state, one_time_seed, seen_version, typed_fields
from parvis.desk.pages.queue_page import read_filter, reader_of
from parvis.desk.pages.reply_files import CHOSEN
from parvis.desk.render.answer_texts import fill_answer_texts
from parvis.desk.render.view_models import ReplyPreview, build_preview, render_reply
from parvis.desk.store.case_transactions import CaseNotFound
from parvis.desk.store.case_updates import read_brief_contacts
from parvis.desk.store.single_case_queries import read_case
from parvis.desk.store.withdrawable_replies import withdraw_reserved_reply
from parvis.desk.verify.agent_sessions import AgentSession
from parvis.web.form_parsing import SubmittedForm
from parvis.web.language_negotiation import negotiate_language


async def reply(
    dependencies: DeskDependencies, request: Request, session: AgentSession, conversation: str, form: SubmittedForm
) -> Response:
    context, seed = dependencies.action_context(session), one_time_seed(dependencies, session, form)
    answer = ReplyInput(
        text=form.first("text"),
        idempotency_key=seed,
        next_state=next_state(form),
        channel=form.first("channel"),
        address=form.first(f"address-{form.first('channel')}"),
        delay=dependencies.withdrawal_period,
    )
    if not answer.channel and form.first("must-choose"):
        raise Rejected("no_channel")
    if form.first("do") == "preview":
        return await _preview(dependencies, request, session, conversation, form)
    reply_id = make_reply_id("desk", conversation, seed)
    files = await dependencies.outgoing_files.choose(
        conversation, session.agent, form.fields.get(CHOSEN, ()), reply_id=reply_id
    )
    answer = replace(answer, files=files)

    def work(case: Case, contacts: Sequence[CaseContact]) -> CaseChanges:
        return apply_agent_actions.request_reply(case, context, contacts, answer)

    await dependencies.cases.change_case(conversation, session.agent, work, seen=seen_version(form))
    if form.first("do") == "next":
        return redirect(await _next_case(dependencies, request, session, conversation))
    return redirect(f"/cases/{conversation}?notice=replied#notice")


async def _preview(
    dependencies: DeskDependencies,
    request: Request,
    session: AgentSession,
    conversation: str,
    form: SubmittedForm,
) -> Response:
    """The page with a preview of the reply, and why it could not be sent so; nothing is sent or stored."""
    preview = await _render_preview(dependencies, session, conversation, form)
    wrong = ("reply", "open_variable") if has_open_variable(form.first("text")) else None
    shown = RedisplayedForm(typed_fields(form), wrong=wrong, preview=preview)
    return await case_page(dependencies, request, session, conversation, shown)


async def measure_draft(
    dependencies: DeskDependencies, request: Request, session: AgentSession, conversation: str, form: SubmittedForm
) -> Response:
    """What the page shows while the agent types: that the draft is kept, and how many SMS or pages it makes."""
    language = negotiate_language(request, dependencies.town_config.town)
    translate = partial(dependencies.pages.words.translate, language=language)
    preview = await _render_preview(dependencies, session, conversation, form) if form.first("text").strip() else None
    sentences: list[str] = []
    if preview and preview.cost:
        cost = preview.cost
        is_long = cost.is_too_long
        sentences.append(translate("reply.too_long") if is_long else translate("reply.parts", count=cost.parts))
        sentences += [] if cost.is_plain else [translate("reply.not_plain")]
    elif preview and preview.pages:
        sentences.append(translate("work.pages", count=preview.pages))
    return JSONResponse({"saved": translate("notice.draft_kept"), "meter": " ".join(sentences)})


async def _render_preview(
    dependencies: DeskDependencies, session: AgentSession, conversation: str, form: SubmittedForm
) -> ReplyPreview | None:
    case, contacts = await _read_visible_case(dependencies, session, conversation)
    name = form.first("channel")
    target = ReplyRecipient(name, form.first(f"address-{name}"), "stated") if name else find_recipient(contacts)
    if not target.channel:
        return None
    language = reply_language(contacts, dependencies.town_config)
    rendered = render_reply(
        case,
        target,
        form.first("text"),
        dependencies.town_config,
        dependencies.templates,
        language,
        agent=session.agent,
    )
    return build_preview(target, rendered) if rendered else None


async def _read_visible_case(
    dependencies: DeskDependencies, session: AgentSession, conversation: str
) -> tuple[Case, Sequence[CaseContact]]:
    """A case that the agent sees, and its contacts without their texts. Raises: CaseNotFound."""
    async with dependencies.cases.database.transaction() as connection:
        case = await read_case(connection, conversation)
        contacts = await read_brief_contacts(connection, conversation)
    if not is_visible(case, session) or case is None:
        raise CaseNotFound("case")
    return case, contacts


async def _next_case(dependencies: DeskDependencies, request: Request, session: AgentSession, conversation: str) -> str:
    """The page of the most urgent other case of the list that the agent came from; the list, when it has no other."""
    wanted = read_filter(QueryParams(urlsplit(last_list(request)).query))
    async with dependencies.cases.database.transaction() as connection:
        page = await reader_of(dependencies, session).read(connection, wanted, limit=2)
    others = [row.case.conversation_id for row in page.rows if row.case.conversation_id != conversation]
    return f"/cases/{others[0]}?notice=replied_next#notice" if others else last_list(request)


async def _withdraw(
    dependencies: DeskDependencies, session: AgentSession, conversation: str, form: SubmittedForm
) -> Response:
    context = dependencies.action_context(session)
    try:
        reply_id = str(UUID(form.first("reply")))
    except ValueError:
        return redirect(f"/cases/{conversation}")  # a form without an answer withdraws nothing
    try:
        await withdraw_reserved_reply(dependencies.cases, conversation, reply_id, context)
    except Rejected as error:
        if isinstance(error, CaseNotFound):
            raise
        return redirect(f"/cases/{conversation}?notice=too_late#notice")
    return redirect(f"/cases/{conversation}?notice=withdrawn#end")


async def _insert(
    dependencies: DeskDependencies, session: AgentSession, conversation: str, form: SubmittedForm
) -> Response:
    """Add the chosen answer text to the draft; a page with scripts does so itself, at the cursor."""
    at = dependencies.clock()
    case, contacts = await _read_visible_case(dependencies, session, conversation)
    language = reply_language(contacts, dependencies.town_config)
    filled = fill_answer_texts(
        dependencies.answer_texts,
        case,
        dependencies.town_config,
        agent=session.agent,
        language=language,
        page_language=language,
        at=at,
    )
    chosen = next((answer for answer in filled if answer.slug == form.first("answer-text")), None)
    if chosen:
        text = "\n\n".join(part for part in (form.first("text").strip(), chosen.text) if part)
        fields = draft_fields(form) | {"text": text, "then": chosen.then}
        await dependencies.cases.keep_draft(conversation, session.agent, fields, at)
    return redirect(f"/cases/{conversation}#end")


REQUESTS = {"withdraw": _withdraw, "insert": _insert}
