"""Serves the actions on a case, and the registration of a visit or a call, to programs."""

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

from fastapi import FastAPI, HTTPException, Request, Response

from parvis.common.contract.errors import Rejected
from parvis.common.contract.reply import make_reply_id
from parvis.common.runtime.clock import now
from parvis.desk.api.act_on_case import act_on_case, action_context, refusal, seen_version
from parvis.desk.api.counter_bodies import CounterContactBody, CounterContactCreated
from parvis.desk.api.dependencies import ApiDependencies, acting_agent, own_case, scoped_key
from parvis.desk.api.json_bodies import (
    ActionBody,
    CallBody,
    CaseDetail,
    IdempotencyKey,
    IfMatch,
    LinkBody,
    ReplyBody,
    SplitBody,
    TransferBody,
)
from parvis.desk.decide import apply_agent_actions, request_split_and_link
from parvis.desk.decide.access_rights import may
from parvis.desk.decide.apply_agent_actions import ActionContext, AgentTextInput, ReplyInput
from parvis.desk.decide.counter_contact import CounterForm
from parvis.desk.decide.request_split_and_link import LinkInput, SplitInput
from parvis.desk.models.accounts import CaseAccessFacts
from parvis.desk.models.case import Case, CaseChanges
from parvis.desk.models.outgoing_file import OutgoingFile


def routes(app: FastAPI, access: ApiDependencies) -> None:
    """The routes that change a case; each returns the case after the change, once it is committed."""
    _states(app, access)
    _words(app, access)
    _transfers(app, access)
    _divisions(app, access)
    _counter(app, access)


def _states(app: FastAPI, access: ApiDependencies) -> None:
    @app.post("/cases/{conversation_id}/take", dependencies=[access.allow("case.change")])
    async def take(request: Request, conversation_id: UUID, body: ActionBody, if_match: IfMatch = None) -> CaseDetail:
        return await _change_state(access, request, conversation_id, body, if_match, apply_agent_actions.take_case)

    @app.post("/cases/{conversation_id}/release", dependencies=[access.allow("case.change")])
    async def release(
        request: Request, conversation_id: UUID, body: ActionBody, if_match: IfMatch = None
    ) -> CaseDetail:
        return await _change_state(access, request, conversation_id, body, if_match, apply_agent_actions.release_case)

    @app.post("/cases/{conversation_id}/close", dependencies=[access.allow("case.change")])
    async def close(request: Request, conversation_id: UUID, body: ActionBody, if_match: IfMatch = None) -> CaseDetail:
        return await _change_state(access, request, conversation_id, body, if_match, apply_agent_actions.close_case)

    @app.post("/cases/{conversation_id}/reopen", dependencies=[access.allow("case.change")])
    async def reopen(request: Request, conversation_id: UUID, body: ActionBody, if_match: IfMatch = None) -> CaseDetail:
        return await _change_state(access, request, conversation_id, body, if_match, apply_agent_actions.reopen_case)

    _ = take, release, close, reopen


async def _change_state(
    access: ApiDependencies,
    request: Request,
    conversation_id: UUID,
    body: ActionBody,
    if_match: str | None,
    change: Callable[[Case, ActionContext], CaseChanges],
) -> CaseDetail:
    return await act_on_case(
        access, request, conversation_id, body, lambda case, context, _: change(case, context),
        seen=seen_version(if_match),
    )  # fmt: skip


def _words(app: FastAPI, access: ApiDependencies) -> None:
    @app.post("/cases/{conversation_id}/reply", dependencies=[access.allow("case.reply")])
    async def reply(
        request: Request,
        conversation_id: UUID,
        body: ReplyBody,
        response: Response,
        key: IdempotencyKey = None,
        if_match: IfMatch = None,
    ) -> CaseDetail:
        """Reply to the citizen, on their preferred channel unless another is given.

        With If-Match, 412 and nothing sent when the case has changed since it was read.
        """
        delay = access.withdrawal_period if body.withdrawable else timedelta()
        key_uuid = scoped_key(body.department, key)
        answer = ReplyInput(
            body.text, key_uuid, body.then, body.channel, body.address, delay=delay,
            files=await _chosen_files(access, request, conversation_id, body, key_uuid),
        )  # fmt: skip
        detail = await act_on_case(
            access, request, conversation_id, body,
            lambda case, context, contacts: apply_agent_actions.request_reply(case, context, contacts, answer),
            seen=seen_version(if_match),
        )  # fmt: skip
        response.headers["etag"] = f'"{detail.version}"'
        return detail

    @app.post("/cases/{conversation_id}/call", dependencies=[access.allow("case.change")])
    async def call(
        request: Request, conversation_id: UUID, body: CallBody, key: IdempotencyKey = None, if_match: IfMatch = None
    ) -> CaseDetail:
        """Record a call to the citizen."""
        note = AgentTextInput(body.text, scoped_key(body.department, key), body.then)
        return await act_on_case(
            access,
            request,
            conversation_id,
            body,
            lambda case, context, _: apply_agent_actions.record_call(case, context, note),
            seen=seen_version(if_match),
        )

    _ = reply, call


