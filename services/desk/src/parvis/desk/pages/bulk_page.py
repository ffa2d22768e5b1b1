"""Acts on several cases of the queue: shows what will happen to which, does it case by case, and undoes it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response
from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.contract.errors import Rejected, Unavailable
from parvis.desk.decide.access_rights import may, scope_of
from parvis.desk.decide.apply_agent_actions import ActionContext
from parvis.desk.decide.bulk_acts import (
    BULK_KINDS,
    FIELD_PROBLEMS,
    MAX_BULK_CASES,
    BulkAct,
    apply_bulk_act,
    recipient_token,
)
from parvis.desk.decide.case_version import CaseVersion
from parvis.desk.decide.reply_recipient import find_dead_addresses, find_recipient
from parvis.desk.models.case import Case, CaseChanges, CaseContact, ReplyRecipient
from parvis.desk.pages.dependencies import DeskDependencies, redirect
from parvis.desk.pages.form_fields import next_state, one_time_seed
from parvis.desk.pages.refusals import unsent_page
from parvis.desk.store.audit_trail import append_audit
from parvis.desk.store.bulk_acts import BulkOutcome, apply_to_case, read_bulk_outcomes, undo_in_case
from parvis.desk.store.case_tags import read_used_tags
from parvis.desk.store.colleague_check import check_colleague
from parvis.desk.store.department_agents import propose_names
from parvis.desk.store.row_decoding import DamagedCase
from parvis.desk.store.single_case_queries import read_case, read_case_file, read_case_version
from parvis.desk.verify.agent_sessions import AgentSession
from parvis.web.form_parsing import SubmittedForm

_FIELDS = {"assign": "assign-to", "snooze": "snooze-until", "tag": "tag", "untag": "tag", "reply": "text"}
# Stands for what is still to be typed when the page is first shown.
_EXAMPLES = {"assign": "…", "tag": "…", "untag": "…", "reply": "…"}


@dataclass(frozen=True)
class ChosenCase:
    """One ticked case as the page shows it. `problem` says why the act leaves it out; without a right it has no content."""

    conversation_id: str
    case: Case | None = None
    version: str = ""
    recipient: ReplyRecipient | None = None
    problem: str = ""

    @property
    def token(self) -> str:
        """What the form carries for this case: which, in which version, to whom."""
        return f"{self.conversation_id} {self.version} {recipient_token(self.recipient)}"


def routes(dependencies: DeskDependencies) -> APIRouter:
    """The page before the act, the act, its result and its undoing.

    Gives: the page with what is to be confirmed; 303 to the result once every case was tried; 422 with the page, for a missing name, day or text.
    Retry: the same form sent twice acts on no case twice.
    """
    router = APIRouter()
    allowed = dependencies.access.allow("queue.read")

    @router.post("/queue/bulk", dependencies=[allowed])
    async def act(request: Request) -> Response:
        session = dependencies.require_session(request)
        form = await dependencies.read_own_form(request, session)
        if form.first("act") not in BULK_KINDS:
            raise HTTPException(404)
        try:
            if form.first("do") == "act":
                return await _act(dependencies, request, session, form)
            return await _preview(dependencies, request, session, form)
        except Unavailable:
            return unsent_page(dependencies, request, session, form)

    @router.get("/queue/bulk/{bulk_id}", dependencies=[allowed])
    async def show(request: Request, bulk_id: UUID) -> Response:
        session = dependencies.require_session(request)
        async with dependencies.cases.database.transaction() as connection:
            outcomes = await read_bulk_outcomes(connection, str(bulk_id), session.agent)
        if not outcomes:
            raise HTTPException(404)
        return dependencies.render_page(
            request,
            "bulk_result.html",
            session,
            bulk_id=bulk_id,
            outcomes=outcomes,
            due_at=_undo_ends(dependencies, outcomes),
        )

    @router.post("/queue/bulk/{bulk_id}/undo", dependencies=[allowed])
    async def undo(request: Request, bulk_id: UUID) -> Response:
        session = dependencies.require_session(request)
        await dependencies.read_own_form(request, session)
        await _undo(dependencies, session, str(bulk_id))
        return redirect(f"/queue/bulk/{bulk_id}")

    _ = act, show, undo
    return router


async def _preview(
    dependencies: DeskDependencies, request: Request, session: AgentSession, form: SubmittedForm, wrong: str = ""
) -> Response:
    """What would happen to each case now. Nothing is changed; who looked at whose address is in the audit trail."""
    kind = form.first("act")
    value = form.first(_FIELDS.get(kind, "")) if not wrong else ""
    tomorrow = (dependencies.pages.dates.today(dependencies.clock()) + timedelta(days=1)).isoformat()
    locked = frozenset(dependencies.access.rules.confidential.tags)
    trial = BulkAct(kind, value.strip() or _EXAMPLES.get(kind, tomorrow), "trial", next_state(form), locked_tags=locked)
    chosen = [await _look(dependencies, session, trial, one.split(" ")[0]) for one in _ticked(form)]
    department = scope_of(dependencies.access.rules.confidential, session.agent.department, None, ())
    async with dependencies.cases.database.transaction() as connection:
        colleagues = await propose_names(connection, department, dependencies.clock()) if kind == "assign" else ()
        used = await read_used_tags(connection, session.agent.department, locked) if kind == "tag" else ()
        references = " ".join(one.case.reference for one in chosen if one.case)
        if kind == "reply" and references:
            seen = dependencies.access.record(session, "bulk.preview", detail=references)
            await append_audit(connection, seen)
    return dependencies.render_page(
        request, "bulk.html", session, status=422 if wrong else 200, act=kind, wrong=wrong, wrong_field=FIELD_PROBLEMS.get(wrong),
        included=[one for one in chosen if not one.problem], left_out=[one for one in chosen if one.problem],
        typed={name: form.first(name) for name in ("assign-to", "snooze-until", "tag", "text", "then")}, colleagues=colleagues,
        tags=used or sorted({tag for one in chosen if one.case and not one.problem for tag in one.case.tags} - locked),
        too_many=len(dict.fromkeys(form.fields.get("case", ()))) > MAX_BULK_CASES, most=MAX_BULK_CASES, tomorrow=tomorrow,
    )  # fmt: skip


async def _act(
    dependencies: DeskDependencies, request: Request, session: AgentSession, form: SubmittedForm
) -> Response:
    kind = form.first("act")
    bulk_id = one_time_seed(dependencies, session, form)
    act = BulkAct(
        kind,
        form.first(_FIELDS.get(kind, "")),
        bulk_id,
        next_state(form),
        delay=dependencies.withdrawal_period,
        although_absent=bool(form.first("although-absent")),
        locked_tags=frozenset(dependencies.access.rules.confidential.tags),
    )
    ticked = _ticked(form)
    first = [await _look(dependencies, session, act, one.split(" ")[0]) for one in ticked]
    wrong = next((one.problem for one in first if one.problem in FIELD_PROBLEMS), "")
    if wrong or not ticked:
        return await _preview(dependencies, request, session, form, wrong)
    for one, looked in zip(ticked, first, strict=True):
        await _act_on_case(dependencies, session, act, one, looked)
    return redirect(f"/queue/bulk/{bulk_id}")


async def _act_on_case(
    dependencies: DeskDependencies, session: AgentSession, act: BulkAct, token: str, looked: ChosenCase
) -> None:
    _, version, recipient = [*token.split(" "), "", ""][:3]
    context = dependencies.action_context(session)

    def work(case: Case, contacts: Sequence[CaseContact]) -> CaseChanges:
        _check_right(dependencies, session, act.kind, case)
        if looked.problem:
            raise Rejected(looked.problem)
        if recipient != recipient_token(looked.recipient):
            raise Rejected("recipient_changed")
        return apply_bulk_act(case, contacts, context, act, looked.recipient)

    seen = CaseVersion.parse(version) or CaseVersion()
    await apply_to_case(dependencies.cases, looked.conversation_id, session.agent, act, work, seen)


async def _look(dependencies: DeskDependencies, session: AgentSession, act: BulkAct, conversation: str) -> ChosenCase:
    """What the act would do to one case now."""
    context = dependencies.action_context(session)
    try:
        async with dependencies.cases.database.transaction() as connection:
            version = await read_case_version(connection, conversation)
            case = await read_case(connection, conversation)
            if case is None or case.department != session.agent.department:
                return ChosenCase(conversation, problem="case_gone")
            _check_right(dependencies, session, act.kind, case)
            problem = await _problem_with_colleague(dependencies, connection, case, act)
            file = await read_case_file(connection, case, is_brief=True) if act.kind == "reply" else None
    except DamagedCase:
        return ChosenCase(conversation, problem="case_damaged")
    except Rejected as error:
        return ChosenCase(conversation, problem=str(error))
    recipient = find_recipient(file.contacts, find_dead_addresses(file)) if file else None
    looked = ChosenCase(conversation, case, str(version), recipient, problem)
    return looked if problem else _try(looked, context, act, file.contacts if file else ())


async def _problem_with_colleague(
    dependencies: DeskDependencies, connection: AsyncConnection, case: Case, act: BulkAct
) -> str:
    """Why the case cannot be assigned to whom the act names. Empty if it can, or nobody is named yet."""
    if act.kind != "assign" or act.value == _EXAMPLES["assign"]:
        return ""
    rules, at = dependencies.access.rules.confidential, dependencies.clock()
    try:
        await check_colleague(
            connection, rules, case.conversation_id, case.department, act.value, at, although_absent=act.although_absent
        )
    except Rejected as error:
        return str(error)
    return ""


def _try(looked: ChosenCase, context: ActionContext, act: BulkAct, contacts: Sequence[CaseContact]) -> ChosenCase:
    if looked.case and act.kind in ("tag", "untag") and act.value == _EXAMPLES[act.kind]:
        has_none = act.kind == "untag" and not set(looked.case.tags) - act.locked_tags
        return replace(looked, problem="nothing_to_change" if has_none else "")
    try:
        if looked.case:
            apply_bulk_act(looked.case, contacts, context, act, looked.recipient)
    except Rejected as error:
        return replace(looked, problem=str(error))
    return looked


def _check_right(dependencies: DeskDependencies, session: AgentSession, kind: str, case: Case) -> None:
    """Raises: Rejected `not_allowed`."""
    rules = dependencies.access.rules.confidential
    scope = scope_of(rules, case.department, case.procedure, case.tags, case.conversation_id)
    if not may(session.user, "case.reply" if kind == "reply" else "case.change", scope):
        raise Rejected("not_allowed")


async def _undo(dependencies: DeskDependencies, session: AgentSession, bulk_id: str) -> None:
    async with dependencies.cases.database.transaction() as connection:
        outcomes = await read_bulk_outcomes(connection, bulk_id, session.agent)
    context = dependencies.action_context(session)
    for done in outcomes:
        if done.outcome == "done" and not done.undone:
            check = partial(_check_right, dependencies, session, done.kind)
            await undo_in_case(dependencies.cases, bulk_id, done, context, check)


def _undo_ends(dependencies: DeskDependencies, outcomes: Sequence[BulkOutcome]) -> datetime | None:
    """When answers can no longer be withdrawn. None for other acts: they are undone until something else changes the case."""
    sent = [one.at for one in outcomes if one.reply_id]
    return min(sent) + dependencies.withdrawal_period if sent else None


def _ticked(form: SubmittedForm) -> list[str]:
    """The ticked cases, each once; what names no case is left out, and so is what is beyond the most."""
    found: dict[str, str] = {}
    for value in form.fields.get("case", ()):
        conversation, _, seen = value.partition(" ")
        try:
            found.setdefault(str(UUID(conversation)), f"{UUID(conversation)} {seen}")
        except ValueError:
            continue
    return list(found.values())[:MAX_BULK_CASES]
