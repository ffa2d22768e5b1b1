"""Handles the forms for the work on a case that no citizen sees: notes, snoozing, assigning, corrections."""

from collections.abc import Awaitable, Callable
from functools import partial

from fastapi.responses import Response

from parvis.desk.decide import case_notes, snooze_and_assign, text_correction
from parvis.desk.decide.apply_agent_actions import ActionContext, AgentTextInput
from parvis.desk.decide.case_tags import change_tags
from parvis.desk.models.case import Case, CaseChanges
from parvis.desk.pages.dependencies import DeskDependencies, redirect
from parvis.desk.pages.form_fields import one_time_seed, seen_version
from parvis.desk.store.colleague_check import check_colleague
from parvis.desk.verify.agent_sessions import AgentSession
from parvis.web.form_parsing import SubmittedForm

CaseChange = Callable[[Case, ActionContext, str], CaseChanges]
FormHandler = Callable[[DeskDependencies, AgentSession, str, SubmittedForm], Awaitable[Response]]


async def _note(
    dependencies: DeskDependencies, session: AgentSession, conversation: str, form: SubmittedForm, kind: str = "noted"
) -> Response:
    context = dependencies.action_context(session)
    note = AgentTextInput(form.first("internal"), one_time_seed(dependencies, session, form))
    await dependencies.cases.change_case(
        conversation,
        session.agent,
        lambda case, _: case_notes.record_note(case, context, note, kind=kind),
        seen=seen_version(form),
    )
    return redirect(f"/cases/{conversation}?notice={kind}#notice")


async def _assign(
    dependencies: DeskDependencies, session: AgentSession, conversation: str, form: SubmittedForm
) -> Response:
    colleague = form.first("assign-to")
    async with dependencies.cases.database.transaction() as connection:
        await check_colleague(
            connection,
            dependencies.access.rules.confidential,
            conversation,
            session.agent.department,
            colleague,
            dependencies.clock(),
            although_absent=bool(form.first("although-absent")),
        )
    context = dependencies.action_context(session)
    await dependencies.cases.change_case(
        conversation,
        session.agent,
        lambda case, _: snooze_and_assign.assign_case(case, context, colleague),
        seen=seen_version(form),
    )
    return redirect(f"/cases/{conversation}?notice=assigned#notice")


def _change(work: CaseChange, field: str, notice: str) -> FormHandler:
    """Handle a form with one field that changes the case."""

    async def handle(
        dependencies: DeskDependencies, session: AgentSession, conversation: str, form: SubmittedForm
    ) -> Response:
        context = dependencies.action_context(session)
        await dependencies.cases.change_case(
            conversation,
            session.agent,
            lambda case, _: work(case, context, form.first(field)),
            seen=seen_version(form),
        )
        return redirect(f"/cases/{conversation}?notice={notice}#notice")

    return handle


async def _correct_text(
    dependencies: DeskDependencies, session: AgentSession, conversation: str, form: SubmittedForm
) -> Response:
    context, letter = dependencies.action_context(session), form.first("letter")
    typed, key = form.first(f"letter-{letter}"), one_time_seed(dependencies, session, form)
    await dependencies.cases.change_case(
        conversation,
        session.agent,
        lambda case, contacts: text_correction.correct_text(case, context, contacts, letter, typed, key=key),
        seen=seen_version(form),
    )
    return redirect(f"/cases/{conversation}?notice=corrected#notice")


async def _tags(
    dependencies: DeskDependencies, session: AgentSession, conversation: str, form: SubmittedForm
) -> Response:
    """Add the typed tag, or remove the one whose button was pressed."""
    context, removed = dependencies.action_context(session), form.first("untag")
    add, remove = ([], [removed]) if removed else ([form.first("tag")], [])
    locked = dependencies.access.rules.confidential.tags.keys()
    await dependencies.cases.change_case(
        conversation,
        session.agent,
        lambda case, _: change_tags(case, context, add=add, remove=remove, locked=locked),
        seen=seen_version(form),
    )
    return redirect(f"/cases/{conversation}?notice=corrected#notice")


REQUESTS: dict[str, FormHandler] = {
    "note": _note,
    "call-note": partial(_note, kind="call_noted"),
    "snooze": _change(snooze_and_assign.snooze_case, "snooze-until", "snoozed"),
    "wake": _change(lambda case, context, _: snooze_and_assign.wake_case(case, context), "", "woken"),
    "assign": _assign,
    "procedure": _change(snooze_and_assign.correct_procedure, "procedure", "corrected"),
    "correct-text": _correct_text,
    "tags": _tags,
    "urgency": _change(snooze_and_assign.correct_urgency, "urgency", "corrected"),
}
