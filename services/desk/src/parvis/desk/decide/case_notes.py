"""Decides what an agent's internal note or call note adds to a case; the citizen receives none of them. No I/O."""

import uuid

from parvis.desk.decide.apply_agent_actions import ActionContext, AgentTextInput, add_row, checked_text
from parvis.desk.models.case import Case, CaseActionRecord, CaseChanges


def record_note(case: Case, context: ActionContext, note: AgentTextInput, *, kind: str = "noted") -> CaseChanges:
    """Add a note (`noted`) or the note of a call (`call_noted`) to a case, whose state stays as it is.

    Raises: Rejected, with the key of its sentence: no text, text too long.
    Retry:  the same idempotency key adds one note.
    """
    act_id = uuid.uuid5(uuid.UUID(case.conversation_id), f"{kind}:{note.idempotency_key}")
    row = CaseActionRecord(str(act_id), case.conversation_id, kind, context.agent.name, checked_text(note), context.at)
    return add_row(case, row, context)
