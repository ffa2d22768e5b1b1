"""Serves the actions on a case, and the registration of a visit or a call, to programs."""

from collections.abc import Callable, Sequence
from typing import TypeAlias
from uuid import UUID

from fastapi import FastAPI, HTTPException

from parvis.common.contract.errors import Rejected
from parvis.common.runtime.clock import now
from parvis.desk.api.dependencies import ApiDependencies, read_case_detail, scoped_key
from parvis.desk.api.response_models import (
    ActionBody,
    CallBody,
    CaseDetail,
    CounterContactBody,
    CounterContactCreated,
    IdempotencyKey,
    LinkBody,
    ReplyBody,
    SplitBody,
    TransferBody,
)
from parvis.desk.decide import agent_actions, request_split_and_link
from parvis.desk.decide.agent_actions import ActionContext, AgentText, ReplyInput
from parvis.desk.decide.counter_contact import CounterForm
from parvis.desk.decide.request_split_and_link import LinkInput, SplitInput
from parvis.desk.models.case import Agent, Case, CaseChanges, CaseContact
from parvis.desk.store.case_transactions import CaseNotFound

Work: TypeAlias = Callable[[Case, Agent, Sequence[CaseContact]], CaseChanges]


def routes(app: FastAPI, access: ApiDependencies) -> None:
    """All that changes something; each answers with the case as it is then, once that is committed."""
    _states(app, access)
    _words(app, access)
    _transfers(app, access)
    _divisions(app, access)
    _counter(app, access)


async def _act(access: ApiDependencies, conversation_id: UUID, asked: ActionBody, work: Work) -> CaseDetail:
    agent = Agent(asked.agent, asked.department)
    try:
        await access.cases.change_case(str(conversation_id), agent, lambda case, opened: work(case, agent, opened))
    except CaseNotFound:
        raise HTTPException(404, "no such case in this department") from None
    except Rejected as error:
        raise HTTPException(409, str(error)) from error
    return await read_case_detail(access, conversation_id, asked.department)


def _states(app: FastAPI, access: ApiDependencies) -> None:
    town_config = access.town_config

    @app.post("/cases/{conversation_id}/take")
    async def take(conversation_id: UUID, asked: ActionBody) -> CaseDetail:
        return await _act(
            access,
            conversation_id,
            asked,
            lambda c, agent, _: agent_actions.take_case(c, ActionContext(agent, town_config, now())),
        )

    @app.post("/cases/{conversation_id}/release")
    async def release(conversation_id: UUID, asked: ActionBody) -> CaseDetail:
        return await _act(
            access,
            conversation_id,
            asked,
            lambda c, agent, _: agent_actions.release_case(c, ActionContext(agent, town_config, now())),
        )

    @app.post("/cases/{conversation_id}/close")
    async def close(conversation_id: UUID, asked: ActionBody) -> CaseDetail:
        return await _act(
            access,
            conversation_id,
            asked,
            lambda c, agent, _: agent_actions.close_case(c, ActionContext(agent, town_config, now())),
        )

    @app.post("/cases/{conversation_id}/reopen")
    async def reopen(conversation_id: UUID, asked: ActionBody) -> CaseDetail:
        return await _act(
            access,
            conversation_id,
            asked,
            lambda c, agent, _: agent_actions.reopen_case(c, ActionContext(agent, town_config, now())),
        )

    _ = take, release, close, reopen


def _words(app: FastAPI, access: ApiDependencies) -> None:
    town_config = access.town_config

    @app.post("/cases/{conversation_id}/reply")
    async def reply(conversation_id: UUID, asked: ReplyBody, key: IdempotencyKey = None) -> CaseDetail:
        """Answer the citizen, on the channel they wish unless another is given."""
        answer = ReplyInput(asked.text, scoped_key(asked.department, key), asked.then, asked.channel, asked.address)
        return await _act(
            access, conversation_id, asked,
            lambda case, agent, opened: agent_actions.request_reply(case, ActionContext(agent, town_config, now()), opened, answer),
        )  # fmt: skip

    @app.post("/cases/{conversation_id}/call")
    async def call(conversation_id: UUID, asked: CallBody, key: IdempotencyKey = None) -> CaseDetail:
        """Note what was said when the citizen was called."""
        words = AgentText(asked.text, scoped_key(asked.department, key), asked.then)
        return await _act(
            access,
            conversation_id,
            asked,
            lambda case, agent, _: agent_actions.record_call(case, ActionContext(agent, town_config, now()), words),
        )

    _ = reply, call


def _transfers(app: FastAPI, access: ApiDependencies) -> None:
    @app.post("/cases/{conversation_id}/transfer")
    async def transfer(conversation_id: UUID, asked: TransferBody, key: IdempotencyKey = None) -> CaseDetail:
        """Ask the router to bring the conversation to another department; the case leaves when it has."""
        once = scoped_key(asked.department, key)
        return await _act(
            access, conversation_id, asked,
            lambda case, agent, _: agent_actions.request_transfer(
                case, ActionContext(agent, access.town_config, now()), asked.to_department, asked.reason, once),
        )  # fmt: skip

    _ = transfer


def _divisions(app: FastAPI, access: ApiDependencies) -> None:
    @app.post("/cases/{conversation_id}/split")
    async def split(conversation_id: UUID, asked: SplitBody, key: IdempotencyKey = None) -> CaseDetail:
        """Ask the router to bring some messages into a case of their own."""
        wish = SplitInput(
            [str(one) for one in asked.contact_ids],
            asked.to_department,
            asked.reason,
            scoped_key(asked.department, key),
        )
        return await _act(
            access, conversation_id, asked,
            lambda case, agent, opened: request_split_and_link.request_split(case, agent, opened, wish, access.town_config, now()),
        )  # fmt: skip

    @app.post("/cases/{conversation_id}/link")
    async def link(conversation_id: UUID, asked: LinkBody, key: IdempotencyKey = None) -> CaseDetail:
        """Ask the router to link the case with another one, or to undo that."""
        wish = LinkInput(asked.reference, scoped_key(asked.department, key), asked.wanted)
        return await _act(
            access,
            conversation_id,
            asked,
            lambda case, agent, _: request_split_and_link.request_link(case, agent, wish, now()),
        )

    _ = split, link


def _counter(app: FastAPI, access: ApiDependencies) -> None:
    @app.post("/contacts", status_code=201)
    async def write_down(asked: CounterContactBody, key: IdempotencyKey = None) -> CounterContactCreated:
        """Write down a visit or a call; it comes back as a case when the router has placed it."""
        if access.town_config.department(asked.department) is None:
            raise HTTPException(409, "no_department")
        visit = CounterForm(**asked.model_dump(exclude={"agent", "department"}))
        agent = Agent(asked.agent, asked.department)
        try:
            kept = await access.counter.register(visit, agent, seed=scoped_key(asked.department, key), at=now())
        except Rejected as error:
            raise HTTPException(409, str(error)) from error
        return CounterContactCreated(contact_id=UUID(kept.contact_id), reference=kept.reference)

    _ = write_down
