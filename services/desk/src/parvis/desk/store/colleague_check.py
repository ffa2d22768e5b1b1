"""Checks to whom a case may be assigned."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.contract.errors import Rejected
from parvis.desk.decide.access_rights import may, scope_of
from parvis.desk.models.accounts import CaseAccessFacts, ConfidentialCases
from parvis.desk.store.absences import find_absence
from parvis.desk.store.accounts import read_case_facts
from parvis.desk.store.case_transactions import CaseNotFound
from parvis.desk.store.department_agents import read_agents


async def check_colleague(
    connection: AsyncConnection,
    confidential: ConfidentialCases,
    conversation: str,
    department: str,
    colleague: str,
    at: datetime,
    *,
    although_absent: bool = False,
) -> None:
    """Whether a case of the department may be assigned to whom this name names.

    Raises: CaseNotFound; Rejected, with the key of its sentence: `no_colleague`, `unknown_colleague` for a name that nobody in
            the department has, `colleague_not_allowed` on this case, `colleague_absent` unless that is known.
    """
    facts, name = await read_case_facts(connection, conversation), " ".join(colleague.split())
    if facts is None or facts[0] != department:
        raise CaseNotFound("case")
    if not name:
        raise Rejected("no_colleague")
    named = await read_agents(connection, CaseAccessFacts(department), at, names=[name])
    if not named:
        raise Rejected("unknown_colleague")
    scope = scope_of(confidential, *facts, conversation)
    if not any(may(user, "case.change", scope) for user in named):
        raise Rejected("colleague_not_allowed")
    if not although_absent and await find_absence(connection, department, name, at):
        raise Rejected("colleague_absent")