async def _chosen_files(
    access: ApiDependencies, request: Request, conversation_id: UUID, body: ReplyBody, key: str
) -> tuple[OutgoingFile, ...]:
    """The files of the agent's draft that leave with the reply. Raises: HTTPException 404, 409 `file_gone`."""
    if not body.file_ids:
        return ()
    await own_case(access, conversation_id, body.department)
    agent, conversation = action_context(access, request, body).agent, str(conversation_id)
    reply_id = make_reply_id("desk", conversation, key)
    try:
        return await access.outgoing_files.choose(conversation, agent, list(map(str, body.file_ids)), reply_id=reply_id)
    except Rejected as error:
        raise refusal(error) from error


def _transfers(app: FastAPI, access: ApiDependencies) -> None:
    @app.post("/cases/{conversation_id}/transfer", dependencies=[access.allow("case.transfer")])
    async def transfer(
        request: Request,
        conversation_id: UUID,
        body: TransferBody,
        key: IdempotencyKey = None,
        if_match: IfMatch = None,
    ) -> CaseDetail:
        """Request a transfer to another department; the case leaves when the router has transferred it."""
        key_uuid = scoped_key(body.department, key)
        return await act_on_case(
            access, request, conversation_id, body,
            lambda case, context, _: apply_agent_actions.request_transfer(
                case, context, body.to_department, body.reason, key_uuid),
            seen=seen_version(if_match),
        )  # fmt: skip

    _ = transfer


def _divisions(app: FastAPI, access: ApiDependencies) -> None:
    @app.post("/cases/{conversation_id}/split", dependencies=[access.allow("case.transfer")])
    async def split(
        request: Request, conversation_id: UUID, body: SplitBody, key: IdempotencyKey = None, if_match: IfMatch = None
    ) -> CaseDetail:
        """Request a split: the chosen messages get a case of their own."""
        split_input = SplitInput(
            [str(contact) for contact in body.contact_ids],
            body.to_department,
            body.reason,
            scoped_key(body.department, key),
        )
        return await act_on_case(
            access, request, conversation_id, body,
            lambda case, context, contacts: request_split_and_link.request_split(case, context.agent, contacts, split_input, context.town_config, context.at),
            seen=seen_version(if_match),
        )  # fmt: skip

    @app.post("/cases/{conversation_id}/link", dependencies=[access.allow("case.change")])
    async def link(
        request: Request, conversation_id: UUID, body: LinkBody, key: IdempotencyKey = None, if_match: IfMatch = None
    ) -> CaseDetail:
        """Request a link to another case, or its removal."""
        link_input = LinkInput(body.reference, scoped_key(body.department, key), body.wanted)
        return await act_on_case(
            access,
            request,
            conversation_id,
            body,
            lambda case, context, _: request_split_and_link.request_link(case, context.agent, link_input, context.at),
            seen=seen_version(if_match),
        )

    _ = split, link


def _counter(app: FastAPI, access: ApiDependencies) -> None:
    @app.post("/contacts", status_code=201, dependencies=[access.allow("contact.register")])
    async def register(request: Request, body: CounterContactBody, key: IdempotencyKey = None) -> CounterContactCreated:
        """Register a visit or a call; it becomes a case when the router has routed it."""
        if access.town_config.department(body.department) is None:
            raise HTTPException(409, "no_department")
        form = CounterForm(**body.model_dump(exclude={"agent", "department", "quality"}))
        agent = acting_agent(request, body.agent, body.department, body.quality)
        if not may(request.state.program, "contact.register", CaseAccessFacts(body.department)):
            raise HTTPException(403, "not allowed")
        try:
            registered = await access.counter.register(
                form, agent, seed=scoped_key(body.department, key), at=now(), by=request.state.program
            )
        except Rejected as error:
            raise HTTPException(409, str(error)) from error
        return CounterContactCreated(contact_id=UUID(registered.contact_id), reference=registered.reference)

    _ = register
