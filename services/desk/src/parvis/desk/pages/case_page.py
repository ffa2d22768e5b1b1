"""Shows one case: its timeline, and the forms to work on it."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response

from parvis.common.contract.contact import ClaimCheck
from parvis.common.contract.routing.conversation_history import PastContact
from parvis.common.runtime.logs import logger
from parvis.common.town.models import Department, TownConfig
from parvis.desk.decide.access_rights import hidden_cases
from parvis.desk.decide.case_version import CaseVersion, mark_new
from parvis.desk.decide.reply_recipient import find_case_addressee, find_dead_addresses, find_recipient, reply_language
from parvis.desk.decide.timeline import TimelinePage, build_timeline, cut_page
from parvis.desk.decide.unconfirmed_address_quote import UnconfirmedReplyAddress, explain_wish
from parvis.desk.models.case import NO_DATE, Case, CaseContact, CaseFile, CaseRelation
from parvis.desk.models.outgoing_file import ENDINGS
from parvis.desk.pages.dependencies import DeskDependencies
from parvis.desk.render.answer_texts import fill_answer_texts
from parvis.desk.render.view_models import ReplyPreview, build_contact_view, parse_day
from parvis.desk.store.case_tags import read_used_tags
from parvis.desk.store.case_updates import read_whole_contacts
from parvis.desk.store.department_agents import propose_names
from parvis.desk.store.draft_files import read_draft_files
from parvis.desk.store.reply_drafts import read_draft
from parvis.desk.store.row_decoding import DamagedCase
from parvis.desk.store.same_place import count_same_place
from parvis.desk.store.single_case_queries import (
    read_case,
    read_case_file,
    read_case_version,
    read_linked_case,
)
from parvis.desk.store.withdrawable_replies import read_reserved_replies
from parvis.desk.verify.agent_sessions import AgentSession
from parvis.web.error_pages import error_page
from parvis.web.language_negotiation import negotiate_language

log = logger()
_CONTINUED = "conversation"  # the rule of a contact that continues one


def routes(dependencies: DeskDependencies) -> APIRouter:
    """The page of a case; 404 when it never was in the agent's department, 409 when its row cannot be read."""
    router = APIRouter()

    @router.get("/cases/{conversation}", dependencies=[dependencies.access.allow("case.read")])
    async def show(request: Request, conversation: UUID) -> Response:
        session = dependencies.require_session(request)
        return await case_page(dependencies, request, session, str(conversation))

    _ = show
    return router


@dataclass(frozen=True)
class RedisplayedForm:
    """A form that comes back with the page.

    Shape:  fields, as typed; wrong, the form at fault and the key of its problem; seen, the version of the case that the agent
            answered: what came since is shown beside the answer, or first of all for another `action`.
    """

    fields: Mapping[str, str] = field(default_factory=dict[str, str])
    wrong: tuple[str, str] | None = None
    preview: ReplyPreview | None = None
    seen: CaseVersion | None = None
    action: str = ""
    status: int = 200


