"""Serves the work on a case that no citizen sees to programs: notes, drafts, prepared texts, snoozing, assigning, corrections, undo."""

from uuid import UUID

from fastapi import FastAPI, Request, Response

from parvis.common.contract.errors import Rejected
from parvis.common.runtime.clock import now
from parvis.desk.api.act_on_case import act_on_case, action_context, refusal, seen_version
from parvis.desk.api.dependencies import ApiDependencies, own_case, read_case_detail, scoped_key
from parvis.desk.api.json_bodies import ActionBody, CaseDetail, Department, FileDetail, IdempotencyKey, IfMatch
from parvis.desk.api.work_bodies import (
    AgentQuery,
    AssignBody,
    DraftBody,
    DraftDetail,
    LetterTextBody,
    NoteBody,
    PreparedText,
    ProcedureBody,
    SnoozeBody,
    TagsBody,
    UrgencyBody,
)
from parvis.desk.decide import case_notes, snooze_and_assign, text_correction
from parvis.desk.decide.apply_agent_actions import AgentTextInput
from parvis.desk.decide.case_tags import change_tags
from parvis.desk.decide.reply_recipient import reply_language
from parvis.desk.models.case import Agent
from parvis.desk.render.answer_texts import fill_answer_texts
from parvis.desk.store.case_updates import read_brief_contacts
from parvis.desk.store.colleague_check import check_colleague
from parvis.desk.store.draft_files import read_draft_files
from parvis.desk.store.reply_drafts import read_draft
from parvis.desk.store.single_case_queries import read_case
from parvis.desk.store.withdrawable_replies import withdraw_reserved_reply

_CASE = "/cases/{conversation_id}"


def routes(app: FastAPI, access: ApiDependencies) -> None:
    _notes(app, access)
    _work(app, access)
    _corrections(app, access)
    _drafts(app, access)
    _replies(app, access)


def _notes(app: FastAPI, access: ApiDependencies) -> None:
    @app.post(f"{_CASE}/note", dependencies=[access.allow("case.change")])
    async def note(
        request: Request, conversation_id: UUID, body: NoteBody, key: IdempotencyKey = None, if_match: IfMatch = None
    ) -> CaseDetail:
        """Add an internal note, or the note of a call; the citizen receives neither."""
        kind, written = {"note": "noted", "call": "call_noted"}[body.kind], AgentTextInput(body.text, scoped_key(body.department, key))  # fmt: skip
        return await act_on_case(
            access, request, conversation_id, body,
            lambda case, context, _: case_notes.record_note(case, context, written, kind=kind),
            seen=seen_version(if_match),
        )  # fmt: skip

    _ = note


def _work(app: FastAPI, access: ApiDependencies) -> None:
    @app.post(f"{_CASE}/snooze", dependencies=[access.allow("case.change")])
    async def snooze(request: Request, conversation_id: UUID, body: SnoozeBody, if_match: IfMatch = None) -> CaseDetail:
        """Take an open case out of the list until the morning of a day, or until its answer is due."""
        return await act_on_case(
            access, request, conversation_id, body,
            lambda case, context, _: snooze_and_assign.snooze_case(case, context, body.until.isoformat()),
            seen=seen_version(if_match),
        )  # fmt: skip

    @app.post(f"{_CASE}/wake", dependencies=[access.allow("case.change")])
    async def wake(request: Request, conversation_id: UUID, body: ActionBody, if_match: IfMatch = None) -> CaseDetail:
        """Bring a snoozed case back at once."""
        return await act_on_case(
            access,
            request,
            conversation_id,
            body,
            lambda case, context, _: snooze_and_assign.wake_case(case, context),
            seen=seen_version(if_match),
        )

    @app.post(f"{_CASE}/assign", dependencies=[access.allow("case.change")])
    async def assign(request: Request, conversation_id: UUID, body: AssignBody, if_match: IfMatch = None) -> CaseDetail:
        """Assign the case to a colleague by name.

        422 `unknown_colleague` when nobody of this name works in the department, `colleague_not_allowed` when they may not
        see the case; 409 `colleague_absent` while they are absent, unless `although_absent`.
        """
        try:
            async with access.cases.database.transaction() as connection:
                await check_colleague(
                    connection, access.rules.confidential, str(conversation_id), body.department, body.colleague, now(),
                    although_absent=body.although_absent,
                )  # fmt: skip
        except Rejected as error:
            raise refusal(error) from error
        return await act_on_case(
            access, request, conversation_id, body,
            lambda case, context, _: snooze_and_assign.assign_case(case, context, body.colleague),
            seen=seen_version(if_match),
        )  # fmt: skip

    _ = snooze, wake, assign


