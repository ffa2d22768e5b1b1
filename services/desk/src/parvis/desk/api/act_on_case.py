"""Applies one action of a program to a case, with the answers for what is refused."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeAlias
from uuid import UUID

from fastapi import HTTPException, Request

from parvis.common.contract.errors import Rejected
from parvis.common.runtime.clock import now
from parvis.desk.api.dependencies import ApiDependencies, acting_agent, read_case_detail
from parvis.desk.api.json_bodies import ActionBody, CaseDetail
from parvis.desk.decide.access_rights import may_read_case
from parvis.desk.decide.apply_agent_actions import ActionContext
from parvis.desk.decide.case_version import CaseChanged, CaseVersion
from parvis.desk.models.case import Case, CaseChanges, CaseContact
from parvis.desk.store.case_transactions import CaseNotFound

_WRONG_MEMBERS = ("unknown_colleague", "colleague_not_allowed")  # whatever the state of the case
Work: TypeAlias = Callable[[Case, ActionContext, Sequence[CaseContact]], CaseChanges]


async def act_on_case(
    access: ApiDependencies,
    request: Request,
    conversation_id: UUID,
    body: ActionBody,
    work: Work,
    *,
    seen: CaseVersion | None = None,
) -> CaseDetail:
    """Apply the action. Gives the case after it.

    Raises: HTTPException 404, 409 with the key of what is refused, 412 for a case that has changed since it was `seen`.
    """
    context = action_context(access, request, body)
    try:
        await access.cases.change_case(
            str(conversation_id), context.agent, lambda case, contacts: work(case, context, contacts), seen=seen
        )
    except Rejected as error:
        raise refusal(error) from error
    return await read_case_detail(access, conversation_id, body.department)


def action_context(access: ApiDependencies, request: Request, body: ActionBody) -> ActionContext:
    agent = acting_agent(request, body.agent, body.department, body.quality)
    may_read = partial(may_read_case, request.state.program, access.rules.confidential)
    return ActionContext(agent, access.town_config, now(), may_read)


def refusal(error: Rejected) -> HTTPException:
    """The answer for what a rule refuses."""
    if isinstance(error, CaseNotFound):
        return HTTPException(404, "no such case in this department")
    if str(error) in _WRONG_MEMBERS:
        return HTTPException(422, str(error))
    return HTTPException(412 if isinstance(error, CaseChanged) else 409, str(error))


def seen_version(if_match: str | None) -> CaseVersion | None:
    """The version that If-Match names. None without one: the action is right whatever came since."""
    return (CaseVersion.parse(if_match) or CaseVersion()) if if_match not in (None, "*") else None