async def case_page(
    dependencies: DeskDependencies,
    request: Request,
    session: AgentSession,
    conversation: str,
    sent: RedisplayedForm | None = None,
) -> Response:
    """Render the page, with the form that was sent where it comes back."""
    locked_tags = dependencies.access.rules.confidential.tags.keys()
    async with dependencies.cases.database.transaction() as connection:
        version = await read_case_version(connection, conversation)
        case = await read_case(connection, conversation)
        file = await read_case_file(connection, case, is_brief=True) if case else None
        followed = _followed_conversation(file) if file else None
        linked = await read_linked_case(connection, followed) if followed else None
        kept = await read_draft(connection, conversation, session.agent)
        files = await read_draft_files(connection, conversation, session.agent)
        colleagues = await propose_names(connection, session.case, dependencies.clock()) if session.case else ()
        used_tags = await read_used_tags(connection, session.agent.department, locked_tags)
        hidden = hidden_cases(session.user, dependencies.access.rules.confidential, session.agent.department)
        reports = await count_same_place(connection, [conversation], hidden)
        reserved = await read_reserved_replies(connection, session.agent, dependencies.clock())
    sent = sent or RedisplayedForm(kept.fields if kept else {})
    if file is None or file.case.department != session.agent.department:
        return moved_page(dependencies, request, session, file, unsent=sent.fields.get("text", ""))
    dead = find_dead_addresses(file)
    language = negotiate_language(request, dependencies.town_config.town)
    until = request.query_params.get("until", "")
    wanted = int(until) if re.fullmatch(r"[0-9]{1,9}", until) else None
    timeline = mark_new(build_timeline(file, await _earlier_contacts(dependencies, file)), file, sent.seen or version)
    page = cut_page(timeline, wanted)
    page, shown, unreadable = await _with_texts(dependencies, page)
    return dependencies.render_page(
        request,
        "case.html",
        session,
        path=f"/cases/{conversation}",
        status=sent.status,
        case=file.case,
        reason=_reason_for_department(file),
        linked=linked,
        reports=reports.get(conversation, 0),
        page=page,
        entries=page.entries,
        version=version,
        changed_action=sent.action,
        changes=[entry for entry in page.entries if entry.is_new] if sent.seen else [],
        links=_linked_cases(file),
        suggestion=_suggestion(file),
        shown={o.contact.contact_id: build_contact_view(o, dependencies.town_config, language) for o in shown},
        recipient=find_recipient(file.contacts, dead),
        dead=dead,
        wishes=_wishes_to_confirm(file, shown),
        answer_language=reply_language(file.contacts, dependencies.town_config),
        leaving=next((t for t in file.transfers if t.outcome == "pending"), None),
        citizen=next(
            (o.contact.personal.display_name for o in reversed(file.contacts) if o.contact.personal.display_name), ""
        ),
        departments=_transfer_destinations(file, dependencies.town_config),
        answer_texts=fill_answer_texts(
            dependencies.answer_texts,
            file.case,
            dependencies.town_config,
            agent=session.agent,
            language=reply_language(file.contacts, dependencies.town_config),
            page_language=language,
            at=dependencies.clock(),
        ),
        reserved=reserved,
        colleagues=colleagues,
        used_tags=used_tags,
        locked_tags=locked_tags,
        parse_day=parse_day,
        draft=sent.fields,
        reply_files=files,
        file_endings=[f".{ending}" for endings in ENDINGS.values() for ending in endings],
        draft_saved_at=kept.saved_at if kept else None,
        wrong=sent.wrong,
        preview=sent.preview,
        damaged=file.damaged + unreadable,
        no_date=NO_DATE,
        verdict=dependencies.claim_checks.scan_verdict,
    )


async def _with_texts(
    dependencies: DeskDependencies, page: TimelinePage
) -> tuple[TimelinePage, Sequence[CaseContact], int]:
    """The page with the texts of its contacts, these contacts, and the number of those that cannot be read."""
    brief = [entry.item for entry in page.entries if isinstance(entry.item, CaseContact)]
    async with dependencies.cases.database.transaction() as connection:
        whole = await read_whole_contacts(connection, [opened.contact.contact_id for opened in brief])
    shown = {
        opened.contact.contact_id: replace(opened, contact=whole[opened.contact.contact_id].contact)
        for opened in brief
        if opened.contact.contact_id in whole
    }
    entries = [
        replace(entry, item=shown[entry.item.contact.contact_id]) if isinstance(entry.item, CaseContact) else entry
        for entry in page.entries
        if not isinstance(entry.item, CaseContact) or entry.item.contact.contact_id in shown
    ]
    return replace(page, entries=entries), list(shown.values()), len(brief) - len(shown)


def _wishes_to_confirm(file: CaseFile, shown: Sequence[CaseContact]) -> Mapping[str, Sequence[UnconfirmedReplyAddress]]:
    """The wishes of the contacts on the page, by contact id."""
    whole = {opened.contact.contact_id: opened.contact for opened in shown}
    wishes: dict[str, list[UnconfirmedReplyAddress]] = {}
    for wish in find_case_addressee(file.contacts).unconfirmed:
        if contact := whole.get(wish.contact_id):
            wishes.setdefault(wish.contact_id, []).append(explain_wish(wish, contact))
    return wishes


