"""Decides what becomes of the open case of an agent who is absent. No I/O."""

import uuid
from dataclasses import replace

from parvis.desk.decide.apply_agent_actions import ActionContext, add_row
from parvis.desk.models.absence import Absence
from parvis.desk.models.case import Case, CaseActionRecord, CaseChanges


def return_case(case: Case, context: ActionContext, absence: Absence, deputy: str) -> CaseChanges:
    """Give the case to the deputy, or without one back to the list of cases that nobody has.

    Retry: a case returns once in an absence: what is taken or assigned after that stays where it is.
    """
    if case.state != "open" or case.taken_by != absence.agent:
        return CaseChanges()
    act_id = uuid.uuid5(uuid.UUID(case.conversation_id), f"absent:{absence.absence_id}")
    kind, text = ("passed_to_deputy", deputy) if deputy else ("returned_absent", absence.agent)
    row = CaseActionRecord(str(act_id), case.conversation_id, kind, "", text, context.at)
    return add_row(replace(case, taken_by=deputy or None), row, context)