def _corrections(app: FastAPI, access: ApiDependencies) -> None:
    @app.post(f"{_CASE}/procedure", dependencies=[access.allow("case.change")])
    async def procedure(
        request: Request, conversation_id: UUID, body: ProcedureBody, if_match: IfMatch = None
    ) -> CaseDetail:
        """Say which procedure the case is about; none with an empty one."""
        return await act_on_case(
            access, request, conversation_id, body,
            lambda case, context, _: snooze_and_assign.correct_procedure(case, context, body.procedure),
            seen=seen_version(if_match),
        )  # fmt: skip

    @app.post(f"{_CASE}/urgency", dependencies=[access.allow("case.change")])
    async def urgency(
        request: Request, conversation_id: UUID, body: UrgencyBody, if_match: IfMatch = None
    ) -> CaseDetail:
        """Say how urgent the case is."""
        return await act_on_case(
            access, request, conversation_id, body,
            lambda case, context, _: snooze_and_assign.correct_urgency(case, context, body.urgency),
            seen=seen_version(if_match),
        )  # fmt: skip

    @app.post(f"{_CASE}/letter-text", dependencies=[access.allow("case.change")])
    async def letter_text(
        request: Request,
        conversation_id: UUID,
        body: LetterTextBody,
        key: IdempotencyKey = None,
        if_match: IfMatch = None,
    ) -> CaseDetail:
        """Correct what OCR read in a letter; what it read is kept."""
        letter, key_uuid = str(body.contact_id), scoped_key(body.department, key)
        return await act_on_case(
            access, request, conversation_id, body,
            lambda case, context, contacts: text_correction.correct_text(
                case, context, contacts, letter, body.text, key=key_uuid),
            seen=seen_version(if_match),
        )  # fmt: skip

    @app.post(f"{_CASE}/tags", dependencies=[access.allow("case.change")])
    async def tags(request: Request, conversation_id: UUID, body: TagsBody, if_match: IfMatch = None) -> CaseDetail:
        """Add tags and remove others; 409 `tag_locked` for one that decides who may read the case."""
        locked = access.rules.confidential.tags.keys()
        return await act_on_case(
            access, request, conversation_id, body,
            lambda case, context, _: change_tags(case, context, add=body.add, remove=body.remove, locked=locked),
            seen=seen_version(if_match),
        )  # fmt: skip

    _ = procedure, urgency, letter_text, tags


def _drafts(app: FastAPI, access: ApiDependencies) -> None:
    @app.get(f"{_CASE}/draft", dependencies=[access.allow("case.reply")])
    async def get_draft(conversation_id: UUID, department: Department, agent: AgentQuery) -> DraftDetail:
        """The agent's draft of an answer; empty if there is none."""
        await own_case(access, conversation_id, department)
        async with access.cases.database.transaction() as connection:
            kept = await read_draft(connection, str(conversation_id), Agent(agent, department))
            files = await read_draft_files(connection, str(conversation_id), Agent(agent, department))
        text = {**kept.fields, "saved_at": kept.saved_at} if kept else {"saved_at": None}
        return DraftDetail.model_validate(text | {"files": [FileDetail.of(file) for file in files]})

    @app.put(f"{_CASE}/draft", status_code=204, dependencies=[access.allow("case.reply")])
    async def put_draft(request: Request, conversation_id: UUID, body: DraftBody) -> Response:
        """Keep the draft of an answer for its agent, who finds it on the case's page; an empty text deletes it."""
        await own_case(access, conversation_id, body.department)
        context = action_context(access, request, body)
        fields = {"text": body.text, "then": body.then, "channel": body.channel}
        fields |= {f"address-{body.channel}": body.address} if body.channel else {}
        await access.cases.keep_draft(str(conversation_id), context.agent, fields, context.at)
        return Response(status_code=204)

    @app.get(f"{_CASE}/prepared-texts", dependencies=[access.allow("case.reply")])
    async def prepared_texts(conversation_id: UUID, department: Department, agent: AgentQuery) -> list[PreparedText]:
        """The town's prepared texts for this case, filled in, in the citizen's language."""
        await own_case(access, conversation_id, department)
        async with access.cases.database.transaction() as connection:
            case = await read_case(connection, str(conversation_id))
            language = reply_language(await read_brief_contacts(connection, str(conversation_id)), access.town_config)
        filled = fill_answer_texts(
            access.answer_texts, case, access.town_config, agent=Agent(agent, department),
            language=language, page_language=language, at=now(),
        ) if case else ()  # fmt: skip
        return [PreparedText.model_validate(text.__dict__ | {"name": text.slug}) for text in filled]

    _ = get_draft, put_draft, prepared_texts


def _replies(app: FastAPI, access: ApiDependencies) -> None:
    @app.post(f"{_CASE}/replies/{{reply_id}}/withdraw", dependencies=[access.allow("case.reply")])
    async def withdraw(request: Request, conversation_id: UUID, reply_id: UUID, body: ActionBody) -> CaseDetail:
        """Withdraw the agent's own reply before it leaves: 409 `too_late` afterwards. Its text is a draft again."""
        context = action_context(access, request, body)
        try:
            await withdraw_reserved_reply(access.cases, str(conversation_id), str(reply_id), context)
        except Rejected as error:
            raise refusal(error) from error
        return await read_case_detail(access, conversation_id, body.department)

    _ = withdraw