def damaged_case_handler(dependencies: DeskDependencies) -> Callable[[Request, Exception], Awaitable[Response]]:
    """Answers for a case whose row cannot be read: 409 with its reference, to its department only; 404 to others."""

    async def answer(request: Request, error: Exception) -> Response:
        session = dependencies.require_session(request)
        if not isinstance(error, DamagedCase) or error.department != session.agent.department:
            return error_page(dependencies.pages, request, 404)
        log.error("case.unreadable", conversation_id=error.conversation_id, reason=str(error))
        return dependencies.render_page(request, "damaged.html", session, status=409, reference=error.reference)

    return answer


def moved_page(
    dependencies: DeskDependencies, request: Request, session: AgentSession, file: CaseFile | None, *, unsent: str
) -> Response:
    """The new department of a case that this department had; nothing of its content."""
    department = session.agent.department
    if file is None or not any(department in (m.from_department, m.to_department) for m in file.moves):
        raise HTTPException(404)
    latest = max(file.moves, key=lambda move: move.sequence)
    return dependencies.render_page(
        request, "gone.html", session, status=410, case=file.case, move=latest, unsent=unsent
    )


async def _earlier_contacts(dependencies: DeskDependencies, file: CaseFile) -> Sequence[PastContact]:
    """The history that came with a transfer or split, if some of its contacts never reached this desk."""
    claims = {step.sequence: step.history for step in (*file.moves, *file.relations) if step.history}
    latest = max(claims, default=0)
    received = {step.sequence for step in (*file.moves, *file.relations)} | {opened.number for opened in file.contacts}
    if received.issuperset(range(1, latest + 1)):
        return ()
    history = await dependencies.claim_checks.fetch_history(ClaimCheck.model_validate(claims[latest]))
    return history.contacts if history else ()


def _linked_cases(file: CaseFile) -> list[CaseRelation]:
    """The cases linked with this one: by a split, or by an agent and not unlinked since."""
    steps = sorted(file.relations, key=lambda step: step.sequence)
    by_split = {step.other_conversation: step for step in steps if step.kind in ("split", "opened")}
    by_agents = {step.other_conversation: step for step in steps if step.kind in ("linked", "unlinked")}
    linked = {name: step for name, step in by_agents.items() if step.kind == "linked"}
    return list((by_split | linked).values())


def _suggestion(file: CaseFile) -> CaseContact | None:
    """The newest message that seems to be about another subject. None if there is no such message."""
    return next((opened for opened in reversed(file.contacts) if opened.routing.suggestion), None)


def _reason_for_department(file: CaseFile) -> Mapping[str, Any]:
    """Why the case is here: what opened it says so, not what continued it."""
    opening = [opened for opened in file.contacts if opened.routing.rule != _CONTINUED] or file.contacts
    first: CaseContact | None = min(opening, key=lambda o: o.routing.sequence, default=None)
    return first.routing.reason if first else {}


def _followed_conversation(file: CaseFile) -> str | None:
    """The closed conversation that this one follows. None if it follows none."""
    return next((o.routing.linked_to for o in file.contacts if o.routing.linked_to), None)


def _transfer_destinations(file: CaseFile, town_config: TownConfig) -> Sequence[Department]:
    """The departments to transfer to: those that the router considered first, likeliest first."""
    latest: CaseContact | None = max(file.contacts, key=lambda o: o.routing.sequence, default=None)
    likely = [other.department for other in latest.routing.runners_up] if latest else []
    others = [d for d in town_config.departments.values() if not d.successor and d.slug != file.case.department]
    return sorted(others, key=lambda d: likely.index(d.slug) if d.slug in likely else len(likely))


def is_visible(case: Case | None, session: AgentSession) -> bool:
    return case is not None and case.department == session.agent.department
