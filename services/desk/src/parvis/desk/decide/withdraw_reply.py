"""Decides what withdrawing an answer before it left changes in a case. No I/O."""

import uuid
from dataclasses import replace

from parvis.desk.decide.apply_agent_actions import ActionContext, add_row
from parvis.desk.models.case import STATES, AgentReply, Case, CaseActionRecord, CaseChanges


def withdraw_reply(case: Case, context: ActionContext, reply: AgentReply) -> CaseChanges:
    """Give the case back the state and the owner that it had before the answer, where nothing else has changed them since."""
    before = reply.before or {}
    state = next((state for state in STATES if state == before.get("state")), case.state)
    is_unchanged = case.state == before.get("then") and case.taken_by in (before.get("taken_by"), reply.agent)
    restored = replace(case, state=state, taken_by=before.get("taken_by")) if is_unchanged else case
    act_id = uuid.uuid5(uuid.UUID(case.conversation_id), f"withdrawn:{reply.reply_id}")
    row = CaseActionRecord(str(act_id), case.conversation_id, "withdrawn", context.agent.name, reply.text, context.at)
    return add_row(restored, row, context)
