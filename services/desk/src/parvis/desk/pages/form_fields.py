"""Reads what every form of a case's page sends along, and keeps what was typed."""

from fastapi import HTTPException

from parvis.common.contract.reply import make_reply_id
from parvis.desk.decide.case_version import CaseVersion
from parvis.desk.models.case import STATES, State
from parvis.desk.pages.dependencies import DeskDependencies
from parvis.desk.verify.agent_sessions import AgentSession
from parvis.web.form_parsing import SubmittedForm

_DRAFT_FIELDS = ("text", "note", "internal", "channel", "address-sms", "address-email", "address-post", "then")
_TEXT_FIELDS = frozenset({"text", "note", "internal"})


def one_time_seed(dependencies: DeskDependencies, session: AgentSession, form: SubmittedForm) -> str:
    seed = dependencies.sessions.read_one_time_token(form.first("_once"), session)
    if seed is None:
        raise HTTPException(403)
    return seed


def draft_fields(form: SubmittedForm) -> dict[str, str]:
    return {name: form.first(name) for name in _DRAFT_FIELDS if name in form.fields}


async def keep_draft(
    dependencies: DeskDependencies,
    session: AgentSession,
    conversation: str,
    form: SubmittedForm,
    leaving_out: str | None = None,
) -> None:
    """Every button of the page sends the answer along, so that none loses it."""
    if _TEXT_FIELDS.intersection(form.fields):
        fields = {name: value for name, value in draft_fields(form).items() if name != leaving_out}
        seed = dependencies.sessions.read_one_time_token(form.first("_once"), session)
        await dependencies.cases.keep_draft(
            conversation,
            session.agent,
            fields,
            dependencies.clock(),
            unless_sent=make_reply_id("desk", conversation, seed) if seed else None,
        )


def typed_fields(form: SubmittedForm) -> dict[str, str]:
    typed = {name: values[0] for name, values in form.fields.items()}
    return typed | {"messages": ",".join(form.fields["messages"])} if "messages" in form.fields else typed


def seen_version(form: SubmittedForm) -> CaseVersion:
    return CaseVersion.parse(form.first("version")) or CaseVersion()


def next_state(form: SubmittedForm) -> State:
    by_name: dict[str, State] = {state: state for state in STATES}
    return by_name.get(form.first("then"), "waiting")
