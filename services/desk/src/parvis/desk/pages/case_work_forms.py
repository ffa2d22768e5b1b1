"""Handles the forms for the work on a case that no citizen sees: notes."""

from functools import partial

from fastapi.responses import Response

from parvis.desk.decide import case_notes
from parvis.desk.decide.agent_actions import ActionContext, AgentText
from parvis.desk.pages.dependencies import DeskDependencies, redirect
from parvis.desk.pages.form_fields import one_time_seed
from parvis.desk.verify.agent_sessions import AgentSession
from parvis.web.form_parsing import SubmittedForm


async def _note(
    dependencies: DeskDependencies, session: AgentSession, conversation: str, form: SubmittedForm, kind: str = "noted"
) -> Response:
    at = dependencies.clock()
    note = AgentText(form.first("internal"), one_time_seed(dependencies, session, form))
    await dependencies.cases.change_case(
        conversation,
        session.agent,
        lambda case, _: case_notes.record_note(
            case, ActionContext(session.agent, dependencies.town_config, at), note, kind=kind
        ),
    )
    return redirect(f"/cases/{conversation}?notice={kind}#notice")


REQUESTS = {"note": _note, "call-note": partial(_note, kind="call_noted")}
