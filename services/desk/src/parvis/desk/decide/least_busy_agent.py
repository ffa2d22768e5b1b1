"""Chooses the agent to whom a new case goes: the present one with the fewest open cases. Pure; no I/O."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace

from parvis.desk.decide.access_rights import may
from parvis.desk.decide.apply_agent_actions import ActionContext, add_row
from parvis.desk.models.accounts import CaseAccessFacts, DeskUser
from parvis.desk.models.case import Case, CaseActionRecord, CaseChanges


def choose_agent(
    present: Sequence[DeskUser], open_cases: Mapping[str, int], capacity: int, case: CaseAccessFacts
) -> str:
    """The name of the agent with the fewest open cases, the first by name among equals; empty if nobody has room and the right."""
    able = [
        (open_cases.get(user.name, 0), user.name)
        for user in present
        if open_cases.get(user.name, 0) < capacity and may(user, "case.change", case)
    ]
    return min(able)[1] if able else ""


def assign_by_turn(case: Case, context: ActionContext, agent: str) -> CaseChanges:
    """Give a case that nobody has to the agent. Retry: a case that somebody has stays theirs."""
    if case.taken_by is not None or case.state != "open":
        return CaseChanges()
    row = CaseActionRecord(str(uuid.uuid4()), case.conversation_id, "assigned_by_turn", "", agent, context.at)
    return add_row(replace(case, taken_by=agent), row, context)
