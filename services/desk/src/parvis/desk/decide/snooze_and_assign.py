"""Decides what snoozing, assigning or correcting a case changes in it. No I/O."""

import uuid
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from parvis.common.contract.errors import Rejected
from parvis.desk.decide.apply_agent_actions import ActionContext, add_row
from parvis.desk.models.case import URGENCY_RANKS, Case, CaseActionRecord, CaseChanges

_LONGEST_SNOOZE = timedelta(days=366)
_DAY_BEGINS = time(7)
_LONGEST_NAME = 80


def snooze_case(case: Case, context: ActionContext, day: str) -> CaseChanges:
    """Take an open case out of the list until the morning of a day, or until its answer is due, whichever is first.

    Raises: Rejected, with the key of its sentence: `no_snooze_day`, when the day is none, past or more than a year away; `not_open`.
    """
    if case.state != "open":
        raise Rejected("not_open")
    zone = ZoneInfo(context.town_config.town.time_zone)
    try:
        morning = datetime.combine(date.fromisoformat(day), _DAY_BEGINS, zone)
    except ValueError as error:
        raise Rejected("no_snooze_day") from error
    if not context.at < morning < context.at + _LONGEST_SNOOZE:
        raise Rejected("no_snooze_day")
    until = min(morning, case.answer_due_at) if case.answer_due_at > context.at else morning
    if case.snoozed_until == until:
        return CaseChanges()
    return _record(replace(case, snoozed_until=until), "snoozed", until.astimezone(zone).date().isoformat(), context)


def wake_case(case: Case, context: ActionContext) -> CaseChanges:
    """Bring a snoozed case back at once."""
    return _record(replace(case, snoozed_until=None), "woken", "", context) if case.snoozed_until else CaseChanges()


def assign_case(case: Case, context: ActionContext, colleague: str) -> CaseChanges:
    """Assign the case to a colleague by name.

    Raises: Rejected `no_colleague`.
    """
    colleague = " ".join(colleague.split())
    if not 1 <= len(colleague) <= _LONGEST_NAME:
        raise Rejected("no_colleague")
    if case.taken_by == colleague:
        return CaseChanges()
    return _record(replace(case, taken_by=colleague), "assigned", colleague, context)


def correct_procedure(case: Case, context: ActionContext, procedure: str) -> CaseChanges:
    """Say which procedure a case is about; none with an empty one.

    Raises: Rejected `no_procedure`; `would_hide`, for one that takes the case out of the sight of whoever corrects it.
    """
    if procedure and procedure not in context.town_config.procedures:
        raise Rejected("no_procedure")
    if (case.procedure or "") == procedure:
        return CaseChanges()
    corrected = replace(case, procedure=procedure or None)
    if not context.may_read(corrected):
        raise Rejected("would_hide")
    return _record(corrected, "procedure_corrected", procedure, context)


def correct_urgency(case: Case, context: ActionContext, urgency: str) -> CaseChanges:
    """Say how urgent a case is: `immediate`, `high` or `normal`.

    Raises: Rejected `no_urgency`.
    """
    if urgency not in URGENCY_RANKS:
        raise Rejected("no_urgency")
    if case.urgency == URGENCY_RANKS[urgency]:
        return CaseChanges()
    return _record(replace(case, urgency=URGENCY_RANKS[urgency]), "urgency_corrected", urgency, context)


def _record(case: Case, kind: str, text: str, context: ActionContext) -> CaseChanges:
    row = CaseActionRecord(str(uuid.uuid4()), case.conversation_id, kind, context.agent.name, text, context.at)
    return add_row(case, row, context)
